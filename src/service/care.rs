//! "I would like someone to contact me": a promise of the installation, kept by those with welfare duty. Nobody is left
//! without an answer: the whole team hears of what nobody has taken, and then the person, with the help lines.

use serde_json::json;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        account::Role,
        after_run::{CARE_PERSON_HOURS, CARE_TEAM_HOURS, CareStatus},
        moderation::{Act, SanctionScope},
        refusal::Code,
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, impartiality, notices},
    store::{
        Conn, Tx, accounts, audit,
        care::{self, Wish},
        facilitators, moderation,
    },
};

/// Days after which a wish that has ended is forgotten.
pub const ENDED_KEPT_DAYS: i64 = 30;

/// Who has welfare duty now, but for the one who asks.
fn on_duty(conn: &mut Conn, but: Id, now: Instant) -> Result<Vec<Id>> {
    let mut duty = accounts::with_any_role(conn, &[Role::WelfareModerator])?;
    let out = moderation::kept_out(conn, &duty, SanctionScope::Site, now)?;
    duty.retain(|member| *member != but && !out.contains(member));
    Ok(duty)
}

/// Within how many hours somebody gets in touch with this person, where that can be promised.
pub fn offered(conn: &mut Conn, person: Id, policy: &Policy, now: Instant) -> Result<Option<i64>> {
    let Some(hours) = policy.care_hours else { return Ok(None) };
    let somebody = !on_duty(conn, person, now)?.is_empty();
    Ok(somebody.then_some(hours))
}

/// Takes a wish; one that stands already is given back.
///
/// # Errors
/// [`Code::CareNotOffered`] where nobody can promise it.
pub fn ask(tx: &mut Tx<'_>, person: Id, run: Id, policy: &Policy, now: Instant) -> Result<Wish> {
    if let Some(there) = care::open_of(tx, person)? {
        return Ok(there);
    }
    let duty = on_duty(tx, person, now)?;
    let hours = policy.care_hours.filter(|_| !duty.is_empty()).ok_or(Code::CareNotOffered)?;
    let wish = Wish {
        id: Id::at(now),
        account_id: person,
        run_id: Some(run),
        status: CareStatus::Open,
        asked_at: now,
        answer_by: now.plus_hours(hours),
        taken_by: None,
        taken_at: None,
        team_told_at: None,
        person_told_at: None,
        ended_at: None,
    };
    care::insert(tx, &wish)?;
    for member in duty {
        notices::of_act(tx, person, member, Notice::CareAsked { wish_id: wish.id, overdue: false }, now)?;
    }
    Ok(wish)
}

/// Takes one's wish back, if there is one; gives what then stands, which is nothing.
pub fn withdraw(tx: &mut Tx<'_>, person: Id, now: Instant) -> Result<Option<Wish>> {
    if let Some(mut wish) = care::open_of(tx, person)? {
        (wish.status, wish.ended_at) = (CareStatus::Withdrawn, Some(now));
        care::update(tx, &wish)?;
    }
    Ok(None)
}

/// Whether a member of the team sees a wish: those with welfare duty, whoever has taken it, and everybody once nobody has
/// taken it for a day; never one's own.
pub fn is_seen_by(conn: &mut Conn, wish: &Wish, moderator: Id, now: Instant) -> Result<bool> {
    if wish.account_id == moderator || is_party(conn, wish, moderator, now)? {
        return Ok(false);
    }
    Ok(is_late(wish, now)
        || wish.taken_by == Some(moderator)
        || accounts::roles(conn, moderator)?.contains(&Role::WelfareModerator))
}

/// Whether a member of the team leads the run that it came from, or has something open with the person, while somebody
/// else can take it.
fn is_party(conn: &mut Conn, wish: &Wish, moderator: Id, now: Instant) -> Result<bool> {
    let leads_it = match wish.run_id {
        Some(run) => facilitators::find_listing(conn, run, moderator)?.is_some(),
        None => false,
    };
    if !leads_it && !impartiality::stands_between(conn, moderator, wish.account_id)? {
        return Ok(false);
    }
    let mut others = on_duty(conn, moderator, now)?;
    if is_late(wish, now) {
        others.extend(callers::rest_of_the_team(conn, moderator, now)?);
    }
    for other in others.into_iter().filter(|other| *other != wish.account_id) {
        let leads_it = wish.run_id.map(|run| facilitators::find_listing(conn, run, other)).transpose()?.flatten();
        if leads_it.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether nobody has taken a wish for a day: then it is for the whole team.
fn is_late(wish: &Wish, now: Instant) -> bool {
    wish.status == CareStatus::Open && wish.asked_at.plus_hours(CARE_TEAM_HOURS) <= now
}

/// Reads a wish that a moderator sees, under its person's lock.
///
/// # Errors
/// Not found for whoever does not see it, as for a wish that does not exist.
pub fn seen(tx: &mut Tx<'_>, moderator: Id, wish: Id, now: Instant) -> Result<Wish> {
    let found = care::find(tx, wish)?.ok_or(Error::NotFound)?;
    accounts::lock(tx, found.account_id)?;
    callers::still_moderates(tx, moderator, now)?;
    let wish = care::find(tx, wish)?.ok_or(Error::NotFound)?;
    if is_seen_by(tx, &wish, moderator, now)? { Ok(wish) } else { Err(Error::NotFound) }
}

/// Takes a wish on; from then on it says how to reach the person. One that somebody has who moderates no more can be taken
/// again.
///
/// # Errors
/// [`Code::CareTaken`] when somebody was faster, [`Code::CareEnded`].
pub fn take(tx: &mut Tx<'_>, moderator: Id, wish: Id, now: Instant) -> Result<Wish> {
    let mut wish = seen(tx, moderator, wish, now)?;
    if wish.ended_at.is_some() {
        return Err(Code::CareEnded.into());
    }
    match wish.taken_by {
        Some(taker) if taker == moderator => return Ok(wish),
        Some(taker) if still_there(tx, taker, now)? => return Err(Code::CareTaken.into()),
        _ => {}
    }
    (wish.status, wish.taken_by, wish.taken_at) = (CareStatus::Taken, Some(moderator), Some(now));
    care::update(tx, &wish)?;
    record(tx, Act::CareTaken, moderator, &wish, now)?;
    Ok(wish)
}

fn still_there(conn: &mut Conn, taker: Id, now: Instant) -> Result<bool> {
    let moderates = !accounts::roles(conn, taker)?.is_empty();
    Ok(moderates && moderation::keeping_out(conn, taker, now)?.is_empty())
}

/// Says that somebody has been in touch.
///
/// # Errors
/// [`Code::CareEnded`] when it was said before or taken back.
pub fn done(tx: &mut Tx<'_>, moderator: Id, wish: Id, now: Instant) -> Result<Wish> {
    let mut wish = seen(tx, moderator, wish, now)?;
    if wish.ended_at.is_some() {
        return Err(Code::CareEnded.into());
    }
    if wish.taken_by.is_none() {
        (wish.taken_by, wish.taken_at) = (Some(moderator), Some(now));
    }
    (wish.status, wish.ended_at) = (CareStatus::Done, Some(now));
    care::update(tx, &wish)?;
    record(tx, Act::CareDone, moderator, &wish, now)?;
    Ok(wish)
}

/// Wishes of which the team, or the person, has yet to hear that nobody has taken them, and those whose taker is gone.
pub fn to_look_at(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    let mut due = care::overdue(conn, now.plus_hours(-CARE_TEAM_HOURS), now.plus_hours(-CARE_PERSON_HOURS))?;
    for wish in care::taken(conn)? {
        if wish.taken_by.map_or(Ok(false), |taker| still_there(conn, taker, now))? {
            continue;
        }
        due.push(wish.id);
    }
    Ok(due)
}

/// Tells the whole team after a day, and after two the person, that nobody has taken a wish; each once. One that somebody
/// has who is gone is open again.
pub fn look(tx: &mut Tx<'_>, wish: Id, now: Instant) -> Result<bool> {
    let Some(found) = care::find(tx, wish)? else { return Ok(false) };
    accounts::lock(tx, found.account_id)?;
    let Some(mut wish) = care::find(tx, wish)?.filter(|wish| wish.ended_at.is_none()) else {
        return Ok(false);
    };
    let mut acted = false;
    if let Some(taker) = wish.taken_by {
        if still_there(tx, taker, now)? {
            return Ok(false);
        }
        // Whoever took it and is gone leaves it to the others, who hear of it.
        (wish.status, wish.taken_by, wish.taken_at) = (CareStatus::Open, None, None);
        (wish.team_told_at, acted) = (None, true);
    }
    if wish.team_told_at.is_none() && wish.asked_at.plus_hours(CARE_TEAM_HOURS) <= now {
        for member in callers::rest_of_the_team(tx, wish.account_id, now)? {
            notices::to_person(tx, member, Notice::CareAsked { wish_id: wish.id, overdue: true }, now)?;
        }
        (wish.team_told_at, acted) = (Some(now), true);
    }
    if wish.person_told_at.is_none() && wish.asked_at.plus_hours(CARE_PERSON_HOURS) <= now {
        notices::to_person(tx, wish.account_id, Notice::CareLate { wish_id: wish.id }, now)?;
        (wish.person_told_at, acted) = (Some(now), true);
    }
    if acted {
        care::update(tx, &wish)?;
    }
    Ok(acted)
}

fn record(tx: &mut Tx<'_>, act: Act, moderator: Id, wish: &Wish, now: Instant) -> Result<()> {
    let about = json!({ "wish_id": wish.id });
    let deed =
        audit::AuditEvent { act, actor: Some(moderator), subject: Some(wish.account_id), run: wish.run_id, about };
    audit::record(tx, deed, now)
}
