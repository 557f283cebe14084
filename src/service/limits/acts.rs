//! Budgets of what one member does that others get mail of: wide enough for the busiest honest day, and too narrow to flood
//! anybody. They are spent in the transaction of the act, after it was done: a refused act costs nothing, and an act over
//! its budget does not happen. Giving back, stepping aside and logging out are never refused.

use super::{Budget, DAY, HOUR, spend};
use crate::{clock::Instant, error::Result, id::Id, store::Tx};

/// How often one member may do something, and how often about one other person or thing.
#[derive(Debug, Clone, Copy)]
pub struct ActBudget {
    all: Budget,
    each: Option<Budget>,
}

impl ActBudget {
    const fn new(all: Budget, each: Option<Budget>) -> Self {
        Self { all, each }
    }
}

/// Sign-ups; one may change their mind about a run ten times in a day.
pub const SIGN_UP: ActBudget =
    ActBudget::new(Budget::new("sign-ups", 60, HOUR), Some(Budget::new("sign-ups-for-one-run", 10, DAY)));
/// Becoming a regular, of one series ten times in a day.
pub const REGULAR: ActBudget =
    ActBudget::new(Budget::new("regulars", 60, HOUR), Some(Budget::new("regulars-of-one-series", 10, DAY)));
/// Places kept for friends, for one sign-up ten times in a day.
pub const FRIEND_PLACE: ActBudget =
    ActBudget::new(Budget::new("friend-places", 60, HOUR), Some(Budget::new("friend-places-of-one", 10, DAY)));
/// Reports and incidents. Nobody in need writes one every half minute for an hour; the mails about them are gathered.
pub const REPORT: ActBudget = ActBudget::new(Budget::new("reports", 120, HOUR), None);
/// Objections to decisions.
pub const APPEAL: ActBudget = ActBudget::new(Budget::new("appeals", 30, DAY), None);
/// Answers after a run, which may ask the team to get in touch.
pub const AFTER_RUN: ActBudget =
    ActBudget::new(Budget::new("after-runs", 120, HOUR), Some(Budget::new("after-runs-of-one-run", 30, HOUR)));
/// Applications to lead runs.
pub const APPLICATION: ActBudget = ActBudget::new(Budget::new("applications", 10, DAY), None);
/// Bars, against one person five times in a day.
pub const BAR: ActBudget =
    ActBudget::new(Budget::new("bars", 100, DAY), Some(Budget::new("bars-against-one-person", 5, DAY)));
/// Noes and removals by a run's facilitators.
pub const REMOVAL: ActBudget = ActBudget::new(Budget::new("removals", 200, HOUR), None);
/// Runs posted and called off: a club that posts a season at once has some hundred.
pub const RUN: ActBudget = ActBudget::new(Budget::new("runs", 300, HOUR), None);
/// Edits of runs, of one run once a minute.
pub const RUN_EDIT: ActBudget =
    ActBudget::new(Budget::new("run-edits", 300, HOUR), Some(Budget::new("edits-of-one-run", 60, HOUR)));
/// Series posted, changed and ended.
pub const SERIES: ActBudget = ActBudget::new(Budget::new("series", 60, HOUR), None);
/// Asking somebody to lead along, or taking them off again.
pub const LISTING: ActBudget =
    ActBudget::new(Budget::new("listings", 100, DAY), Some(Budget::new("listings-of-one-person", 20, DAY)));
/// Taking a run on, which tells everybody on it.
pub const LEADING: ActBudget =
    ActBudget::new(Budget::new("takes-on", 100, DAY), Some(Budget::new("takes-on-of-one-run", 10, DAY)));
/// Marks of one person on the day that they are mailed about: "did not come" and walking in.
pub const MARK: ActBudget =
    ActBudget::new(Budget::new("marks", 600, HOUR), Some(Budget::new("marks-of-one-person", 30, HOUR)));
/// Decisions about accounts, about one account ten times in a day.
pub const SANCTION: ActBudget =
    ActBudget::new(Budget::new("sanctions", 500, DAY), Some(Budget::new("sanctions-of-one-person", 10, DAY)));

/// Counts what a member did about somebody or something.
///
/// # Errors
/// [`Error::Limited`](crate::error::Error::Limited) when a window is used up.
pub fn spend_act(tx: &mut Tx<'_>, budget: &ActBudget, actor: Id, about: Option<Id>, now: Instant) -> Result<()> {
    if let (Some(each), Some(about)) = (budget.each, about) {
        spend(tx, each, &format!("{actor}:{about}"), now)?;
    }
    spend(tx, budget.all, &actor.to_string(), now)
}
