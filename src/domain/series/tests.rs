use proptest::prelude::*;
use serde_json::json;

use super::*;

fn now() -> Instant {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

fn draft(change: impl FnOnce(&mut Value)) -> SeriesDraft {
    let mut body = json!({
        "run": {
            "title": "Ponds", "activity": "run", "pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 },
            "duration_min": 60, "capacity": 10,
            "meeting_point": { "lat": 51.410992, "lng": -0.335791, "name": "Fountain" },
        },
        "first_local_start": "2026-12-01T18:30:00",
        "rrule": "FREQ=WEEKLY;BYDAY=TU",
    });
    change(&mut body);
    serde_json::from_value(body).unwrap()
}

fn faults(draft: &SeriesDraft) -> Vec<String> {
    let faults = draft.plan(now(), true).unwrap_err();
    faults.0.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect()
}

#[test]
fn a_series_keeps_its_wall_time_across_the_clock_change() {
    let plan = draft(|_| {}).plan(now(), true).unwrap();
    assert_eq!(plan.time_zone, "Europe/London");
    let starts: Vec<String> = plan
        .dates_after(now())
        .filter(|(date, _)| ["2026-12-01", "2027-03-30"].contains(&date.date().to_string().as_str()))
        .take(2)
        .map(|(_, start)| start.to_string())
        .collect();
    assert_eq!(starts, ["2026-12-01T18:30:00.000000Z", "2027-03-30T17:30:00.000000Z"]);
}

#[test]
fn a_gap_goes_forward_and_a_fold_takes_the_first() {
    let at = |local: &str| at_local(local.parse().unwrap(), "Europe/London").unwrap().to_string();
    assert_eq!(at("2027-03-28T01:30:00"), "2027-03-28T01:30:00.000000Z", "half past one is half past two");
    assert_eq!(at("2027-10-31T01:30:00"), "2027-10-31T00:30:00.000000Z", "the first half past one");
}

#[test]
fn everything_that_is_wrong_is_told_at_once_where_it_stands() {
    let found = faults(&draft(|body| {
        body["run"]["pace"]["fastest_s_per_km"] = json!(500);
        body["run"]["title"] = json!(" ");
        body["rrule"] = json!("FREQ=HOURLY");
    }));
    assert_eq!(found, ["/rrule too_often", "/run/pace upside_down", "/run/title empty"]);
    let one = |change: &dyn Fn(&mut Value)| faults(&draft(change));
    assert_eq!(one(&|body| body["time_zone"] = json!("Mars/Olympus")), ["/time_zone unknown_time_zone"]);
    assert_eq!(one(&|body| body["time_zone"] = json!("Europe/Berlin")), ["/time_zone not_the_time_there"]);
    assert_eq!(
        one(&|body| body["first_local_start"] = json!("2026-12-02T18:30")),
        ["/first_local_start not_a_date_of_the_rule"]
    );
    assert_eq!(one(&|body| body["first_local_start"] = json!("2026-02-31T18:30")), ["/first_local_start no_such_time"]);
    assert_eq!(one(&|body| body["first_local_start"] = json!("2026-11-17T18:30")), ["/first_local_start in_the_past"]);
    assert_eq!(
        one(&|body| body["first_local_start"] = json!("2028-11-21T18:30")),
        ["/first_local_start too_far_ahead"]
    );
    assert_eq!(one(&|body| body["rrule"] = json!("FREQ=WEEKLY;UNTIL=20200101")), ["/rrule yields_nothing"]);
    assert_eq!(one(&|body| body["run"]["meeting_point"]["lng"] = json!(-40.0)), ["/run/meeting_point no_time_zone"]);
}

#[test]
fn two_clocks_that_part_later_in_the_year_are_not_the_same() {
    // In winter Lagos and Madrid agree; in summer they do not.
    let found = faults(&draft(|body| {
        body["run"]["meeting_point"] = json!({ "lat": 40.4168, "lng": -3.7038, "name": "Sol" });
        body["time_zone"] = json!("Africa/Lagos");
    }));
    assert_eq!(found, ["/time_zone not_the_time_there"]);
}

#[test]
fn a_date_becomes_the_one_on_its_day_or_the_nearest_within_three_days() {
    let dates = |days: &[&str]| -> Vec<DateTime> { days.iter().map(|day| day.parse().unwrap()).collect() };
    let tuesdays = dates(&["2026-12-01T18:30", "2026-12-08T18:30"]);
    let moved = matched(&tuesdays, &dates(&["2026-12-02T19:00", "2026-12-09T19:00", "2026-12-16T19:00"]));
    let expected = dates(&["2026-12-02T19:00", "2026-12-09T19:00"]);
    assert_eq!(moved.values().copied().collect::<Vec<_>>(), expected);
    let fewer = matched(&tuesdays, &dates(&["2026-12-08T18:30"]));
    assert_eq!(fewer.keys().copied().collect::<Vec<_>>(), dates(&["2026-12-08T18:30"]));
}

#[test]
fn an_edit_leaves_what_a_date_keeps() {
    let (before, mut after) = (draft(|_| {}).run, draft(|_| {}).run);
    (after.0.title, after.0.capacity) = ("Lakes".to_owned(), 20);
    let start: Instant = "2026-12-01T18:30:00Z".parse().unwrap();
    let later: Instant = "2026-12-01T19:30:00Z".parse().unwrap();
    let run = RunDraft { title: "Just today".to_owned(), ..before.on(start, "Europe/London") };
    assert_eq!(changed_fields(&before.on(start, "Europe/London"), &run), ["title"]);
    let kept = ["title".to_owned()];
    let edited = carried_over(&run, &before, &after, (later, "Europe/London"), &kept);
    assert_eq!((edited.title.as_str(), edited.capacity, edited.starts_at), ("Just today", 20, later));
    let edited = carried_over(&run, &before, &after, (later, "Europe/London"), &["starts_at".to_owned()]);
    assert_eq!((edited.title.as_str(), edited.starts_at), ("Lakes", start));
}

#[test]
fn a_rule_that_counts_goes_on_with_what_is_left() {
    let counts = |rule: &str| draft(|body| body["rrule"] = json!(rule));
    let old = counts("FREQ=WEEKLY;BYDAY=TU;COUNT=10");
    let says = WhatIsSaid { first: false, rule: false };
    let from: DateTime = "2026-12-15T18:30".parse().unwrap();
    let on = SeriesDraft { time_zone: Some("Europe/London".to_owned()), ..old.clone() };
    let on = on.going_on(&old, Some(from), says);
    assert_eq!(
        (on.rrule.as_str(), on.first_local_start.as_str()),
        ("FREQ=WEEKLY;BYDAY=TU;COUNT=8", "2026-12-15T18:30:00")
    );
    let other = counts("FREQ=WEEKLY;BYDAY=WE").going_on(&old, None, WhatIsSaid { first: false, rule: true });
    assert_eq!(other.first_local_start, "2026-12-02T18:30:00", "the first date of the new rule");
}

#[test]
fn two_silent_absences_running_and_no_fewer() {
    assert!(was_silently_absent_twice(&[true, true]));
    for other in [&[][..], &[true], &[true, false], &[false, true]] {
        assert!(!was_silently_absent_twice(other));
    }
}

proptest! {
    #[test]
    fn matching_takes_nothing_twice_and_moves_nothing_far(
        old in proptest::collection::btree_set(0..60_i32, 0..12),
        new in proptest::collection::btree_set(0..60_i32, 0..12),
    ) {
        let date = |day: i32| jiff::civil::date(2026, 12, 1).checked_add(jiff::Span::new().days(day)).unwrap();
        let old: Vec<DateTime> = old.into_iter().map(|day| date(day).at(18, 30, 0, 0)).collect();
        let new: Vec<DateTime> = new.into_iter().map(|day| date(day).at(19, 0, 0, 0)).collect();
        let found = matched(&old, &new);
        let taken: std::collections::BTreeSet<_> = found.values().collect();
        prop_assert_eq!(taken.len(), found.len());
        for (from, to) in &found {
            prop_assert!(new.contains(to) && from.date().until(to.date()).unwrap().get_days().abs() <= 3);
        }
        for same in old.iter().filter(|date| new.iter().any(|other| other.date() == date.date())) {
            prop_assert_eq!(found.get(same).map(|to| to.date()), Some(same.date()));
        }
    }
}
