//! Who asks for lists of runs: known from a look of seconds ago where nothing about them changed since, and the cards that
//! they see. Whatever writes, and every personal page, takes [`Caller`](super::extract::Caller), which reads afresh.

use std::{collections::HashMap, sync::Arc};

use actix_web::{FromRequest, HttpRequest, dev::Payload};

use super::{
    AppData, Problem,
    extract::{Access, Extracted, Participant, app, claims},
};
use crate::{
    app::App,
    clock::Instant,
    domain::{refusal::Code, run::RunStatus},
    error::{Error, Result},
    id::Id,
    index::{CachedCaller, Found},
    service::{callers, run_views},
    store::{Conn, runs},
};

/// A verified adult in good standing who reads lists.
pub struct Reader(pub Arc<CachedCaller>);

/// The same, or nobody: for lists that everybody sees.
pub struct MaybeReader(pub Option<Arc<CachedCaller>>);

impl FromRequest for Reader {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let known = know(&request).await?.ok_or(Code::NotLoggedIn)?;
            Ok(Self(known.map_err(|kept_out| Participant::admit(&kept_out).err().unwrap_or(Error::NotFound))?))
        })
    }
}

impl FromRequest for MaybeReader {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        // Whom a decision keeps out sees what everybody sees.
        Box::pin(async move { Ok(Self(know(&request).await?.and_then(std::result::Result::ok))) })
    }
}

/// Somebody in good standing, or the caller whom a decision keeps out; nobody without a token.
async fn know(
    request: &HttpRequest,
) -> std::result::Result<Option<std::result::Result<Arc<CachedCaller>, callers::Caller>>, Problem> {
    let app = app(request)?;
    app.db.own_changes().all_followed().await;
    let now = app.clock.now();
    let Some(claims) = claims(request, &app, now)? else { return Ok(None) };
    if let Some(known) = app.runs.callers.get(claims.account, claims.session, now) {
        return Ok(Some(Ok(known)));
    }
    let generation = app.runs.callers.generation(claims.account);
    let read = app.db.read(move |conn| {
        let caller = callers::identify(conn, claims.account, claims.session, now)?;
        if caller.kept_out.is_some() {
            return Ok(Err(caller));
        }
        Ok(Ok(Arc::new(CachedCaller::read(conn, &caller, now)?)))
    });
    let known = read.await?;
    if let Ok(known) = &known {
        app.runs.callers.put(generation, known.clone());
    }
    Ok(Some(known))
}

/// The cards of these runs as `reader` sees them, in JSON; none for a run that is no longer shown.
pub async fn cards(
    app: &AppData,
    found: &[Found],
    reader: Option<&CachedCaller>,
    now: Instant,
) -> Result<Vec<Option<Arc<str>>>> {
    let is_insider = |run: &Found| run.point_is_hidden && reader.is_some_and(|r| r.insider_of.contains(&run.id));
    let mut cards: Vec<Option<Arc<str>>> =
        found.iter().map(|run| if is_insider(run) { None } else { app.runs.cards.get(run) }).collect();
    let missing: Vec<Found> =
        found.iter().zip(&cards).filter(|(_, card)| card.is_none()).map(|(run, _)| run.clone()).collect();
    if missing.is_empty() {
        return Ok(cards);
    }
    let (own, open): (Vec<Found>, Vec<Found>) = missing.into_iter().partition(|run| is_insider(run));
    let (state, viewer) = (app.clone(), reader.map(|reader| reader.account));
    let read = app.db.read(move |conn| {
        let mut made = make(&state, conn, &open, None, now)?;
        for run in &open {
            if let Some(json) = made.get(&run.id) {
                state.runs.cards.put(run, json.clone());
            }
        }
        made.extend(make(&state, conn, &own, viewer, now)?);
        Ok(made)
    });
    let made = read.await?;
    for (run, card) in found.iter().zip(&mut cards) {
        if card.is_none() {
            *card = made.get(&run.id).cloned();
        }
    }
    Ok(cards)
}

fn make(
    app: &App,
    conn: &mut Conn,
    found: &[Found],
    viewer: Option<Id>,
    now: Instant,
) -> Result<HashMap<Id, Arc<str>>> {
    if found.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Id> = found.iter().map(|run| run.id).collect();
    let mut runs = runs::of_ids(conn, &ids)?;
    runs.retain(|run| run.status == RunStatus::Published);
    let facts = run_views::facts(conn, &runs, viewer, &app.config.policy, now)?;
    runs.iter().map(|run| Ok((run.id, serde_json::to_string(&facts.card(run))?.into()))).collect()
}
