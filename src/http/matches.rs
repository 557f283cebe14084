//! Matches over HTTP.

use actix_web::get;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    AppData, Problem, Reply,
    extract::{Caller, Query},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::refusal::Fault,
    error::Error,
    id::Id,
    service::{
        matching::{self, Explanation, Match, Wish},
        runs as run_service,
    },
};

/// Which runs to match.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MatchQuery {
    /// Now when absent.
    from: Option<Instant>,
    /// Excluded; two weeks ahead when absent.
    to: Option<Instant>,
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// Full runs as well, with their line.
    include_full: Option<bool>,
    /// Why this run is or is not among the matches.
    explain: Option<Id>,
}

/// The runs that fit, best first; or, with `explain`, why one run does or does not.
#[derive(Debug, Serialize, ToSchema)]
pub struct Matches {
    pub items: Vec<Match>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// The runs that fit the caller, best first, with the parts of the score and reasons in words.
#[utoipa::path(tag = "Matching", params(MatchQuery), security(("token" = [])), responses(
    (status = 200, body = Matches), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[get("/matches")]
pub async fn matches(app: AppData, caller: Caller, query: Query<MatchQuery>) -> Result<Reply, Problem> {
    let query = query.get()?;
    let (me, now, state) = (caller.id(), app.clock.now(), app.clone());
    let from = query.from.unwrap_or(now);
    let to = query.to.unwrap_or_else(|| from.max(now).plus_days(app.config.policy.match_window_days));
    if from >= to {
        return Err(Error::from(Fault::at("?to", "before_from", "`to` must lie after `from`")).into());
    }
    let wish = Wish {
        from,
        to,
        limit: usize::try_from(query.limit.unwrap_or(20)).unwrap_or(20),
        include_full: query.include_full.unwrap_or(false),
    };
    let reply = app.db.read(move |conn| {
        let policy = &state.config.policy;
        let Some(run) = query.explain else {
            let items = matching::matches(conn, me, &wish, policy, &state.keyring, now)?;
            return Reply::ok(&Matches { items, explanation: None });
        };
        let run = run_service::visible(conn, run, Some(me))?;
        let explanation = matching::explain(conn, me, &run, &wish, policy, now)?;
        Reply::ok(&Matches { items: Vec::new(), explanation: Some(explanation) })
    });
    Ok(reply.await?)
}
