//! Runs over HTTP: the public list and detail, and what facilitators do with theirs.

use actix_web::{delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    AppData, Problem, Reply,
    by_token::{ByToken, WithToken, act_or_link, link_of, link_to},
    etag::IfMatch,
    extract::{Caller, MaybeCaller, Nothing, PathId, Query, Request, checked},
    paging::{Page, Paging},
    problem::ProblemDocument,
    reader::{self, MaybeReader},
    schemas,
};
use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        pace::{Activity, PaceBand},
        place::LatLng,
        refusal::{Code, Fault, Faults},
        run::{CancelReason, ListingRole, ListingStatus, RunDraft},
    },
    error::{Error, Result as Outcome},
    id::Id,
    index::Listing,
    service::{
        callers, impartiality,
        limits::acts,
        one_to_one,
        run_views::{self, RunCard, RunView},
        runs::{self as service, calling_off, leading},
    },
    store::{
        facilitators,
        runs::{self, Run},
    },
};

/// What the public list can be asked.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunQuery {
    /// `lat,lng`; needs `radius_km` to be useful, else 10 km are taken.
    #[schema(format = "point", max_length = 100, example = "48.137,11.575")]
    near: Option<String>,
    #[schema(minimum = 0.1, maximum = 50)]
    radius_km: Option<f64>,
    /// Now when absent; the past is not shown.
    from: Option<Instant>,
    /// Excluded; 60 days ahead when absent.
    to: Option<Instant>,
    activity: Option<Activity>,
    /// Runs whose band holds this pace.
    #[schema(minimum = 120, maximum = 1800)]
    pace_s_per_km: Option<i32>,
    /// Runs that say yes to this, such as `step_free`.
    #[schema(format = "access-need", pattern = "^[a-z_]{1,40}$", example = "step_free")]
    access: Option<String>,
    /// Runs on which this language is spoken; where a run says none, that of the installation counts as said.
    #[schema(format = "language", pattern = "^[a-z]{2,3}$", example = "en")]
    language: Option<String>,
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    #[schema(max_length = 2000)]
    cursor: Option<String>,
}

impl RunQuery {
    fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        faults.0.extend(self.near.as_deref().and_then(|near| point(near).err()));
        let fine = self.to.is_none_or(|to| self.from.is_none_or(|from| from < to));
        faults.unless(fine, "?to", "before_from", "`to` must lie after `from`");
        faults.unless(self.near.is_some() || self.radius_km.is_none(), "?near", "required", "around which place?");
        faults
    }
}

/// `lat,lng` as a point.
fn point(text: &str) -> Result<LatLng, Fault> {
    let words = "write lat,lng such as 48.137,11.575, with points in the numbers";
    let point = LatLng::read(text).ok_or_else(|| Fault::at("?near", "bad_format", words))?;
    let words = "lat lies from -90 to 90 and lng from -180 to 180";
    if point.is_valid() { Ok(point) } else { Err(Fault::at("?near", "out_of_range", words)) }
}

/// Days that the public list looks ahead when nothing is said.
const LIST_DAYS: i64 = 60;
/// Kilometres around a place when nothing is said.
const LIST_KM: f64 = 10.0;

/// The runs to come, by their start; with `near`, those within `radius_km` of it.
#[utoipa::path(tag = "Runs", params(RunQuery), security(("token" = []), ()), responses(
    (status = 200, body = Page<RunCard>), (status = 422, body = ProblemDocument)))]
#[get("/runs")]
pub async fn list_runs(app: AppData, reader: MaybeReader, query: Query<RunQuery>) -> Result<Reply, Problem> {
    let query = query.checked(|query| query.faults().none())?;
    let now = app.clock.now();
    let near = query.near.as_deref().map(point).transpose().map_err(Error::from)?;
    let from = query.from.unwrap_or(now).max(now);
    let to = query.to.unwrap_or_else(|| from.plus_days(LIST_DAYS));
    let filters = format!("{:?}", RunQuery { limit: None, cursor: None, ..query.clone() });
    let paging = Paging::new(&app.keyring, &["runs", &filters], query.limit, query.cursor.clone());
    let wanted = Listing {
        from,
        to,
        near: near.map(|near| (near, query.radius_km.unwrap_or(LIST_KM))),
        activity: query.activity,
        pace_s_per_km: query.pace_s_per_km,
        access: query.access,
        language: query.language,
        after: paging.after()?,
        limit: usize::try_from(paging.fetch()).unwrap_or(usize::MAX),
    };
    app.runs.at(now, || app.db.own_changes().ring()).await?;
    let (found, goes_on) = app.runs.list(&wanted, now);
    let (found, next) = paging.page(found, |run| (run.starts_at, run.id))?;
    let next_cursor = match goes_on {
        Some(after) => Some(paging.cursor_after(&after)?),
        None => next,
    };
    let cards = reader::cards(&app, &found, reader.0.as_deref(), now).await?;
    let items: Vec<&str> = cards.iter().flatten().map(AsRef::as_ref).collect();
    let next_cursor = serde_json::to_string(&next_cursor).map_err(Error::from)?;
    let json = format!(r#"{{"items":[{}],"next_cursor":{next_cursor}}}"#, items.join(","));
    let reply = Reply::ready_made(json);
    Ok(if reader.0.is_none() { reply.public() } else { reply })
}

/// A run; its meeting point only for whom it is visible.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path)), security(("token" = []), ()), responses(
    (status = 200, body = RunView), (status = 404, body = ProblemDocument)))]
#[get("/runs/{id}")]
pub async fn get_run(app: AppData, viewer: MaybeCaller, id: PathId) -> Result<Reply, Problem> {
    let (now, viewer) = (app.clock.now(), viewer.id());
    let policy = app.config.policy.clone();
    let reply = app.db.read(move |conn| {
        let run = service::visible(conn, id.0, viewer)?;
        reply_with(&run_views::view(conn, &run, viewer, &policy, now)?, 200)
    });
    Ok(reply.await?)
}

fn reply_with(view: &RunView, status: u16) -> Outcome<Reply> {
    Ok(Reply::new(status, view)?.with_version(view.version))
}

/// Posts a run; its author leads it.
#[utoipa::path(tag = "Runs", request_body = RunDraft, security(("token" = [])), responses(
    (status = 201, body = RunView), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/runs")]
pub async fn post_run(app: AppData, caller: Caller, request: Request<RunDraft>) -> Result<Reply, Problem> {
    let (me, state, draft) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        callers::in_good_standing(tx, me, now)?;
        let draft = draft.checked(|draft| draft.derive(now, None).map(|_| ()))?;
        let run = service::post(tx, me, draft, None, now)?;
        state.spend_act(tx, &acts::RUN, me, None, now)?;
        reply_with(&run_views::view(tx, &run, Some(me), &state.config.policy, now)?, 201)
    })
    .await
}

/// Any part of what `POST /runs` takes, as a JSON Merge Patch (RFC 7396); null takes a value back to its default.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct RunPatch(pub serde_json::Map<String, serde_json::Value>);

/// Edits a run by JSON Merge Patch; needs `If-Match`. Everybody on it is told what changed.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path), ("If-Match" = String, Header)), request_body = RunPatch,
    security(("token" = [])), responses((status = 200, body = RunView), (status = 404, body = ProblemDocument),
    (status = 412, body = ProblemDocument), (status = 422, body = ProblemDocument), (status = 428, body = ProblemDocument)))]
#[patch("/runs/{id}")]
pub async fn edit_run(
    app: AppData,
    caller: Caller,
    id: PathId,
    version: IfMatch,
    request: Request<RunPatch>,
) -> Result<Reply, Problem> {
    let (me, state, patch) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let proof = callers::leads(tx, me, id.0, now)?;
        let run = runs::get(tx, id.0)?;
        version.check(run.version)?;
        let draft = merged(&run, patch.body()?, now)?;
        let policy = &state.config.policy;
        let run = service::edit(tx, &proof, &draft, run.version, policy, now)?;
        state.spend_act(tx, &acts::RUN_EDIT, me, Some(run.id), now)?;
        reply_with(&run_views::view(tx, &run, Some(me), policy, now)?, 200)
    })
    .await
}

fn merged(run: &Run, patch: &RunPatch, now: Instant) -> Outcome<RunDraft> {
    let mut whole = serde_json::to_value(run.draft())?;
    let before = whole.clone();
    if patch.0.contains_key("meeting_point") && !patch.0.contains_key("time_zone") {
        // Another place has its own clock.
        whole["time_zone"] = serde_json::Value::Null;
    }
    if patch.0.contains_key("join_policy") && !patch.0.contains_key("meeting_point_public") {
        whole["meeting_point_public"] = serde_json::Value::Null;
    }
    json_patch::merge(&mut whole, &serde_json::Value::Object(patch.0.clone()));
    let read = schemas::read_over::<RunDraft>(whole, &before)?;
    checked(read.as_ref(), |draft| draft.derive(now, Some(run.starts_at)).map(|_| ())).cloned()
}

/// The body of `POST /runs/{id}/cancel`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {
    pub reason_code: CancelReason,
    /// A word to those who wanted to come.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub message: Option<String>,
}

/// Calls a run off; for its facilitators and the team.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path)), request_body = Cancellation, security(("token" = [])),
    responses((status = 200, body = RunView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/runs/{id}/cancel")]
pub async fn cancel_run(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<Cancellation>,
) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    let moderates = caller.moderates();
    app.act(&caller, &request, move |tx, now| {
        service::visible(tx, id.0, Some(me))?;
        if !moderates {
            callers::leads(tx, me, id.0, now)?;
        } else if facilitators::find_listing(tx, id.0, me)?.is_none() {
            for leader in facilitators::accepted_on(tx, id.0)? {
                impartiality::ensure(tx, me, leader, now)?;
            }
        }
        let body = body.body()?;
        let run = calling_off::cancel(tx, me, id.0, body.reason_code, body.message.clone(), now)?;
        state.spend_act(tx, &acts::RUN, me, None, now)?;
        reply_with(&run_views::view(tx, &run, Some(me), &state.config.policy, now)?, 200)
    })
    .await
}

/// The body of `POST /runs/{id}/facilitators`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewListing {
    /// The token of the link in the mail that asks, instead of logging in: accepts.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub token: Option<String>,
    /// One's own id accepts an invitation; left out only with the token of the link.
    #[serde(default)]
    pub account_id: Option<Id>,
    /// What they are asked to do; accepting keeps what was asked.
    #[serde(default = "leader")]
    #[schema(default = "leader")]
    pub role: ListingRole,
    /// When accepting: go along with another run at the same time as well, within walking distance.
    #[serde(default)]
    pub confirm_overlap: bool,
}

impl WithToken for NewListing {
    fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

fn leader() -> ListingRole {
    ListingRole::Leader
}

/// Somebody's listing on a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListingView {
    pub run_id: Id,
    pub account_id: Id,
    pub status: ListingStatus,
    pub role: ListingRole,
}

/// Asks another approved facilitator to lead together or to be the back marker; with one's own id, or the token of the
/// link in the mail, accepts having been asked.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path)), request_body = NewListing, security(("token" = []), ()),
    responses((status = 200, body = ListingView), (status = 201, body = ListingView),
    (status = 401, body = ProblemDocument), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/runs/{id}/facilitators")]
pub async fn list_facilitator(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<NewListing>,
) -> Result<Reply, Problem> {
    let (state, id, body) = (app.clone(), id.0, request.clone());
    act_or_link(&app, caller, &request, link_to(LinkAction::LeadTogether, id), move |tx, me, now| {
        let listed = facilitators::find_listing(tx, id, me)?;
        if listed.is_none() {
            return Err(Error::NotFound);
        }
        let NewListing { token, account_id, role, confirm_overlap } = body.body()?;
        let by_link = token.is_some();
        let account_id = account_id.or(by_link.then_some(me));
        let account_id = account_id.ok_or_else(|| Fault::at("/account_id", "required", "say who"))?;
        let (listing, status) = if account_id == me {
            let policy = &state.config.policy;
            let listing = leading::accept_listing(tx, me, id, *confirm_overlap, policy, now)?;
            state.spend_act(tx, &acts::LEADING, me, Some(id), now)?;
            (listing, 200)
        } else if by_link {
            return Err(Code::LinkInvalid.into());
        } else {
            let proof = callers::leads(tx, me, id, now)?;
            let listing = leading::list_facilitator(tx, &proof, account_id, *role, now)?;
            state.spend_act(tx, &acts::LISTING, me, Some(account_id), now)?;
            (listing, 201)
        };
        Reply::new(status, &ListingView { run_id: id, account_id, status: listing.status, role: listing.role })
    })
    .await
}

/// Steps down from a run, logged in or with the token of the link in the mail, or takes another facilitator off it. The
/// last to go leaves it paused.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path), ("account_id" = Id, Path)), request_body = ByToken,
    security(("token" = []), ()), responses((status = 204), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[delete("/runs/{id}/facilitators/{account_id}")]
pub async fn unlist_facilitator(
    app: AppData,
    caller: MaybeCaller,
    path: actix_web::web::Path<(String, String)>,
    request: Request<ByToken>,
) -> Result<Reply, Problem> {
    let (run, account) = path.into_inner();
    let (Ok(run), Ok(account)) = (run.parse::<Id>(), account.parse::<Id>()) else {
        return Err(Error::NotFound.into());
    };
    let (state, body) = (app.clone(), request.clone());
    act_or_link(&app, caller, &request, link_to(LinkAction::CannotLead, run), move |tx, me, now| {
        if account == me {
            leading::step_down(tx, me, run, &state.config.policy, now)?;
            body.body()?;
            return Ok(Reply::nothing());
        }
        let proof = callers::leads(tx, me, run, now)?;
        if body.body()?.token.is_some() {
            return Err(Code::LinkInvalid.into());
        }
        leading::unlist_facilitator(tx, &proof, account, &state.config.policy, now)?;
        state.spend_act(tx, &acts::LISTING, me, Some(account), now)?;
        Ok(Reply::nothing())
    })
    .await
}

/// The body of `POST /runs/{id}/take-over`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeOver {
    /// Lead another run at the same time as well, within walking distance.
    #[serde(default)]
    pub confirm_overlap: bool,
}

/// Takes over a paused run, or leads one together that has too few facilitators.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path)), request_body = TakeOver, security(("token" = [])),
    responses((status = 200, body = RunView), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument)))]
#[post("/runs/{id}/take-over")]
pub async fn take_over(app: AppData, caller: Caller, id: PathId, request: Request<TakeOver>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        service::visible(tx, id.0, Some(me))?;
        callers::in_good_standing(tx, me, now)?;
        let confirm = body.body()?.confirm_overlap;
        let policy = &state.config.policy;
        let run = leading::take_over(tx, me, id.0, confirm, policy, now)?;
        state.spend_act(tx, &acts::LEADING, me, Some(id.0), now)?;
        reply_with(&run_views::view(tx, &run, Some(me), policy, now)?, 200)
    })
    .await
}

/// Closes a run for new sign-ups; those who are in or wait stay, whoever has an offer can still take it, and nobody new gets
/// in.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])),
    responses((status = 200, body = RunView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/runs/{id}/lock")]
pub async fn close_run(app: AppData, caller: Caller, id: PathId, request: Request<Nothing>) -> Result<Reply, Problem> {
    let (me, policy, body) = (caller.id(), app.config.policy.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let proof = callers::leads(tx, me, id.0, now)?;
        body.body()?;
        let run = service::close(tx, &proof, now)?;
        reply_with(&run_views::view(tx, &run, Some(me), &policy, now)?, 200)
    })
    .await
}

/// As the only facilitator of a run to which one person comes: says that one runs with them alone, logged in or with the
/// token of the link in the mail. The yes counts for this person, start and place only; where nobody asks it does nothing.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path)), request_body = ByToken, security(("token" = []), ()),
    responses((status = 204), (status = 401, body = ProblemDocument), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument)))]
#[post("/runs/{id}/reconfirm")]
pub async fn lead_one(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<ByToken>,
) -> Result<Reply, Problem> {
    let (id, body, state) = (id.0, request.clone(), app.clone());
    act_or_link(&app, caller, &request, link_to(LinkAction::RunAsTwo, id), move |tx, me, now| {
        callers::leads(tx, me, id, now)?;
        let link = link_of(tx, &state.keyring, body.body()?, now)?;
        one_to_one::say_yes(tx, me, id, link.as_ref(), now)?;
        Ok(Reply::nothing())
    })
    .await
}

/// A facilitator, as everybody may see one.
#[derive(Debug, Serialize, ToSchema)]
pub struct FacilitatorView {
    pub id: Id,
    pub display_name: String,
    /// Runs to come, by their start.
    pub runs: Vec<RunCard>,
    /// The middle of the paces at which they lead, for a first impression.
    pub paces: Vec<PaceBand>,
}

/// An active facilitator and their runs to come.
#[utoipa::path(tag = "Facilitators", params(("id" = Id, Path)), security(("token" = []), ()), responses(
    (status = 200, body = FacilitatorView), (status = 404, body = ProblemDocument)))]
#[get("/facilitators/{id}")]
pub async fn get_facilitator(app: AppData, viewer: MaybeCaller, id: PathId) -> Result<Reply, Problem> {
    let (now, viewer, policy) = (app.clock.now(), viewer.id(), app.config.policy.clone());
    let reply = app.db.read(move |conn| {
        if !facilitators::in_good_standing(conn, &[id.0], now)?.contains(&id.0) {
            return Err(Error::NotFound);
        }
        let display_name = crate::store::accounts::get(conn, id.0)?.display_name;
        let mut led = runs::led_by(conn, id.0, &[crate::domain::run::RunStatus::Published])?;
        led.retain(|run| run.starts_at > now);
        let facts = run_views::facts(conn, &led, viewer, &policy, now)?;
        let mut paces: Vec<PaceBand> = led.iter().map(Run::pace).collect();
        paces.dedup();
        let runs = led.iter().map(|run| facts.card(run)).collect();
        Reply::ok(&FacilitatorView { id: id.0, display_name, runs, paces })
    });
    Ok(reply.await?)
}
