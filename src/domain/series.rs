//! A recurring run: local wall time, zone and rule, and what is the same on every date.
//!
//! Dates are wall times; only here do they meet the zone, a gap going forward and a fold taking the first. A date is
//! known by the wall time that the rule gave it, also after it was moved.

pub mod rule;

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    refusal::{Fault, Faults},
    run::{Derived, MAX_DAYS_AHEAD, RunDraft},
};
use crate::clock::{Instant, at_local, time_zone};
use rule::Rule;

word_enum! {
    "snake_case";
    /// Where a series is in its life.
    pub enum SeriesStatus {
        /// Kept to oneself; it has no dates yet.
        Draft,
        Active,
        /// No more dates are made.
        Ended,
    }
}

/// What is the same on every date: a [`RunDraft`] without a start.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesRun(RunDraft);

/// The field of a [`RunDraft`] that a series says by its rule.
const START: &str = "starts_at";
/// No series began earlier: its dates are counted from the first.
const EARLIEST_YEAR: i16 = 2000;

impl SeriesRun {
    /// What the run on one date says.
    pub fn on(&self, starts_at: Instant, zone: &str) -> RunDraft {
        RunDraft { starts_at, time_zone: Some(zone.to_owned()), draft: false, ..self.0.clone() }
    }

    /// *User text.* What it is called.
    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// The draft of which it is all but the start.
    pub fn draft(&self) -> &RunDraft {
        &self.0
    }

    /// Whether it is kept to oneself.
    pub fn is_draft(&self) -> bool {
        self.0.draft
    }

    /// The same, kept to oneself or not, and with its zone in the series alone.
    pub fn settled(mut self, draft: bool) -> Self {
        (self.0.draft, self.0.time_zone) = (draft, None);
        self
    }

    /// What it says, by field.
    pub fn fields(&self) -> serde_json::Map<String, Value> {
        fields(&self.0)
    }
}

/// What a draft says, by field, but for its start.
pub fn fields(draft: &RunDraft) -> serde_json::Map<String, Value> {
    let mut fields = match serde_json::to_value(draft) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    fields.remove(START);
    fields
}

/// The fields in which two drafts differ: what one date of a series keeps for itself once it was changed alone.
pub fn changed_fields(before: &RunDraft, after: &RunDraft) -> Vec<String> {
    let (old, new) = (fields(before), fields(after));
    let mut changed: Vec<String> =
        new.iter().filter(|(name, value)| old.get(*name) != Some(*value)).map(|(name, _)| name.clone()).collect();
    // It says how a conflict was answered, and is no property of the run.
    changed.retain(|name| name != "confirm_overlap");
    if before.starts_at != after.starts_at {
        changed.push(START.to_owned());
    }
    changed
}

/// One date of a series after the series was changed: what changed on all dates, but for what this one keeps for itself.
pub fn carried_over(
    run: &RunDraft,
    before: &SeriesRun,
    after: &SeriesRun,
    (start, zone): (Instant, &str),
    kept: &[String],
) -> RunDraft {
    let (old, new) = (before.fields(), after.fields());
    let keeps = |name: &str| kept.iter().any(|field| field == name);
    let mut whole = fields(run);
    for (name, value) in new {
        let stays = keeps(&name) || name == "draft" || name == "time_zone" || old.get(&name) == Some(&value);
        if !stays {
            whole.insert(name, value);
        }
    }
    if !keeps("time_zone") && !keeps("meeting_point") {
        whole.insert("time_zone".to_owned(), Value::from(zone));
    }
    let starts_at = if keeps(START) { run.starts_at } else { start };
    whole.insert(START.to_owned(), serde_json::to_value(starts_at).unwrap_or(Value::Null));
    serde_json::from_value(Value::Object(whole)).unwrap_or_else(|_| run.clone())
}

impl Serialize for SeriesRun {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SeriesRun {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = serde_json::Map::deserialize(deserializer)?;
        let nowhere =
            serde_json::to_value(Instant::new(jiff::Timestamp::UNIX_EPOCH)).map_err(serde::de::Error::custom)?;
        if fields.insert(START.to_owned(), nowhere).is_some() {
            return Err(serde::de::Error::custom("a series says when by first_local_start and rrule"));
        }
        serde_json::from_value(Value::Object(fields)).map(Self).map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for SeriesRun {
    /// The schema of `POST /runs`, without the start: said in one place.
    fn schema() -> RefOr<Schema> {
        let mut schema = RunDraft::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.properties.remove(START);
            object.required.retain(|name| name != START);
            object.description =
                Some("What is the same on every date: as `POST /runs`, without `starts_at`.".to_owned());
        }
        schema
    }
}

impl ToSchema for SeriesRun {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        RunDraft::schemas(schemas);
    }
}

/// What a facilitator says about a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeriesDraft {
    pub run: SeriesRun,
    /// Wall time of the first date, without an offset; it must be a date of the rule.
    #[schema(
        format = "local-date-time",
        pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:00)?$",
        example = "2026-12-01T18:30:00"
    )]
    pub first_local_start: String,
    /// IANA name; worked out from the meeting point when absent, and refused when its clock differs from the one there.
    #[schema(format = "time-zone", max_length = 64)]
    #[serde(default)]
    pub time_zone: Option<String>,
    /// RFC 5545: FREQ=WEEKLY or MONTHLY (by weekday), INTERVAL, BYDAY, BYSETPOS, BYMONTH, COUNT or UNTIL.
    #[schema(min_length = 1, max_length = 300, example = "FREQ=WEEKLY;BYDAY=TU")]
    pub rrule: String,
}

/// Which parts of its rhythm a change of a series says.
#[derive(Debug, Clone, Copy)]
pub struct WhatIsSaid {
    /// When it begins.
    pub first: bool,
    /// The rule.
    pub rule: bool,
}

/// A series whose draft was found to be good.
#[derive(Debug, Clone)]
pub struct Plan {
    pub rule: Rule,
    pub first: DateTime,
    pub time_zone: String,
    /// What place and clock say, the same on every date but for [`Derived::at`].
    pub derived: Derived,
}

impl Plan {
    /// When one of the dates begins.
    pub fn start_of(&self, date: DateTime) -> Option<Instant> {
        at_local(date, &self.time_zone)
    }

    /// The dates with their moments, from the first that begins after `after`.
    pub fn dates_after(&self, after: Instant) -> impl Iterator<Item = (DateTime, Instant)> + '_ {
        let dates = self.rule.dates(self.first).filter_map(|date| Some((date, self.start_of(date)?)));
        dates.skip_while(move |(_, start)| *start <= after)
    }
}

/// Dates of which it is looked whether the zone's clock is the one at the meeting point: a year of days.
const DATES_LOOKED_AT: usize = 366;

impl SeriesDraft {
    /// The draft of a series that goes on after a change: from a date of its own, and from the first date of the rule
    /// where nothing else is said. A rule that counts has so many fewer dates left.
    pub fn going_on(mut self, before: &SeriesDraft, from: Option<DateTime>, says: WhatIsSaid) -> Self {
        let zone = self.time_zone.clone().unwrap_or_default();
        let old_first = before.first_local_start.parse::<DateTime>().ok();
        if let (Some(from), Some(first), false) = (from, old_first, says.rule) {
            let old = Rule::read(&before.rrule, &zone).ok();
            let left = old.and_then(|rule| {
                let gone = rule.dates(first).take_while(|date| *date < from).count();
                Some(rule.count()?.saturating_sub(u32::try_from(gone).ok()?))
            });
            if let Some(left) = left {
                self.rrule = rule::with_count(&self.rrule, left);
            }
        }
        if !says.first {
            let wanted = from.or(old_first);
            let date = wanted.and_then(|wanted| Rule::read(&self.rrule, &zone).ok()?.dates(wanted).next());
            if let Some(date) = date.or(wanted) {
                self.first_local_start = date.to_string();
            }
        }
        self
    }

    /// Works out rule, zone and place, or names everything that the schema cannot see. The first date of a series that
    /// `is_new` must lie in the future; one that goes on may have begun long ago.
    ///
    /// # Errors
    /// Every fault, by pointer.
    pub fn plan(&self, now: Instant, is_new: bool) -> Result<Plan, Faults> {
        let mut faults = Faults::default();
        let zone = self.zone(now, &mut faults);
        let first = self.first_local_start.parse::<DateTime>().ok();
        faults.unless(first.is_some(), "/first_local_start", "no_such_time", "there is no such date or time");
        let is_of_our_time = first.is_none_or(|first| first.year() >= EARLIEST_YEAR);
        let words = "a series begins in 2000 or later";
        faults.unless(is_of_our_time, "/first_local_start", "too_long_ago", words);
        let first = first.filter(|_| is_of_our_time);
        let zone_name = zone.clone().unwrap_or_else(|| "UTC".to_owned());
        let rule = Rule::read(&self.rrule, &zone_name)
            .map_err(|why| faults.0.push(Fault::at("/rrule", why.code, why.detail)))
            .ok();
        if let (Some(rule), Some(first)) = (&rule, first) {
            self.first_is_a_date(rule, first, &mut faults);
        }
        let start = first.and_then(|first| at_local(first, &zone_name));
        if let Some(start) = start.filter(|_| is_new) {
            faults.unless(start > now, "/first_local_start", "in_the_past", "the first date must lie in the future");
        }
        // Place and clock are looked at for the next date that there will be.
        let next = rule.as_ref().zip(first).and_then(|(rule, first)| {
            rule.dates(first).filter_map(|date| at_local(date, &zone_name)).find(|start| *start > now)
        });
        let probe = next.or(start).unwrap_or(now);
        let far = probe > now.plus_days(MAX_DAYS_AHEAD);
        faults.unless(!far, "/first_local_start", "too_far_ahead", "a series can begin up to a year ahead");
        let derived = self.derived(probe.min(now.plus_days(MAX_DAYS_AHEAD)), &zone_name, zone.is_some(), &mut faults);
        if let (Some(rule), Some(first), Some(_), Some(_)) = (&rule, first, &derived, &zone) {
            self.clock_is_the_one_there(rule, first, now, &zone_name, &mut faults);
        }
        match (rule, first, derived) {
            (Some(rule), Some(first), Some(derived)) if faults.0.is_empty() => {
                Ok(Plan { rule, first, time_zone: zone_name, derived })
            }
            _ => Err(faults),
        }
    }

    fn zone(&self, now: Instant, faults: &mut Faults) -> Option<String> {
        let inside = self.run.0.time_zone.as_ref();
        let same = inside.is_none() || self.time_zone.is_none() || inside == self.time_zone.as_ref();
        faults.unless(same, "/run/time_zone", "said_twice", "say the zone once, beside first_local_start");
        match self.time_zone.as_ref().or(inside) {
            Some(wanted) if time_zone(wanted).is_none() => {
                faults.unless(false, "/time_zone", "unknown_time_zone", "use an IANA name such as Europe/London");
                None
            }
            Some(wanted) => Some(wanted.clone()),
            None => self.run.0.zone_there(now).map(str::to_owned),
        }
    }

    fn first_is_a_date(&self, rule: &Rule, first: DateTime, faults: &mut Faults) {
        match rule.dates(first).next() {
            Some(date) if date == first => {}
            Some(date) => {
                let words = format!("the rule has no date then; its next one is {date}");
                faults.unless(false, "/first_local_start", "not_a_date_of_the_rule", &words);
            }
            None => faults.unless(false, "/rrule", "yields_nothing", "the rule has no date from the first start on"),
        }
    }

    /// The faults of the run, each where it stands in a series.
    fn derived(&self, start: Instant, zone: &str, zone_is_known: bool, faults: &mut Faults) -> Option<Derived> {
        let mut draft = self.run.on(start, zone);
        if !zone_is_known {
            draft.time_zone = None;
        }
        let place_of = |fault: Fault| match fault.pointer.as_str() {
            "/starts_at" => Fault { pointer: "/first_local_start".to_owned(), ..fault },
            "/time_zone" => fault,
            pointer => Fault { pointer: format!("/run{pointer}"), ..fault },
        };
        match draft.derive(start.plus_seconds(-1), None) {
            Ok(derived) => Some(derived),
            Err(found) => {
                faults.0.extend(found.0.into_iter().map(place_of));
                None
            }
        }
    }

    /// Two clocks that agree on the first date may part in spring.
    fn clock_is_the_one_there(&self, rule: &Rule, first: DateTime, now: Instant, zone: &str, faults: &mut Faults) {
        let Some(there) = self.run.0.zone_there(now).filter(|there| *there != zone) else {
            return;
        };
        let until = now.plus_days(2 * MAX_DAYS_AHEAD);
        let starts = rule.dates(first).filter_map(|date| at_local(date, zone));
        let mut coming = starts.skip_while(|start| *start <= now).take_while(|start| *start <= until);
        let same = coming
            .by_ref()
            .take(DATES_LOOKED_AT)
            .all(|start| start.zoned(zone).offset() == start.zoned(there).offset());
        let words = format!("at the meeting point the clock is that of {there}");
        faults.unless(same, "/time_zone", "not_the_time_there", &words);
    }
}

/// Days by which a date may move with its series and still be the same date to people: within its week.
const SAME_DATE_DAYS: i32 = 3;

/// Which new date each old one becomes: the one on the same day, else the nearest that nobody has, within three days.
/// Nothing is taken twice; what finds none is left out.
pub fn matched(old: &[DateTime], new: &[DateTime]) -> BTreeMap<DateTime, DateTime> {
    let mut free: BTreeMap<Date, DateTime> = new.iter().map(|date| (date.date(), *date)).collect();
    let mut found: BTreeMap<DateTime, DateTime> = BTreeMap::new();
    for date in old {
        if let Some(same_day) = free.remove(&date.date()) {
            found.insert(*date, same_day);
        }
    }
    for date in old {
        if found.contains_key(date) {
            continue;
        }
        let away = |other: &Date| date.date().until(*other).map_or(i32::MAX, |span| span.get_days().abs());
        let nearest = free.keys().copied().min_by_key(|other| (away(other), *other));
        if let Some(day) = nearest.filter(|day| away(day) <= SAME_DATE_DAYS) {
            found.extend(free.remove(&day).map(|new| (*date, new)));
        }
    }
    found
}

/// Whether the last two dates that were held, of which the person had a place, were silent absences.
pub fn was_silently_absent_twice(newest_first: &[bool]) -> bool {
    matches!(newest_first, [true, true, ..])
}

#[cfg(test)]
mod tests;
