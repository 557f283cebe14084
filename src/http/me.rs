//! One's own account over HTTP: who I am, my password, my running profile, which mails I want.

use actix_web::{get, patch, post, put};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    accounts::spend,
    extract::{Anybody, Caller, Request},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::{
        account::{AccountStatus, Role},
        match_request::AlertChoice,
        moderation::{SanctionKind, SanctionScope},
        profile::RunningProfile,
        refusal::{Code, Fault, Faults},
    },
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        accounts::{self as service, Changes, DEFAULT_LOCALE},
        limits, match_requests,
        profiles::{self, RunningProfileView},
    },
    store::{
        Conn,
        accounts::{self, Account},
        alerts, moderation,
    },
};

/// One's own account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub id: Id,
    pub email: String,
    pub display_name: String,
    pub status: AccountStatus,
    pub locale: String,
    pub time_zone: Option<String>,
    pub roles: Vec<Role>,
    /// Whether one can lead runs now.
    pub facilitator: bool,
    /// Whether reminders are wanted.
    pub reminders: bool,
    /// The terms that were accepted.
    pub terms_version: Option<String>,
    pub created_at: Instant,
    /// The decision that keeps one out of everything but reading it and objecting.
    pub kept_out_by: Option<KeptOutBy>,
}

/// A decision that keeps somebody out, as `GET /me/decisions` has it in full.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeptOutBy {
    pub id: Id,
    pub kind: SanctionKind,
    pub scope: SanctionScope,
    pub statement: String,
    /// Whether the facts are kept back until it ends; the statement says so then.
    pub facts_withheld: bool,
    /// None: for good.
    pub until: Option<Instant>,
}

fn view(conn: &mut Conn, account: Account, now: Instant) -> Outcome<Me> {
    let (facilitator, roles) = service::standing(conn, account.id, now)?;
    let kept_out_by = moderation::keeping_out(conn, account.id, now)?.into_iter().next().map(|decision| KeptOutBy {
        id: decision.id,
        kind: decision.kind,
        scope: decision.scope,
        statement: decision.statement_for_person(now).to_owned(),
        facts_withheld: decision.is_withheld(now),
        until: decision.expires_at,
    });
    Ok(Me {
        id: account.id,
        email: account.email,
        display_name: account.display_name,
        status: account.status,
        locale: account.locale,
        time_zone: account.time_zone,
        roles: roles.into_iter().collect(),
        facilitator,
        reminders: account.reminders,
        terms_version: account.terms_version,
        created_at: account.created_at,
        kept_out_by,
    })
}

/// One's own account.
#[utoipa::path(tag = "Me", security(("token" = [])), responses((status = 200, body = Me),
    (status = 401, body = ProblemDocument)))]
#[get("/me")]
pub async fn get_me(app: AppData, caller: Caller<Anybody>) -> Result<Reply, Problem> {
    let (account, now) = (caller.account.clone(), app.clock.now());
    Ok(app.db.read(move |conn| Reply::ok(&view(conn, account, now)?)).await?)
}

/// A merge patch (RFC 7396) of what one may change: what is absent stays, null takes it away.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MePatch {
    /// Cannot be null.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "name", max_length = 200)]
    pub display_name: Option<Option<String>>,
    /// A language tag; null for English.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "locale", max_length = 35, pattern = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", example = "en")]
    pub locale: Option<Option<String>>,
    /// An IANA name.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "time-zone", max_length = 64)]
    pub time_zone: Option<Option<String>>,
}

/// Tells null from absent: what is there, null included, is `Some`.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl MePatch {
    fn changes(&self) -> Outcome<Changes> {
        let mut faults = Faults::default();
        match &self.display_name {
            Some(None) => faults.0.push(Fault::at("/display_name", "required", "say what others may call you")),
            Some(Some(name)) => service::display_name_faults(&mut faults, name),
            None => {}
        }
        service::time_zone_faults(&mut faults, self.time_zone.as_ref().and_then(|zone| zone.as_deref()));
        faults.none()?;
        Ok(Changes {
            display_name: self.display_name.clone().flatten(),
            locale: self.locale.clone().map(|locale| locale.unwrap_or_else(|| DEFAULT_LOCALE.to_owned())),
            time_zone: self.time_zone.clone(),
            reminders: None,
        })
    }
}

/// Changes one's name, language or time zone.
#[utoipa::path(tag = "Me", request_body(content = MePatch, content_type = "application/merge-patch+json"),
    security(("token" = [])), responses((status = 200, body = Me), (status = 401, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[patch("/me")]
pub async fn edit_me(app: AppData, caller: Caller, request: Request<MePatch>) -> Result<Reply, Problem> {
    let changes = request.body()?.changes()?;
    let (me, now) = (caller.id(), app.clock.now());
    let reply = app.db.write(move |tx| {
        let account = service::edit(tx, me, &changes, now)?;
        Reply::ok(&view(tx, account, now)?)
    });
    Ok(reply.await?)
}

/// The body of `POST /me/password`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    #[schema(format = "password", max_length = 1024)]
    pub current_password: String,
    /// 15 to 256 characters, counted in Unicode's composed form (NFKC).
    #[schema(format = "password", max_length = 1024)]
    pub new_password: String,
}

/// Changes one's password and ends all other sessions.
#[utoipa::path(tag = "Me", params(("Idempotency-Key" = Option<String>, Header)), request_body = PasswordChange,
    security(("token" = [])), responses((status = 204, description = "Changed"), (status = 401, body = ProblemDocument),
    (status = 422, description = "The current password is wrong, or the new one will not do", body = ProblemDocument),
    (status = 429, body = ProblemDocument)))]
#[post("/me/password")]
pub async fn change_password(app: AppData, caller: Caller, request: Request<PasswordChange>) -> Result<Reply, Problem> {
    let body = request.body()?.clone();
    let account = &caller.account;
    service::new_password_faults(&body.new_password, &account.email, &account.display_name, "/new_password")
        .none()
        .map_err(Error::from)?;
    spend(&app, vec![(limits::PASSWORD_CHANGE, account.id.to_string())]).await?;
    let old = account.password_hash.clone();
    let fits = app.passwords.verify(SecretString::from(body.current_password), old.clone()).await?;
    // A wrong password is told inside the act: a retry under the same key comes when it fits no more.
    let checked = match old.filter(|_| fits.is_right()) {
        Some(old) => Some((old, app.passwords.hash(SecretString::from(body.new_password)).await?)),
        None => None,
    };
    let (me, session) = (caller.id(), caller.session);
    app.act(&caller, &request, move |tx, now| {
        let wrong = || Error::from(Fault::at("/current_password", "wrong", "this is not your password"));
        let (old, new) = checked.as_ref().ok_or_else(wrong)?;
        service::change_password(tx, me, session, old, new, now).map_err(|error| match error {
            Error::Refused(refusal) if refusal.code == Code::CredentialsWrong => wrong(),
            other => other,
        })?;
        Ok(Reply::nothing())
    })
    .await
}

/// One's running profile.
#[utoipa::path(tag = "Me", security(("token" = [])), responses((status = 200, body = RunningProfileView),
    (status = 401, body = ProblemDocument), (status = 404, description = "None yet", body = ProblemDocument)))]
#[get("/me/running-profile")]
pub async fn get_profile(app: AppData, caller: Caller) -> Result<Reply, Problem> {
    let me = caller.id();
    Ok(app.db.read(move |conn| Reply::ok(&profiles::get(conn, me)?)).await?)
}

/// Writes one's running profile. Home and paces may change a few times only.
#[utoipa::path(tag = "Me", request_body = RunningProfile, security(("token" = [])), responses(
    (status = 200, body = RunningProfileView), (status = 401, body = ProblemDocument),
    (status = 409, description = "Changed too often; `until` says when it may change again", body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[put("/me/running-profile")]
pub async fn put_profile(app: AppData, caller: Caller, request: Request<RunningProfile>) -> Result<Reply, Problem> {
    let (me, now, resolution) = (caller.id(), app.clock.now(), app.cell_resolution);
    let reply = app.db.write(move |tx| {
        let before = accounts::find_profile(tx, me)?;
        let words = before.as_ref().map(profiles::words_of).unwrap_or_default();
        let profile = request.checked_over(&words, |profile| profile.faults(before.is_some()).none())?;
        Reply::ok(&profiles::put(tx, me, &profile, resolution, now)?)
    });
    Ok(reply.await?)
}

/// Which mails one wants; mails about changes, cancellations and decisions always come.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailPreferences {
    /// Reminders before runs.
    pub reminders: bool,
    /// How often one hears of runs that fit one's match requests; what stands stays when it is left out.
    #[serde(default)]
    pub alerts: Option<AlertChoice>,
}

/// Which mails one gets.
#[utoipa::path(tag = "Me", security(("token" = [])), responses((status = 200, body = EmailPreferences),
    (status = 401, body = ProblemDocument)))]
#[get("/me/email-preferences")]
pub async fn get_email_preferences(app: AppData, caller: Caller) -> Result<Reply, Problem> {
    let (me, reminders) = (caller.id(), caller.account.reminders);
    Ok(app.db.read(move |conn| Reply::ok(&preferences(conn, me, reminders)?)).await?)
}

fn preferences(conn: &mut Conn, account: Id, reminders: bool) -> Outcome<EmailPreferences> {
    Ok(EmailPreferences { reminders, alerts: Some(alerts::state(conn, account)?.choice) })
}

/// Says which mails one wants.
#[utoipa::path(tag = "Me", request_body = EmailPreferences, security(("token" = [])), responses(
    (status = 200, body = EmailPreferences), (status = 401, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[put("/me/email-preferences")]
pub async fn put_email_preferences(
    app: AppData,
    caller: Caller,
    request: Request<EmailPreferences>,
) -> Result<Reply, Problem> {
    let wanted = request.body()?.clone();
    let (me, now) = (caller.id(), app.clock.now());
    let changes = Changes { reminders: Some(wanted.reminders), ..Changes::default() };
    let reply = app.db.write(move |tx| {
        service::edit(tx, me, &changes, now)?;
        if let Some(choice) = wanted.alerts {
            match_requests::choose(tx, me, choice)?;
        }
        Reply::ok(&preferences(tx, me, wanted.reminders)?)
    });
    Ok(reply.await?)
}
