//! A series as somebody may see it: what is the same on every date, the dates to come, and for its facilitators who comes
//! to all of them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    domain::{
        place::{Cell, LatLng},
        run::{ListingRole, RunStatus},
        series::{SeriesRun, SeriesStatus},
    },
    error::Result,
    id::Id,
    service::run_views::Leader,
    store::{
        Conn, accounts, facilitators,
        runs::Run,
        series::{self, Series},
    },
};

/// One date of a series.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SeriesDateView {
    pub run_id: Id,
    /// The wall time that the rule gave this date, also where it was moved; null for one that goes on by itself.
    #[schema(example = "2026-12-01T18:30:00")]
    pub series_date: Option<String>,
    pub starts_at: Instant,
    /// Wall time at the place, without an offset.
    pub local_start: String,
    /// A skipped date is `cancelled`.
    pub status: RunStatus,
    /// The fields in which this date differs from the series, and keeps to that.
    pub kept: Vec<String>,
}

/// Somebody who comes to every date.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RegularView {
    pub account_id: Id,
    pub display_name: String,
    pub since: Instant,
}

/// A series.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SeriesView {
    pub id: Id,
    pub status: SeriesStatus,
    /// As posted; the exact meeting point only where it is public or the viewer leads the series, the number for the day
    /// only for those who lead.
    #[schema(value_type = Object)]
    pub run: Value,
    pub first_local_start: String,
    pub time_zone: String,
    pub rrule: String,
    /// Dates from this wall time on are not this series' any more.
    pub ends_before: Option<String>,
    /// When the first date begins that is not made yet; null when there is none.
    pub next_to_make: Option<Instant>,
    /// The dates to come that are made, by their start.
    pub dates: Vec<SeriesDateView>,
    pub facilitators: Vec<Leader>,
    /// Whether the viewer comes to every date.
    pub you_are_regular: bool,
    /// For its facilitators: who comes to every date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regulars: Option<Vec<RegularView>>,
    /// What `If-Match` is compared with.
    pub version: i32,
}

/// One series as `viewer` may see it.
pub fn view(conn: &mut Conn, of: &Series, viewer: Option<Id>, now: Instant) -> Result<SeriesView> {
    let leaders = series::leaders(conn, &[of.id])?.remove(&of.id).unwrap_or_default();
    let leads_it = viewer.is_some_and(|viewer| leaders.contains(&viewer));
    let regulars = series::regulars(conn, &[of.id])?;
    let people: Vec<Id> = leaders.iter().copied().chain(regulars.iter().map(|regular| regular.account_id)).collect();
    let names = accounts::display_names(conn, &people)?;
    let name = |id: &Id| names.get(id).cloned().unwrap_or_default();
    let good = facilitators::in_good_standing(conn, &leaders, now)?;
    let mut coming = series::runs_to_come(conn, of.id, now)?;
    coming.retain(|run| run.series_date.is_some() || run.status != RunStatus::Cancelled);
    coming.sort_by_key(|run| (run.starts_at, run.id));
    Ok(SeriesView {
        id: of.id,
        status: of.status,
        run: shown(&of.draft, of.status == SeriesStatus::Draft, leads_it)?,
        first_local_start: of.first_local_start.clone(),
        time_zone: of.time_zone.clone(),
        rrule: of.rrule.clone(),
        ends_before: of.ends_before.clone(),
        next_to_make: of.next_at,
        dates: coming.iter().filter(|run| leads_it || run.status != RunStatus::Draft).map(date).collect(),
        facilitators: leaders
            .iter()
            .filter(|id| good.contains(id))
            .map(|id| Leader { id: *id, display_name: name(id), role: ListingRole::Leader })
            .collect(),
        you_are_regular: viewer.is_some_and(|viewer| regulars.iter().any(|regular| regular.account_id == viewer)),
        regulars: leads_it.then(|| {
            let one = |regular: &series::Regular| RegularView {
                account_id: regular.account_id,
                display_name: name(&regular.account_id),
                since: regular.since,
            };
            regulars.iter().map(one).collect()
        }),
        version: of.version,
    })
}

fn date(run: &Run) -> SeriesDateView {
    SeriesDateView {
        run_id: run.id,
        series_date: run.series_date.clone(),
        starts_at: run.starts_at,
        local_start: run.starts_at.local(&run.time_zone).to_string(),
        status: run.status,
        kept: run.details.series_kept.0.clone(),
    }
}

/// What is the same on every date; where the point is hidden, the area stands for it.
fn shown(of: &SeriesRun, is_draft: bool, leads_it: bool) -> Result<Value> {
    let mut shown = serde_json::to_value(of.clone().settled(is_draft))?;
    let Value::Object(fields) = &mut shown else { return Ok(shown) };
    fields.remove("time_zone");
    if leads_it {
        return Ok(shown);
    }
    fields.remove("day_contact");
    let draft = of.draft();
    if !draft.point_is_public() {
        for hidden in ["meeting_point", "getting_there"] {
            fields.remove(hidden);
        }
        let point = draft.meeting_point.point();
        let area = Cell::containing(LatLng { ..point }, crate::domain::run::AREA_RESOLUTION);
        let area = area.map(|cell| serde_json::json!({ "cell": cell.to_string(), "centre": cell.centre() }));
        fields.insert("meeting_area".to_owned(), area.unwrap_or(Value::Null));
    }
    Ok(shown)
}
