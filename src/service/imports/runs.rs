//! Runs: a row becomes a run, posted or edited in the name of the facilitator who leads it.
//!
//! `local_start` is what the clock at the meeting point shows; who leads a run is never changed here.

use serde_json::{Map, Value, json};

use super::{
    House,
    cells::{Cells, Kind},
    report::Outcome,
    sheet::Row,
    values::local_time,
};
use crate::{
    clock::{Instant, at_local},
    domain::{
        account::AccountStatus,
        email,
        moderation::ApplicationStatus,
        place::{LatLng, time_zone_at},
        run::RunDraft,
    },
    error::Result,
    id::Id,
    service::{callers, runs as service},
    store::{
        Tx,
        accounts::{self, Account},
        facilitators,
        runs::{self, Run},
    },
};

/// The columns of the file.
pub const COLUMNS: [&str; 19] = [
    "external_id",
    "title",
    "description",
    "activity",
    "fastest_s_per_km",
    "slowest_s_per_km",
    "no_drop",
    "distance_km",
    "duration_min",
    "local_start",
    "lat",
    "lng",
    "place_name",
    "getting_there",
    "capacity",
    "join_policy",
    "languages",
    "step_free",
    "facilitator_email",
];
/// Those that must be there.
pub const REQUIRED: [&str; 12] = [
    "external_id",
    "title",
    "activity",
    "fastest_s_per_km",
    "slowest_s_per_km",
    "duration_min",
    "local_start",
    "lat",
    "lng",
    "place_name",
    "capacity",
    "facilitator_email",
];

/// Columns whose name is not that of the run's field.
pub const POINTERS: [(&str, &str); 11] = [
    ("/pace", "fastest_s_per_km"),
    ("/pace/fastest_s_per_km", "fastest_s_per_km"),
    ("/pace/slowest_s_per_km", "slowest_s_per_km"),
    ("/starts_at", "local_start"),
    ("/time_zone", "local_start"),
    ("/meeting_point", "lat"),
    ("/meeting_point/lat", "lat"),
    ("/meeting_point/lng", "lng"),
    ("/meeting_point/name", "place_name"),
    ("/access", "step_free"),
    ("/newcomer_places", "capacity"),
];

/// Brings one row in.
pub fn bring_in(tx: &mut Tx<'_>, house: &House<'_>, row: &Row, now: Instant) -> Result<Outcome> {
    let mut cells = Cells::new(row);
    let key = cells.key();
    let leader = find_leader(tx, &mut cells)?;
    let there = runs::find_by_external_id(tx, key)?.filter(|_| !key.is_empty());
    let before = there.as_ref().map(|run| serde_json::to_value(run.draft())).transpose()?;
    let (draft, faults) = (house.read_draft)(draft_value(&mut cells, there.as_ref())?, before.as_ref())?;
    cells.faults.0.extend(faults);
    if let Some((run, leader)) = there.as_ref().zip(leader.as_ref()) {
        if run.created_by != Some(leader.id) && facilitators::find_listing(tx, run.id, leader.id)?.is_none() {
            cells.fault("facilitator_email", "somebody else leads this run, and an import does not change who does");
        } else if cells.faults.0.is_empty() && draft.as_ref() == Some(&run.draft()) {
            return Ok(Outcome::Unchanged);
        }
    }
    if let Some(leader) = &leader {
        note_standing(tx, &mut cells, leader.id, now)?;
    }
    if let Some(Err(faults)) = draft.as_ref().map(|draft| draft.derive(now, there.as_ref().map(|run| run.starts_at))) {
        cells.add(faults);
    }
    let (Some(draft), Some(leader), true) = (draft, leader, cells.faults.0.is_empty()) else {
        return Err(cells.faults.into());
    };
    // The file says who leads what: two groups that meet near each other are meant so.
    let draft = RunDraft { confirm_overlap: true, ..draft };
    match there {
        None => service::post(tx, leader.id, &draft, Some(key.to_owned()), now).map(|_| Outcome::New),
        Some(run) => edit(tx, house, &run, leader.id, &draft, now),
    }
}

fn edit(tx: &mut Tx<'_>, house: &House<'_>, run: &Run, leader: Id, draft: &RunDraft, now: Instant) -> Result<Outcome> {
    let proof = callers::leads(tx, leader, run.id, now).map_err(|fault| match fault {
        crate::error::Error::NotFound => {
            let words = "this person does not lead the run any more, so it can only be edited by who does";
            crate::domain::refusal::Fault::at("/facilitator_email", "not_leading", words).into()
        }
        other => other,
    })?;
    service::edit(tx, &proof, draft, run.version, house.policy, now)?;
    Ok(Outcome::Changed)
}

/// The account that is to lead, locked, once its owner has accepted.
fn find_leader(tx: &mut Tx<'_>, cells: &mut Cells<'_>) -> Result<Option<Account>> {
    let column = "facilitator_email";
    let typed = cells.needed(column);
    if typed.is_empty() {
        return Ok(None);
    }
    let email = match email::parse(typed) {
        Ok(email) => email,
        Err(fault) => {
            cells.fault(column, fault.to_string());
            return Ok(None);
        }
    };
    let Some(found) = accounts::find_by_email(tx, &email)? else {
        cells.fault(column, "nobody has this address");
        return Ok(None);
    };
    let account = accounts::lock(tx, found.id)?.account().clone();
    match account.status {
        AccountStatus::Active => return Ok(Some(account)),
        AccountStatus::Invited => cells.fault(column, "this person has not accepted the invitation yet"),
        AccountStatus::Unverified => cells.fault(column, "this person has not verified the address yet"),
    }
    Ok(None)
}

fn note_standing(tx: &mut Tx<'_>, cells: &mut Cells<'_>, account: Id, now: Instant) -> Result<()> {
    if facilitators::in_good_standing(tx, &[account], now)?.contains(&account) {
        return Ok(());
    }
    let approved = facilitators::find_in(tx, account, ApplicationStatus::Approved)?.is_some();
    cells.fault(
        "facilitator_email",
        if approved {
            "this facilitator cannot lead runs at present: a decision stands against it or a credential has expired"
        } else {
            "this person is not an approved facilitator"
        },
    );
    Ok(())
}

/// The run as `POST /runs` would take it: what is there, overlaid with what the row says.
fn draft_value(cells: &mut Cells<'_>, there: Option<&Run>) -> Result<Value> {
    let mut draft = match there {
        Some(run) => serde_json::to_value(run.draft())?.as_object().cloned().unwrap_or_default(),
        None => Map::new(),
    };
    let (place_before, policy_before) = (draft.get("meeting_point").cloned(), draft.get("join_policy").cloned());
    for (name, kind) in [
        ("title", Kind::Text),
        ("description", Kind::Text),
        ("activity", Kind::Text),
        ("no_drop", Kind::YesNo),
        ("distance_km", Kind::Number),
        ("duration_min", Kind::Whole),
        ("getting_there", Kind::Text),
        ("capacity", Kind::Whole),
        ("join_policy", Kind::Text),
        ("languages", Kind::Words),
    ] {
        cells.set(&mut draft, name, name, kind);
    }
    draft.entry("join_policy").or_insert_with(|| json!("open"));
    let pace =
        [("fastest_s_per_km", "fastest_s_per_km", Kind::Pace), ("slowest_s_per_km", "slowest_s_per_km", Kind::Pace)];
    cells.set_inside(&mut draft, "pace", &pace);
    let place = [("lat", "lat", Kind::Latitude), ("lng", "lng", Kind::Longitude), ("name", "place_name", Kind::Text)];
    cells.set_inside(&mut draft, "meeting_point", &place);
    cells.set_inside(&mut draft, "access", &[("step_free", "step_free", Kind::Access)]);
    for (name, without) in [("pace", json!({})), ("meeting_point", json!({})), ("access", json!({}))] {
        if draft.get(name).is_some_and(Value::is_null) {
            draft.insert(name.to_owned(), without);
        }
    }
    if there.is_some() && draft.get("meeting_point") != place_before.as_ref() {
        // Another place has its own clock.
        draft.insert("time_zone".to_owned(), Value::Null);
    }
    if there.is_some() && draft.get("join_policy") != policy_before.as_ref() {
        draft.insert("meeting_point_public".to_owned(), Value::Null);
    }
    set_start(cells, &mut draft);
    Ok(Value::Object(draft))
}

/// Puts the moment of `local_start` by the clock at the meeting point. Where there is no zone the draft is refused for
/// that, so any zone will do.
fn set_start(cells: &mut Cells<'_>, draft: &mut Map<String, Value>) {
    draft.remove("starts_at");
    let text = cells.needed("local_start");
    if text.is_empty() {
        return;
    }
    let number = |name: &str| draft.get("meeting_point")?.get(name)?.as_f64();
    let zone = number("lat").zip(number("lng")).and_then(|(lat, lng)| time_zone_at(LatLng { lat, lng }));
    let wrong = "write the time on the clock there, such as 2026-11-28T09:00";
    match local_time(text).and_then(|local| at_local(local, zone.unwrap_or("UTC")).ok_or(wrong)) {
        Ok(starts_at) => drop(draft.insert("starts_at".to_owned(), json!(starts_at))),
        Err(words) => cells.fault("local_start", words),
    }
}
