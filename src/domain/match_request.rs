//! Match requests: standing wishes, what they leave to the running profile, and when their owners are told.
//!
//! Invariant: a point becomes its cell before anything else happens, and a wish holds nothing finer. What a wish does not
//! say is the profile's of the moment; nothing is copied.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    availability::Window,
    matching::Person,
    pace::{Activity, PaceBand},
    place::{Cell, LatLng, snap_home},
    profile::AccessNeed,
    refusal::{Fault, Faults},
    run::LanguageTag,
};
use crate::clock::Instant;

word_enum! {
    "snake_case";
    /// How often somebody wants to hear of runs that fit their match requests.
    pub enum AlertChoice {
        /// At most one mail a day, with all that was found.
        Daily,
        /// As soon as something is found.
        AtOnce,
        /// Not by mail.
        None,
    }
}

/// The body of `POST /match-requests`. What is left out, or null, is the running profile's of the moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMatchRequest {
    /// Around which point; snapped to its cell when it arrives and never kept.
    #[serde(default)]
    pub area: Option<LatLng>,
    #[serde(default)]
    #[schema(minimum = 1, maximum = 50)]
    pub travel_radius_km: Option<f64>,
    #[serde(default)]
    #[schema(min_items = 1, max_items = 3)]
    pub activities: Option<Vec<Activity>>,
    /// The pace at which the person can chat.
    #[serde(default)]
    pub comfortable_pace: Option<PaceBand>,
    #[serde(default)]
    pub walking_pace: Option<PaceBand>,
    /// Local wall time where the run is; an empty list = always.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub availability: Option<Vec<Window>>,
    #[serde(default)]
    #[schema(max_items = 10)]
    pub languages: Option<Vec<LanguageTag>>,
    /// What the place has to have, such as `step_free`.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub access_needs: Option<Vec<AccessNeed>>,
    #[serde(default)]
    pub not_after_dark: Option<bool>,
    #[serde(default)]
    pub gentle_start: Option<bool>,
}

impl NewMatchRequest {
    /// What the schema cannot see.
    pub fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        faults.unless(self.area.is_none_or(|point| point.is_valid()), "/area", "invalid", "there is no such point");
        let words = "fastest_s_per_km must not be more than slowest_s_per_km: more seconds are slower";
        for (pointer, pace) in [("/comfortable_pace", self.comfortable_pace), ("/walking_pace", self.walking_pace)] {
            faults.unless(pace.is_none_or(|band| !band.is_upside_down()), pointer, "upside_down", words);
        }
        for (at, window) in self.availability.iter().flatten().enumerate() {
            let fault = |fault: super::availability::WindowFault| {
                Fault::at(format!("/availability/{at}/{}", fault.field()), fault.code(), fault.in_words())
            };
            faults.0.extend(window.faults().into_iter().map(fault));
        }
        faults
    }

    /// The wish as it is kept, around the cell that stands for its point.
    pub fn wish(&self, area: Option<Cell>) -> Wish {
        Wish {
            area,
            travel_radius_km: self.travel_radius_km,
            activities: self.activities.as_deref().map(distinct),
            comfortable_pace: self.comfortable_pace,
            walking_pace: self.walking_pace,
            availability: self.availability.clone(),
            languages: self.languages.as_deref().map(distinct),
            access_needs: self.access_needs.as_deref().map(distinct),
            not_after_dark: self.not_after_dark,
            gentle_start: self.gentle_start,
        }
    }
}

/// The same without repeats, in the order given.
fn distinct<T: Clone + PartialEq>(given: &[T]) -> Vec<T> {
    given.iter().enumerate().filter(|(at, one)| !given[..*at].contains(one)).map(|(_, one)| one.clone()).collect()
}

/// A standing wish as it is kept; what is none is the running profile's of the moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    pub area: Option<Cell>,
    pub travel_radius_km: Option<f64>,
    pub activities: Option<Vec<Activity>>,
    pub comfortable_pace: Option<PaceBand>,
    pub walking_pace: Option<PaceBand>,
    pub availability: Option<Vec<Window>>,
    pub languages: Option<Vec<LanguageTag>>,
    pub access_needs: Option<Vec<AccessNeed>>,
    pub not_after_dark: Option<bool>,
    pub gentle_start: Option<bool>,
}

/// How far somebody goes who says nothing about it and has no profile; what a profile begins with as well.
const USUAL_RADIUS_KM: f64 = 10.0;

impl Wish {
    /// The person's side of matching under this wish; none where neither it nor a profile says where.
    pub fn person(&self, profile: Option<&Person>) -> Option<Person> {
        let home = match self.area {
            Some(cell) => cell.centre(),
            None => profile?.home,
        };
        let radius = profile.map_or(USUAL_RADIUS_KM, |profile| profile.travel_radius_km);
        let said = |flag: Option<bool>, of: fn(&Person) -> bool| flag.unwrap_or_else(|| profile.is_some_and(of));
        let tags = |tags: &[LanguageTag]| tags.iter().map(|tag| tag.0.clone()).collect();
        let needs = |needs: &[AccessNeed]| needs.iter().map(|need| need.0.clone()).collect();
        Some(Person {
            activities: or_of(self.activities.clone(), profile, |profile| &profile.activities),
            comfortable_pace: self.comfortable_pace.or(profile.and_then(|profile| profile.comfortable_pace)),
            walking_pace: self.walking_pace.or(profile.and_then(|profile| profile.walking_pace)),
            home,
            travel_radius_km: self.travel_radius_km.unwrap_or(radius),
            availability: or_of(self.availability.clone(), profile, |profile| &profile.availability),
            languages: or_of(self.languages.as_deref().map(tags), profile, |profile| &profile.languages),
            access_needs: or_of(self.access_needs.as_deref().map(needs), profile, |profile| &profile.access_needs),
            not_after_dark: said(self.not_after_dark, |profile| profile.not_after_dark),
            // Whoever has no profile counts as new, as on a sign-up.
            new_here: profile.is_none_or(|profile| profile.new_here),
            gentle_start: said(self.gentle_start, |profile| profile.gentle_start),
        })
    }

    /// What is looked for, so that its owner knows it again: "walks and runs, in an area that you named". Never where.
    pub fn in_words(&self) -> String {
        let plural = |activity: &Activity| format!("{}s", activity.in_words());
        let what = match self.activities.as_deref() {
            None | Some([] | [_, _, _, ..]) => "anything that fits".to_owned(),
            Some([one]) => plural(one),
            Some([one, other]) => format!("{} and {}", plural(one), plural(other)),
        };
        let pace = self.comfortable_pace.or(self.walking_pace).map(|pace| format!(" at {}", pace.in_min_per_km()));
        let place = if self.area.is_some() { "in an area that you named" } else { "in your area" };
        let when = if self.availability.as_ref().is_some_and(|some| !some.is_empty()) {
            ", at times that you named"
        } else {
            ""
        };
        format!("{what}{}, {place}{when}", pace.unwrap_or_default())
    }
}

fn or_of<T: Clone>(said: Option<Vec<T>>, profile: Option<&Person>, of: fn(&Person) -> &Vec<T>) -> Vec<T> {
    said.or_else(|| profile.map(|profile| of(profile).clone())).unwrap_or_default()
}

/// How many areas somebody's wishes may newly name in a week, as often as a home may change: nobody feels out by many
/// wishes what one home cannot.
pub const NEW_AREAS_A_WEEK: usize = 3;
/// Days for which an area is known again after it was named last.
pub const AREA_KNOWN_DAYS: i64 = 90;

/// The cell that stands for a wished area. Of the cells that are known of this person, the latest first, one within a
/// quarter cell of the point is kept, as a home's is: many noisy points publish one cell.
pub fn snap_area(point: LatLng, known: &[Cell], resolution: u8) -> Option<Cell> {
    let kept = known.iter().find(|old| snap_home(point, Some(**old), resolution) == Some(**old));
    kept.copied().or_else(|| Cell::containing(point, resolution))
}

/// From when on another area may be named, where `named` says when each of the known ones was named first.
pub fn another_area_from(named: &[Instant], now: Instant) -> Option<Instant> {
    let mut lately: Vec<Instant> = named.iter().map(|at| at.plus_days(7)).filter(|end| *end > now).collect();
    lately.sort_unstable();
    // Once this one is old, one fewer than may be are left.
    lately.get(lately.len().checked_sub(NEW_AREAS_A_WEEK)?).copied()
}

/// When what was found is told: gathered for a while, and a day after the last such mail; or at once.
pub fn tell_at(choice: AlertChoice, last: Option<Instant>, wait_minutes: i64, now: Instant) -> Instant {
    match choice {
        AlertChoice::AtOnce => now,
        AlertChoice::Daily | AlertChoice::None => {
            let gathered = now.plus_minutes(wait_minutes);
            last.map_or(gathered, |last| gathered.max(last.plus_hours(24)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::matching::tests::{band, person};
    use proptest::prelude::*;

    const BUSHY: LatLng = LatLng { lat: 51.415, lng: -0.33 };

    #[test]
    fn what_a_wish_does_not_say_is_the_profiles() {
        let profile = person();
        assert_eq!(Wish::default().person(Some(&profile)), Some(profile.clone()));
        assert_eq!(Wish::default().person(None), None, "nobody knows where");
        let cell = Cell::containing(BUSHY, 8).unwrap();
        let wish = Wish {
            area: Some(cell),
            activities: Some(vec![Activity::Walk]),
            walking_pace: Some(band(700, 800)),
            languages: Some(vec![]),
            not_after_dark: Some(true),
            ..Wish::default()
        };
        let mine = wish.person(Some(&Person { languages: vec!["de".into()], ..profile.clone() })).unwrap();
        assert_eq!((mine.home, mine.walking_pace), (cell.centre(), Some(band(700, 800))));
        assert_eq!((mine.languages.len(), mine.comfortable_pace), (0, profile.comfortable_pace));
        assert!(mine.not_after_dark && mine.activities == [Activity::Walk]);
        let alone = wish.person(None).unwrap();
        assert_eq!((alone.travel_radius_km, alone.comfortable_pace, alone.new_here), (10.0, None, true));
    }

    #[test]
    fn a_wish_is_known_again_by_its_words_and_they_do_not_say_where() {
        assert_eq!(Wish::default().in_words(), "anything that fits, in your area");
        let wish = Wish {
            area: Cell::containing(BUSHY, 8),
            activities: Some(vec![Activity::Walk, Activity::RunWalk]),
            comfortable_pace: Some(band(370, 405)),
            availability: Some(vec![serde_json::from_str(r#"{"weekday":"tue","from":"18:00","to":"20:00"}"#).unwrap()]),
            ..Wish::default()
        };
        let words = "walks and run-walks at 6:10–6:45 min/km, in an area that you named, at times that you named";
        assert_eq!(wish.in_words(), words);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let window = |text: &str| serde_json::from_str(text).unwrap();
        let bad = NewMatchRequest {
            area: Some(LatLng { lat: f64::NAN, lng: 0.0 }),
            walking_pace: Some(band(800, 700)),
            availability: Some(vec![
                window(r#"{"weekday":"tue","from":"18:00","to":"20:00"}"#),
                window(r#"{"weekday":"tue","from":"20:00","to":"18:00"}"#),
            ]),
            ..NewMatchRequest::default()
        };
        let pointers: Vec<String> = bad.faults().0.into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/area", "/walking_pace", "/availability/1/to"]);
        assert!(NewMatchRequest::default().faults().0.is_empty());
    }

    #[test]
    fn the_fourth_area_waits_until_the_first_was_named_a_week_ago() {
        let start: Instant = "2026-11-22T10:00:00Z".parse().unwrap();
        let mut named = Vec::new();
        for hour in 0..3 {
            assert_eq!(another_area_from(&named, start.plus_hours(hour)), None, "{hour}");
            named.push(start.plus_hours(hour));
        }
        assert_eq!(another_area_from(&named, start.plus_hours(5)), Some(start.plus_days(7)));
        assert_eq!(another_area_from(&named, start.plus_days(7)), None);
        named.extend([start.plus_days(7), start.plus_days(7)]);
        assert_eq!(another_area_from(&named, start.plus_days(8)), None, "only two of them are of this week");
    }

    #[test]
    fn daily_is_gathered_and_a_day_after_the_last_and_at_once_is_at_once() {
        let now: Instant = "2026-11-22T10:00:00Z".parse().unwrap();
        assert_eq!(tell_at(AlertChoice::Daily, None, 30, now), now.plus_minutes(30));
        let last = now.plus_hours(-2);
        assert_eq!(tell_at(AlertChoice::Daily, Some(last), 30, now), last.plus_hours(24));
        assert_eq!(tell_at(AlertChoice::Daily, Some(now.plus_days(-3)), 30, now), now.plus_minutes(30));
        assert_eq!(tell_at(AlertChoice::AtOnce, Some(last), 30, now), now);
    }

    proptest! {
        #[test]
        fn two_points_of_one_cell_are_one_area(child in 0..343u64, lat in -60.0..60.0f64, lng in -180.0..180.0f64) {
            let cell = Cell::containing(LatLng { lat, lng }, 8).unwrap();
            let fine: h3o::CellIndex = cell.to_string().parse().unwrap();
            let point = fine.child_at(child, h3o::Resolution::Eleven).map(|c| LatLng::from(h3o::LatLng::from(c)));
            // Children stand out of their parents a little.
            if let Some(point) = point.filter(|point| Cell::containing(*point, 8) == Some(cell)) {
                prop_assert_eq!(snap_area(point, &[], 8), Some(cell));
            }
        }

        #[test]
        fn noisy_points_keep_the_area_that_is_known(
            lat in -60.0..60.0f64, lng in -179.0..179.0f64, north in -0.001..0.001f64, east in -0.001..0.001f64,
        ) {
            let home = LatLng { lat, lng };
            let first = snap_area(home, &[], 8).unwrap();
            let noisy = LatLng { lat: lat + north, lng: lng + east };
            prop_assert_eq!(snap_area(noisy, &[first], 8), Some(first));
        }
    }
}
