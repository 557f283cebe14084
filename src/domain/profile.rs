//! What people say about how and where they like to run.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    availability::Window,
    pace::{Activity, PaceBand},
    place::LatLng,
    refusal::Faults,
    run::LanguageTag,
};
use crate::clock::Instant;

word_enum! {
    "snake_case";
    /// How somebody likes to run beside another.
    pub enum TalkOrQuiet {
        Talk,
        Quiet,
        Either,
    }
}

/// The body of `PUT /me/running-profile`. A null pace is "not sure yet".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunningProfile {
    /// At least one.
    #[schema(min_items = 1, max_items = 3)]
    pub activities: Vec<Activity>,
    /// The pace at which the person can chat.
    #[serde(default)]
    pub comfortable_pace: Option<PaceBand>,
    #[serde(default)]
    pub walking_pace: Option<PaceBand>,
    /// Where the person lives; snapped to its cell when it arrives and never kept. May be left out once there is a cell.
    #[serde(default)]
    pub home: Option<LatLng>,
    /// How far the person likes to travel to a run.
    #[serde(default = "ten")]
    #[schema(minimum = 1, maximum = 50, default = 10.0)]
    pub travel_radius_km: f64,
    /// Local wall time where the run is; none = always.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub availability: Vec<Window>,
    #[serde(default)]
    #[schema(max_items = 10)]
    pub languages: Vec<LanguageTag>,
    /// What the place has to have, such as `step_free`.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub access_needs: Vec<AccessNeed>,
    #[serde(default)]
    pub not_after_dark: bool,
    #[serde(default)]
    pub new_here: bool,
    /// Rather something slow first: together with `new_here`, walks, run-walks and no-drop runs come first.
    #[serde(default)]
    pub gentle_start: bool,
    /// How the person likes to run beside somebody; for suggested pairs only.
    #[serde(default)]
    pub talk_or_quiet: Option<TalkOrQuiet>,
}

/// The name of something a run's `access` speaks about, out of `GET /vocabulary`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = "access-need", pattern = "^[a-z_]{1,40}$", example = "step_free")]
pub struct AccessNeed(pub String);

fn ten() -> f64 {
    10.0
}

impl RunningProfile {
    /// What the schema cannot see. `has_home` says whether an earlier cell stands.
    pub fn faults(&self, has_home: bool) -> Faults {
        let mut faults = Faults::default();
        let words = "fastest_s_per_km must not be more than slowest_s_per_km: more seconds are slower";
        for (pointer, pace) in [("/comfortable_pace", self.comfortable_pace), ("/walking_pace", self.walking_pace)] {
            faults.unless(pace.is_none_or(|band| !band.is_upside_down()), pointer, "upside_down", words);
        }
        faults.unless(self.home.is_some() || has_home, "/home", "required", "say where your area is");
        for (at, window) in self.availability.iter().enumerate() {
            for fault in window.faults() {
                let pointer = format!("/availability/{at}/{}", fault.field());
                faults.unless(false, &pointer, fault.code(), fault.in_words());
            }
        }
        faults
    }
}

/// How often the home cell may change in a week.
pub const HOME_CHANGES_A_WEEK: usize = 3;
/// How often the paces may change in a day: more would let somebody feel out who is on a run.
pub const PACE_CHANGES_A_DAY: usize = 3;

/// Notes a change at `now` in `changes`, or says from when on another may come: at most `most` within `hours`.
pub fn note_change(changes: &mut Vec<Instant>, most: usize, hours: i64, now: Instant) -> Result<(), Instant> {
    changes.retain(|at| at.plus_hours(hours) > now);
    if changes.len() >= most {
        return Err(changes.first().map_or(now, |oldest| oldest.plus_hours(hours)));
    }
    changes.push(now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_change_has_to_wait_for_the_first_to_be_old() {
        let start: Instant = "2026-11-22T10:00:00Z".parse().unwrap();
        let mut changes = Vec::new();
        for hour in 0..3 {
            assert_eq!(note_change(&mut changes, 3, 24, start.plus_hours(hour)), Ok(()));
        }
        assert_eq!(note_change(&mut changes, 3, 24, start.plus_hours(5)), Err(start.plus_hours(24)));
        assert_eq!(note_change(&mut changes, 3, 24, start.plus_hours(24)), Ok(()));
    }
}
