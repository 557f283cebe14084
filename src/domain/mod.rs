//! Pure decisions: values in, decisions out. No queries, no web, no clock, no environment.

pub mod account;
pub mod availability;
pub mod daylight;
pub mod link;
pub mod matching;
pub mod moderation;
pub mod outbox;
pub mod pace;
pub mod place;
pub mod policy;
pub mod profile;
pub mod refusal;
pub mod reminder;
pub mod run;
pub mod signup;
