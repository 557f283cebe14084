//! Applying to lead runs, and a moderator's yes or no.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::{Act, ApplicationStatus},
        refusal::{Code, Faults, Refusal},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, impartiality, notices},
    store::{
        Tx, accounts, audit,
        facilitators::{self, Application, Credential},
    },
};

/// A qualification or check that somebody names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCredential {
    /// Such as `first_aid` or `background_check`.
    #[schema(format = "word", pattern = "^[a-z][a-z0-9_]{0,39}$", example = "first_aid")]
    pub kind: String,
    #[schema(format = "line", min_length = 1, max_length = 120, pattern = r"\S")]
    pub issuer: String,
    #[schema(format = "line", max_length = 120)]
    #[serde(default)]
    pub reference: String,
    /// The last day on which it counts.
    #[serde(default)]
    #[schema(format = Date, example = "2027-10-31")]
    pub expires_on: Option<String>,
}

/// The body of `POST /facilitator-applications`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApplication {
    /// Why, and with what experience.
    #[schema(min_length = 1, max_length = 4000, pattern = r"\S")]
    pub statement: String,
    #[serde(default)]
    #[schema(max_items = 20)]
    pub credentials: Vec<NewCredential>,
}

/// Applies to lead runs. Whoever leads runs already may send renewed credentials; they count from a moderator's yes on, and
/// what was approved stands until then.
///
/// # Errors
/// [`Code::ApplicationPending`]; [`Code::AlreadyFacilitator`] for a facilitator who names no credential.
pub fn apply(tx: &mut Tx<'_>, account: Id, new: &NewApplication, policy: &Policy, now: Instant) -> Result<Application> {
    check(new, policy, now)?;
    accounts::lock(tx, account)?;
    callers::ensure_active(tx, account, now)?;
    if facilitators::find_in(tx, account, ApplicationStatus::Pending)?.is_some() {
        return Err(Code::ApplicationPending.into());
    }
    let is_renewal = facilitators::find_in(tx, account, ApplicationStatus::Approved)?.is_some();
    if is_renewal && new.credentials.is_empty() {
        return Err(Code::AlreadyFacilitator.into());
    }
    let (application, credentials) = rows(account, new, now);
    facilitators::insert(tx, &application, &credentials)?;
    let notice = Notice::ApplicationReceived { application_id: application.id };
    notices::to_moderators(tx, account, None, &notice, now)?;
    notices::of_act(tx, account, account, notice, now)?;
    Ok(application)
}

fn check(new: &NewApplication, policy: &Policy, now: Instant) -> Result<()> {
    let today = now.local("UTC").date();
    let mut faults = Faults::default();
    for (at, credential) in new.credentials.iter().enumerate() {
        let Some(text) = &credential.expires_on else { continue };
        let pointer = format!("/credentials/{at}/expires_on");
        match text.parse::<jiff::civil::Date>() {
            Ok(date) => faults.unless(date >= today, &pointer, "expired", "this has expired"),
            Err(_) => faults.unless(false, &pointer, "bad_format", "write a date such as 2027-10-31"),
        }
    }
    faults.none()?;
    let named: Vec<&str> = new.credentials.iter().map(|credential| credential.kind.as_str()).collect();
    let missing: Vec<&String> =
        policy.required_credentials.iter().filter(|kind| !named.contains(&kind.as_str())).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::from(Code::CredentialsMissing).with("missing", missing).into())
}

fn rows(account: Id, new: &NewApplication, now: Instant) -> (Application, Vec<Credential>) {
    let application = Application {
        id: Id::at(now),
        account_id: account,
        statement: new.statement.trim().to_owned(),
        status: ApplicationStatus::Pending,
        decided_by: None,
        decided_at: None,
        reason: None,
        created_at: now,
    };
    let credentials = new
        .credentials
        .iter()
        .map(|credential| Credential {
            id: Id::at(now),
            application_id: application.id,
            account_id: account,
            kind: credential.kind.clone(),
            issuer: credential.issuer.clone(),
            reference: credential.reference.clone(),
            expires_on: credential.expires_on.clone(),
            required: false,
        })
        .collect();
    (application, credentials)
}

/// A moderator's yes or no, with a reason; the applicant is told either way. A yes makes the credentials that the
/// installation requires a condition from then on.
pub fn decide(
    tx: &mut Tx<'_>,
    moderator: Id,
    application: Id,
    yes: bool,
    reason: Option<&str>,
    policy: &Policy,
    now: Instant,
) -> Result<Application> {
    callers::still_moderates(tx, moderator, now)?;
    let found = facilitators::find(tx, application)?.ok_or(Error::NotFound)?;
    // In a team of one, the only moderator may also lead runs.
    if found.account_id == moderator && !callers::rest_of_the_team(tx, moderator, now)?.is_empty() {
        return Err(Code::NotForYourself.into());
    }
    impartiality::ensure(tx, moderator, found.account_id, now)?;
    accounts::lock(tx, found.account_id)?;
    let mut application = facilitators::find(tx, application)?.ok_or(Error::NotFound)?;
    if application.status != ApplicationStatus::Pending {
        return Err(Code::ApplicationDecided.into());
    }
    let renewed = facilitators::find_in(tx, found.account_id, ApplicationStatus::Approved)?.filter(|_| yes);
    if let Some(mut before) = renewed.clone() {
        before.status = ApplicationStatus::Renewed;
        facilitators::update(tx, &before)?;
    }
    application.status = if yes { ApplicationStatus::Approved } else { ApplicationStatus::Rejected };
    application.decided_by = Some(moderator);
    application.decided_at = Some(now);
    application.reason = reason.map(str::trim).filter(|words| !words.is_empty()).map(str::to_owned);
    facilitators::update(tx, &application)?;
    if yes {
        facilitators::require(tx, application.id, &policy.required_credentials)?;
    }
    if let Some(before) = renewed {
        facilitators::carry_over(tx, before.id, application.id)?;
    }
    let notice = Notice::ApplicationDecided { application_id: application.id };
    notices::to_person(tx, application.account_id, notice, now)?;
    let act = if yes { Act::ApplicationApproved } else { Act::ApplicationRejected };
    let about = json!({ "application_id": application.id });
    let deed =
        audit::AuditEvent { act, actor: Some(moderator), subject: Some(application.account_id), run: None, about };
    audit::record(tx, deed, now)?;
    Ok(application)
}

/// Makes somebody a facilitator on the operator's word, for imports.
pub fn approve_imported(tx: &mut Tx<'_>, account: Id, now: Instant) -> Result<()> {
    if facilitators::find_open(tx, account)?.is_some() {
        return Ok(());
    }
    let new = NewApplication { statement: "Brought in by an import.".to_owned(), credentials: Vec::new() };
    let (mut application, _) = rows(account, &new, now);
    application.status = ApplicationStatus::Approved;
    application.decided_at = Some(now);
    facilitators::insert(tx, &application, &[])?;
    let about = json!({ "application_id": application.id });
    let deed =
        audit::AuditEvent { act: Act::FacilitatorImported, actor: None, subject: Some(account), run: None, about };
    audit::record(tx, deed, now)
}
