//! Advice for a short list: what there would be without one of the person's preferences, in words.
//!
//! Everything is measured from the centre of the home cell, as the list itself.

use jiff::{ToSpan, civil, tz::TimeZone};

use super::{Fit, Person, Viewer, search::MatchSearch};
use crate::{
    clock::Instant,
    domain::{
        availability::share_inside,
        daylight::after_dark,
        matching::IndexedRun,
        pace::{Activity, PaceBand},
        place::time_zone_at,
    },
};

word_enum! {
    "snake_case";
    /// A preference that a search can be tried without.
    pub enum Preference {
        /// How far the person goes.
        Radius,
        /// When the person can come.
        Hours,
        /// Not after dark.
        Daylight,
        /// Which of walks, run-walks and runs.
        Activity,
        /// The pace at which the person can chat.
        Pace,
        /// Languages.
        Language,
        /// The time that was asked about.
        Window,
        /// Only runs with a free place.
        Full,
    }
}

/// All preferences, in the order in which advice names them: what costs a person least comes first.
pub const PREFERENCES: [Preference; 8] = [
    Preference::Window,
    Preference::Hours,
    Preference::Activity,
    Preference::Radius,
    Preference::Full,
    Preference::Daylight,
    Preference::Language,
    Preference::Pace,
];

/// The furthest that a running profile can name, in kilometres.
const FURTHEST_KM: f64 = 50.0;
/// By what a travel radius is multiplied in turn until it reaches enough runs: somebody who goes 5 km would rather go 8 than
/// hear of a hundred runs within 50.
const WIDER: [f64; 5] = [1.5, 2.0, 3.0, 5.0, 10.0];
/// From so many on a count says "or more".
pub const COUNTED_UP_TO: usize = 100;

/// The wider radii that advice tries, in whole kilometres, up to the furthest that a profile can name.
pub fn wider_radii(radius_km: f64) -> impl Iterator<Item = f64> {
    let wider = WIDER.into_iter().map(move |times| (radius_km * times).ceil()).chain([FURTHEST_KM]);
    wider.filter(move |km| *km > radius_km && *km <= FURTHEST_KM)
}

/// The person and the search without one preference; none where the person has none of that kind. `until` is the end of a
/// search that has no end.
pub fn without(
    preference: Preference,
    viewer: &Viewer,
    search: &MatchSearch,
    until: Instant,
) -> Option<(Viewer, MatchSearch)> {
    let mut search = MatchSearch { limit: COUNTED_UP_TO, ..*search };
    let has_end = !search.goes_on;
    if search.goes_on {
        (search.goes_on, search.to) = (false, until);
    }
    let mut viewer = viewer.clone();
    let person = &mut viewer.person;
    let is_one = match preference {
        // In steps, which `wider_radii` gives.
        Preference::Radius => person.travel_radius_km < FURTHEST_KM,
        Preference::Hours => !std::mem::take(&mut person.availability).is_empty(),
        Preference::Daylight => std::mem::take(&mut person.not_after_dark),
        Preference::Activity => (1..3).contains(&std::mem::take(&mut person.activities).len()),
        Preference::Pace => {
            search.limits.include_any_pace = true;
            // Without a pace of their own, somebody could be shown runs at any.
            person
                .comfortable_pace
                .get_or_insert(PaceBand { fastest_s_per_km: PaceBand::MIN, slowest_s_per_km: PaceBand::MAX });
            true
        }
        Preference::Language => !std::mem::take(&mut person.languages).is_empty(),
        Preference::Window => std::mem::replace(&mut search.to, until) < until && has_end,
        Preference::Full => !std::mem::replace(&mut search.limits.include_full, true),
    };
    is_one.then_some((viewer, search))
}

/// Describes the list without one preference, in whole sentences. `radius_km` is the wider one that was tried, `first` the best
/// run that is not listed already.
pub fn in_words(
    preference: Preference,
    person: &Person,
    radius_km: f64,
    count: usize,
    first: Option<(&IndexedRun, &Fit)>,
) -> String {
    let some = match count {
        0 => "there would be no more".to_owned(),
        1 => "there would be one".to_owned(),
        COUNTED_UP_TO.. => format!("there would be {COUNTED_UP_TO} or more"),
        _ => format!("there would be {count}"),
    };
    let words = match preference {
        Preference::Radius => {
            let radius = person.travel_radius_km;
            format!("Up to {radius_km:.0} km from your area instead of {radius:.0} {some} that you could join.")
        }
        Preference::Hours => format!("At other hours than those you gave {some} that you could join."),
        Preference::Daylight => format!("After dark as well {some} that you could join."),
        Preference::Activity => {
            let wanted = list_in_words(&person.activities);
            format!("You asked only for {wanted}. With {} as well {some} that would suit you.", others_in_words(person))
        }
        Preference::Pace if person.comfortable_pace.is_none() => {
            format!("If you say at which pace you can chat, {some} to choose from.")
        }
        Preference::Pace => {
            format!("With groups that are much slower than you, or faster ones that wait for everyone, {some}.")
        }
        Preference::Language => format!("In other languages than those you named {some} that you could join."),
        Preference::Window => format!("At other times than the one you asked about {some} that you could join."),
        Preference::Full => format!("With full ones, where you can join the waiting list, {some}."),
    };
    match first {
        Some((run, fit)) => format!("{words} {}", best_in_words(run, fit)),
        None => words,
    }
}

fn best_in_words(run: &IndexedRun, fit: &Fit) -> String {
    let kind = run.activity.in_words();
    let when = run.local_start.strftime("%A %-d %B at %H:%M");
    let place = fit.reasons.iter().find(|reason| reason.code == super::ReasonCode::Distance);
    let place = place.map_or(String::new(), |reason| format!(", {}", reason.text));
    format!("The best of them is a {kind} on {when}{place}.")
}

fn list_in_words(activities: &[Activity]) -> String {
    let words: Vec<String> = activities.iter().map(|activity| format!("{}s", activity.in_words())).collect();
    words.join(" and ")
}

fn others_in_words(person: &Person) -> String {
    let others = [Activity::Walk, Activity::RunWalk, Activity::Run];
    let others: Vec<Activity> = others.into_iter().filter(|one| !person.activities.contains(one)).collect();
    list_in_words(&others)
}

/// The words of advice where the hours and the wish for daylight rule each other out.
pub const DAYLIGHT_AGAINST_HOURS: &str =
    "You asked for daylight only, and at this time of year it is dark in all the hours you gave: no run can be both.";

/// The words that end advice.
pub const TELL_ME: &str = "We can tell you by e-mail when something comes up that fits: POST /v1/match-requests keeps what you are looking for.";

/// Days that are looked at: the hours of a person come round every week.
const WEEK_DAYS: i64 = 7;
/// The shortest time in daylight in which a run makes sense, in minutes.
const SHORTEST_RUN_MIN: i32 = 30;
/// So many of these make a day.
const A_DAY: i32 = 24 * 60 / SHORTEST_RUN_MIN;

/// Whether a person asked for daylight only, and for hours in which, in the week from `now` on, it is dark. Somebody whose
/// time zone is unknown (at sea) gets no such advice.
pub fn is_dark_in_all_hours(person: &Person, now: Instant) -> bool {
    if !person.not_after_dark || person.availability.is_empty() {
        return false;
    }
    let zone = time_zone_at(person.home).and_then(crate::clock::time_zone);
    let Some(zone) = zone else { return false };
    let today = zone.to_datetime(now.timestamp()).date();
    let days = (0..WEEK_DAYS).filter_map(|days| today.checked_add(days.days()).ok());
    !days.into_iter().any(|day| has_light_hours(person, &zone, day))
}

fn has_light_hours(person: &Person, zone: &TimeZone, day: civil::Date) -> bool {
    (0..A_DAY).any(|nth| {
        let minute = nth * SHORTEST_RUN_MIN;
        let at = day.to_datetime(civil::Time::midnight()).checked_add(minute.minutes());
        let Ok(at) = at else { return false };
        let is_mine = share_inside(&person.availability, at, SHORTEST_RUN_MIN) >= 1.0;
        is_mine
            && zone.to_timestamp(at).is_ok_and(|starts| {
                let ends = starts + (SHORTEST_RUN_MIN * 60).seconds();
                !after_dark(person.home, starts, ends)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{availability::Window, matching::tests::person, place::LatLng};

    const LONDON: LatLng = LatLng { lat: 51.5, lng: -0.1 };

    fn hours(text: &str) -> Vec<Window> {
        serde_json::from_str(text).unwrap()
    }

    fn is_dark(windows: &str, now: &str) -> bool {
        let me = Person { home: LONDON, not_after_dark: true, availability: hours(windows), ..person() };
        is_dark_in_all_hours(&me, now.parse().unwrap())
    }

    #[test]
    fn winter_evenings_and_daylight_rule_each_other_out() {
        let evenings =
            r#"[{"weekday":"tue","from":"18:00","to":"20:30"},{"weekday":"thu","from":"18:30","to":"21:00"}]"#;
        assert!(is_dark(evenings, "2026-12-01T10:00:00Z"));
        assert!(!is_dark(evenings, "2026-06-01T10:00:00Z"), "summer evenings are light");
        let with_noon =
            r#"[{"weekday":"tue","from":"18:00","to":"20:30"},{"weekday":"sun","from":"12:00","to":"13:00"}]"#;
        assert!(!is_dark(with_noon, "2026-12-01T10:00:00Z"));
        assert!(!is_dark("[]", "2026-12-01T10:00:00Z"), "no hours rule nothing out");
    }

    #[test]
    fn dark_hours_are_no_contradiction_without_the_wish_for_daylight() {
        let evenings = hours(r#"[{"weekday":"tue","from":"18:00","to":"20:30"}]"#);
        let me = Person { home: LONDON, availability: evenings, ..person() };
        assert!(!is_dark_in_all_hours(&me, "2026-12-01T10:00:00Z".parse().unwrap()));
        let at_sea = Person { home: LatLng { lat: 30.0, lng: -40.0 }, not_after_dark: true, ..me };
        assert!(!is_dark_in_all_hours(&at_sea, "2026-12-01T10:00:00Z".parse().unwrap()));
    }

    #[test]
    fn words_name_what_was_asked_for_and_what_there_would_be() {
        let me = Person { activities: vec![Activity::Run], travel_radius_km: 3.0, ..person() };
        let words = |preference, count| in_words(preference, &me, 5.0, count, None);
        let radius = "Up to 5 km from your area instead of 3 there would be 4 that you could join.";
        assert_eq!(words(Preference::Radius, 4), radius);
        let activity =
            "You asked only for runs. With walks and run-walks as well there would be one that would suit you.";
        assert_eq!(words(Preference::Activity, 1), activity);
        assert_eq!(wider_radii(3.0).collect::<Vec<_>>(), [5.0, 6.0, 9.0, 15.0, 30.0, 50.0]);
        assert_eq!(wider_radii(40.0).collect::<Vec<_>>(), [50.0]);
        assert_eq!(wider_radii(50.0).count(), 0);
        assert!(words(Preference::Hours, 100).contains("there would be 100 or more"));
    }
}
