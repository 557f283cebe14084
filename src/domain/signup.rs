//! A sign-up's life: one table of who may move it from where to where, and the decision about a place.
//!
//! No code changes a status around [`next`]. Order in the line is `queue_no`, given under the run's lock.

use super::refusal::Code;

word_enum! {
    "snake_case";
    /// What a sign-up is at the moment.
    pub enum SignupStatus {
        /// Waits for a facilitator's yes; holds nothing.
        Requested,
        Confirmed,
        /// Waits for a place.
        Waitlisted,
        /// A place is held until the person answers.
        Offered,
        Withdrawn,
        Declined,
        Removed,
        Expired,
        Attended,
        NoShow,
    }
}

use SignupStatus::{Attended, Confirmed, Declined, Expired, Offered, Removed, Requested, Waitlisted, Withdrawn};

impl SignupStatus {
    /// Those of which one person may have only one in a run.
    pub const LIVE: [Self; 4] = [Requested, Confirmed, Waitlisted, Offered];
    /// Those that hold a place.
    pub const HOLDING: [Self; 3] = [Offered, Confirmed, Attended];

    /// Whether something can still come of it.
    pub fn is_live(self) -> bool {
        Self::LIVE.contains(&self)
    }

    /// Whether it ends the matter between this person and this run.
    pub fn is_final(self) -> bool {
        matches!(self, Removed | Declined)
    }
}

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Person,
    Facilitator,
    /// A moderator's decision, or a facilitator's bar.
    Team,
    /// Time, or a place that became free.
    House,
}

/// What happens to a sign-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignupAct {
    Approve,
    ApproveToWait,
    Decline,
    Promote,
    Withdraw,
    Remove,
    GiveUp,
    Expire,
}

/// The one table: from, act, who, to.
pub const LIFE: &[(SignupStatus, SignupAct, Who, SignupStatus)] = &[
    (Requested, SignupAct::Approve, Who::Facilitator, Confirmed),
    (Requested, SignupAct::ApproveToWait, Who::Facilitator, Waitlisted),
    (Requested, SignupAct::ApproveToWait, Who::House, Waitlisted),
    (Requested, SignupAct::Decline, Who::Facilitator, Declined),
    (Requested, SignupAct::Withdraw, Who::Person, Withdrawn),
    (Requested, SignupAct::GiveUp, Who::Team, Withdrawn),
    (Requested, SignupAct::Expire, Who::House, Expired),
    (Waitlisted, SignupAct::Promote, Who::House, Confirmed),
    (Waitlisted, SignupAct::Withdraw, Who::Person, Withdrawn),
    (Waitlisted, SignupAct::GiveUp, Who::Team, Withdrawn),
    (Waitlisted, SignupAct::Expire, Who::House, Expired),
    (Offered, SignupAct::Withdraw, Who::Person, Withdrawn),
    (Offered, SignupAct::GiveUp, Who::Team, Withdrawn),
    (Offered, SignupAct::Expire, Who::House, Expired),
    (Confirmed, SignupAct::Withdraw, Who::Person, Withdrawn),
    (Confirmed, SignupAct::Remove, Who::Facilitator, Removed),
    (Confirmed, SignupAct::GiveUp, Who::Team, Withdrawn),
];

/// Where `act` by `who` leads from `from`, if it may happen at all.
pub fn next(from: SignupStatus, act: SignupAct, who: Who) -> Option<SignupStatus> {
    LIFE.iter().find(|(f, a, w, _)| (*f, *a, *w) == (from, act, who)).map(|row| row.3)
}

word_enum! {
    "snake_case";
    /// Why a facilitator removes or declines somebody; each has a kind ready-made sentence.
    pub enum RemovalReason {
        /// The run does not suit: pace, distance, terrain.
        NotAFit,
        /// Too many for this run.
        GroupSize,
        /// The person asked for it.
        AtTheirRequest,
        /// What the person did; needs a statement.
        Conduct,
        /// Somebody's safety; only the neutral sentence is told, and a report is opened.
        Safety,
    }
}

impl RemovalReason {
    /// The sentence that the person reads.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotAFit => {
                "The facilitator thinks that this run would not suit you well today; others may suit you better."
            }
            Self::GroupSize => "The group has become too large for this run.",
            Self::AtTheirRequest => "You asked to be taken off this run.",
            Self::Conduct => "The facilitator decided so because of something that happened.",
            Self::Safety => "You are not on this run any more. The team can tell you more.",
        }
    }
}

/// What a run offers at the moment it is asked for a place, read under its lock.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// min(capacity, ratio x facilitators active on the run).
    pub places: i64,
    /// Offered, confirmed and attended.
    pub held: i64,
    /// People waiting in line.
    pub waiting: i64,
    /// Whether each sign-up needs a facilitator's yes.
    pub by_approval: bool,
}

impl Places {
    /// Places that somebody new could take, never negative.
    pub fn left(self) -> i64 {
        (self.places - self.held).max(0)
    }

    /// What a new sign-up becomes: nobody overtakes those who wait.
    pub fn for_newcomer(self) -> SignupStatus {
        if self.by_approval {
            Requested
        } else if self.left() > 0 && self.waiting == 0 {
            Confirmed
        } else {
            Waitlisted
        }
    }

    /// What an approved request becomes.
    pub fn for_approved(self) -> SignupAct {
        if self.left() > 0 && self.waiting == 0 { SignupAct::Approve } else { SignupAct::ApproveToWait }
    }

    /// How many of those waiting can have a place now.
    pub fn to_promote(self) -> i64 {
        self.left().min(self.waiting)
    }
}

/// Places of a run: `capacity`, but no more than `ratio` for each facilitator active on it.
pub fn places(capacity: i32, ratio: i32, active_facilitators: i64) -> i64 {
    i64::from(capacity).min(i64::from(ratio).saturating_mul(active_facilitators))
}

/// What the history between this person and this run, and the bars and decisions around it, say to a new sign-up.
pub fn may_sign_up(earlier: &[SignupStatus], barred: bool, leads_it: bool) -> Result<(), Code> {
    if leads_it {
        return Err(Code::YouLeadThisRun);
    }
    if barred || earlier.iter().any(|status| status.is_final()) {
        return Err(Code::RunNotOpenToYou);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    fn room(places: i64, held: i64, waiting: i64) -> Places {
        Places { places, held, waiting, by_approval: false }
    }

    #[test]
    fn a_full_run_puts_the_next_person_on_the_waiting_list() {
        assert_eq!(room(10, 9, 0).for_newcomer(), Confirmed);
        assert_eq!(room(10, 10, 0).for_newcomer(), Waitlisted);
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        assert_eq!(room(10, 9, 1).for_newcomer(), Waitlisted);
        assert_eq!(room(10, 7, 5).to_promote(), 3);
    }

    #[test]
    fn fewer_places_put_nobody_out_and_let_nobody_in() {
        let shrunk = room(5, 8, 2);
        assert_eq!((shrunk.left(), shrunk.to_promote()), (0, 0));
    }

    #[test]
    fn places_follow_the_facilitators() {
        assert_eq!(places(30, 12, 1), 12);
        assert_eq!(places(30, 12, 3), 30);
        assert_eq!(places(30, 12, 0), 0);
    }

    #[test]
    fn what_is_final_leads_nowhere_and_live_statuses_can_always_be_left() {
        for status in SignupStatus::VARIANTS {
            let ways = LIFE.iter().filter(|row| row.0 == *status).count();
            if status.is_live() {
                assert!(next(*status, SignupAct::Withdraw, Who::Person).is_some(), "{status}");
                assert!(next(*status, SignupAct::GiveUp, Who::Team).is_some(), "{status}");
            } else {
                assert_eq!(ways, 0, "{status}");
            }
        }
        assert_eq!(next(Confirmed, SignupAct::Remove, Who::Person), None);
    }
}
