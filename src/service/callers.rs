//! Who is asking: account, roles and decisions, read afresh at every request, so that a ban bites at the next one.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    clock::Instant,
    domain::{
        account::{AccountStatus, Role},
        moderation::{ApplicationStatus, SanctionScope},
        policy::{self, Accompanies, Leads, NotLeading},
        refusal::{Code, Refusal},
    },
    error::{Error, Result},
    id::Id,
    store::{Conn, Tx, accounts, facilitators, moderation, sessions},
};

/// Somebody with a living session.
#[derive(Debug, Clone)]
pub struct Caller {
    pub account: accounts::Account,
    pub session: Id,
    pub session_expires_at: Instant,
    pub roles: BTreeSet<Role>,
    /// The decision that keeps this person out of everything but reading it and objecting.
    pub kept_out: Option<moderation::Sanction>,
}

impl Caller {
    /// The account's id.
    pub fn id(&self) -> Id {
        self.account.id
    }

    /// Whether one may moderate.
    pub fn moderates(&self) -> bool {
        !self.roles.is_empty()
    }

    /// Whether one runs the installation.
    pub fn administers(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }
}

/// The caller behind a session.
///
/// # Errors
/// [`Code::SessionEnded`] when the session or the account is gone.
pub fn identify(conn: &mut Conn, account: Id, session: Id, now: Instant) -> Result<Caller> {
    let found = sessions::find_with_account(conn, session)?;
    let living = found.filter(|(session, owner)| {
        session.account_id == account && session.is_alive(now) && owner.status == AccountStatus::Active
    });
    let Some((alive, account)) = living else { return Err(Code::SessionEnded.into()) };
    let roles = accounts::roles(conn, account.id)?;
    let kept_out = moderation::keeping_out(conn, account.id, now)?.into_iter().next();
    Ok(Caller { account, session, session_expires_at: alive.expires_at, roles, kept_out })
}

/// Refuses somebody whom a decision keeps out, and says what, why, until when and how to object.
pub fn not_kept_out(sanction: Option<&moderation::Sanction>) -> Result<()> {
    match sanction {
        None => Ok(()),
        Some(sanction) => Err(restricted(sanction).into()),
    }
}

fn restricted(sanction: &moderation::Sanction) -> Refusal {
    Refusal::from(Code::AccountRestricted)
        .because(format!("Decision about your account: {}.", sanction.kind.in_words(sanction.scope)))
        .with(
            "decision",
            json!({
                "id": sanction.id,
                "kind": sanction.kind,
                "scope": sanction.scope,
                "rule": sanction.rule,
                "statement": sanction.statement_while_it_stands(),
                "until": sanction.expires_at,
                "appeal": "/v1/appeals",
            }),
        )
}

/// Refuses an account that a decision keeps out, read inside the transaction: the request may have raced with the decision.
pub fn ensure_active(conn: &mut Conn, account: Id, now: Instant) -> Result<()> {
    not_kept_out(moderation::keeping_out(conn, account, now)?.first())
}

/// Proof that no decision keeps an account out. The transaction holds its lock, so that none is made meanwhile.
#[derive(Debug)]
pub struct ActiveAccount {
    person: Id,
}

impl ActiveAccount {
    /// The account that is held.
    pub fn person(&self) -> Id {
        self.person
    }
}

/// Locks a person and reads, under that lock, that no decision keeps them out.
///
/// # Errors
/// [`Code::AccountRestricted`] with the decision.
pub fn lock_active(tx: &mut Tx<'_>, account: Id, now: Instant) -> Result<ActiveAccount> {
    accounts::lock(tx, account)?;
    ensure_active(tx, account, now)?;
    Ok(ActiveAccount { person: account })
}

/// Reads again, inside the transaction, that somebody may moderate and that no decision keeps them out.
pub fn still_moderates(conn: &mut Conn, account: Id, now: Instant) -> Result<()> {
    ensure_active(conn, account, now)?;
    if accounts::roles(conn, account)?.is_empty() { Err(Code::ModeratorsOnly.into()) } else { Ok(()) }
}

/// Who of the team can decide things now, but for one.
pub fn rest_of_the_team(conn: &mut Conn, but: Id, now: Instant) -> Result<Vec<Id>> {
    let mut team = accounts::with_any_role(conn, &[Role::Moderator, Role::WelfareModerator, Role::Admin])?;
    let out = moderation::kept_out(conn, &team, SanctionScope::Site, now)?;
    team.retain(|member| *member != but && !out.contains(member));
    Ok(team)
}

/// Proof that an account leads a run.
///
/// # Errors
/// Not found when it does not: other facilitators' runs have no inside for it. [`Code::LeadersOnly`] for a back marker.
pub fn leads(conn: &mut Conn, account: Id, run: Id, now: Instant) -> Result<Leads> {
    let listing = facilitators::find_listing(conn, run, account)?.map(|listing| (listing.status, listing.role));
    let good = facilitators::in_good_standing(conn, &[account], now)?.contains(&account);
    policy::leads(account, run, listing, good).map_err(not_leading)
}

/// Proof that an account leads a run or is its back marker: enough to see who comes and to check people in.
///
/// # Errors
/// Not found when it is neither.
pub fn accompanies(conn: &mut Conn, account: Id, run: Id, now: Instant) -> Result<Accompanies> {
    let listing = facilitators::find_listing(conn, run, account)?.map(|listing| listing.status);
    let good = facilitators::in_good_standing(conn, &[account], now)?.contains(&account);
    policy::accompanies(account, run, listing, good).map_err(not_leading)
}

fn not_leading(why: NotLeading) -> Error {
    match why {
        NotLeading::NotListed => Error::NotFound,
        NotLeading::NotInGoodStanding => Code::NotInGoodStanding.into(),
        NotLeading::BackMarkerOnly => Code::LeadersOnly.into(),
    }
}

/// Refuses whoever may not lead runs at present.
pub fn in_good_standing(conn: &mut Conn, account: Id, now: Instant) -> Result<()> {
    if facilitators::in_good_standing(conn, &[account], now)?.contains(&account) {
        return Ok(());
    }
    let approved = facilitators::find_in(conn, account, ApplicationStatus::Approved)?.is_some();
    Err(if approved { Code::NotInGoodStanding } else { Code::FacilitatorsOnly }.into())
}
