//! Opening one connection: the settings of each, and poolers between us and PostgreSQL.
//!
//! A pooler in transaction mode (PgBouncer) gives each transaction another session of the server: prepared statements and
//! session settings do not last. It is found by asking two connections for their session, so that no setting can be
//! forgotten; then statements are not prepared, and limits are set in each transaction.

use std::sync::OnceLock;

use diesel::{
    PgConnection, QueryResult, RunQueryDsl, SqliteConnection,
    connection::{CacheSize, Connection, SimpleConnection},
    dsl::sql,
    r2d2::Error::{self, ConnectionError, QueryError},
    sql_types::Integer,
};

use super::db::{Conn, Target};

/// Parameters of libpq that end a connection whose other end is gone (it has no time limit for an answer): two seconds to
/// connect, its shortest; a probe after five seconds of silence, then each two, three in all; ten seconds for what was sent
/// to be acknowledged. One that stands in the URL already is left as it is.
const LIMITS: [(&str, &str); 6] = [
    ("connect_timeout", "2"),
    ("keepalives", "1"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "2"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "10000"),
];

/// What a session of PostgreSQL is told, or each transaction where sessions do not last.
const SESSION: &str = "SET application_name = 'sidebyside'; SET timezone = 'UTC'; SET lock_timeout = '5s'; \
                       SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s';";
/// The same for one transaction.
pub(super) const TRANSACTION: &str = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s'; \
                                      SET LOCAL idle_in_transaction_session_timeout = '60s';";

/// How connections to one database are opened.
#[derive(Debug)]
pub(super) struct Connector {
    target: Target,
    /// Whether a pooler gives each transaction another session, once that is known.
    is_pooled: OnceLock<bool>,
}

impl Connector {
    pub(super) fn new(target: Target) -> Self {
        let target = match target {
            Target::Postgres(url) => Target::Postgres(with_limits(&url)),
            sqlite @ Target::Sqlite(_) => sqlite,
        };
        Self { target, is_pooled: OnceLock::new() }
    }

    /// Whether a pooler gives each transaction another session; known from the first connection on.
    pub(super) fn is_pooled(&self) -> bool {
        self.is_pooled.get().copied().unwrap_or(false)
    }

    pub(super) fn connect(&self) -> Result<Conn, Error> {
        match &self.target {
            Target::Sqlite(path) => {
                let mut conn = SqliteConnection::establish(&path.to_string_lossy()).map_err(ConnectionError)?;
                conn.batch_execute(
                    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
                )
                .map_err(QueryError)?;
                Ok(Conn::Sqlite(conn))
            }
            Target::Postgres(url) => self.connect_to_postgres(url).map(Conn::Postgres),
        }
    }

    fn connect_to_postgres(&self, url: &str) -> Result<PgConnection, Error> {
        let mut conn = PgConnection::establish(url).map_err(ConnectionError)?;
        conn.set_prepared_statement_cache_size(CacheSize::Disabled);
        let is_pooled = match self.is_pooled.get() {
            Some(known) => *known,
            None => {
                let mut other = PgConnection::establish(url).map_err(ConnectionError)?;
                other.set_prepared_statement_cache_size(CacheSize::Disabled);
                // Apart: a pooler in statement mode takes both in one go.
                conn.batch_execute("BEGIN").map_err(|fault| no_transactions(&fault))?;
                conn.batch_execute("COMMIT").map_err(QueryError)?;
                let found = share_sessions(&mut conn, &mut other).map_err(QueryError)?;
                if self.is_pooled.set(found).is_ok() && found {
                    tracing::info!(
                        "a pooler in transaction mode (such as PgBouncer) is in front of PostgreSQL: \
                         statements are not prepared"
                    );
                }
                found
            }
        };
        if !is_pooled {
            conn.set_prepared_statement_cache_size(CacheSize::Unbounded);
            conn.batch_execute(SESSION).map_err(QueryError)?;
        }
        Ok(conn)
    }
}

/// Rounds in which two connections are asked for their session: on a busy pooler one may by chance get the same again.
const ROUNDS: usize = 5;

/// Whether two connections that are open at once get the same session of the server, or one of them another each time:
/// without a pooler in transaction mode neither can be.
fn share_sessions(one: &mut PgConnection, other: &mut PgConnection) -> QueryResult<bool> {
    let session = |conn: &mut PgConnection| diesel::select(sql::<Integer>("pg_backend_pid()")).first::<i32>(conn);
    let (first, second) = (session(one)?, session(other)?);
    if first == second {
        return Ok(true);
    }
    for _ in 0..ROUNDS {
        if session(one)? != first || session(other)? != second {
            return Ok(true);
        }
    }
    Ok(false)
}

/// PgBouncer in statement mode closes the connection at the first transaction, sometimes before its reason is read.
const NO_TRANSACTIONS: &str = "the connection was closed at the first transaction";

fn no_transactions(fault: &diesel::result::Error) -> Error {
    ConnectionError(diesel::ConnectionError::BadConnection(format!("{NO_TRANSACTIONS}: {fault}")))
}

/// Why a connection could not be opened, with what to do about it where that is known.
pub(super) fn explained(fault: &Error) -> String {
    let words = fault.to_string();
    if words.contains("statement pooling") || words.contains(NO_TRANSACTIONS) {
        return format!(
            "if DATABASE_URL leads to PgBouncer with `pool_mode = statement`, in which no transaction can be, set \
             `pool_mode = transaction` or `pool_mode = session` ({words})"
        );
    }
    if words.contains("unsupported startup parameter") {
        return format!("PgBouncer refuses a parameter in DATABASE_URL: see its ignore_startup_parameters ({words})");
    }
    format!("cannot open the database: {words}")
}

/// The URL with the limits that it does not have yet. One that cannot be read stays as it is: libpq tells what is wrong.
fn with_limits(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else { return text.to_owned() };
    let given: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    for (name, value) in LIMITS.iter().filter(|(name, _)| !given.iter().any(|known| known == name)) {
        url.query_pairs_mut().append_pair(name, value);
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_added_where_the_url_has_none() {
        let url = with_limits("postgres://me:p%40ss@db:6543/x?sslmode=disable&connect_timeout=7");
        assert!(url.starts_with("postgres://me:p%40ss@db:6543/x?sslmode=disable&connect_timeout=7&keepalives=1&"));
        assert!(url.contains("tcp_user_timeout=10000") && url.matches("connect_timeout").count() == 1, "{url}");
        assert!(with_limits("postgres:///x?host=%2Frun").starts_with("postgres:///x?host=%2Frun&connect_timeout=2"));
        assert_eq!(with_limits("no url"), "no url");
    }

    #[test]
    fn poolers_that_cannot_be_used_are_named() {
        let refused = diesel::ConnectionError::BadConnection(
            "FATAL: transaction blocks not allowed in statement pooling mode".to_owned(),
        );
        assert!(explained(&ConnectionError(refused)).contains("PgBouncer"));
    }
}
