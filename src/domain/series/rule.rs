//! A recurrence rule (RFC 5545, 3.3.10) on a wall clock without a zone: weekly, every second week, monthly by weekday.
//!
//! At most one date a day, always at the time of day of the first. What we do not promise we refuse, by name. The zone
//! comes later: see [`super::SeriesDraft`]. The `rrule` crate is the oracle of the tests.

use jiff::{
    ToSpan,
    civil::{Date, DateTime, Weekday},
};

use crate::clock::Instant;

/// Longest rule, in characters.
pub const RULE_MAX_CHARS: usize = 300;
/// Largest interval: a rule that comes less than once a year is a single run.
const MAX_INTERVAL: i32 = 52;
/// Most dates that a rule may count.
const MAX_COUNT: u32 = 1000;
/// Periods without a date after which a rule has none: the leap years' months of five Saturdays come sooner.
const EMPTY_PERIODS: u32 = 600;

/// Why a rule is refused: a stable code and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    pub code: &'static str,
    pub detail: String,
}

fn fault(code: &'static str, detail: impl Into<String>) -> RuleFault {
    RuleFault { code, detail: detail.into() }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Every {
    Week,
    Month,
}

/// A weekday, and which of the month: 1 the first, -1 the last, none all of them.
type ByDay = (Option<i8>, Weekday);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Never,
    Count(u32),
    /// Included.
    Until(DateTime),
}

/// A rule that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    every: Every,
    interval: i32,
    by_day: Vec<ByDay>,
    by_set_pos: Vec<i32>,
    by_month: Vec<i8>,
    week_start: Weekday,
    end: End,
}

impl Rule {
    /// Reads a rule. An UNTIL in UTC is taken to the wall clock of `zone`, and a bare date holds the whole day.
    ///
    /// # Errors
    /// `unreadable`, `unsupported`, `too_often`, `too_long` or `yields_nothing`, with words.
    pub fn read(text: &str, zone: &str) -> Result<Self, RuleFault> {
        if text.chars().count() > RULE_MAX_CHARS {
            return Err(fault("too_long", format!("use at most {RULE_MAX_CHARS} characters")));
        }
        let text = text.trim();
        let text = text.get(..6).filter(|head| head.eq_ignore_ascii_case("RRULE:")).map_or(text, |_| &text[6..]);
        let mut parts: Vec<(String, String)> = Vec::new();
        for part in text.split(';') {
            let (name, value) = part
                .split_once('=')
                .map(|(name, value)| (name.trim().to_ascii_uppercase(), value.trim().to_ascii_uppercase()))
                .filter(|(name, value)| !name.is_empty() && !value.is_empty())
                .ok_or_else(|| fault("unreadable", "write parts such as FREQ=WEEKLY;BYDAY=TU, with ; between them"))?;
            if parts.iter().any(|(known, _)| *known == name) {
                return Err(fault("unreadable", format!("{name} stands there twice")));
            }
            parts.push((name, value));
        }
        Self::of_parts(&parts, zone)
    }

    fn of_parts(parts: &[(String, String)], zone: &str) -> Result<Self, RuleFault> {
        let find = |wanted: &str| parts.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let every = match find("FREQ") {
            Some("WEEKLY") => Every::Week,
            Some("MONTHLY") => Every::Month,
            Some("SECONDLY" | "MINUTELY" | "HOURLY") => {
                return Err(fault("too_often", "a series has at most one date a day"));
            }
            Some("DAILY" | "YEARLY") => {
                let words = "use FREQ=WEEKLY with the days in BYDAY, or FREQ=MONTHLY with a weekday such as BYDAY=1SA";
                return Err(fault("unsupported", words));
            }
            Some(_) => return Err(fault("unreadable", "FREQ is WEEKLY or MONTHLY")),
            None => return Err(fault("unreadable", "a rule says FREQ=WEEKLY or FREQ=MONTHLY")),
        };
        let mut rule = Self {
            every,
            interval: 1,
            by_day: Vec::new(),
            by_set_pos: Vec::new(),
            by_month: Vec::new(),
            week_start: Weekday::Monday,
            end: End::Never,
        };
        for (name, value) in parts {
            rule.take(name, value, zone)?;
        }
        rule.fits_together(find("COUNT").is_some() && find("UNTIL").is_some())?;
        Ok(rule)
    }

    fn take(&mut self, name: &str, value: &str, zone: &str) -> Result<(), RuleFault> {
        match name {
            "FREQ" => {}
            "INTERVAL" => {
                let words = format!("INTERVAL is a number from 1 to {MAX_INTERVAL}");
                self.interval = number(value, 1, i64::from(MAX_INTERVAL)).ok_or_else(|| fault("unreadable", words))?;
            }
            "COUNT" => {
                let count: i32 =
                    number(value, 0, i64::from(i32::MAX)).ok_or_else(|| fault("unreadable", "COUNT is a number"))?;
                let count = u32::try_from(count).unwrap_or(0);
                if count == 0 {
                    return Err(fault("yields_nothing", "a COUNT of 0 has no dates"));
                }
                if count > MAX_COUNT {
                    return Err(fault("unsupported", format!("COUNT is at most {MAX_COUNT}; leave it out for no end")));
                }
                self.end = End::Count(count);
            }
            "UNTIL" => {
                let words = "UNTIL is a date such as 20270331, or a moment such as 20270331T220000Z";
                self.end = End::Until(until(value, zone).ok_or_else(|| fault("unreadable", words))?);
            }
            "BYDAY" => self.by_day = list(value, by_day, "BYDAY holds weekdays such as TU, 1SA or -1SU")?,
            "BYSETPOS" => {
                let position = |text: &str| number(text, -31, 31).filter(|position| *position != 0);
                self.by_set_pos = list(value, position, "BYSETPOS holds numbers from 1 to 31 or -31 to -1")?;
            }
            "BYMONTH" => {
                let month = |text: &str| number(text, 1, 12);
                self.by_month = list(value, month, "BYMONTH holds numbers from 1 to 12")?;
            }
            "WKST" => self.week_start = weekday(value).ok_or_else(|| fault("unreadable", "WKST is a weekday"))?,
            "BYHOUR" | "BYMINUTE" | "BYSECOND" if value.contains(',') => {
                return Err(fault("too_often", "a series has at most one date a day"));
            }
            "BYHOUR" | "BYMINUTE" | "BYSECOND" => {
                return Err(fault("unsupported", "the time of day is that of first_local_start"));
            }
            "BYMONTHDAY" | "BYYEARDAY" | "BYWEEKNO" => {
                return Err(fault("unsupported", "say weekdays, such as BYDAY=1SA for the first Saturday"));
            }
            _ => return Err(fault("unreadable", "there is a part that no rule has")),
        }
        Ok(())
    }

    fn fits_together(&self, ends_twice: bool) -> Result<(), RuleFault> {
        let numbered = self.by_day.iter().any(|(which, _)| which.is_some());
        if ends_twice {
            return Err(fault("unreadable", "a rule has COUNT or UNTIL, not both"));
        }
        if self.every == Every::Week && (numbered || !self.by_set_pos.is_empty()) {
            return Err(fault("unsupported", "numbered weekdays and BYSETPOS go with FREQ=MONTHLY"));
        }
        if self.every == Every::Month && self.by_day.is_empty() {
            return Err(fault("unsupported", "say which weekday of the month, such as BYDAY=1SA or BYDAY=-1SU"));
        }
        Ok(())
    }

    /// The dates from `first` on, ascending and without end unless the rule has one. `first` counts only if it is one.
    pub fn dates(&self, first: DateTime) -> Dates<'_> {
        let start = match self.every {
            Every::Week => {
                let back = first.date().weekday().since(self.week_start);
                first.date().checked_sub(i32::from(back).days()).unwrap_or(Date::MIN)
            }
            Every::Month => first.date().first_of_month(),
        };
        Dates { rule: self, first, period: Some(start), ready: Vec::new(), given: 0, over: false }
    }

    /// How many dates the rule counts, if it does.
    pub fn count(&self) -> Option<u32> {
        if let End::Count(count) = self.end { Some(count) } else { None }
    }

    /// The days of the period that begins on `start`, ascending.
    fn days_of(&self, start: Date, first: DateTime) -> Vec<Date> {
        let mut days = match self.every {
            Every::Week => self.days_of_week(start, first),
            Every::Month => self.days_of_month(start),
        };
        days.sort_unstable();
        days.dedup();
        if !self.by_month.is_empty() {
            days.retain(|day| self.by_month.contains(&day.month()));
        }
        if self.by_set_pos.is_empty() { days } else { self.positions(&days) }
    }

    fn days_of_week(&self, start: Date, first: DateTime) -> Vec<Date> {
        let day = |weekday: Weekday| start.checked_add(i32::from(weekday.since(self.week_start)).days()).ok();
        if self.by_day.is_empty() {
            return day(first.weekday()).into_iter().collect();
        }
        self.by_day.iter().filter_map(|(_, weekday)| day(*weekday)).collect()
    }

    fn days_of_month(&self, start: Date) -> Vec<Date> {
        let mut days = Vec::new();
        for (which, weekday) in &self.by_day {
            match which {
                Some(which) => days.extend(start.nth_weekday_of_month(*which, *weekday).ok()),
                None => days.extend((1..=5).filter_map(|nth| start.nth_weekday_of_month(nth, *weekday).ok())),
            }
        }
        days
    }

    fn positions(&self, days: &[Date]) -> Vec<Date> {
        let at = |position: &i32| {
            let index = usize::try_from(position.unsigned_abs()).ok()?;
            let index = if *position > 0 { index.checked_sub(1)? } else { days.len().checked_sub(index)? };
            days.get(index).copied()
        };
        let mut chosen: Vec<Date> = self.by_set_pos.iter().filter_map(at).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }
}

/// The dates of a rule; see [`Rule::dates`].
#[derive(Debug)]
pub struct Dates<'r> {
    rule: &'r Rule,
    first: DateTime,
    /// The first day of the next period to look at.
    period: Option<Date>,
    /// Dates found and not given yet, the next one last.
    ready: Vec<DateTime>,
    given: u32,
    over: bool,
}

impl Dates<'_> {
    fn look_on(&mut self) {
        for _ in 0..EMPTY_PERIODS {
            let Some(start) = self.period else { return };
            let step = match self.rule.every {
                Every::Week => self.rule.interval.weeks(),
                Every::Month => self.rule.interval.months(),
            };
            self.period = start.checked_add(step).ok();
            let days = self.rule.days_of(start, self.first);
            let at = self.first.time();
            self.ready = days.into_iter().map(|day| day.to_datetime(at)).filter(|date| *date >= self.first).collect();
            self.ready.reverse();
            if !self.ready.is_empty() {
                return;
            }
        }
        self.over = true;
    }
}

impl Iterator for Dates<'_> {
    type Item = DateTime;

    fn next(&mut self) -> Option<DateTime> {
        if self.over {
            return None;
        }
        if self.ready.is_empty() {
            self.look_on();
        }
        let date = self.ready.pop()?;
        let in_time = match self.rule.end {
            End::Never => true,
            End::Count(count) => self.given < count,
            End::Until(until) => date <= until,
        };
        if !in_time {
            self.over = true;
            return None;
        }
        self.given += 1;
        Some(date)
    }
}

/// A rule that counts, counting fewer: what is left of it after some of its dates.
pub fn with_count(text: &str, count: u32) -> String {
    let part = |part: &str| match part.split_once('=') {
        Some((name, _)) if name.trim().eq_ignore_ascii_case("COUNT") => format!("COUNT={count}"),
        _ => part.to_owned(),
    };
    text.split(';').map(part).collect::<Vec<_>>().join(";")
}

fn number<T: TryFrom<i64>>(text: &str, least: i64, most: i64) -> Option<T> {
    let plain = text.trim_start_matches(['+', '-']);
    let fine = plain.len() + 1 >= text.len() && plain.chars().all(|sign| sign.is_ascii_digit());
    let value: i64 = text.parse().ok().filter(|_| fine)?;
    T::try_from(value).ok().filter(|_| (least..=most).contains(&value))
}

fn list<T>(value: &str, read: impl Fn(&str) -> Option<T>, words: &str) -> Result<Vec<T>, RuleFault> {
    value.split(',').map(|item| read(item.trim()).ok_or_else(|| fault("unreadable", words))).collect()
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

fn by_day(text: &str) -> Option<ByDay> {
    if !text.is_ascii() || text.len() < 2 {
        return None;
    }
    let (which, day) = text.split_at(text.len() - 2);
    let day = weekday(day)?;
    if which.is_empty() {
        return Some((None, day));
    }
    let which: i8 = number(which, -5, 5).filter(|which| *which != 0)?;
    Some((Some(which), day))
}

fn until(text: &str, zone: &str) -> Option<DateTime> {
    let digits = |text: &str| text.chars().all(|sign| sign.is_ascii_digit());
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    if date.len() != 8 || !digits(date) {
        return None;
    }
    let date = Date::new(date[..4].parse().ok()?, date[4..6].parse().ok()?, date[6..].parse().ok()?).ok()?;
    let Some(time) = time else { return Some(date.at(23, 59, 59, 0)) };
    let (time, in_utc) = time.strip_suffix('Z').map_or((time, false), |time| (time, true));
    if time.len() != 6 || !digits(time) {
        return None;
    }
    let time = jiff::civil::Time::new(time[..2].parse().ok()?, time[2..4].parse().ok()?, time[4..].parse().ok()?, 0);
    let local = date.to_datetime(time.ok()?);
    if !in_utc {
        return Some(local);
    }
    let instant = jiff::tz::TimeZone::UTC.to_timestamp(local).ok()?;
    Some(Instant::new(instant).local(zone))
}

#[cfg(test)]
mod tests;
