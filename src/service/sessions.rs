//! Log-ins: a session, kept alive by single-use refresh tokens of which only hashes are stored.
//!
//! Passwords are checked by the caller, outside the transaction; here it is made sure that what was checked still holds.

use crate::{
    auth::{Keyring, Scope, tokens},
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

/// Seconds in which a used refresh token still gives its successor: the answer may have been lost, or two windows of one
/// client may have asked at once.
const REFRESH_RETRY_S: i64 = 10;

/// Takes a refresh token for the one that follows it. A used one gives the same successor for `REFRESH_RETRY_S`; after
/// that its use means that one of the two was not the owner's, so it ends the session.
pub fn refresh(tx: &mut Tx<'_>, token: &str, keys: &Keyring, policy: &Policy, now: Instant) -> Result<Refreshed> {
    let hash = tokens::hash_token(token);
    let first = sessions::use_refresh(tx, &hash, now)?;
    // Read after the attempt: whoever was faster is waited for there.
    let Some((used, session)) = sessions::find_refresh(tx, &hash)? else { return Ok(Refreshed::Refused) };
    let active = accounts::get(tx, session.account_id)?.status == AccountStatus::Active;
    let successor = if first {
        tokens::refresh_successors(keys, token).next()
    } else {
        let retried = used.used_at.is_some_and(|at| now <= at.plus_seconds(REFRESH_RETRY_S));
        let known = if retried { known_successor(tx, &session, token, keys)? } else { None };
        if known.is_none() {
            sessions::end(tx, session.account_id, session.id, now)?;
        }
        known
    };
    let Some((refresh_token, hash)) = successor.filter(|_| active && session.is_alive(now)) else {
        return Ok(Refreshed::Refused);
    };
    if first {
        sessions::touch(tx, session.id, now, now.plus_days(policy.session_days))?;
        sessions::insert_refresh(tx, &RefreshToken { hash, session_id: session.id, issued_at: now, used_at: None })?;
    }
    Ok(Refreshed::Again(opened(tx, &session, refresh_token, now)?))
}

/// The successor that was given for a used token, whichever key derived it.
fn known_successor(
    conn: &mut Conn,
    session: &Session,
    token: &str,
    keys: &Keyring,
) -> Result<Option<(String, String)>> {
    for (successor, hash) in tokens::refresh_successors(keys, token) {
        if sessions::find_refresh(conn, &hash)?.is_some_and(|(_, of)| of.id == session.id) {
            return Ok(Some((successor, hash)));
        }
    }
    Ok(None)
}

fn open(tx: &mut Tx<'_>, session: &Session, now: Instant) -> Result<Opened> {
    let (refresh_token, hash) = tokens::new_refresh_token();
    sessions::insert_refresh(tx, &RefreshToken { hash, session_id: session.id, issued_at: now, used_at: None })?;
    opened(tx, session, refresh_token, now)
}

fn opened(conn: &mut Conn, session: &Session, refresh_token: String, now: Instant) -> Result<Opened> {
    let scope = scope(conn, session.account_id, now)?;
    Ok(Opened { account: session.account_id, session: session.id, scope, refresh_token })
}

/// What a session is good for: whom a decision keeps out may read it and object, nothing else.
fn scope(conn: &mut Conn, account: Id, now: Instant) -> Result<Scope> {
    let kept_out = !moderation::keeping_out(conn, account, now)?.is_empty();
    Ok(if kept_out { Scope::Appeal } else { Scope::Full })
}
