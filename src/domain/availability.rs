//! When a person can come: weekly windows of local wall time, and the share of a run that lies inside them.
//!
//! Times are those of the place where the run is; no zones here. Invariant: a share is always between 0 and 1, and
//! no minute counts twice however the windows overlap.

use jiff::civil;
use serde::{Deserialize, Serialize};

word_enum! {
    "snake_case";
    /// A day of the week.
    pub enum Weekday {
        Mon,
        Tue,
        Wed,
        Thu,
        Fri,
        Sat,
        Sun,
    }
}

impl From<civil::Weekday> for Weekday {
    fn from(day: civil::Weekday) -> Self {
        match day {
            civil::Weekday::Monday => Self::Mon,
            civil::Weekday::Tuesday => Self::Tue,
            civil::Weekday::Wednesday => Self::Wed,
            civil::Weekday::Thursday => Self::Thu,
            civil::Weekday::Friday => Self::Fri,
            civil::Weekday::Saturday => Self::Sat,
            civil::Weekday::Sunday => Self::Sun,
        }
    }
}

/// A weekly span of local wall time. It ends the day it begins; a night is two windows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The day.
    pub weekday: Weekday,
    /// Begin, `HH:MM`.
    #[schema(format = "time-of-day", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "18:00")]
    pub from: String,
    /// End, `HH:MM`, later than `from`; `24:00` is the end of the day.
    #[schema(format = "time-of-day", pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", example = "20:30")]
    pub to: String,
}

/// What is wrong with a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowFault {
    /// `from` is not `HH:MM`.
    From,
    /// `to` is not `HH:MM` or `24:00`.
    To,
    /// `to` is not after `from`.
    EndsBeforeItBegins,
}

impl WindowFault {
    /// The field at fault, for the JSON pointer.
    pub fn field(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To | Self::EndsBeforeItBegins => "to",
        }
    }

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::From | Self::To => "not_a_time",
            Self::EndsBeforeItBegins => "ends_before_it_begins",
        }
    }

    /// What to do about it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::From => "Write the time as HH:MM, for example 18:00.",
            Self::To => "Write the time as HH:MM, for example 20:30; 24:00 is the end of the day.",
            Self::EndsBeforeItBegins => "End later than you begin; a window past midnight is two windows.",
        }
    }
}

impl Window {
    /// All that is wrong with it; empty when it is good.
    pub fn faults(&self) -> Vec<WindowFault> {
        match (self.begins_min(), self.ends_min()) {
            (Some(from), Some(to)) if from < to => vec![],
            (Some(_), Some(_)) => vec![WindowFault::EndsBeforeItBegins],
            (from, to) => {
                let mut faults = vec![];
                faults.extend(from.is_none().then_some(WindowFault::From));
                faults.extend(to.is_none().then_some(WindowFault::To));
                faults
            }
        }
    }

    fn begins_min(&self) -> Option<i64> {
        minute_of_day(&self.from).filter(|minute| *minute < DAY_MIN)
    }

    fn ends_min(&self) -> Option<i64> {
        minute_of_day(&self.to)
    }
}

const DAY_MIN: i64 = 24 * 60;

/// The longest run that is looked at, in minutes: one week, after which the windows come round again.
const LONGEST_MIN: i32 = 7 * 24 * 60;

/// The spelling `HH:MM` of a time that was written `9:00`, `09:00` or `09:00:00`; none for anything else.
pub fn read_time(text: &str) -> Option<String> {
    let text = text.trim();
    let (hour, rest) = text.split_once(':')?;
    let minute = rest.strip_suffix(":00").unwrap_or(rest);
    let spelled = format!("{hour:0>2}:{minute}");
    minute_of_day(&spelled).map(|_| spelled)
}

/// Minutes since midnight of `HH:MM`, at most 24:00.
fn minute_of_day(text: &str) -> Option<i64> {
    let &[h1, h2, b':', m1, m2] = text.as_bytes() else { return None };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let (hour, minute) = (digit(h1)? * 10 + digit(h2)?, digit(m1)? * 10 + digit(m2)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY_MIN).then_some(total)
}

/// The share (0 to 1) of a run that lies inside the windows; 1 when there are none.
///
/// `local_start` is the run's wall time. Wall time is taken to run on evenly for `duration_min`, so a clock change
/// in the middle of a run is off by its hour at most. Overlapping windows count once, a faulty window covers nothing,
/// and a run without length counts as one minute.
pub fn share_inside(windows: &[Window], local_start: civil::DateTime, duration_min: i32) -> f64 {
    if windows.is_empty() {
        return 1.0;
    }
    let length = i64::from(duration_min.clamp(1, LONGEST_MIN)) * 60;
    let begin =
        i64::from(local_start.hour()) * 3600 + i64::from(local_start.minute()) * 60 + i64::from(local_start.second());
    let end = begin + length;
    let mut spans: Vec<(i64, i64)> = windows
        .iter()
        .flat_map(|window| occurrences(window, local_start.weekday().into(), end))
        .map(|(from, to)| (from.max(begin), to.min(end)))
        .filter(|(from, to)| from < to)
        .collect();
    spans.sort_unstable();
    let mut covered_to = begin;
    let mut inside = 0;
    for (from, to) in spans {
        inside += (to - from.max(covered_to)).max(0);
        covered_to = covered_to.max(to);
    }
    inside as f64 / length as f64
}

/// The hours of the week that somebody's windows touch, for a quick look: a run that meets none of them lies wholly
/// outside.
#[derive(Debug, Clone)]
pub struct Hours {
    /// A bit for each hour since Monday's midnight; none where nothing was said.
    touched: Option<[u64; HOURS_OF_WEEK.div_ceil(64)]>,
}

const HOURS_OF_WEEK: usize = 7 * 24;

impl Hours {
    /// The hours that these windows touch.
    pub fn of(windows: &[Window]) -> Self {
        if windows.is_empty() {
            return Self { touched: None };
        }
        let mut touched = [0; HOURS_OF_WEEK.div_ceil(64)];
        for window in windows {
            let (Some(from), Some(to)) = (window.begins_min(), window.ends_min()) else { continue };
            for hour in from / 60..(to + 59) / 60 {
                let at = usize::try_from(i64::from(window.weekday as u8) * 24 + hour).unwrap_or(0);
                let at = at % HOURS_OF_WEEK;
                touched[at / 64] |= 1 << (at % 64);
            }
        }
        Self { touched: Some(touched) }
    }

    /// Whether some of a run may lie inside the windows: it starts so many minutes after Monday's midnight.
    pub fn meet(&self, start_min: u16, duration_min: u16) -> bool {
        let Some(touched) = &self.touched else { return true };
        let first = usize::from(start_min) / 60;
        let length = i32::from(duration_min).clamp(1, LONGEST_MIN) + i32::from(start_min % 60);
        let hours = usize::try_from(length / 60 + 1).unwrap_or(HOURS_OF_WEEK).min(HOURS_OF_WEEK);
        (first..=first + hours).map(|at| at % HOURS_OF_WEEK).any(|at| touched[at / 64] & 1 << (at % 64) != 0)
    }
}

/// A window's spans in seconds since midnight of a day that is `first_day`, as far as `end`.
fn occurrences(window: &Window, first_day: Weekday, end: i64) -> impl Iterator<Item = (i64, i64)> {
    let away = (window.weekday as i64 - first_day as i64).rem_euclid(7);
    let span = match (window.begins_min(), window.ends_min()) {
        (Some(from), Some(to)) if from < to => Some((from * 60, to * 60)),
        _ => None,
    };
    span.into_iter().flat_map(move |(from, to)| {
        (0..)
            .map(move |week| (away + 7 * week) * DAY_MIN * 60)
            .take_while(move |midnight| *midnight < end)
            .map(move |midnight| (midnight + from, midnight + to))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;
    use strum::VariantArray;

    fn window(weekday: Weekday, from: &str, to: &str) -> Window {
        Window { weekday, from: from.into(), to: to.into() }
    }

    /// Tuesday 2026-12-01.
    fn tuesday(hour: i8, minute: i8) -> civil::DateTime {
        date(2026, 12, 1).at(hour, minute, 0, 0)
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn no_windows_mean_always() {
        assert_eq!(share_inside(&[], tuesday(3, 0), 60), 1.0);
    }

    #[test]
    fn the_share_is_what_lies_inside() {
        let evenings = [window(Weekday::Tue, "18:00", "19:00")];
        assert_eq!(share_inside(&evenings, tuesday(18, 0), 60), 1.0);
        assert!(close(share_inside(&evenings, tuesday(18, 30), 60), 0.5));
        assert!(close(share_inside(&evenings, tuesday(17, 45), 60), 0.75));
        assert_eq!(share_inside(&evenings, tuesday(20, 0), 60), 0.0);
        assert_eq!(share_inside(&[window(Weekday::Wed, "18:00", "19:00")], tuesday(18, 0), 60), 0.0);
    }

    #[test]
    fn overlapping_windows_count_once() {
        let windows = [
            window(Weekday::Tue, "18:00", "19:00"),
            window(Weekday::Tue, "18:30", "19:00"),
            window(Weekday::Tue, "18:15", "18:45"),
        ];
        assert!(close(share_inside(&windows, tuesday(18, 0), 120), 0.5));
    }

    #[test]
    fn a_run_past_midnight_needs_both_days() {
        let late = window(Weekday::Tue, "22:00", "24:00");
        let early = window(Weekday::Wed, "00:00", "01:00");
        assert!(close(share_inside(std::slice::from_ref(&late), tuesday(23, 30), 60), 0.5));
        assert_eq!(share_inside(&[early, late], tuesday(23, 30), 60), 1.0);
        let sunday = date(2026, 12, 6).at(23, 30, 0, 0);
        assert!(close(share_inside(&[window(Weekday::Mon, "00:00", "06:00")], sunday, 60), 0.5));
    }

    #[test]
    fn faults_name_the_field() {
        assert_eq!(window(Weekday::Tue, "18:00", "24:00").faults(), []);
        assert_eq!(window(Weekday::Tue, "18:00", "18:00").faults(), [WindowFault::EndsBeforeItBegins]);
        assert_eq!(window(Weekday::Tue, "22:00", "02:00").faults(), [WindowFault::EndsBeforeItBegins]);
        assert_eq!(window(Weekday::Tue, "24:00", "9:00").faults(), [WindowFault::From, WindowFault::To]);
        assert_eq!(window(Weekday::Tue, "12:60", "24:01").faults(), [WindowFault::From, WindowFault::To]);
    }

    #[test]
    fn days_are_written_in_three_letters() {
        assert_eq!(serde_json::to_string(&Weekday::Thu).unwrap(), "\"thu\"");
        assert_eq!(Weekday::VARIANTS.len(), 7);
        assert_eq!(Weekday::from(tuesday(0, 0).weekday()), Weekday::Tue);
    }

    fn any_window() -> impl Strategy<Value = Window> {
        (0..7usize, 0..1440i64, 1..=1440i64).prop_map(|(day, from, to)| {
            let text = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
            window(Weekday::VARIANTS[day], &text(from), &text(to))
        })
    }

    proptest! {
        #[test]
        fn a_share_is_a_share_and_more_windows_never_lower_it(
            windows in prop::collection::vec(any_window(), 1..6), more in any_window(),
            day in 0..7i8, hour in 0..24i8, duration in -10..30_000i32,
        ) {
            let start = date(2026, 12, 1 + day).at(hour, 0, 0, 0);
            let before = share_inside(&windows, start, duration);
            prop_assert!((0.0..=1.0).contains(&before));
            let twice: Vec<Window> = windows.iter().chain(&windows).cloned().collect();
            prop_assert_eq!(share_inside(&twice, start, duration), before);
            let with_more: Vec<Window> = windows.into_iter().chain([more]).collect();
            prop_assert!(share_inside(&with_more, start, duration) >= before);
        }

        #[test]
        fn minute_by_minute_gives_the_same(
            windows in prop::collection::vec(any_window(), 1..4),
            day in 0..7i8, minute in 0..1440i64, duration in 1..600i32,
        ) {
            let start = date(2026, 12, 1 + day).at(0, 0, 0, 0) + jiff::Span::new().minutes(minute);
            let inside = (0..duration).filter(|m| {
                let now = start + jiff::Span::new().minutes(*m);
                let of_day = i64::from(now.hour()) * 60 + i64::from(now.minute());
                windows.iter().any(|w| w.faults().is_empty() && w.weekday == now.weekday().into()
                    && w.begins_min().unwrap() <= of_day && of_day < w.ends_min().unwrap())
            }).count();
            prop_assert!((share_inside(&windows, start, duration) - inside as f64 / f64::from(duration)).abs() < 1e-12);
        }
    }
}
