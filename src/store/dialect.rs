//! What the two databases say differently: row locks, their clocks, "insert unless there".
//!
//! On SQLite a writing transaction holds the whole database, so the row locks are plain reads there.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper,
    dsl::sql,
    sql_types::{BigInt, Text},
};

use super::{
    accounts::Account,
    db::{Conn, Tx},
    runs::{self, Run},
    schema::{accounts, run_series, runs as schema_runs},
    series::Series,
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

/// Rows in one statement: one for just so many is made and prepared once on each connection, and kept.
pub(super) const ROWS_AT_ONCE: usize = 32;

/// Inserts a slice of rows in which nothing stands for a column's default.
macro_rules! insert_rows {
    ($tx:expr, $table:expr, $rows:expr) => {{
        let (full, rest) = $rows.as_chunks::<{ $crate::store::dialect::ROWS_AT_ONCE }>();
        $crate::store::dialect::on_backend!(&mut **$tx, |conn| {
            for rows in full {
                diesel::insert_into($table).values(rows).execute(conn)?;
            }
            if !rest.is_empty() {
                diesel::insert_into($table).values(rest).execute(conn)?;
            }
        });
    }};
}
pub(super) use insert_rows;

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
    let query = runs::with_details().filter(schema_runs::id.eq(id));
    Ok(match &mut **tx {
        Conn::Sqlite(conn) => query.select(Run::as_select()).first(conn).optional()?,
        Conn::Postgres(conn) => query.select(Run::as_select()).for_no_key_update().first(conn).optional()?,
    })
}

/// Locks several accounts' rows in the order of their ids, for a step of the clock that seats them.
pub fn lock_accounts(tx: &mut Tx<'_>, ids: &[Id]) -> Result<()> {
    if let Conn::Postgres(conn) = &mut **tx {
        let query = accounts::table.filter(accounts::id.eq_any(ids)).order(accounts::id).select(accounts::id);
        query.for_no_key_update().load::<Id>(conn)?;
    }
    Ok(())
}

/// Locks the rows of some series in the order of their ids and reads them; `only_free` leaves out what others hold.
pub fn lock_series(tx: &mut Tx<'_>, ids: &[Id], only_free: bool) -> Result<Vec<Series>> {
    let query = run_series::table.filter(run_series::id.eq_any(ids)).order(run_series::id);
    Ok(match &mut **tx {
        Conn::Sqlite(conn) => query.select(Series::as_select()).load(conn)?,
        Conn::Postgres(conn) if only_free => {
            query.select(Series::as_select()).for_no_key_update().skip_locked().load(conn)?
        }
        Conn::Postgres(conn) => query.select(Series::as_select()).for_no_key_update().load(conn)?,
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

/// Whether there is a table of this name.
pub fn has_table(conn: &mut Conn, name: &str) -> Result<bool> {
    let count = match conn {
        Conn::Sqlite(conn) => diesel::select(
            sql::<BigInt>("(SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ")
                .bind::<Text, _>(name)
                .sql(")"),
        )
        .first::<i64>(conn)?,
        Conn::Postgres(conn) => {
            diesel::select(sql::<BigInt>("(SELECT count(to_regclass(").bind::<Text, _>(name).sql(")))"))
                .first::<i64>(conn)?
        }
    };
    Ok(count > 0)
}

/// How long a twin of a request waits for the first, on PostgreSQL; on SQLite it waits for the writer anyway.
pub fn wait_at_most_2s_for_locks(tx: &mut Tx<'_>, wait: bool) -> Result<()> {
    if let Conn::Postgres(conn) = &mut **tx {
        let command = if wait { "SET LOCAL lock_timeout = '2s'" } else { "SET LOCAL lock_timeout = '5s'" };
        diesel::sql_query(command).execute(conn)?;
    }
    Ok(())
}
