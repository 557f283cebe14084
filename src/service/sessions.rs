//! Log-ins: a session, kept alive by single-use refresh tokens of which only hashes are stored.
//!
//! Passwords are checked by the caller, outside the transaction; here it is made sure that what was checked still holds.

use crate::{
    auth::{Scope, tokens},
    clock::Instant,
    config::Policy,
    domain::{account::AccountStatus, refusal::Code},
    error::Result,
    id::Id,
    store::{
        Conn, Tx, accounts, moderation,
        sessions::{self, RefreshToken, Session},
    },
};

/// A session with the refresh token that keeps it alive. The token is a secret and is told once.
pub struct Opened {
    pub account: Id,
    pub session: Id,
    pub scope: Scope,
    pub refresh_token: String,
}

/// What came of a refresh token. Refusing one may end its session, which has to be committed, so it is no error here.
pub enum Refreshed {
    Again(Opened),
    /// To be answered with [`Code::RefreshTokenInvalid`].
    Refused,
}

/// A password hash that was found to fit, and the one to keep instead when today's hashes cost more.
#[derive(Debug, Clone)]
pub struct Checked {
    pub account: Id,
    pub hash: String,
    pub rehashed: Option<String>,
}

/// Opens a session for somebody whose password was right.
///
/// # Errors
/// [`Code::EmailNotVerified`] before the link in the mail was opened; [`Code::CredentialsWrong`] when the password was
/// changed while it was checked.
pub fn log_in(tx: &mut Tx<'_>, checked: &Checked, policy: &Policy, now: Instant) -> Result<Opened> {
    let locked = accounts::lock(tx, checked.account)?;
    let account = locked.account();
    if account.password_hash.as_deref() != Some(checked.hash.as_str()) {
        return Err(Code::CredentialsWrong.into());
    }
    match account.status {
        AccountStatus::Active => {}
        AccountStatus::Unverified => return Err(Code::EmailNotVerified.into()),
        AccountStatus::Invited => return Err(Code::CredentialsWrong.into()),
    }
    if let Some(rehashed) = &checked.rehashed {
        let mut account = account.clone();
        account.password_hash = Some(rehashed.clone());
        accounts::update(tx, &account)?;
    }
    let session = Session {
        id: Id::at(now),
        account_id: account.id,
        created_at: now,
        last_used_at: now,
        expires_at: now.plus_days(policy.session_days),
        ended_at: None,
    };
    sessions::insert(tx, &session)?;
    open(tx, &session, now)
}

/// Takes a refresh token for a new one. Each counts once: a second use means that one of the two was not the owner's, so
/// it ends the session.
pub fn refresh(tx: &mut Tx<'_>, token: &str, policy: &Policy, now: Instant) -> Result<Refreshed> {
    let hash = tokens::hash_token(token);
    let Some((_, session)) = sessions::find_refresh(tx, &hash)? else { return Ok(Refreshed::Refused) };
    if !sessions::use_refresh(tx, &hash, now)? {
        sessions::end(tx, session.account_id, session.id, now)?;
        return Ok(Refreshed::Refused);
    }
    let active = accounts::get(tx, session.account_id)?.status == AccountStatus::Active;
    if !active || !session.is_alive(now) {
        return Ok(Refreshed::Refused);
    }
    sessions::touch(tx, session.id, now, now.plus_days(policy.session_days))?;
    Ok(Refreshed::Again(open(tx, &session, now)?))
}

fn open(tx: &mut Tx<'_>, session: &Session, now: Instant) -> Result<Opened> {
    let (refresh_token, hash) = tokens::new_refresh_token();
    sessions::insert_refresh(tx, &RefreshToken { hash, session_id: session.id, issued_at: now, used_at: None })?;
    let scope = scope(tx, session.account_id, now)?;
    Ok(Opened { account: session.account_id, session: session.id, scope, refresh_token })
}

/// What a session is good for: whom a decision keeps out may read it and object, nothing else.
fn scope(conn: &mut Conn, account: Id, now: Instant) -> Result<Scope> {
    let kept_out = !moderation::keeping_out(conn, account, now)?.is_empty();
    Ok(if kept_out { Scope::Appeal } else { Scope::Full })
}
