//! The running profile: how and where somebody likes to run.
//!
//! The home point becomes its cell before anything else happens; neither the store nor an answer ever holds it.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    domain::{
        availability::Window,
        pace::{Activity, PaceBand},
        place::{Cell, LatLng, snap_home},
        profile::{AccessNeed, HOME_CHANGES_A_WEEK, PACE_CHANGES_A_DAY, RunningProfile, TalkOrQuiet, note_change},
        refusal::{Code, Fault, Refusal},
        run::LanguageTag,
    },
    error::{Error, Result},
    id::Id,
    service::{
        after_run::{self, SuggestedPace},
        callers,
    },
    store::{
        Conn, Tx,
        accounts::{self, Profile},
        sql_types::Json,
    },
};

/// A running profile as its owner sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunningProfileView {
    pub activities: Vec<Activity>,
    /// The pace at which the person can chat; null is "not sure yet".
    pub comfortable_pace: Option<PaceBand>,
    pub walking_pace: Option<PaceBand>,
    /// The H3 cell that stands for the home; the point itself is not kept.
    pub home_cell: Cell,
    /// The cell's centre.
    pub home_centre: LatLng,
    pub travel_radius_km: f64,
    pub availability: Vec<Window>,
    pub languages: Vec<LanguageTag>,
    pub access_needs: Vec<AccessNeed>,
    pub not_after_dark: bool,
    pub new_here: bool,
    pub gentle_start: bool,
    pub talk_or_quiet: Option<TalkOrQuiet>,
    pub updated_at: Instant,
    /// A pace that the answers after runs suggest; never applied by itself.
    pub suggested_pace: Option<SuggestedPace>,
}

/// The running profile of an account.
///
/// # Errors
/// Not found before the first one was put.
pub fn get(conn: &mut Conn, account: Id) -> Result<RunningProfileView> {
    let profile = accounts::find_profile(conn, account)?.ok_or(Error::NotFound)?;
    view(profile, after_run::suggested(conn, account)?)
}

/// Writes the running profile. Home and paces may change a few times only, so that nobody is felt out by trying; to say
/// them for the first time is no change.
///
/// # Errors
/// [`Code::HomeChangedRecently`] and [`Code::PaceChangedRecently`] with `until`.
pub fn put(
    tx: &mut Tx<'_>,
    account: Id,
    input: &RunningProfile,
    cell_resolution: u8,
    now: Instant,
) -> Result<RunningProfileView> {
    accounts::lock(tx, account)?;
    callers::ensure_active(tx, account, now)?;
    let before = accounts::find_profile(tx, account)?;
    let home_before = before.as_ref().map(|profile| cell(&profile.home_cell)).transpose()?;
    let home = input.home.and_then(|point| snap_home(point, home_before, cell_resolution));
    let mut faults = input.faults(home_before.is_some());
    if input.home.is_some() && home.is_none() {
        faults.0.push(Fault::at("/home", "invalid", "there is no such point"));
    }
    faults.none()?;
    let home = home.or(home_before).ok_or_else(|| Error::Internal(anyhow::anyhow!("a profile without a home")))?;

    let (mut home_changes, mut pace_changes) = (Vec::new(), Vec::new());
    if let Some(before) = before {
        let paces_before = (before.comfortable_pace.map(|pace| pace.0), before.walking_pace.map(|pace| pace.0));
        let never_said = paces_before == (None, None) && before.pace_changes.is_empty();
        (home_changes, pace_changes) = (before.home_changes.0, before.pace_changes.0);
        if home_before != Some(home) {
            note_change(&mut home_changes, HOME_CHANGES_A_WEEK, 7 * 24, now)
                .map_err(|until| Refusal::from(Code::HomeChangedRecently).with("until", until))?;
        }
        if paces_before != (input.comfortable_pace, input.walking_pace) && !never_said {
            note_change(&mut pace_changes, PACE_CHANGES_A_DAY, 24, now)
                .map_err(|until| Refusal::from(Code::PaceChangedRecently).with("until", until))?;
        }
    }
    let profile = Profile {
        account_id: account,
        activities: Json(distinct(&input.activities)),
        comfortable_pace: input.comfortable_pace.map(Json),
        walking_pace: input.walking_pace.map(Json),
        home_cell: home.to_string(),
        home_changes: Json(home_changes),
        pace_changes: Json(pace_changes),
        travel_radius_km: input.travel_radius_km,
        availability: Json(input.availability.clone()),
        languages: Json(distinct(&input.languages)),
        access_needs: Json(distinct(&input.access_needs).into_iter().map(|need| need.0).collect()),
        not_after_dark: input.not_after_dark,
        new_here: input.new_here,
        gentle_start: input.gentle_start,
        updated_at: now,
        talk_or_quiet: input.talk_or_quiet,
    };
    accounts::put_profile(tx, &profile)?;
    view(profile, after_run::suggested(tx, account)?)
}

/// The words that a stored profile says about languages and access, as its owner sends them.
pub fn words_of(profile: &Profile) -> Value {
    json!({ "languages": profile.languages.0, "access_needs": profile.access_needs.0 })
}

fn view(profile: Profile, suggested_pace: Option<SuggestedPace>) -> Result<RunningProfileView> {
    let home_cell = cell(&profile.home_cell)?;
    Ok(RunningProfileView {
        activities: profile.activities.0,
        comfortable_pace: profile.comfortable_pace.map(|pace| pace.0),
        walking_pace: profile.walking_pace.map(|pace| pace.0),
        home_cell,
        home_centre: home_cell.centre(),
        travel_radius_km: profile.travel_radius_km,
        availability: profile.availability.0,
        languages: profile.languages.0,
        access_needs: profile.access_needs.0.into_iter().map(AccessNeed).collect(),
        not_after_dark: profile.not_after_dark,
        new_here: profile.new_here,
        gentle_start: profile.gentle_start,
        talk_or_quiet: profile.talk_or_quiet,
        updated_at: profile.updated_at,
        suggested_pace,
    })
}

fn cell(stored: &str) -> Result<Cell> {
    stored.parse().map_err(|_| Error::Internal(anyhow::anyhow!("a stored home cell is none")))
}

/// The same without repeats, in the order given.
fn distinct<T: Clone + PartialEq>(given: &[T]) -> Vec<T> {
    given.iter().enumerate().filter(|(at, one)| !given[..*at].contains(one)).map(|(_, one)| one.clone()).collect()
}
