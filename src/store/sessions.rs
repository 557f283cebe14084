//! Sessions with their refresh tokens (hashes only), and the one-time links in mails.

use diesel::prelude::*;

use super::{
    accounts::Account,
    db::{Conn, Tx},
    schema::{accounts, links, refresh_tokens, sessions},
};
use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        moderation::AppealKind,
        place::LatLng,
        question::{Asked, ComingQuestion, Terms},
    },
    error::Result,
    id::Id,
};

/// One log-in.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Identifiable)]
#[diesel(table_name = sessions)]
pub struct Session {
    pub id: Id,
    pub account_id: Id,
    pub created_at: Instant,
    pub last_used_at: Instant,
    pub expires_at: Instant,
    pub ended_at: Option<Instant>,
}

impl Session {
    /// Whether it still counts.
    pub fn is_alive(&self, now: Instant) -> bool {
        self.ended_at.is_none() && self.expires_at > now
    }
}

/// A refresh token that was handed out.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = refresh_tokens)]
pub struct RefreshToken {
    /// Hex of its SHA-256.
    pub hash: String,
    pub session_id: Id,
    pub issued_at: Instant,
    pub used_at: Option<Instant>,
}

/// Starts a session.
pub fn insert(tx: &mut Tx<'_>, session: &Session) -> Result<()> {
    diesel::insert_into(sessions::table).values(session).execute(&mut **tx)?;
    Ok(())
}

/// The session, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<Session>> {
    Ok(sessions::table.find(id).select(Session::as_select()).first(conn).optional()?)
}

/// The session with whose it is, if there is one.
pub fn find_with_account(conn: &mut Conn, id: Id) -> Result<Option<(Session, Account)>> {
    Ok(sessions::table
        .inner_join(accounts::table.on(accounts::id.eq(sessions::account_id)))
        .filter(sessions::id.eq(id))
        .select((Session::as_select(), Account::as_select()))
        .first(conn)
        .optional()?)
}

/// The living sessions of an account, newest first.
pub fn list(conn: &mut Conn, account: Id, now: Instant) -> Result<Vec<Session>> {
    Ok(sessions::table
        .filter(sessions::account_id.eq(account))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .order(sessions::id.desc())
        .select(Session::as_select())
        .load(conn)?)
}

/// Notes that a session was used, and lets it live until `expires_at`.
pub fn touch(tx: &mut Tx<'_>, id: Id, now: Instant, expires_at: Instant) -> Result<()> {
    diesel::update(sessions::table.find(id))
        .set((sessions::last_used_at.eq(now), sessions::expires_at.eq(expires_at)))
        .execute(&mut **tx)?;
    Ok(())
}

/// Ends one session; says whether it was alive.
pub fn end(tx: &mut Tx<'_>, account: Id, id: Id, now: Instant) -> Result<bool> {
    let ended = diesel::update(sessions::table.find(id))
        .filter(sessions::account_id.eq(account))
        .filter(sessions::ended_at.is_null())
        .set(sessions::ended_at.eq(now))
        .execute(&mut **tx)?;
    tx.touch_person(account);
    Ok(ended > 0)
}

/// Ends all sessions of an account but one.
pub fn end_all(tx: &mut Tx<'_>, account: Id, but: Option<Id>, now: Instant) -> Result<()> {
    let alive = sessions::account_id.eq(account).and(sessions::ended_at.is_null());
    match but {
        Some(kept) => diesel::update(sessions::table.filter(alive.and(sessions::id.ne(kept))))
            .set(sessions::ended_at.eq(now))
            .execute(&mut **tx)?,
        None => diesel::update(sessions::table.filter(alive)).set(sessions::ended_at.eq(now)).execute(&mut **tx)?,
    };
    tx.touch_person(account);
    Ok(())
}

/// Keeps a refresh token's hash.
pub fn insert_refresh(tx: &mut Tx<'_>, token: &RefreshToken) -> Result<()> {
    diesel::insert_into(refresh_tokens::table).values(token).execute(&mut **tx)?;
    Ok(())
}

/// The refresh token with this hash, with its session.
pub fn find_refresh(conn: &mut Conn, hash: &str) -> Result<Option<(RefreshToken, Session)>> {
    Ok(refresh_tokens::table
        .inner_join(sessions::table.on(sessions::id.eq(refresh_tokens::session_id)))
        .filter(refresh_tokens::hash.eq(hash))
        .select((RefreshToken::as_select(), Session::as_select()))
        .first(conn)
        .optional()?)
}

/// Uses a refresh token up; says whether this caller was the one who did.
pub fn use_refresh(tx: &mut Tx<'_>, hash: &str, now: Instant) -> Result<bool> {
    let used = diesel::update(refresh_tokens::table.find(hash))
        .filter(refresh_tokens::used_at.is_null())
        .set(refresh_tokens::used_at.eq(now))
        .execute(&mut **tx)?;
    Ok(used > 0)
}

/// Forgets sessions that ended or ran out before `before`, with their tokens.
pub fn purge(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    let over = sessions::expires_at.lt(before).or(sessions::ended_at.lt(before));
    Ok(diesel::delete(sessions::table.filter(over)).execute(&mut **tx)?)
}

/// What a link in a mail may do once.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = links)]
pub struct Link {
    pub id: Id,
    pub action: LinkAction,
    pub account_id: Id,
    /// The sign-up, run or decision that it is about.
    pub about_id: Option<Id>,
    /// Which kind of decision, for an appeal.
    pub about_kind: Option<AppealKind>,
    pub created_at: Instant,
    pub expires_at: Instant,
    pub used_at: Option<Instant>,
    /// Which question a yes by it answers.
    pub question: Option<ComingQuestion>,
    /// The start, the place and the partner that a yes by it is given for.
    pub for_starts_at: Option<Instant>,
    pub for_lat: Option<f64>,
    pub for_lng: Option<f64>,
    pub for_account_id: Option<Id>,
}

impl Link {
    /// What a yes by it is given for; none where it is no yes to a run.
    pub fn terms(&self) -> Option<Terms> {
        let point = LatLng { lat: self.for_lat?, lng: self.for_lng? };
        Some(Terms { starts_at: self.for_starts_at?, point, with: self.for_account_id })
    }

    /// Whether it still works.
    pub fn works(&self, now: Instant) -> bool {
        self.used_at.is_none() && self.expires_at > now
    }
}

/// Keeps a new link.
pub fn insert_link(tx: &mut Tx<'_>, link: &Link) -> Result<()> {
    diesel::insert_into(links::table).values(link).execute(&mut **tx)?;
    Ok(())
}

/// The link, if there is one.
pub fn find_link(conn: &mut Conn, id: Id) -> Result<Option<Link>> {
    Ok(links::table.find(id).select(Link::as_select()).first(conn).optional()?)
}

/// A working link of this person for this act, if there is one.
pub fn find_link_for(
    conn: &mut Conn,
    account: Id,
    action: LinkAction,
    about: Option<Id>,
    asked: Option<Asked>,
    now: Instant,
) -> Result<Option<Link>> {
    let mut query = links::table
        .filter(links::account_id.eq(account))
        .filter(links::action.eq(action))
        .filter(links::used_at.is_null())
        .filter(links::expires_at.gt(now))
        .select(Link::as_select())
        .into_boxed();
    query = match about {
        Some(id) => query.filter(links::about_id.eq(id)),
        None => query.filter(links::about_id.is_null()),
    };
    if let Some(asked) = asked {
        query = query
            .filter(links::for_starts_at.eq(asked.terms.starts_at))
            .filter(links::for_lat.eq(asked.terms.point.lat))
            .filter(links::for_lng.eq(asked.terms.point.lng));
        query = match asked.question {
            Some(question) => query.filter(links::question.eq(question)),
            None => query.filter(links::question.is_null()),
        };
        query = match asked.terms.with {
            Some(with) => query.filter(links::for_account_id.eq(with)),
            None => query.filter(links::for_account_id.is_null()),
        };
    }
    Ok(query.order(links::id).first(conn).optional()?)
}

/// Uses a link up; says whether this caller was the one who did.
pub fn use_link(tx: &mut Tx<'_>, id: Id, now: Instant) -> Result<bool> {
    let used = diesel::update(links::table.find(id))
        .filter(links::used_at.is_null())
        .set(links::used_at.eq(now))
        .execute(&mut **tx)?;
    Ok(used > 0)
}

/// Uses up all links of an account for one act, such as older password resets.
pub fn use_links_of(tx: &mut Tx<'_>, account: Id, action: LinkAction, now: Instant) -> Result<()> {
    diesel::update(links::table)
        .filter(links::account_id.eq(account))
        .filter(links::action.eq(action))
        .filter(links::used_at.is_null())
        .set(links::used_at.eq(now))
        .execute(&mut **tx)?;
    Ok(())
}

/// Forgets links that ran out before `before`.
pub fn purge_links(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    Ok(diesel::delete(links::table.filter(links::expires_at.lt(before))).execute(&mut **tx)?)
}
