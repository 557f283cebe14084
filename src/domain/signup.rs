//! A sign-up's life: one table of who may move it from where to where, and the decision about a place.
//!
//! No code changes a status around [`next`]. Order in the line is `queue_no`, given under the run's lock.

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

use SignupStatus::{
    Attended, Confirmed, Declined, Expired, NoShow, Offered, Removed, Requested, Waitlisted, Withdrawn,
};

impl SignupStatus {
    /// Those of which one person may have only one in a run. Until a run starts, also of somebody who was checked in
    /// something can still come.
    pub const LIVE: [Self; 5] = [Requested, Confirmed, Waitlisted, Offered, Attended];
    /// Those that hold a place.
    pub const HOLDING: [Self; 3] = [Offered, Confirmed, Attended];
    /// Those that end the matter between a person and a run.
    pub const FINAL: [Self; 2] = [Removed, Declined];

    /// Whether something can still come of it.
    pub fn is_live(self) -> bool {
        Self::LIVE.contains(&self)
    }

    /// Whether it ends the matter between this person and this run.
    pub fn is_final(self) -> bool {
        Self::FINAL.contains(&self)
    }
}

/// The party that changes a sign-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    Person,
    Facilitator,
    /// A moderator's decision, a facilitator's bar, or a block.
    Team,
    /// Time, or a place that became free.
    System,
}

/// What happens to a sign-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignupAct {
    TakePlace,
    JoinLine,
    Ask,
    WalkIn,
    Approve,
    ApproveToWait,
    Decline,
    Offer,
    Accept,
    DeclineOffer,
    /// An offer that nobody answered.
    Lapse,
    Withdraw,
    Remove,
    GiveUp,
    Expire,
    CheckIn,
    UndoCheckIn,
    MarkNoShow,
    UndoNoShow,
    /// "I was there."
    WasThere,
    /// The wrong person was checked in at the meeting point.
    UndoWalkIn,
    /// The decision that ended it was overturned: a place.
    GiveBack,
    /// The same: first in line.
    GiveBackToWait,
    /// The same: a request that nobody has answered.
    GiveBackRequest,
}

/// The one table: from (none: there was no sign-up), act, who, to.
pub const LIFE: &[(Option<SignupStatus>, SignupAct, Actor, SignupStatus)] = &[
    (None, SignupAct::TakePlace, Actor::Person, Confirmed),
    (None, SignupAct::JoinLine, Actor::Person, Waitlisted),
    (None, SignupAct::Ask, Actor::Person, Requested),
    (None, SignupAct::WalkIn, Actor::Facilitator, Attended),
    (None, SignupAct::TakePlace, Actor::System, Confirmed),
    (None, SignupAct::JoinLine, Actor::System, Waitlisted),
    (Some(Requested), SignupAct::Approve, Actor::Facilitator, Confirmed),
    (Some(Requested), SignupAct::ApproveToWait, Actor::Facilitator, Waitlisted),
    (Some(Requested), SignupAct::ApproveToWait, Actor::System, Waitlisted),
    (Some(Requested), SignupAct::Decline, Actor::Facilitator, Declined),
    (Some(Requested), SignupAct::Withdraw, Actor::Person, Withdrawn),
    (Some(Requested), SignupAct::GiveUp, Actor::Team, Withdrawn),
    (Some(Requested), SignupAct::Expire, Actor::System, Expired),
    (Some(Waitlisted), SignupAct::Offer, Actor::System, Offered),
    (Some(Waitlisted), SignupAct::Accept, Actor::Person, Confirmed),
    (Some(Waitlisted), SignupAct::Withdraw, Actor::Person, Withdrawn),
    (Some(Waitlisted), SignupAct::GiveUp, Actor::Team, Withdrawn),
    (Some(Waitlisted), SignupAct::Expire, Actor::System, Expired),
    (Some(Offered), SignupAct::Accept, Actor::Person, Confirmed),
    (Some(Offered), SignupAct::DeclineOffer, Actor::Person, Waitlisted),
    (Some(Offered), SignupAct::Lapse, Actor::System, Waitlisted),
    (Some(Offered), SignupAct::Withdraw, Actor::Person, Withdrawn),
    (Some(Offered), SignupAct::GiveUp, Actor::Team, Withdrawn),
    (Some(Offered), SignupAct::Expire, Actor::System, Expired),
    (Some(Confirmed), SignupAct::Withdraw, Actor::Person, Withdrawn),
    (Some(Confirmed), SignupAct::Remove, Actor::Facilitator, Removed),
    (Some(Confirmed), SignupAct::GiveUp, Actor::Team, Withdrawn),
    (Some(Confirmed), SignupAct::Expire, Actor::System, Expired),
    (Some(Confirmed), SignupAct::CheckIn, Actor::Facilitator, Attended),
    (Some(Confirmed), SignupAct::MarkNoShow, Actor::Facilitator, NoShow),
    (Some(Attended), SignupAct::UndoCheckIn, Actor::Facilitator, Confirmed),
    // Called off when some were at the meeting point already: nobody was there, then.
    (Some(Attended), SignupAct::UndoCheckIn, Actor::System, Confirmed),
    (Some(Attended), SignupAct::Withdraw, Actor::Person, Withdrawn),
    (Some(Attended), SignupAct::Remove, Actor::Facilitator, Removed),
    (Some(Attended), SignupAct::GiveUp, Actor::Team, Withdrawn),
    (Some(Attended), SignupAct::MarkNoShow, Actor::Facilitator, NoShow),
    (Some(Attended), SignupAct::UndoWalkIn, Actor::Facilitator, Withdrawn),
    (Some(NoShow), SignupAct::UndoNoShow, Actor::Facilitator, Confirmed),
    (Some(NoShow), SignupAct::CheckIn, Actor::Facilitator, Attended),
    (Some(NoShow), SignupAct::WasThere, Actor::Person, Attended),
    // What a decision ended comes back only when the decision is overturned.
    (Some(Removed), SignupAct::GiveBack, Actor::Team, Confirmed),
    (Some(Removed), SignupAct::GiveBackToWait, Actor::Team, Waitlisted),
    (Some(Declined), SignupAct::GiveBackRequest, Actor::Team, Requested),
    (Some(Withdrawn), SignupAct::GiveBack, Actor::Team, Confirmed),
    (Some(Withdrawn), SignupAct::GiveBackToWait, Actor::Team, Waitlisted),
    (Some(Withdrawn), SignupAct::GiveBackRequest, Actor::Team, Requested),
];

/// Finds the status to which `act` by `actor` leads from `from`; none where the table has no such row.
pub fn next(from: SignupStatus, act: SignupAct, actor: Actor) -> Option<SignupStatus> {
    LIFE.iter().find(|(f, a, w, _)| (*f, *a, *w) == (Some(from), act, actor)).map(|row| row.3)
}

/// Finds the status of a new sign-up that begins with `act` by `actor`.
pub fn begin(act: SignupAct, actor: Actor) -> Option<SignupStatus> {
    LIFE.iter().find(|(f, a, w, _)| (*f, *a, *w) == (None, act, actor)).map(|row| row.3)
}

word_enum! {
    "snake_case";
    /// Why somebody with a place has to say again that they come.
    pub enum ReconfirmReason {
        /// The run was moved far: another day, more than two hours or two kilometres.
        Changed,
        /// Two silent absences in the last 90 days.
        Absences,
    }
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// min(capacity, ratio x facilitators active on the run).
    pub places: i64,
    /// Offered, confirmed and attended, guests, and places kept for friends.
    pub held: i64,
    /// People waiting in line.
    pub waiting: i64,
    /// Of the held places, how many are offered to somebody who has yet to answer.
    pub offered: i64,
    /// Of the free places, how many are kept for people who have not run with this group.
    pub kept_for_newcomers: i64,
    /// Whether each sign-up needs a facilitator's yes.
    pub by_approval: bool,
}

impl Places {
    /// Free places, never negative.
    pub fn left(self) -> i64 {
        (self.places - self.held).max(0)
    }

    /// Free places that this person could take: those kept for newcomers are not for those who know the group.
    pub fn left_for(self, new_to_group: bool) -> i64 {
        if new_to_group { self.left() } else { (self.left() - self.kept_for_newcomers).max(0) }
    }

    /// These places after somebody took one.
    pub fn with_one_more(self, new_to_group: bool) -> Self {
        let kept = if new_to_group { (self.kept_for_newcomers - 1).max(0) } else { self.kept_for_newcomers };
        Self { held: self.held + 1, kept_for_newcomers: kept, ..self }
    }

    /// How a new sign-up begins, once everybody who waits and may have a free place has been offered it.
    pub fn for_newcomer(self, new_to_group: bool) -> SignupAct {
        if self.by_approval {
            SignupAct::Ask
        } else if self.left_for(new_to_group) > 0 {
            SignupAct::TakePlace
        } else {
            SignupAct::JoinLine
        }
    }

    /// What an approved request becomes.
    pub fn for_approved(self, new_to_group: bool) -> SignupAct {
        if self.left_for(new_to_group) > 0 { SignupAct::Approve } else { SignupAct::ApproveToWait }
    }
}

/// Places of a run: `capacity`, but no more than `ratio` for each facilitator active on it.
pub fn places(capacity: i32, ratio: i32, active_facilitators: i64) -> i64 {
    i64::from(capacity).min(i64::from(ratio).saturating_mul(active_facilitators))
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    fn room(places: i64, held: i64) -> Places {
        Places { places, held, ..Default::default() }
    }

    #[test]
    fn a_full_run_puts_the_next_person_on_the_waiting_list() {
        assert_eq!(room(10, 9).for_newcomer(true), SignupAct::TakePlace);
        assert_eq!(room(10, 10).for_newcomer(true), SignupAct::JoinLine);
        assert_eq!(Places { by_approval: true, ..room(10, 0) }.for_newcomer(true), SignupAct::Ask);
    }

    #[test]
    fn fewer_places_put_nobody_out_and_let_nobody_in() {
        assert_eq!(room(5, 8).left(), 0);
    }

    #[test]
    fn places_kept_for_newcomers_are_not_for_those_who_know_the_group() {
        let room = Places { kept_for_newcomers: 2, ..room(10, 8) };
        assert_eq!((room.left_for(true), room.left_for(false)), (2, 0));
        assert_eq!(room.for_newcomer(false), SignupAct::JoinLine);
        let after = room.with_one_more(true);
        assert_eq!((after.left_for(true), after.left_for(false)), (1, 0));
    }

    #[test]
    fn places_follow_the_facilitators() {
        assert_eq!(places(30, 12, 1), 12);
        assert_eq!(places(30, 12, 3), 30);
        assert_eq!(places(30, 12, 0), 0);
    }

    #[test]
    fn what_is_live_can_always_be_left_and_what_has_ended_leads_nowhere() {
        for status in SignupStatus::VARIANTS {
            let ways = LIFE.iter().filter(|row| row.0 == Some(*status)).count();
            if status.is_live() {
                assert!(next(*status, SignupAct::Withdraw, Actor::Person).is_some(), "{status}");
                assert!(next(*status, SignupAct::GiveUp, Actor::Team).is_some(), "{status}");
            } else if !matches!(status, Attended | NoShow) {
                let by_the_team = LIFE.iter().filter(|row| row.0 == Some(*status) && row.2 == Actor::Team).count();
                assert_eq!(ways, by_the_team, "{status} is left only where a decision is overturned");
            }
        }
        assert_eq!(next(Confirmed, SignupAct::Remove, Actor::Person), None);
    }

    #[test]
    fn the_table_says_one_thing_about_each_act() {
        for (at, row) in LIFE.iter().enumerate() {
            let twin = LIFE.iter().skip(at + 1).any(|other| (other.0, other.1, other.2) == (row.0, row.1, row.2));
            assert!(!twin, "{row:?}");
        }
    }
}
