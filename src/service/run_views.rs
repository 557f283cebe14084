//! A run as somebody may see it: the same for everybody but for the meeting point where that is hidden.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        day::{self, DayAct},
        pace::{Activity, PaceBand},
        place::Cell,
        run::{
            CancelReason, JoinPolicy, LanguageTag, ListingRole, ListingStatus, MeetingPoint, Question, RunStatus, YesNo,
        },
        signup::{Places, SignupStatus},
    },
    error::Result,
    id::Id,
    service::places,
    store::{Conn, accounts, facilitators, runs::Run, signups},
};

/// Who leads a run, or stays with the last.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Leader {
    pub id: Id,
    pub display_name: String,
    pub role: ListingRole,
}

/// The cell that stands for a meeting point, with a name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MeetingArea {
    /// H3, resolution 8.
    pub cell: String,
    /// The place's name where the point is public.
    pub name: String,
    /// The cell's centre.
    pub centre: crate::domain::place::LatLng,
}

/// What a list shows of a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunCard {
    pub id: Id,
    /// The series of which it is a date.
    pub series_id: Option<Id>,
    pub status: RunStatus,
    pub title: String,
    pub activity: Activity,
    pub pace: PaceBand,
    pub no_drop: bool,
    pub distance_km: Option<f64>,
    pub duration_min: i32,
    pub starts_at: Instant,
    pub time_zone: String,
    /// Wall time at the place, without an offset.
    #[schema(example = "2026-11-28T09:00:00")]
    pub local_start: String,
    pub after_dark: bool,
    /// Only where it is public, or the viewer has a place or leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meeting_point: Option<MeetingPoint>,
    pub meeting_area: MeetingArea,
    pub capacity: i32,
    /// min(capacity, ratio x facilitators active on the run).
    pub places: i64,
    pub places_left: i64,
    pub waiting: i64,
    pub join_policy: JoinPolicy,
    pub languages: Vec<LanguageTag>,
    pub access: BTreeMap<String, YesNo>,
    pub facilitators: Vec<Leader>,
}

/// A run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunView {
    #[serde(flatten)]
    pub card: RunCard,
    pub description: String,
    /// How to find the group; hidden with the meeting point.
    pub getting_there: Option<String>,
    pub newcomer_places: Option<i32>,
    /// How to reach a facilitator: for those who have a place, from 2 h before the start to 1 h after the planned end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_contact: Option<String>,
    pub questions: Vec<Question>,
    pub cancel_reason: Option<CancelReason>,
    pub cancel_message: Option<String>,
    /// What `If-Match` is compared with.
    pub version: i32,
}

/// What views of several runs have in common.
pub struct Facts {
    places: BTreeMap<Id, Places>,
    leaders: BTreeMap<Id, Vec<Leader>>,
    insider_of: BTreeSet<Id>,
    shown_day_contact_of: BTreeSet<Id>,
}

/// Reads what the views of these runs need.
pub fn facts(conn: &mut Conn, runs: &[Run], viewer: Option<Id>, policy: &Policy, now: Instant) -> Result<Facts> {
    let ids: Vec<Id> = runs.iter().map(|run| run.id).collect();
    let places = places::of_runs(conn, runs, policy, now)?;
    let listings = facilitators::listings(conn, &ids)?;
    let people: Vec<Id> = listings.iter().map(|listing| listing.account_id).collect();
    let names = accounts::display_names(conn, &people)?;
    let good = facilitators::in_good_standing(conn, &people, now)?;
    let mut leaders: BTreeMap<Id, Vec<Leader>> = BTreeMap::new();
    let (mut insider_of, mut shown_day_contact_of) = (BTreeSet::new(), BTreeSet::new());
    for listing in &listings {
        if listing.status == ListingStatus::Accepted && good.contains(&listing.account_id) {
            if viewer == Some(listing.account_id) {
                insider_of.insert(listing.run_id);
                shown_day_contact_of.insert(listing.run_id);
            }
            let display_name = names.get(&listing.account_id).cloned().unwrap_or_default();
            let leader = Leader { id: listing.account_id, display_name, role: listing.role };
            leaders.entry(listing.run_id).or_default().push(leader);
        }
    }
    for group in leaders.values_mut() {
        // Those who lead come first; within a role, as they were listed.
        group.sort_by_key(|leader| leader.role);
    }
    if let Some(viewer) = viewer {
        for run in runs.iter().filter(|run| !run.point_is_public) {
            let seat = signups::live_in(conn, viewer, run.id)?;
            if seat.is_some_and(|seat| SignupStatus::HOLDING.contains(&seat.status)) {
                insider_of.insert(run.id);
            }
        }
    }
    if let Some(viewer) = viewer {
        let shown = |run: &&Run| {
            run.details.day_contact.is_some()
                && day::possible(DayAct::SeeDayContact, run.starts_at, run.ends_at, now).is_ok()
        };
        for run in runs.iter().filter(shown) {
            let seat = signups::live_in(conn, viewer, run.id)?.map(|seat| seat.status);
            if matches!(seat, Some(SignupStatus::Confirmed | SignupStatus::Attended)) {
                shown_day_contact_of.insert(run.id);
            }
        }
    }
    Ok(Facts { places, leaders, insider_of, shown_day_contact_of })
}

impl Facts {
    /// The places of one of the runs.
    pub fn places(&self, run: Id) -> Places {
        self.places.get(&run).copied().unwrap_or_default()
    }

    /// The ids of those who lead one of the runs now.
    pub fn leader_ids(&self, run: Id) -> impl Iterator<Item = Id> + '_ {
        self.leaders.get(&run).into_iter().flatten().map(|leader| leader.id)
    }

    /// Whether somebody stays with the last of one of the runs.
    pub fn has_back_marker(&self, run: Id) -> bool {
        self.leaders.get(&run).into_iter().flatten().any(|leader| leader.role == ListingRole::BackMarker)
    }

    /// What a list shows of one of the runs.
    pub fn card(&self, run: &Run) -> RunCard {
        let sees_point = run.point_is_public || self.insider_of.contains(&run.id);
        let places = self.places(run.id);
        let cell = run.details.area_cell.parse::<Cell>().ok();
        RunCard {
            id: run.id,
            series_id: run.series_id,
            status: run.status,
            title: run.title.clone(),
            activity: run.activity,
            pace: run.pace(),
            no_drop: run.no_drop,
            distance_km: run.details.distance_km,
            duration_min: run.duration_min,
            starts_at: run.starts_at,
            time_zone: run.time_zone.clone(),
            local_start: run.starts_at.local(&run.time_zone).to_string(),
            after_dark: run.after_dark,
            meeting_point: sees_point.then(|| run.meeting_point()),
            meeting_area: MeetingArea {
                cell: run.details.area_cell.clone(),
                name: if sees_point {
                    run.details.place_name.clone()
                } else {
                    "near the centre of this area".to_owned()
                },
                centre: cell.map_or_else(|| run.shown(), |cell| cell.centre()),
            },
            capacity: run.capacity,
            places: places.places,
            places_left: places.left(),
            waiting: places.waiting,
            join_policy: run.join_policy,
            languages: run.languages.0.clone(),
            access: run.access.0.clone(),
            facilitators: self.leaders.get(&run.id).cloned().unwrap_or_default(),
        }
    }

    /// One of the runs.
    pub fn view(&self, run: &Run) -> RunView {
        let card = self.card(run);
        RunView {
            description: run.details.description.clone(),
            getting_there: run.details.getting_there.clone().filter(|_| card.meeting_point.is_some()),
            newcomer_places: run.newcomer_places,
            day_contact: run.details.day_contact.clone().filter(|_| self.shown_day_contact_of.contains(&run.id)),
            questions: run.details.questions.0.clone(),
            cancel_reason: run.details.cancel_reason,
            cancel_message: run.details.cancel_message.clone(),
            version: run.version,
            card,
        }
    }
}

/// One run as `viewer` may see it.
pub fn view(conn: &mut Conn, run: &Run, viewer: Option<Id>, policy: &Policy, now: Instant) -> Result<RunView> {
    Ok(facts(conn, std::slice::from_ref(run), viewer, policy, now)?.view(run))
}
