//! People: a row becomes an account that waits for its owner, with a running profile, and on request one mail that
//! invites.
//!
//! Until the person accepts, a later import may correct the row; from then on their own word counts and nothing is
//! overwritten.

use serde_json::{Map, Value, json};

use super::{
    House, Taken,
    cells::{Cells, Kind},
    report::Outcome,
    sheet::Row,
};
use crate::{
    clock::Instant,
    domain::{
        account::{AccountStatus, normalise_email},
        email,
        link::LinkAction,
        moderation::ApplicationStatus,
        place::{Cell, snap_home},
        profile::{AccessNeed, RunningProfile},
    },
    error::Result,
    id::Id,
    service::{
        accounts::{self as service, DEFAULT_LOCALE},
        addresses, applications, profiles,
    },
    store::{
        Tx,
        accounts::{self, Account, Profile},
        blocks, facilitators, sessions,
    },
};

/// The columns of the file.
pub const COLUMNS: [&str; 17] = [
    "external_id",
    "email",
    "display_name",
    "locale",
    "activities",
    "comfortable_fastest_s_per_km",
    "comfortable_slowest_s_per_km",
    "walking_fastest_s_per_km",
    "walking_slowest_s_per_km",
    "home_lat",
    "home_lng",
    "travel_radius_km",
    "languages",
    "access_needs",
    "not_after_dark",
    "new_here",
    "facilitator",
];
/// Those that must be there.
pub const REQUIRED: [&str; 3] = ["external_id", "email", "display_name"];

/// Columns whose name is not that of the profile's field.
pub const POINTERS: [(&str, &str); 9] = [
    ("/comfortable_pace", "comfortable_fastest_s_per_km"),
    ("/comfortable_pace/fastest_s_per_km", "comfortable_fastest_s_per_km"),
    ("/comfortable_pace/slowest_s_per_km", "comfortable_slowest_s_per_km"),
    ("/walking_pace", "walking_fastest_s_per_km"),
    ("/walking_pace/fastest_s_per_km", "walking_fastest_s_per_km"),
    ("/walking_pace/slowest_s_per_km", "walking_slowest_s_per_km"),
    ("/home", "home_lat"),
    ("/home/lat", "home_lat"),
    ("/home/lng", "home_lng"),
];

/// What a row says, checked.
struct Said {
    email: String,
    display_name: String,
    /// None: the file has no such column.
    locale: Option<String>,
    facilitator: Option<bool>,
    profile: RunningProfile,
}

/// Brings one row in, and invites its person where that is asked for and was not done yet.
pub fn bring_in(tx: &mut Tx<'_>, house: &House<'_>, row: &Row, now: Instant) -> Result<Taken> {
    let mut cells = Cells::new(row);
    let key = cells.key();
    let there = match accounts::find_by_external_id(tx, key)?.filter(|_| !key.is_empty()) {
        Some(account) => Some(accounts::lock(tx, account.id)?.account().clone()),
        None => None,
    };
    let before = match &there {
        Some(account) => accounts::find_profile(tx, account.id)?,
        None => None,
    };
    let said = read(&mut cells, house, before.as_ref())?;
    if there.as_ref().is_none_or(|account| account.status == AccountStatus::Invited) {
        address_is_free(tx, &mut cells, house, there.as_ref())?;
    }
    let faults = std::mem::take(&mut cells.faults);
    let Some(said) = said else { return Err(faults.into()) };
    faults.none()?;
    let (id, outcome) = match there {
        None => (add(tx, house, key, &said, now)?, Outcome::New),
        Some(account) => (account.id, change(tx, house, (account, before), &said, now)?),
    };
    let was_invited = house.invite && service::invite_if_due(tx, id, house.addresses, now)?;
    Ok(Taken { outcome, was_invited })
}

fn read(cells: &mut Cells<'_>, house: &House<'_>, before: Option<&Profile>) -> Result<Option<Said>> {
    let email = cells.needed("email");
    let name = cells.needed("display_name");
    if !email.is_empty() {
        service::email_faults(&mut cells.faults, email);
    }
    if !name.is_empty() {
        service::display_name_faults(&mut cells.faults, name);
        if name.starts_with(['=', '+', '-', '@']) {
            cells.fault("display_name", "a spreadsheet would take this for a formula");
        }
    }
    let locale = cells.says("locale").then(|| cells.text("locale").unwrap_or(DEFAULT_LOCALE).to_owned());
    if locale.as_deref().is_some_and(|locale| !is_language_tag(locale)) {
        cells.fault("locale", "write a language tag such as en or pt-BR");
    }
    let facilitator = cells.yes_no("facilitator");
    let (profile, faults) =
        (house.read_profile)(profile_value(cells, before)?, before.map(profiles::words_of).as_ref())?;
    cells.faults.0.extend(faults);
    cells.add(profile.as_ref().map(|profile| profile.faults(true)).unwrap_or_default());
    Ok(profile.map(|profile| Said {
        email: normalise_email(email),
        display_name: service::tidy_name(name),
        locale,
        facilitator,
        profile,
    }))
}

/// As `PATCH /me` takes it.
fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let primary = parts.next().unwrap_or_default();
    text.len() <= 35
        && (2..=3).contains(&primary.len())
        && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The profile as `PUT /me/running-profile` would take it: what is there, overlaid with what the row says.
fn profile_value(cells: &mut Cells<'_>, before: Option<&Profile>) -> Result<Value> {
    let mut profile = match before {
        Some(before) => serde_json::to_value(input(before))?.as_object().cloned().unwrap_or_default(),
        None => Map::new(),
    };
    for (name, kind) in [
        ("activities", Kind::Words),
        ("travel_radius_km", Kind::Number),
        ("languages", Kind::Words),
        ("access_needs", Kind::Words),
        ("not_after_dark", Kind::YesNo),
        ("new_here", Kind::YesNo),
    ] {
        cells.set(&mut profile, name, name, kind);
    }
    // Whoever says nothing about it may be shown all three.
    profile.entry("activities").or_insert_with(|| json!(["walk", "run_walk", "run"]));
    let pace =
        |fastest, slowest| [("fastest_s_per_km", fastest, Kind::Pace), ("slowest_s_per_km", slowest, Kind::Pace)];
    let comfortable = pace("comfortable_fastest_s_per_km", "comfortable_slowest_s_per_km");
    cells.set_inside(&mut profile, "comfortable_pace", &comfortable);
    let walking = pace("walking_fastest_s_per_km", "walking_slowest_s_per_km");
    cells.set_inside(&mut profile, "walking_pace", &walking);
    let home = [("lat", "home_lat", Kind::Latitude), ("lng", "home_lng", Kind::Longitude)];
    cells.set_inside(&mut profile, "home", &home);
    Ok(Value::Object(profile))
}

/// A stored profile as its owner would say it, without the home, which nobody has.
fn input(profile: &Profile) -> RunningProfile {
    RunningProfile {
        activities: profile.activities.0.clone(),
        comfortable_pace: profile.comfortable_pace.as_ref().map(|pace| pace.0),
        walking_pace: profile.walking_pace.as_ref().map(|pace| pace.0),
        home: None,
        travel_radius_km: profile.travel_radius_km,
        availability: profile.availability.0.clone(),
        languages: profile.languages.0.clone(),
        access_needs: profile.access_needs.0.iter().cloned().map(AccessNeed).collect(),
        not_after_dark: profile.not_after_dark,
        new_here: profile.new_here,
        gentle_start: profile.gentle_start,
        talk_or_quiet: profile.talk_or_quiet,
    }
}

fn address_is_free(tx: &mut Tx<'_>, cells: &mut Cells<'_>, house: &House<'_>, there: Option<&Account>) -> Result<()> {
    let Some(email) = cells.text("email").and_then(|typed| email::parse(typed).ok()) else {
        return Ok(());
    };
    if let Some(other) = accounts::find_by_email(tx, &email)?.filter(|other| there.is_none_or(|me| me.id != other.id)) {
        let whose =
            other.external_id.map_or("somebody who is here already".to_owned(), |key| format!("external_id {key}"));
        cells.fault("email", format!("this is the address of {whose}"));
    }
    if addresses::is_banned(tx, &addresses::hashes(house.addresses, &email))? {
        cells.fault("email", "a decision keeps the owner of this address out");
    }
    Ok(())
}

fn add(tx: &mut Tx<'_>, house: &House<'_>, key: &str, said: &Said, now: Instant) -> Result<Id> {
    let account = Account {
        id: Id::random(),
        email: said.email.clone(),
        password_hash: None,
        display_name: said.display_name.clone(),
        status: AccountStatus::Invited,
        terms_version: None,
        terms_accepted_at: None,
        locale: said.locale.clone().unwrap_or_else(|| DEFAULT_LOCALE.to_owned()),
        time_zone: None,
        external_id: Some(key.to_owned()),
        reminders: true,
        created_at: now,
        updated_at: now,
        verified_at: None,
    };
    let hashes = addresses::hashes(house.addresses, &account.email);
    if !accounts::insert(tx, &account)? {
        let words = "somebody took this address or key at this very moment; import the file again";
        return Err(crate::domain::refusal::Fault::at("/email", "taken", words).into());
    }
    addresses::keep(tx, account.id, &hashes)?;
    blocks::link_address(tx, &hashes, account.id)?;
    if said.profile.home.is_some() {
        profiles::put(tx, account.id, &said.profile, house.cell_resolution, now)?;
    }
    if said.facilitator == Some(true) {
        applications::approve_imported(tx, account.id, now)?;
    }
    Ok(account.id)
}

fn change(
    tx: &mut Tx<'_>,
    house: &House<'_>,
    (mut account, before): (Account, Option<Profile>),
    said: &Said,
    now: Instant,
) -> Result<Outcome> {
    let approved = facilitators::find_in(tx, account.id, ApplicationStatus::Approved)?.is_some();
    let locale = said.locale.clone().unwrap_or_else(|| account.locale.clone());
    let same_address = account.email == said.email;
    let same_account = same_address && account.display_name == said.display_name && account.locale == locale;
    let same_profile = says_the_same(&said.profile, before.as_ref(), house.cell_resolution);
    let same_standing = said.facilitator.is_none_or(|facilitator| facilitator == approved);
    if same_account && same_profile && same_standing {
        return Ok(Outcome::Unchanged);
    }
    if account.status != AccountStatus::Invited {
        return Ok(Outcome::Kept);
    }
    if approved && !same_standing {
        let words = "this person was brought in as a facilitator; a moderator can revoke that";
        return Err(crate::domain::refusal::Fault::at("/facilitator", "approved", words).into());
    }
    if !same_address {
        moves_to(tx, house, &account, &said.email)?;
    }
    if !same_account {
        account.locale = locale;
        account.email.clone_from(&said.email);
        account.display_name.clone_from(&said.display_name);
        account.updated_at = now;
        accounts::update(tx, &account)?;
    }
    if !same_address {
        addresses::keep(tx, account.id, &addresses::hashes(house.addresses, &said.email))?;
        // Whoever has the old address must not be able to accept; the new one has to be invited.
        sessions::use_links_of(tx, account.id, LinkAction::Invitation, now)?;
    }
    if !same_profile {
        profiles::put(tx, account.id, &said.profile, house.cell_resolution, now)?;
    }
    if !same_standing {
        applications::approve_imported(tx, account.id, now)?;
    }
    Ok(Outcome::Changed)
}

/// Blocks of the old address are no longer about this person, and those of the new one are.
fn moves_to(tx: &mut Tx<'_>, house: &House<'_>, account: &Account, email: &str) -> Result<()> {
    let (old, new) = (addresses::hashes(house.addresses, &account.email), addresses::hashes(house.addresses, email));
    blocks::unlink_address(tx, &old, account.id)?;
    blocks::link_address(tx, &new, account.id)
}

/// Whether a row adds nothing to a profile. Without a home there is none to make.
fn says_the_same(said: &RunningProfile, before: Option<&Profile>, resolution: u8) -> bool {
    let Some(before) = before else { return said.home.is_none() };
    let cell: Option<Cell> = before.home_cell.parse().ok();
    let same_home = said.home.is_none_or(|home| snap_home(home, cell, resolution) == cell);
    same_home && RunningProfile { home: None, ..said.clone() } == input(before)
}
