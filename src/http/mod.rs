//! Translation between HTTP and the services: the route table, extractors, problems. No decision is taken here.

pub mod accounts;
pub mod after_run;
pub mod announcements;
pub mod appeals;
pub mod blocks;
pub mod body;
mod by_token;
pub mod client_ip;
pub mod connections;
pub mod day;
pub mod etag;
pub mod extract;
pub mod facilitators;
pub mod friends;
pub mod help;
pub mod home;
pub mod links;
mod locations;
pub mod match_requests;
pub mod matches;
pub mod me;
pub mod middleware;
pub mod moderation;
pub mod pages;
pub mod paging;
pub mod paths;
pub mod problem;
mod reader;
pub mod reply;
pub mod roster;
mod routes;
pub mod run_routes;
pub mod runs;
pub mod sanctions;
pub mod schemas;
pub mod series;
pub mod server;
pub mod sessions;
pub mod signups;
pub mod status;

pub use problem::Problem;
pub use reply::Reply;
pub use routes::{api_doc, api_json, pages_and_health, routes};

/// The state of the process in a handler's signature.
pub type AppData = actix_web::web::Data<crate::app::App>;
