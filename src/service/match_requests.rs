//! Match requests: made, kept, taken back, and ended by time or by a decision.
//!
//! An area becomes its cell before anything else happens. Which cells somebody named lately counts also when the request
//! is gone, so that making and taking back tells no more than one home would.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        availability::Window,
        match_request::{AREA_KNOWN_DAYS, AlertChoice, NewMatchRequest, another_area_from, snap_area},
        matching::{Person, Viewer},
        moderation::SanctionKind,
        pace::{Activity, PaceBand},
        place::{Cell, LatLng},
        profile::AccessNeed,
        refusal::{Code, Fault, Refusal},
        run::LanguageTag,
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, matching},
    store::{
        Conn, Tx, accounts, alerts,
        match_requests::{self, MatchRequest},
        moderation::{self, Sanction},
        outbox::{self, Promise},
        overlaps, signups,
        sql_types::Json,
    },
};

/// A match request as its owner sees it. What is null is the running profile's of the moment.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MatchRequestView {
    pub id: Id,
    /// The H3 cell that stands for the area; the point itself is not kept.
    pub area_cell: Option<Cell>,
    /// The cell's centre.
    pub area_centre: Option<LatLng>,
    pub travel_radius_km: Option<f64>,
    pub activities: Option<Vec<Activity>>,
    pub comfortable_pace: Option<PaceBand>,
    pub walking_pace: Option<PaceBand>,
    pub availability: Option<Vec<Window>>,
    pub languages: Option<Vec<LanguageTag>>,
    pub access_needs: Option<Vec<AccessNeed>>,
    pub not_after_dark: Option<bool>,
    pub gentle_start: Option<bool>,
    pub created_at: Instant,
    /// When it ends, unless its owner keeps it by the link in the mail that comes some days before.
    pub expires_at: Instant,
}

impl From<MatchRequest> for MatchRequestView {
    fn from(request: MatchRequest) -> Self {
        let wish = request.wish.0;
        Self {
            id: request.id,
            area_cell: wish.area,
            area_centre: wish.area.map(|cell| cell.centre()),
            travel_radius_km: wish.travel_radius_km,
            activities: wish.activities,
            comfortable_pace: wish.comfortable_pace,
            walking_pace: wish.walking_pace,
            availability: wish.availability,
            languages: wish.languages,
            access_needs: wish.access_needs,
            not_after_dark: wish.not_after_dark,
            gentle_start: wish.gentle_start,
            created_at: request.created_at,
            expires_at: request.expires_at,
        }
    }
}

/// Makes a request.
///
/// # Errors
/// [`Code::ProfileMissing`] when neither it nor a profile says where, [`Code::TooManyMatchRequests`], and
/// [`Code::HomeChangedRecently`] with `until` when it names one new area too many this week.
pub fn make(
    tx: &mut Tx<'_>,
    account: Id,
    input: &NewMatchRequest,
    policy: &Policy,
    cell_resolution: u8,
    now: Instant,
) -> Result<MatchRequest> {
    accounts::lock(tx, account)?;
    callers::ensure_active(tx, account, now)?;
    let home = accounts::find_profile(tx, account)?.map(|profile| profile.home_cell);
    let named = match_requests::areas_of(tx, account)?;
    let area = match input.area {
        Some(point) => {
            let known: Vec<Cell> =
                home.iter().chain(named.iter().map(|(cell, _)| cell)).filter_map(|cell| cell.parse().ok()).collect();
            let none = || Fault::at("/area", "invalid", "there is no such point");
            Some(snap_area(point, &known, cell_resolution).ok_or_else(none)?)
        }
        None => None,
    };
    if area.is_none() && home.is_none() {
        let words = "Say where: give an `area`, or a home area in PUT /v1/me/running-profile.";
        return Err(Refusal::from(Code::ProfileMissing).because(words).with("missing", ["area"]).into());
    }
    let standing = match_requests::standing_of(tx, account, None, policy.match_requests_each, now)?.len();
    if i64::try_from(standing).unwrap_or(i64::MAX) >= policy.match_requests_each {
        return Err(Refusal::from(Code::TooManyMatchRequests).with("most", policy.match_requests_each).into());
    }
    if let Some(cell) = area.map(|cell| cell.to_string()).filter(|cell| home.as_ref() != Some(cell)) {
        name_area(tx, account, &cell, &named, now)?;
    }
    let request = MatchRequest {
        id: Id::at(now),
        account_id: account,
        wish: Json(input.wish(area)),
        created_at: now,
        expires_at: now.plus_days(policy.match_request_days),
        warned_at: None,
    };
    match_requests::insert(tx, &request)?;
    Ok(request)
}

fn name_area(tx: &mut Tx<'_>, account: Id, cell: &str, named: &[(String, Instant)], now: Instant) -> Result<()> {
    if !named.iter().any(|(known, _)| known == cell) {
        let since: Vec<Instant> = named.iter().map(|(_, first)| *first).collect();
        if let Some(until) = another_area_from(&since, now) {
            return Err(Refusal::from(Code::HomeChangedRecently).with("until", until).into());
        }
    }
    match_requests::note_area(tx, account, cell, now)
}

/// Takes one of one's own requests back.
///
/// # Errors
/// Not found when it is not this person's.
pub fn take_back(tx: &mut Tx<'_>, account: Id, request: Id) -> Result<()> {
    own(tx, account, request)?;
    match_requests::delete(tx, request)?;
    Ok(())
}

/// Lets a request stand as long again, from now.
///
/// # Errors
/// Not found when it is not this person's or has ended.
pub fn keep(tx: &mut Tx<'_>, account: Id, request: Id, policy: &Policy, now: Instant) -> Result<MatchRequest> {
    accounts::lock(tx, account)?;
    let mut request = own(tx, account, request)?;
    if request.expires_at <= now {
        return Err(Error::NotFound);
    }
    request.expires_at = now.plus_days(policy.match_request_days);
    request.warned_at = None;
    match_requests::update(tx, &request)?;
    Ok(request)
}

/// One of this person's requests.
///
/// # Errors
/// Not found when it is not this person's.
pub fn own(conn: &mut Conn, account: Id, request: Id) -> Result<MatchRequest> {
    find_own(conn, account, request)?.ok_or(Error::NotFound)
}

/// One of this person's requests, if it is there.
pub fn find_own(conn: &mut Conn, account: Id, request: Id) -> Result<Option<MatchRequest>> {
    Ok(match_requests::find(conn, request)?.filter(|found| found.account_id == account))
}

/// What a decision about somebody does to their requests: they end with a suspension or a ban, and rest during a hold,
/// which is no finding.
pub fn end_or_rest(tx: &mut Tx<'_>, sanction: &Sanction) -> Result<()> {
    match sanction.kind {
        SanctionKind::Suspension | SanctionKind::Ban => match_requests::delete_of(tx, sanction.account_id)?,
        // The word that a request ends was taken back with all other mail, or could not be heeded: it comes after the hold.
        SanctionKind::Hold => match_requests::forget_warnings(tx, sanction.account_id)?,
        SanctionKind::Warning => {}
    }
    // What was found and not told yet is found anew when they are back.
    alerts::forget_untold(tx, sanction.account_id)?;
    alerts::no_mail_waits(tx, Some(sanction.account_id))
}

/// Tells somebody that a request ends soon, once for each end; says whether it did.
pub fn warn(tx: &mut Tx<'_>, request: Id, now: Instant) -> Result<bool> {
    let Some(found) = match_requests::find(tx, request)? else { return Ok(false) };
    accounts::lock(tx, found.account_id)?;
    let untold = |request: &MatchRequest| request.warned_at.is_none() && request.expires_at > now;
    match match_requests::find(tx, request)?.filter(untold) {
        Some(request) => give_word(tx, request, now),
        None => Ok(false),
    }
}

/// Promises the word that a request ends, to whoever is not kept out; what keeps them out may be over before the request.
fn give_word(tx: &mut Tx<'_>, mut request: MatchRequest, now: Instant) -> Result<bool> {
    if !moderation::keeping_out(tx, request.account_id, now)?.is_empty() {
        return Ok(false);
    }
    request.warned_at = Some(now);
    match_requests::update(tx, &request)?;
    let notice = Notice::MatchRequestEnds { request_id: request.id, expires_at: request.expires_at };
    outbox::promise(tx, Promise::new(request.account_id, notice), now)
}

/// Ends a request whose time is over; says whether anything was done. None ends without a word: where there was none, it
/// stands some days longer and the word is given, and it rests while a decision keeps its owner out.
pub fn end(tx: &mut Tx<'_>, request: Id, policy: &Policy, now: Instant) -> Result<bool> {
    let Some(found) = match_requests::find(tx, request)? else { return Ok(false) };
    accounts::lock(tx, found.account_id)?;
    let is_over = |request: &MatchRequest| request.expires_at <= now;
    let Some(mut request) = match_requests::find(tx, request)?.filter(is_over) else { return Ok(false) };
    if request.warned_at.is_some() {
        return match_requests::delete(tx, request.id);
    }
    request.expires_at = now.plus_days(policy.match_request_notice_days);
    give_word(tx, request, now)
}

/// Forgets areas that nobody named for long, and who was told of runs that are over: both say where somebody was.
pub fn forget(tx: &mut Tx<'_>, now: Instant) -> Result<usize> {
    Ok(match_requests::forget_areas(tx, now.plus_days(-AREA_KNOWN_DAYS))?
        + alerts::forget_over(tx, now.plus_days(-TOLD_KEPT_DAYS))?)
}

/// Days after a run for which it is known who was told of it.
const TOLD_KEPT_DAYS: i64 = 14;

/// Says how often somebody wants to be told of what their requests find.
pub fn choose(tx: &mut Tx<'_>, account: Id, choice: AlertChoice) -> Result<()> {
    accounts::lock(tx, account)?;
    let mut state = alerts::state(tx, account)?;
    state.choice = choice;
    alerts::put_state(tx, &state)
}

/// A person's side of matching under each of their standing requests.
pub fn viewers(conn: &mut Conn, account: Id, policy: &Policy, now: Instant) -> Result<Vec<(MatchRequest, Viewer)>> {
    let standing = match_requests::standing_of(conn, account, None, policy.match_requests_each.max(100), now)?;
    if standing.is_empty() {
        return Ok(Vec::new());
    }
    let profile = accounts::find_profile(conn, account)?.as_ref().map(matching::person_of).transpose()?;
    let closed = matching::closed_to(conn, account, now)?;
    let known: std::collections::BTreeSet<Id> = signups::known_facilitators(conn, account)?.into_iter().collect();
    let engagements = overlaps::engagements_of(conn, account, now)?;
    let viewer = |person: Person| Viewer {
        id: account,
        person,
        known: known.clone(),
        closed: closed.clone(),
        engagements: engagements.clone(),
    };
    let with_side = |request: MatchRequest| {
        let person = request.wish.person(profile.as_ref())?;
        Some((request, viewer(person)))
    };
    Ok(standing.into_iter().filter_map(with_side).collect())
}
