//! Accounts over HTTP: registering, proving the address, forgotten passwords, and what admins do.
//!
//! What anybody can ask for with an address answers 202 whatever happens. Each try is counted before anything is done,
//! and passwords are hashed before a transaction begins.

use actix_web::{HttpRequest, delete, get, post};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    AppData, Problem, Reply,
    extract::{Admin, Caller, ClientIp, PathId, Query, Request},
    problem::ProblemDocument,
};
use crate::{
    domain::{
        account::{AccountStatus, Role},
        address::AddressRequestKind,
        link::LinkAction,
        refusal::{Code, Faults},
    },
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        accounts::{self as service, Acceptance, Registration},
        limits::{self, Addressee, Budget, LogInOrigin},
        links,
    },
    store::{Conn, accounts},
};

/// The body of `POST /accounts`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    #[schema(format = "email", max_length = 254, example = "ana@example.org")]
    pub email: String,
    /// 15 to 256 characters, counted in Unicode's composed form (NFKC); several words do well.
    #[schema(format = "password", max_length = 1024, example = "wide meadow lantern")]
    pub password: String,
    /// What others see; a first name is enough. At most 60 characters.
    #[schema(format = "name", max_length = 200, example = "Ana")]
    pub display_name: String,
    /// Must be true.
    pub adult: bool,
    /// The current one stands in `GET /help`.
    #[schema(max_length = 40, example = "1")]
    pub terms_version: String,
    /// A language tag.
    #[serde(default)]
    #[schema(format = "locale", max_length = 35, pattern = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", example = "en")]
    pub locale: Option<String>,
    /// An IANA name.
    #[serde(default)]
    #[schema(format = "time-zone", max_length = 64, example = "Europe/London")]
    pub time_zone: Option<String>,
}

/// A token from a link in a mail.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkToken {
    #[schema(max_length = 200)]
    pub token: String,
}

/// Somebody's address.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailOnly {
    #[schema(format = "email", max_length = 254)]
    pub email: String,
}

/// The body of `POST /accounts/accept-invitation`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    #[schema(max_length = 200)]
    pub token: String,
    #[schema(format = "password", max_length = 1024)]
    pub password: String,
    /// The imported name stays when absent.
    #[serde(default)]
    #[schema(format = "name", max_length = 200)]
    pub display_name: Option<String>,
    /// Must be true.
    pub adult: bool,
    #[schema(max_length = 40)]
    pub terms_version: String,
}

/// The body of `POST /password-resets/confirm`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    #[schema(max_length = 200)]
    pub token: String,
    #[schema(format = "password", max_length = 1024)]
    pub password: String,
}

/// Whom an admin looks for.
#[derive(Clone, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AccountQuery {
    #[schema(format = "email", max_length = 254)]
    #[param(max_length = 254)]
    pub email: String,
}

/// An account as an admin sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    pub id: Id,
    pub display_name: String,
    pub status: AccountStatus,
    pub roles: Vec<Role>,
    /// Whether the account can lead runs now.
    pub facilitator: bool,
}

/// The body of `POST /accounts/{id}/roles`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleGrant {
    pub role: Role,
}

/// Counts tries in a transaction of their own, so that they count whatever comes of them.
pub(super) async fn spend(app: &AppData, charges: Vec<(Budget, String)>) -> Outcome<()> {
    if !app.config.rate_limits {
        return Ok(());
    }
    let now = app.clock.now();
    app.db
        .write(move |tx| charges.iter().try_for_each(|(budget, subject)| limits::spend(tx, *budget, subject, now)))
        .await
}

/// A charge on a client's budget.
pub(super) fn by_client(app: &AppData, budget: Budget, ip: ClientIp) -> (Budget, String) {
    (budget, limits::client_key(&app.addresses, ip.0))
}

/// The owner of a typed address.
fn addressee(app: &AppData, typed: &str, ip: ClientIp) -> Addressee {
    Addressee::new(&app.addresses, typed, ip.0, app.config.rate_limits)
}

/// Registers an adult. The answer is the same whatever happens; the mail tells the truth.
#[utoipa::path(tag = "Accounts", request_body = NewAccount, responses(
    (status = 202, description = "A mail is on its way, if the address can have one"),
    (status = 422, body = ProblemDocument), (status = 429, body = ProblemDocument)))]
#[post("/accounts")]
pub async fn register(app: AppData, ip: ClientIp, request: Request<NewAccount>) -> Result<Reply, Problem> {
    let body = request.checked(|body| newcomer_faults(&app, body).none())?.clone();
    spend(&app, vec![by_client(&app, limits::REGISTRATION, ip)]).await?;
    let to = addressee(&app, &body.email, ip);
    let new = Registration {
        password_hash: app.passwords.hash(SecretString::from(body.password)).await?,
        display_name: body.display_name,
        terms_version: body.terms_version,
        locale: body.locale,
        time_zone: body.time_zone,
    };
    let now = app.clock.now();
    app.db.write(move |tx| service::register(tx, &to, &new, now)).await?;
    Ok(Reply::accepted())
}

fn newcomer_faults(app: &AppData, body: &NewAccount) -> Faults {
    let policy = &app.config.policy;
    let mut faults = Faults::default();
    service::email_faults(&mut faults, &body.email);
    faults.0.extend(service::new_password_faults(&body.password, &body.email, &body.display_name, "/password").0);
    service::display_name_faults(&mut faults, &body.display_name);
    service::terms_faults(&mut faults, body.adult, &body.terms_version, &policy.terms_version, policy.min_age);
    service::time_zone_faults(&mut faults, body.time_zone.as_deref());
    faults
}

/// Proves an address by the token from the mail.
#[utoipa::path(tag = "Accounts", request_body = LinkToken, responses((status = 204, description = "Verified"),
    (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/accounts/verify-email")]
pub async fn verify_email(app: AppData, request: Request<LinkToken>) -> Result<Reply, Problem> {
    let link = app.keyring.read_link_token(&request.body()?.token).ok_or(Code::LinkInvalid)?;
    let now = app.clock.now();
    app.db.write(move |tx| service::verify_email(tx, link, now)).await?;
    Ok(Reply::nothing())
}

/// Sends the link to verify an address, or the invitation, once more.
#[utoipa::path(tag = "Accounts", request_body = EmailOnly, responses(
    (status = 202, description = "A mail is on its way, if there is something to verify"),
    (status = 422, body = ProblemDocument), (status = 429, body = ProblemDocument)))]
#[post("/accounts/resend-verification")]
pub async fn resend_verification(app: AppData, ip: ClientIp, request: Request<EmailOnly>) -> Result<Reply, Problem> {
    ask_for_mail(&app, ip, request.body()?, AddressRequestKind::Verification).await?;
    Ok(Reply::accepted())
}

/// Checks, counts and keeps somebody's wish for a mail to an address. The worker is not woken: what it does right after
/// the answer would tell whether there is an account.
async fn ask_for_mail(app: &AppData, ip: ClientIp, body: &EmailOnly, kind: AddressRequestKind) -> Outcome<()> {
    let mut faults = Faults::default();
    service::email_faults(&mut faults, &body.email);
    faults.none()?;
    spend(app, vec![by_client(app, limits::MAIL_REQUEST, ip)]).await?;
    let (to, now) = (addressee(app, &body.email, ip), app.clock.now());
    app.db.write(move |tx| service::ask_for_mail(tx, kind, &to, now)).await
}

/// Opens the account of an invited person.
#[utoipa::path(tag = "Accounts", request_body = AcceptInvitation, responses((status = 204, description = "Open"),
    (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument), (status = 429, body = ProblemDocument)))]
#[post("/accounts/accept-invitation")]
pub async fn accept_invitation(
    app: AppData,
    ip: ClientIp,
    request: Request<AcceptInvitation>,
) -> Result<Reply, Problem> {
    let body = request.body()?.clone();
    let link = app.keyring.read_link_token(&body.token).ok_or(Code::LinkInvalid)?;
    accept(&app, ip, link, body).await?;
    Ok(Reply::nothing())
}

/// Accepts an invitation by its link: for the endpoint and for the page.
pub(super) async fn accept(app: &AppData, ip: ClientIp, link: Id, body: AcceptInvitation) -> Outcome<()> {
    let person = person_behind(app, link, LinkAction::Invitation).await?;
    spend(app, vec![(limits::LINK_USE, link.to_string())]).await?;
    let policy = &app.config.policy;
    let mut faults = Faults::default();
    let name = body.display_name.as_deref().unwrap_or(&person.display_name);
    faults.0.extend(service::new_password_faults(&body.password, &person.email, name, "/password").0);
    if let Some(name) = &body.display_name {
        service::display_name_faults(&mut faults, name);
    }
    service::terms_faults(&mut faults, body.adult, &body.terms_version, &policy.terms_version, policy.min_age);
    faults.none()?;
    let said = Acceptance {
        password_hash: app.passwords.hash(SecretString::from(body.password)).await?,
        display_name: body.display_name,
        terms_version: body.terms_version,
    };
    let (now, origin) = (app.clock.now(), LogInOrigin::new(&app.addresses, &person.email, ip.0));
    app.db
        .write(move |tx| {
            service::accept_invitation(tx, link, &said, now)?;
            limits::let_in_by_mail(tx, &origin, person.id, now)
        })
        .await
}

async fn person_behind(app: &AppData, link: Id, action: LinkAction) -> Outcome<accounts::Account> {
    let now = app.clock.now();
    app.db
        .read(move |conn| {
            let link = links::find_working(conn, link, action, now)?;
            accounts::get(conn, link.account_id)
        })
        .await
}

/// Mails a link to choose a new password, if there is an account.
#[utoipa::path(tag = "Accounts", request_body = EmailOnly, responses(
    (status = 202, description = "A mail is on its way, if there is an account"),
    (status = 422, body = ProblemDocument), (status = 429, body = ProblemDocument)))]
#[post("/password-resets")]
pub async fn request_reset(app: AppData, ip: ClientIp, request: Request<EmailOnly>) -> Result<Reply, Problem> {
    ask_for_mail(&app, ip, request.body()?, AddressRequestKind::PasswordReset).await?;
    Ok(Reply::accepted())
}

/// Sets a new password by the token from the mail, and ends all sessions.
#[utoipa::path(tag = "Accounts", request_body = NewPassword, responses((status = 204, description = "Set"),
    (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument), (status = 429, body = ProblemDocument)))]
#[post("/password-resets/confirm")]
pub async fn confirm_reset(app: AppData, ip: ClientIp, request: Request<NewPassword>) -> Result<Reply, Problem> {
    let body = request.body()?.clone();
    let link = app.keyring.read_link_token(&body.token).ok_or(Code::LinkInvalid)?;
    reset(&app, ip, link, body.password).await?;
    Ok(Reply::nothing())
}

/// Resets a password by its link: for the endpoint and for the page.
pub(super) async fn reset(app: &AppData, ip: ClientIp, link: Id, password: String) -> Outcome<()> {
    let person = person_behind(app, link, LinkAction::ResetPassword).await?;
    spend(app, vec![(limits::LINK_USE, link.to_string())]).await?;
    service::new_password_faults(&password, &person.email, &person.display_name, "/password").none()?;
    let hash = app.passwords.hash(SecretString::from(password)).await?;
    let (now, origin) = (app.clock.now(), LogInOrigin::new(&app.addresses, &person.email, ip.0));
    app.db
        .write(move |tx| {
            service::reset_password(tx, link, &hash, now)?;
            limits::let_in_by_mail(tx, &origin, person.id, now)
        })
        .await?;
    app.mail_waits.notify_one();
    Ok(())
}

/// Finds an account by its address; that somebody looked stands in the audit log.
#[utoipa::path(tag = "Accounts", params(AccountQuery), security(("token" = [])), responses(
    (status = 200, body = AccountView), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[get("/accounts")]
pub async fn look_up(app: AppData, caller: Caller<Admin>, query: Query<AccountQuery>) -> Result<Reply, Problem> {
    let (me, now, query) = (caller.id(), app.clock.now(), query.get()?);
    let reply = app.db.write(move |tx| {
        let account = service::look_up(tx, me, &query.email, now)?;
        Reply::ok(&view(tx, &account, now)?)
    });
    Ok(reply.await?)
}

fn view(conn: &mut Conn, account: &accounts::Account, now: crate::clock::Instant) -> Outcome<AccountView> {
    let (facilitator, roles) = service::standing(conn, account.id, now)?;
    Ok(AccountView {
        id: account.id,
        display_name: account.display_name.clone(),
        status: account.status,
        roles: roles.into_iter().collect(),
        facilitator,
    })
}

/// Grants a role to a verified account.
#[utoipa::path(tag = "Accounts", params(("id" = Id, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = RoleGrant, security(("token" = [])), responses((status = 200, body = AccountView),
    (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[post("/accounts/{id}/roles")]
pub async fn grant_role(
    app: AppData,
    caller: Caller<Admin>,
    id: PathId,
    request: Request<RoleGrant>,
) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        accounts::get(tx, id.0)?;
        let account = service::grant_role(tx, me, id.0, body.body()?.role, now)?;
        Reply::ok(&view(tx, &account, now)?)
    })
    .await
}

/// Takes a role away.
#[utoipa::path(tag = "Accounts", params(("id" = Id, Path), ("role" = Role, Path)), security(("token" = [])), responses(
    (status = 204, description = "The account does not have the role"), (status = 403, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[delete("/accounts/{id}/roles/{role}")]
pub async fn revoke_role(
    app: AppData,
    caller: Caller<Admin>,
    id: PathId,
    request: HttpRequest,
) -> Result<Reply, Problem> {
    let role: Role = request.match_info().query("role").parse().map_err(|_| Error::NotFound)?;
    let (me, now) = (caller.id(), app.clock.now());
    app.db.write(move |tx| service::revoke_role(tx, me, id.0, role, now)).await?;
    Ok(Reply::nothing())
}
