//! All that follows from decisions about accounts, in the transaction that makes them: places given up and passed on, runs
//! paused, sessions ended, queued mail taken back, applications revoked, the decision mailed and logged.

use std::collections::BTreeSet;

use serde_json::json;

use super::record;
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        address,
        moderation::{AppealKind, ApplicationStatus, SanctionKind},
    },
    error::Result,
    id::Id,
    mail::{Notice, Touch},
    service::{match_requests, notices, places, runs::leading, signups as seats},
    store::{
        Tx, accounts, facilitators,
        moderation::{self, Sanction},
        outbox,
        runs::{self, RunLocked},
        sessions, signups,
    },
};

/// Keeps decisions about accounts that are locked, and does what they mean.
pub(super) fn carry_out(tx: &mut Tx<'_>, decisions: &[Sanction], policy: &Policy, now: Instant) -> Result<()> {
    // All of them first, so that no place goes from one account of a person to another.
    decisions.iter().try_for_each(|sanction| moderation::insert_sanction(tx, sanction))?;
    for taken in take_off_runs(tx, decisions, policy, now)? {
        let sanction = taken.sanction;
        if sanction.keeps_out_of_site() {
            close_account(tx, sanction, now)?;
        }
        if sanction.kind == SanctionKind::Ban {
            revoke_application(tx, sanction, now)?;
        }
        tell(tx, &taken, now)?;
    }
    Ok(())
}

fn close_account(tx: &mut Tx<'_>, sanction: &Sanction, now: Instant) -> Result<()> {
    sessions::end_all(tx, sanction.account_id, None, now)?;
    outbox::drop_queued(tx, sanction.account_id, now)?;
    match_requests::end_or_rest(tx, sanction)?;
    close_address(tx, sanction)
}

/// Lets no account be opened with another spelling of the address. A ban goes as far as every provider might; what ends by
/// itself, and is no finding, only where it is surely one mailbox.
fn close_address(tx: &mut Tx<'_>, sanction: &Sanction) -> Result<()> {
    let Some(hashes) = accounts::find_hashes(tx, sanction.account_id)? else { return Ok(()) };
    let email = accounts::get(tx, sanction.account_id)?.email;
    if sanction.kind == SanctionKind::Ban {
        moderation::ban_address(tx, &hashes.address, sanction.id)?;
    }
    if sanction.kind == SanctionKind::Ban || address::is_one_mailbox(&email) {
        moderation::ban_address(tx, &hashes.mailbox, sanction.id)?;
    }
    Ok(())
}

fn tell(tx: &mut Tx<'_>, taken: &Taken<'_>, now: Instant) -> Result<()> {
    let many = |runs: &[Id]| u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let sanction = taken.sanction;
    let notice =
        Notice::Decision { sanction_id: sanction.id, places_lost: many(&taken.gave_up), runs_paused: many(&taken.led) };
    notices::to_person(tx, sanction.account_id, notice, now)?;
    let consequences = json!({ "places_given_up": taken.gave_up, "runs_led": taken.led });
    record(tx, sanction.kind.act(), sanction.decided_by, sanction, consequences, now)
}

/// What a decision takes from somebody.
struct Taken<'a> {
    sanction: &'a Sanction,
    /// Runs to come on which they are.
    joined: Vec<Id>,
    /// Runs to come that they lead.
    led: Vec<Id>,
    gave_up: Vec<Id>,
}

impl<'a> Taken<'a> {
    fn read(tx: &mut Tx<'_>, sanction: &'a Sanction, now: Instant) -> Result<Self> {
        let (person, keeps_out) = (sanction.account_id, sanction.kind.keeps_out());
        let joined = if sanction.keeps_out_of_site() { signups::runs_with_live(tx, person, now)? } else { Vec::new() };
        let led = if keeps_out { runs::upcoming_led_by(tx, person, now)? } else { Vec::new() };
        Ok(Self { sanction, joined, led, gave_up: Vec::new() })
    }

    fn give_up(&mut self, tx: &mut Tx<'_>, locked: &RunLocked, now: Instant) -> Result<()> {
        let (run, because) = (locked.run.id, Some((AppealKind::Sanction, self.sanction.id)));
        if self.joined.contains(&run) && seats::give_up(tx, locked, self.sanction.account_id, because, now)? {
            self.gave_up.push(run);
        }
        Ok(())
    }
}

/// Takes people off everything to come, run by run in the order of their ids, each run once: runs they lead are paused when
/// nobody else leads them, places they hold are given up and passed on.
fn take_off_runs<'a>(
    tx: &mut Tx<'_>,
    decisions: &'a [Sanction],
    policy: &Policy,
    now: Instant,
) -> Result<Vec<Taken<'a>>> {
    let mut all = decisions.iter().map(|one| Taken::read(tx, one, now)).collect::<Result<Vec<_>>>()?;
    let touched: BTreeSet<Id> = all.iter().flat_map(|taken| taken.joined.iter().chain(&taken.led)).copied().collect();
    for run in touched {
        let mut locked = runs::lock(tx, run)?;
        all.iter_mut().try_for_each(|taken| taken.give_up(tx, &locked, now))?;
        let leader = all.iter().find(|taken| taken.led.contains(&run)).map(|taken| taken.sanction.account_id);
        if leader.is_some() {
            leading::pause_if_unled(tx, &mut locked, policy, now)?;
            // What this promises to others who are put out is dropped with their other mail.
            let notice = Notice::RunTouched { run_id: run, by: Touch::Hold };
            notices::to_facilitators(tx, run, leader, &notice, now)?;
        }
        places::settle(tx, &mut locked, policy, now)?;
    }
    Ok(all)
}

fn revoke_application(tx: &mut Tx<'_>, sanction: &Sanction, now: Instant) -> Result<()> {
    for (was, becomes) in [
        (ApplicationStatus::Approved, ApplicationStatus::Revoked),
        (ApplicationStatus::Pending, ApplicationStatus::Rejected),
    ] {
        let Some(mut application) = facilitators::find_in(tx, sanction.account_id, was)? else { continue };
        application.status = becomes;
        application.decided_by = sanction.decided_by;
        application.decided_at = Some(now);
        application.reason = Some(sanction.statement.clone());
        facilitators::update(tx, &application)?;
    }
    Ok(())
}
