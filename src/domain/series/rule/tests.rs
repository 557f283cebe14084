use proptest::prelude::*;

use super::*;

fn dates(rule: &str, first: &str, many: usize) -> Vec<String> {
    let rule = Rule::read(rule, "Europe/London").unwrap();
    rule.dates(first.parse().unwrap()).take(many).map(|date| date.to_string()).collect()
}

fn code(rule: &str) -> &'static str {
    Rule::read(rule, "Europe/London").unwrap_err().code
}

#[test]
fn weekly_every_second_week_and_monthly_by_weekday() {
    let at = "2026-12-01T18:30:00";
    assert_eq!(dates("FREQ=WEEKLY", at, 3), ["2026-12-01T18:30:00", "2026-12-08T18:30:00", "2026-12-15T18:30:00"]);
    assert_eq!(dates("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", at, 2), ["2026-12-01T18:30:00", "2026-12-15T18:30:00"]);
    assert_eq!(
        dates("RRULE:FREQ=WEEKLY;BYDAY=TH,TU;COUNT=3", at, 9),
        ["2026-12-01T18:30:00", "2026-12-03T18:30:00", "2026-12-08T18:30:00"]
    );
    assert_eq!(dates("FREQ=MONTHLY;BYDAY=1TU", at, 2), ["2026-12-01T18:30:00", "2027-01-05T18:30:00"]);
    assert_eq!(dates("FREQ=MONTHLY;BYDAY=-1SU", at, 2), ["2026-12-27T18:30:00", "2027-01-31T18:30:00"]);
    assert_eq!(dates("FREQ=MONTHLY;BYDAY=TU;BYSETPOS=1", at, 2), ["2026-12-01T18:30:00", "2027-01-05T18:30:00"]);
    assert_eq!(dates("FREQ=WEEKLY;BYDAY=TU;BYMONTH=4,5", at, 1), ["2027-04-06T18:30:00"]);
}

#[test]
fn until_holds_its_whole_day_and_is_taken_to_the_wall_clock() {
    let at = "2026-12-01T18:30:00";
    assert_eq!(dates("FREQ=WEEKLY;UNTIL=20261208", at, 9).len(), 2);
    assert_eq!(dates("FREQ=WEEKLY;UNTIL=20261208T182959", at, 9).len(), 1);
    assert_eq!(dates("FREQ=WEEKLY;UNTIL=20261208T183000Z", at, 9).len(), 2);
    let in_tokyo = Rule::read("FREQ=WEEKLY;UNTIL=20261208T093000Z", "Asia/Tokyo").unwrap();
    assert_eq!(in_tokyo.dates(at.parse().unwrap()).count(), 2);
}

#[test]
fn what_no_series_can_be_is_refused_by_name() {
    for rule in ["FREQ=SECONDLY", "FREQ=MINUTELY;INTERVAL=1", "FREQ=HOURLY", "FREQ=WEEKLY;BYHOUR=9,18"] {
        assert_eq!(code(rule), "too_often", "{rule}");
    }
    for rule in [
        "FREQ=DAILY",
        "FREQ=YEARLY",
        "FREQ=MONTHLY",
        "FREQ=WEEKLY;BYDAY=1TU",
        "FREQ=WEEKLY;BYHOUR=9",
        "FREQ=MONTHLY;BYMONTHDAY=31",
        "FREQ=WEEKLY;COUNT=1001",
        "FREQ=WEEKLY;BYSETPOS=1",
    ] {
        assert_eq!(code(rule), "unsupported", "{rule}");
    }
    for rule in [
        "",
        "every tuesday",
        "FREQ=OFTEN",
        "FREQ=WEEKLY;",
        "FREQ=WEEKLY;FREQ=WEEKLY",
        "BYDAY=TU",
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=WEEKLY;BYDAY=Tü",
        "FREQ=WEEKLY;INTERVAL=0",
        "FREQ=WEEKLY;INTERVAL=-1",
        "FREQ=WEEKLY;UNTIL=20261301",
        "FREQ=WEEKLY;UNTIL=tomorrow",
        "FREQ=WEEKLY;UNTIL=20261201;COUNT=1",
        "FREQ=MONTHLY;BYDAY=6SA",
        "FREQ=MONTHLY;BYDAY=0SA",
        "FREQ=WEEKLY;COUNT=-1",
        "FREQ=WEEKLY;X=1",
        "FREQ=MONTHLY;BYDAY=SA;BYSETPOS=0",
        "FREQ=WEEKLY\nEXDATE:20261201",
    ] {
        assert_eq!(code(rule), "unreadable", "{rule}");
    }
    assert_eq!(code("FREQ=WEEKLY;COUNT=0"), "yields_nothing");
    assert_eq!(code(&format!("FREQ=WEEKLY;BYDAY={}", "MO,".repeat(200))), "too_long");
}

#[test]
fn a_rule_without_dates_ends_by_itself() {
    assert_eq!(dates("FREQ=WEEKLY;UNTIL=20200101", "2026-12-01T18:30:00", 9).len(), 0);
    assert_eq!(dates("FREQ=MONTHLY;INTERVAL=12;BYMONTH=2;BYDAY=1SA", "2026-12-01T18:30:00", 9).len(), 0);
}

#[test]
fn what_is_left_of_a_rule_that_counts() {
    assert_eq!(with_count("FREQ=WEEKLY;count=10;BYDAY=TU", 4), "FREQ=WEEKLY;COUNT=4;BYDAY=TU");
    assert_eq!(with_count("FREQ=WEEKLY", 4), "FREQ=WEEKLY");
}

fn weekdays() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(vec!["MO", "TU", "WE", "TH", "FR", "SA", "SU"], 1..=7)
}

/// Rules of every kind that we take.
fn rules() -> impl Strategy<Value = String> {
    let weekly =
        (1..6, weekdays(), proptest::sample::select(vec!["MO", "SU", "TH"])).prop_map(|(interval, days, start)| {
            format!("FREQ=WEEKLY;INTERVAL={interval};WKST={start};BYDAY={}", days.join(","))
        });
    let numbered = (1..8, weekdays(), prop_oneof![-5..0, 1..6]).prop_map(|(interval, days, which)| {
        let days: Vec<String> = days.iter().map(|day| format!("{which}{day}")).collect();
        format!("FREQ=MONTHLY;INTERVAL={interval};BYDAY={}", days.join(","))
    });
    let placed = (1..4, weekdays(), prop_oneof![-4..0, 1..5]).prop_map(|(interval, days, place)| {
        format!("FREQ=MONTHLY;INTERVAL={interval};BYDAY={};BYSETPOS={place}", days.join(","))
    });
    let end = prop_oneof![
        Just(String::new()),
        (1..40).prop_map(|count| format!(";COUNT={count}")),
        (2027..2030, 1..13, 1..29).prop_map(|(y, m, d)| format!(";UNTIL={y}{m:02}{d:02}T235959Z")),
        (1..13).prop_map(|month| format!(";BYMONTH={month},{}", month % 12 + 1)),
    ];
    (prop_oneof![weekly, numbered, placed], end).prop_map(|(rule, end)| rule + &end)
}

proptest! {
    #[test]
    fn the_dates_are_those_of_the_oracle(rule in rules(), day in 0..800_i32, hour in 0..24_i8, minute in 0..60_i8) {
        let first = jiff::civil::date(2026, 1, 1).checked_add(day.days()).unwrap().at(hour, minute, 0, 0);
        let text = format!("DTSTART:{}Z\nRRULE:{rule}", first.strftime("%Y%m%dT%H%M%S"));
        let Ok(oracle) = text.parse::<rrule::RRuleSet>() else { return Ok(()) };
        let theirs: Vec<String> =
            oracle.all(40).dates.iter().map(|date| date.format("%Y-%m-%dT%H:%M:%S").to_string()).collect();
        let ours = Rule::read(&rule, "UTC").unwrap();
        let ours: Vec<String> = ours.dates(first).take(theirs.len().max(1)).map(|date| date.to_string()).collect();
        prop_assert_eq!(ours, theirs, "{} from {}", rule, first);
    }

    #[test]
    fn no_text_is_too_strange_to_be_refused(text in "\\PC{0,80}") {
        if let Ok(rule) = Rule::read(&text, "UTC") {
            rule.dates(jiff::civil::date(2026, 1, 1).at(9, 0, 0, 0)).take(10).for_each(drop);
        }
    }

    #[test]
    fn at_most_one_date_a_day_always_later_at_the_same_time(rule in rules(), day in 0..800_i32) {
        let first = jiff::civil::date(2026, 1, 1).checked_add(day.days()).unwrap().at(18, 30, 0, 0);
        let rule = Rule::read(&rule, "UTC").unwrap();
        let dates: Vec<DateTime> = rule.dates(first).take(50).collect();
        prop_assert!(dates.iter().all(|date| date.time() == first.time() && *date >= first));
        prop_assert!(dates.is_sorted_by(|a, b| a.date() < b.date()));
    }
}
