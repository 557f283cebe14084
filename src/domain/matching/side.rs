//! The run's side of matching, the same for everybody, and what one person adds to it.
//!
//! [`IndexedRun`] is compact, because a country's runs to come are held in memory; [`Viewer`] is the person's side. Both
//! together are a [`Candidate`]. Invariant: nothing of a person's home is in a run's side.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::civil;
use smallvec::SmallVec;

use super::{Candidate, Person, engagements::Engagements, fit::COMPANY_FROM};
use crate::{
    clock::Instant,
    domain::{
        pace::{Activity, PaceBand},
        place::LatLng,
        run::ListingRole,
    },
    id::Id,
};

/// Somebody who is listed on a run, asked to lead it included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    pub id: Id,
    /// Said yes: only then is it public that they lead.
    pub is_accepted: bool,
    /// Accepted and in good standing.
    pub is_active: bool,
    pub role: ListingRole,
}

/// The pace of somebody who is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Companion {
    pub id: Id,
    pub fastest_s_per_km: u16,
    pub slowest_s_per_km: u16,
}

/// What a run says about languages and access; runs that say the same share one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// Languages spoken in the group; where the run says none, that of the installation.
    pub languages: Vec<String>,
    /// Answers about access, yes or no; a missing key: not said.
    pub access: BTreeMap<String, bool>,
}

/// One run as matching reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedRun {
    pub id: Id,
    /// The series of which it is a date.
    pub series: Option<Id>,
    pub starts_at: Instant,
    /// The start on the local clock of the place.
    pub local_start: civil::DateTime,
    /// The meeting point, or the centre of the meeting area where the point is hidden.
    pub place: LatLng,
    pub pace: PaceBand,
    pub duration_min: u16,
    pub activity: Activity,
    pub no_drop: bool,
    pub after_dark: bool,
    /// No place is left, or somebody waits for one.
    pub is_full: bool,
    pub has_waiting: bool,
    /// A facilitator takes no more sign-ups.
    pub is_closed: bool,
    /// Only those with a place see where it begins.
    pub point_is_hidden: bool,
    pub confirmed: u16,
    pub said: Arc<Said>,
    /// Most runs have one: it lies with the rest.
    pub listed: SmallVec<[Listed; 1]>,
    /// Paces of the confirmed, from [`COMPANY_FROM`] on: fewer would give a person away.
    pub company: Box<[Companion]>,
}

/// The person's side: the running profile, and what stands between the person and others.
#[derive(Debug, Clone)]
pub struct Viewer {
    pub id: Id,
    pub person: Person,
    /// Facilitators whom the person has run with before.
    pub known: BTreeSet<Id>,
    pub closed: Closed,
    pub engagements: Engagements,
}

/// What is closed to a person, for causes that are not told.
#[derive(Debug, Clone, Default)]
pub struct Closed {
    /// People between whom and this person a block stands. It counts where they have accepted to lead: that somebody was
    /// asked is not public, and a run that is gone would tell.
    pub apart_from: BTreeSet<Id>,
    /// Facilitators who bar this person from all runs on which they are listed.
    pub barred_by: BTreeSet<Id>,
    /// Runs to come that have ended for this person: they were declined or removed.
    pub runs: BTreeSet<Id>,
}

impl IndexedRun {
    /// This run as `viewer` may see it.
    pub fn candidate<'r>(&'r self, viewer: &Viewer) -> Candidate<'r> {
        Candidate { closed_to_person: self.is_closed_to(viewer), ..self.if_open(viewer) }
    }

    /// The same as if nothing stood between them: what most runs are weighed by does not read who is listed.
    pub fn if_open<'r>(&'r self, viewer: &Viewer) -> Candidate<'r> {
        let mine = viewer.person.pace_for(self.activity);
        let alike = || mine.is_some_and(|mine| self.company.iter().any(|c| c.id != viewer.id && c.is_like(mine)));
        let active = || self.listed.iter().filter(|listed| listed.is_active);
        let back_marker = || active().any(|listed| listed.role == ListingRole::BackMarker);
        Candidate {
            id: *self.id.as_bytes(),
            activity: self.activity,
            pace: self.pace,
            no_drop: self.no_drop,
            place: self.place,
            starts_at: self.starts_at,
            local_start: self.local_start,
            duration_min: i32::from(self.duration_min),
            after_dark: self.after_dark,
            languages: Cow::Borrowed(&self.said.languages),
            access: Cow::Borrowed(&self.said.access),
            is_full: self.is_full,
            has_waiting: self.has_waiting,
            confirmed: u32::from(self.confirmed),
            alike_or_back_marker: self.company_counts() && (alike() || back_marker()),
            known_face: !viewer.known.is_empty() && active().any(|listed| viewer.known.contains(&listed.id)),
            closed_to_person: false,
        }
    }

    /// Whether the person is listed on the run, or something stands between them.
    pub fn is_closed_to(&self, viewer: &Viewer) -> bool {
        let closed = &viewer.closed;
        let is_against = |listed: &Listed| {
            listed.id == viewer.id
                || closed.barred_by.contains(&listed.id)
                || (listed.is_accepted && closed.apart_from.contains(&listed.id))
        };
        closed.runs.contains(&self.id) || self.listed.iter().any(is_against)
    }

    /// Whether enough are confirmed that company counts.
    pub fn company_counts(&self) -> bool {
        u32::from(self.confirmed) >= COMPANY_FROM
    }
}

impl Companion {
    /// A companion, if the pace is one that can be given.
    pub fn new(id: Id, pace: PaceBand) -> Option<Self> {
        let fastest_s_per_km = u16::try_from(pace.fastest_s_per_km).ok()?;
        Some(Self { id, fastest_s_per_km, slowest_s_per_km: u16::try_from(pace.slowest_s_per_km).ok()? })
    }

    /// Two people are of like pace when their bands overlap.
    fn is_like(&self, mine: PaceBand) -> bool {
        mine.fastest_s_per_km <= i32::from(self.slowest_s_per_km)
            && i32::from(self.fastest_s_per_km) <= mine.slowest_s_per_km
    }
}
