//! What the two databases say differently: row locks, their clocks, "insert unless there".
//!
//! On SQLite a writing transaction holds the whole database, so the row locks are plain reads there.

use diesel::{OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper, dsl::sql};

use super::{
    accounts::Account,
    db::{Conn, Tx},
    runs::Run,
    schema::{accounts, runs},
    sql_types::SqlInstant,
};
use crate::{clock::Instant, error::Result, id::Id};

/// Runs one body against the connection that is really there, for what diesel's common subset lacks.
macro_rules! on_backend {
    ($conn:expr, |$inner:ident| $body:expr) => {
        match &mut *$conn {
            $crate::store::Conn::Sqlite($inner) => $body,
            $crate::store::Conn::Postgres($inner) => $body,
        }
    };
}
pub(crate) use on_backend;

/// Locks an account's row and reads it.
pub fn lock_account(tx: &mut Tx<'_>, id: Id) -> Result<Option<Account>> {
    let query = accounts::table.find(id);
    Ok(match &mut **tx {
        Conn::Sqlite(conn) => query.select(Account::as_select()).first(conn).optional()?,
        Conn::Postgres(conn) => query.select(Account::as_select()).for_no_key_update().first(conn).optional()?,
    })
}

/// Locks a run's row and reads it.
pub fn lock_run(tx: &mut Tx<'_>, id: Id) -> Result<Option<Run>> {
    let query = runs::table.find(id);
    Ok(match &mut **tx {
        Conn::Sqlite(conn) => query.select(Run::as_select()).first(conn).optional()?,
        Conn::Postgres(conn) => query.select(Run::as_select()).for_no_key_update().first(conn).optional()?,
    })
}

/// The database's own clock, by which leases run: the processes' clocks may differ.
pub fn database_now(conn: &mut Conn) -> Result<Instant> {
    Ok(match conn {
        Conn::Sqlite(conn) => {
            diesel::select(sql::<SqlInstant>("strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')")).first(conn)?
        }
        Conn::Postgres(conn) => diesel::select(sql::<SqlInstant>("clock_timestamp()")).first(conn)?,
    })
}

/// How long a twin of a request waits for the first, on PostgreSQL; on SQLite it waits for the writer anyway.
pub fn wait_at_most_2s_for_locks(tx: &mut Tx<'_>, wait: bool) -> Result<()> {
    if let Conn::Postgres(conn) = &mut **tx {
        let command = if wait { "SET LOCAL lock_timeout = '2s'" } else { "SET LOCAL lock_timeout = '5s'" };
        diesel::sql_query(command).execute(conn)?;
    }
    Ok(())
}
