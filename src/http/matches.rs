//! Matches over HTTP.

use std::sync::Arc;

use actix_web::{get, web};
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
        matching::{Fit, Viewer, advice::Preference, search::MatchSearch},
        refusal::{Code, Faults},
        signup::SignupStatus,
    },
    error::Error,
    id::Id,
    index::{self, Asked, Found, Good, Matched, MatchedRun, SeriesDate},
    service::{
        matching::{self, Explanation},
        run_views::RunCard,
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
    /// Excluded; two weeks ahead when absent, and on until three runs fit or the runs end.
    to: Option<Instant>,
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// Full runs as well, with their waiting list.
    include_full: Option<bool>,
    /// Runs as well on which the caller has a place, a request or a waiting position; `viewer` marks them.
    include_mine: Option<bool>,
    /// Runs as well that overlap a confirmed place of the caller.
    include_overlapping: Option<bool>,
    /// Groups as well whose pace is far from the caller's, and whatever fits little; never one at whose pace the caller cannot
    /// chat at all.
    include_any_pace: Option<bool>,
    /// Why this run is or is not among the matches.
    explain: Option<Id>,
}

/// The runs that fit, best first; or, with `explain`, why one run does or does not.
#[derive(Debug, Serialize, ToSchema)]
pub struct Matches {
    /// Runs in the hours that the caller gave, best first; then, only where fewer than three of these fit, some outside them.
    pub items: Vec<Match>,
    /// Where fewer than three runs fit: what there would be without one of the caller's preferences, and how to be told.
    pub advice: Vec<Advice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// A run that fits, and how well.
#[derive(Debug, Serialize, ToSchema)]
pub struct Match {
    pub run: RunCard,
    pub fit: Fit,
    /// Less than three quarters of the run lies in the hours that the caller gave.
    pub outside_hours: bool,
    /// Where the run is a date of a series, which is listed once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<MatchedSeries>,
    /// What the caller has on the run already; only with `include_mine`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewer: Option<OwnSignup>,
}

/// The series of a match.
#[derive(Debug, Serialize, ToSchema)]
pub struct MatchedSeries {
    pub id: Id,
    /// Its other dates that fit as the listed one does, by start; at most eight.
    pub next_dates: Vec<NextDate>,
}

/// Another date of a series.
#[derive(Debug, Serialize, ToSchema)]
pub struct NextDate {
    pub run_id: Id,
    pub starts_at: Instant,
    /// Wall time at the place, without an offset.
    #[schema(example = "2026-11-28T09:00:00")]
    pub local_start: String,
}

/// What the caller has on a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnSignup {
    pub signup_id: Id,
    pub status: SignupStatus,
}

/// What there would be without one preference.
#[derive(Debug, Serialize, ToSchema)]
pub struct Advice {
    /// The preference that is left out; null for words that point to match requests.
    pub drop: Option<Preference>,
    /// How many runs there would be, each series once; 100 stands for more as well.
    pub count: usize,
    /// The best of them that is not among the items.
    pub first: Option<RunCard>,
    /// The same in whole sentences.
    pub text: String,
}

/// The runs that fit the caller, best first, with the parts of the score and reasons in words. Runs that the caller is on, or
/// that overlap a confirmed place, are left out; a series stands once. Where fewer than three fit, `advice` says what there
/// would be otherwise.
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
    let asked = query.asked();
    let search = asked.search(now, &app.config.policy);
    if let Some(run) = query.explain {
        return Ok(explain(&app, reader.0.account, run, search, now).await?);
    }
    let viewer = reader.0.viewer.as_ref().ok_or(Code::ProfileMissing)?;
    app.runs.at(now, || app.db.own_changes().ring()).await?;
    if let Some(json) = app.runs.answered(&reader.0, asked, now) {
        return Ok(Reply::ready_made(json));
    }
    let (matched, good, advice) = find(&app, &reader, search, now).await?;
    let firsts = advice.iter().filter_map(|piece| piece.first.clone());
    let found: Vec<Found> = matched.best.iter().map(|item| item.found.clone()).chain(firsts).collect();
    let cards = reader::cards(&app, &found, Some(&reader.0), now).await?;
    let answer = Answer { app: &app, viewer, search: &search, now };
    let json = answer.in_json(&matched.best, &advice, &cards)?;
    // Advice reads runs further away than what says how long an answer holds.
    if !advice.is_empty() || cards.iter().any(Option::is_none) {
        return Ok(Reply::ready_made(json));
    }
    let json = Bytes::copy_from_slice(&json);
    app.runs.answers.put(&reader.0, asked, good, json.clone());
    Ok(Reply::ready_made(json))
}

/// Finds the matches, until when they are what would be found again, and the advice for a short list.
///
/// A list that is long enough is found in microseconds. Otherwise the search goes on past its days and advice weighs runs up
/// to 50 km around, several times: on a thread of its own, so that a city with many runs holds up nobody else.
async fn find(
    app: &AppData,
    reader: &Reader,
    search: MatchSearch,
    now: Instant,
) -> Result<(Matched, Good, Vec<index::Advice>), Error> {
    let (state, known) = (app.clone(), reader.0.clone());
    let find = move |is_whole: bool| {
        let viewer = known.viewer.as_ref().ok_or(Code::ProfileMissing)?;
        let tie = |run: &[u8; 16]| state.keyring.tie(viewer.id, run);
        let near = state.runs.near(viewer);
        let matched = near.matches(viewer, &MatchSearch { goes_on: is_whole && search.goes_on, ..search }, now, tie);
        let good = near.good(matched.reach_km, now, search.to);
        let advice = if is_whole { state.runs.advice(viewer, &search, &matched, now, tie) } else { Vec::new() };
        Ok((matched, good, advice))
    };
    let quick = find.clone()(false)?;
    if quick.0.fitting >= index::ENOUGH {
        return Ok(quick);
    }
    web::block(move || find(true)).await.map_err(|fault| Error::Internal(anyhow::Error::new(fault)))?
}

impl MatchQuery {
    fn asked(&self) -> Asked {
        Asked {
            from: self.from,
            to: self.to,
            limit: usize::try_from(self.limit.unwrap_or(20)).unwrap_or(20),
            include_full: self.include_full.unwrap_or(false),
            include_mine: self.include_mine.unwrap_or(false),
            include_overlapping: self.include_overlapping.unwrap_or(false),
            include_any_pace: self.include_any_pace.unwrap_or(false),
        }
    }
}

/// An answer on its way into JSON, as [`Matches`] describes it; the cards are JSON already.
struct Answer<'a> {
    app: &'a AppData,
    viewer: &'a Viewer,
    search: &'a MatchSearch,
    now: Instant,
}

impl Answer<'_> {
    /// `cards` are those of the items, then those of the advice that has a first run; none for a run that is gone.
    fn in_json(
        &self,
        items: &[MatchedRun],
        advice: &[index::Advice],
        cards: &[Option<Arc<str>>],
    ) -> Result<Vec<u8>, Error> {
        let mut json = Vec::with_capacity(32 * 1024);
        json.extend_from_slice(b"{\"items\":[");
        let shown = items.iter().zip(cards).filter_map(|(item, card)| Some((item, card.as_deref()?)));
        for (at, (item, card)) in shown.enumerate() {
            json.extend_from_slice(if at == 0 { b"{\"run\":" } else { b",{\"run\":" });
            json.extend_from_slice(card.as_bytes());
            self.put_rest(item, &mut json)?;
        }
        json.extend_from_slice(b"],\"advice\":[");
        let mut firsts = cards.iter().skip(items.len());
        for (at, piece) in advice.iter().enumerate() {
            let first = piece.first.as_ref().and_then(|_| firsts.next()).and_then(Option::as_deref);
            json.extend_from_slice(if at == 0 { b"{\"drop\":" } else { b",{\"drop\":" });
            serde_json::to_writer(&mut json, &piece.drop)?;
            put(&mut json, "count", &piece.count)?;
            json.extend_from_slice(b",\"first\":");
            json.extend_from_slice(first.unwrap_or("null").as_bytes());
            put(&mut json, "text", &piece.text)?;
            json.push(b'}');
        }
        json.extend_from_slice(b"]}");
        Ok(json)
    }

    /// All of an item but the card.
    fn put_rest(&self, item: &MatchedRun, json: &mut Vec<u8>) -> Result<(), Error> {
        put(json, "fit", &item.fit)?;
        put(json, "outside_hours", &item.is_outside_hours)?;
        if let Some(id) = item.series {
            let dates = self.app.runs.other_dates(self.viewer, self.search, item, self.now);
            let next_dates = dates.into_iter().map(NextDate::from).collect();
            put(json, "series", &MatchedSeries { id, next_dates })?;
        }
        if let Some((signup_id, status)) = self.viewer.engagements.signup_for(item.found.id) {
            put(json, "viewer", &OwnSignup { signup_id, status })?;
        }
        json.push(b'}');
        Ok(())
    }
}

/// Puts a further member into an object that is being written.
fn put(json: &mut Vec<u8>, name: &str, value: &impl Serialize) -> Result<(), Error> {
    json.extend_from_slice(b",\"");
    json.extend_from_slice(name.as_bytes());
    json.extend_from_slice(b"\":");
    Ok(serde_json::to_writer(json, value)?)
}

impl From<SeriesDate> for NextDate {
    fn from(date: SeriesDate) -> Self {
        Self { run_id: date.run, starts_at: date.starts_at, local_start: date.local_start.to_string() }
    }
}

async fn explain(app: &AppData, me: Id, run: Id, search: MatchSearch, now: Instant) -> Result<Reply, Error> {
    let state = app.clone();
    let reply = app.db.read(move |conn| {
        let run = run_service::visible(conn, run, Some(me))?;
        let viewer = matching::viewer(conn, me, now)?;
        let explanation = matching::explain(conn, &viewer, &run, &search, &state.config.policy, now)?;
        Reply::ok(&Matches { items: Vec::new(), advice: Vec::new(), explanation: Some(explanation) })
    });
    reply.await
}
