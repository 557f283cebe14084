//! One synchronous function per use case: (transaction, caller or proof, input, now) in, result out.
//!
//! A function that only forwards does not belong here; plain reads go from `http` to `store`.

pub mod accounts;
pub mod appeals;
pub mod applications;
pub mod bars;
pub mod callers;
pub mod housekeeping;
pub mod imports;
pub mod letters;
pub mod limits;
pub mod links;
pub mod matching;
pub mod notices;
pub mod places;
pub mod profiles;
pub mod reports;
pub mod run_views;
pub mod runs;
pub mod sanctions;
pub mod sessions;
pub mod signups;
