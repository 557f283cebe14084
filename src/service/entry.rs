//! Who may come into a run, in any role and by any way: the one place where bars, blocks, decisions and what ended
//! between a person and a run are asked. Whatever seats, offers, lists or checks in somebody asks here, under the run's
//! lock.

use crate::{
    clock::Instant,
    domain::{moderation::SanctionScope, refusal::Code},
    error::Result,
    id::Id,
    service::callers::ActiveAccount,
    store::{
        Conn, blocks, facilitators, moderation,
        runs::Run,
        signups::{self, Signup},
    },
};

/// Whether something stands between this person and this run: a decision, a bar by one of its facilitators, a removal,
/// or a block between them and somebody who is in.
pub fn is_closed_to(conn: &mut Conn, person: Id, run: Id, now: Instant) -> Result<bool> {
    if moderation::kept_out(conn, &[person], SanctionScope::Site, now)?.contains(&person) {
        return Ok(true);
    }
    let earlier = signups::of_person_in_run(conn, person, run)?;
    is_excluded(conn, person, run, &earlier, now)
}

fn is_excluded(conn: &mut Conn, person: Id, run: Id, earlier: &[Signup], now: Instant) -> Result<bool> {
    let has_ended = earlier.iter().any(Signup::is_closed);
    Ok(has_ended || moderation::is_barred_from(conn, person, run, now)? || blocks::stand_between(conn, person, run)?)
}

/// Lets somebody in, or says the one thing that is said to all who may not come.
///
/// # Errors
/// [`Code::RunNotOpenToYou`], whatever the cause.
pub fn may_come(conn: &mut Conn, person: Id, run: Id, now: Instant) -> Result<()> {
    if is_closed_to(conn, person, run, now)? { Err(Code::RunNotOpenToYou.into()) } else { Ok(()) }
}

/// [`may_come`] for somebody who acts themselves: `active` says that no decision keeps them out, as it was read under the
/// lock of their account, and `earlier` holds all their sign-ups in this run.
///
/// # Errors
/// [`Code::RunNotOpenToYou`], whatever the cause.
pub fn active_may_come(
    conn: &mut Conn,
    active: &ActiveAccount,
    run: Id,
    earlier: &[Signup],
    now: Instant,
) -> Result<()> {
    let closed = is_excluded(conn, active.person(), run, earlier, now)?;
    if closed { Err(Code::RunNotOpenToYou.into()) } else { Ok(()) }
}

/// Whether a person has not run with this group: neither on an earlier date of the series nor with one of those who lead.
pub fn is_new_to_group(conn: &mut Conn, person: Id, run: &Run) -> Result<bool> {
    if run.newcomer_places.unwrap_or(0) == 0 {
        // Nobody asks: no place is kept.
        return Ok(true);
    }
    if let Some(series) = run.series_id
        && signups::has_been_in_series(conn, person, series)?
    {
        return Ok(false);
    }
    let known = signups::known_facilitators(conn, person)?;
    let leaders = facilitators::listings(conn, &[run.id])?;
    Ok(!leaders.iter().any(|listing| known.contains(&listing.account_id)))
}
