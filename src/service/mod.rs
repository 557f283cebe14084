//! One synchronous function per use case: (transaction, caller or proof, input, now) in, result out.
//!
//! A function that only forwards does not belong here; plain reads go from `http` to `store`.

pub mod accounts;
pub mod address_requests;
pub mod addresses;
pub mod after_run;
pub mod alerts;
pub mod announcements;
pub mod appeals;
pub mod applications;
pub mod audit_log;
pub mod bars;
pub mod blocks;
pub mod callers;
pub mod care;
pub mod day;
pub mod decisions;
pub mod entry;
pub mod housekeeping;
pub mod impartiality;
pub mod imports;
pub mod letters;
pub mod limits;
pub mod links;
pub mod match_requests;
pub mod matching;
pub mod notices;
pub mod one_to_one;
pub mod overlaps;
pub mod places;
pub mod profiles;
pub mod reinstating;
pub mod reports;
pub mod requests;
pub mod run_routes;
pub mod run_sides;
pub mod run_views;
pub mod runs;
pub mod sanctions;
pub mod series;
pub mod sessions;
pub mod signups;
