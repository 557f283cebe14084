//! Relationships as proofs: a function that needs one takes it as a value, so it cannot be forgotten.

use super::run::{ListingRole, ListingStatus};
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

/// Proof that somebody goes along with a run, as its leader or its back marker: they may see who comes and check people
/// in, and decide nothing.
#[derive(Debug, Clone, Copy)]
pub struct Accompanies {
    facilitator: Id,
    run: Id,
}

impl Accompanies {
    /// The facilitator.
    pub fn facilitator(&self) -> Id {
        self.facilitator
    }

    /// The run.
    pub fn run(&self) -> Id {
        self.run
    }
}

impl From<&Leads> for Accompanies {
    fn from(proof: &Leads) -> Self {
        Self { facilitator: proof.facilitator, run: proof.run }
    }
}

impl From<&Accompanies> for Accompanies {
    fn from(proof: &Accompanies) -> Self {
        *proof
    }
}

/// Why somebody does not lead a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLeading {
    /// Not listed, or has not accepted yet: to them the run's inside does not exist.
    NotListed,
    /// Listed, but a decision or a lapsed credential stands against it.
    NotInGoodStanding,
    /// On the run as its back marker.
    BackMarkerOnly,
}

/// Decides whether `account` leads `run`.
pub fn leads(
    account: Id,
    run: Id,
    listing: Option<(ListingStatus, ListingRole)>,
    in_good_standing: bool,
) -> Result<Leads, NotLeading> {
    accompanies(account, run, listing.map(|(status, _)| status), in_good_standing)?;
    match listing {
        Some((_, ListingRole::BackMarker)) => Err(NotLeading::BackMarkerOnly),
        _ => Ok(Leads { facilitator: account, run }),
    }
}

/// Decides whether `account` goes along with `run` in whatever role.
pub fn accompanies(
    account: Id,
    run: Id,
    listing: Option<ListingStatus>,
    in_good_standing: bool,
) -> Result<Accompanies, NotLeading> {
    match listing {
        Some(ListingStatus::Accepted) if in_good_standing => Ok(Accompanies { facilitator: account, run }),
        Some(ListingStatus::Accepted) => Err(NotLeading::NotInGoodStanding),
        Some(ListingStatus::Invited) | None => Err(NotLeading::NotListed),
    }
}
