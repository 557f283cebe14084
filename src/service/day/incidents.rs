//! Incidents: what a facilitator tells the team about something that happened on a run. An incident is a report about the
//! run in the safeguarding queue, with who was involved; while it is open, the run's list and guests are kept.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{possible, record};
use crate::{
    clock::Instant,
    domain::{
        day::{DayAct, Severity},
        moderation::{AboutKind, Act, Category},
        policy::Leads,
        refusal::{Fault, Faults},
    },
    error::Result,
    id::Id,
    service::reports::{self, About, NewReport},
    store::{
        Conn, Tx,
        day::{self, Incident},
        runs, signups,
        sql_types::Json,
    },
};

/// The body of `POST /runs/{id}/incidents`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    #[schema(min_length = 1, max_length = 5000, pattern = r"\S")]
    pub what_happened: String,
    #[serde(default)]
    pub happened_at: Option<Instant>,
    pub severity: Severity,
    /// Whether an ambulance, the police or the fire brigade was called.
    #[serde(default)]
    pub emergency_services: bool,
    /// Sign-ups of the people involved.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub signup_ids: Vec<Id>,
    #[serde(default)]
    #[schema(max_items = 100)]
    pub guest_ids: Vec<Id>,
}

/// Files an incident, first in the team's queue.
pub fn report(tx: &mut Tx<'_>, new: &NewIncident, proof: &Leads, now: Instant) -> Result<Incident> {
    let locked = runs::lock(tx, proof.run())?;
    are_of_this_run(tx, new, proof.run(), now)?;
    possible(DayAct::ReportIncident, &locked.run, now)?;
    let about =
        About { kind: Some(AboutKind::Run), id: Some(proof.run()), run_id: Some(proof.run()), description: None };
    let report = NewReport { about, category: Category::Safeguarding, statement: new.what_happened.clone() };
    let report = reports::file(tx, proof.facilitator(), &report, now)?;
    let incident = Incident {
        id: Id::at(now),
        run_id: proof.run(),
        report_id: report.id,
        severity: new.severity,
        happened_at: new.happened_at,
        emergency_services: new.emergency_services,
        signup_ids: Json(new.signup_ids.clone()),
        guest_ids: Json(new.guest_ids.clone()),
        created_at: now,
    };
    day::insert_incident(tx, &incident)?;
    let about = json!({ "incident_id": incident.id, "report_id": report.id, "severity": new.severity });
    record(tx, Act::IncidentReported, proof, about, now)?;
    Ok(incident)
}

fn are_of_this_run(conn: &mut Conn, new: &NewIncident, run: Id, now: Instant) -> Result<()> {
    let mut faults = Faults::default();
    let nobody = |pointer: String| Fault::at(pointer, "not_found", "there is nobody with this id on the run");
    for (at, id) in new.signup_ids.iter().enumerate() {
        if signups::find(conn, *id)?.is_none_or(|signup| signup.run_id != run) {
            faults.0.push(nobody(format!("/signup_ids/{at}")));
        }
    }
    for (at, id) in new.guest_ids.iter().enumerate() {
        if day::find_guest(conn, *id)?.is_none_or(|guest| guest.run_id != run) {
            faults.0.push(nobody(format!("/guest_ids/{at}")));
        }
    }
    let past = new.happened_at.is_none_or(|at| at <= now);
    faults.unless(past, "/happened_at", "in_the_future", "it has not happened yet");
    Ok(faults.none()?)
}
