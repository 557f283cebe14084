//! Relationships as proofs: a function that needs one takes it as a value, so it cannot be forgotten.

use super::run::ListingStatus;
use crate::id::Id;

/// Proof that somebody leads a run: listed there, accepted, and in good standing.
#[derive(Debug, Clone, Copy)]
pub struct Leads {
    facilitator: Id,
    run: Id,
}

impl Leads {
    /// The facilitator.
    pub fn facilitator(&self) -> Id {
        self.facilitator
    }

    /// The run.
    pub fn run(&self) -> Id {
        self.run
    }
}

/// Why somebody does not lead a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLeading {
    /// Not listed, or has not accepted yet: to them the run's inside does not exist.
    NotListed,
    /// Listed, but a decision or a lapsed credential stands against it.
    NotInGoodStanding,
}

/// Decides whether `account` leads `run`.
pub fn leads(
    account: Id,
    run: Id,
    listing: Option<ListingStatus>,
    in_good_standing: bool,
) -> Result<Leads, NotLeading> {
    match listing {
        Some(ListingStatus::Accepted) if in_good_standing => Ok(Leads { facilitator: account, run }),
        Some(ListingStatus::Accepted) => Err(NotLeading::NotInGoodStanding),
        Some(ListingStatus::Invited) | None => Err(NotLeading::NotListed),
    }
}
