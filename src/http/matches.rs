//! Matches over HTTP.

use actix_web::get;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    AppData, Problem, Reply,
    extract::Query,
    problem::ProblemDocument,
    reader::{self, Reader},
};
use crate::{
    clock::Instant,
    domain::{
        matching::Fit,
        refusal::{Code, Faults},
    },
    error::Error,
    id::Id,
    index::Asked,
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
pub async fn matches(app: AppData, reader: Reader, query: Query<MatchQuery>) -> Result<Reply, Problem> {
    let now = app.clock.now();
    let query = query.checked(|query| {
        let mut faults = Faults::default();
        let fine = query.to.is_none_or(|to| query.from.unwrap_or(now) < to);
        faults.unless(fine, "?to", "before_from", "`to` must lie after `from`");
        faults.none()
    })?;
    let asked = Asked {
        from: query.from,
        to: query.to,
        limit: usize::try_from(query.limit.unwrap_or(20)).unwrap_or(20),
        include_full: query.include_full.unwrap_or(false),
    };
    let wish = asked.wish(now, app.config.policy.match_window_days);
    if let Some(run) = query.explain {
        return Ok(explain(&app, reader.0.account, run, wish, now).await?);
    }
    let viewer = reader.0.viewer.as_ref().ok_or(Code::ProfileMissing)?;
    app.runs.at(now, || app.db.own_changes().ring()).await?;
    if let Some(json) = app.runs.answered(&reader.0, asked, now) {
        return Ok(Reply::ready_made(json));
    }
    let near = app.runs.near(viewer);
    let matched = near.matches(viewer, &wish, now, |run| app.keyring.tie(viewer.id, run));
    let good = near.good(matched.reach_km, now, wish.to);
    let (runs, fits): (Vec<_>, Vec<_>) = matched.best.into_iter().unzip();
    let cards = reader::cards(&app, &runs, Some(&reader.0), now).await?;
    let shown = cards.iter().zip(&fits).filter_map(|(card, fit)| Some((card.as_deref()?, fit)));
    let json = in_json(shown)?;
    if cards.iter().any(Option::is_none) {
        return Ok(Reply::ready_made(json));
    }
    let json = Bytes::copy_from_slice(&json);
    app.runs.answers.put(&reader.0, asked, good, json.clone());
    Ok(Reply::ready_made(json))
}

/// [`Matches`] of cards that are JSON already.
fn in_json<'c>(shown: impl Iterator<Item = (&'c str, &'c Fit)>) -> Result<Vec<u8>, Error> {
    let mut json = Vec::with_capacity(32 * 1024);
    json.extend_from_slice(b"{\"items\":[");
    for (at, (card, fit)) in shown.enumerate() {
        json.extend_from_slice(if at == 0 { b"{\"run\":" } else { b",{\"run\":" });
        json.extend_from_slice(card.as_bytes());
        json.extend_from_slice(b",\"fit\":");
        serde_json::to_writer(&mut json, fit)?;
        json.push(b'}');
    }
    json.extend_from_slice(b"]}");
    Ok(json)
}

async fn explain(app: &AppData, me: Id, run: Id, wish: Wish, now: Instant) -> Result<Reply, Error> {
    let state = app.clone();
    let reply = app.db.read(move |conn| {
        let run = run_service::visible(conn, run, Some(me))?;
        let viewer = matching::viewer(conn, me, now)?;
        let explanation = matching::explain(conn, &viewer, &run, &wish, &state.config.policy, now)?;
        Reply::ok(&Matches { items: Vec::new(), explanation: Some(explanation) })
    });
    reply.await
}
