//! Errors of both databases as errors of ours: busy, away, not to be written to, or a fault of the program.

use diesel::result::DatabaseErrorKind;

use crate::error::Error;

/// The database does not answer.
pub(super) const AWAY: &str = "the database is away";
/// The database answers, and refuses to write.
pub(super) const UNWRITABLE: &str = "the database cannot be written to";

/// Words of both databases for what is over when others are done.
const BUSY_WORDS: [&str; 5] =
    ["database is locked", "database table is locked", "deadlock detected", "lock timeout", "statement timeout"];
/// Words of both databases, and of PgBouncer, for a server that is going, gone or coming.
const AWAY_WORDS: [&str; 10] = [
    "terminating connection",
    "server closed the connection",
    "connection to server",
    "could not receive data from server",
    "could not send data to server",
    "SSL connection has been closed",
    "the database system is",
    "query_wait_timeout",
    "server_login_retry",
    "pgbouncer cannot connect to server",
];
/// Words of both databases for a disk that is full or broken, and for a database that is only to be read.
const UNWRITABLE_WORDS: [&str; 8] = [
    "database or disk is full",
    "readonly database",
    "read-only transaction",
    "disk I/O error",
    "unable to open database file",
    "No space left on device",
    "could not extend file",
    "Read-only file system",
];

impl From<diesel::result::Error> for Error {
    fn from(fault: diesel::result::Error) -> Self {
        use diesel::result::Error as Db;
        if let Db::DatabaseError(kind, about) = &fault {
            let words = about.message();
            let says = |known: &[&str]| known.iter().any(|some| words.contains(some));
            let why = match kind {
                DatabaseErrorKind::ReadOnlyTransaction => Some(UNWRITABLE),
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => Some(AWAY),
                DatabaseErrorKind::SerializationFailure => Some("the database is busy"),
                _ if says(&UNWRITABLE_WORDS) => Some(UNWRITABLE),
                _ if says(&AWAY_WORDS) => Some(AWAY),
                _ if says(&BUSY_WORDS) => Some("the database is busy"),
                _ => None,
            };
            if let Some(why) = why {
                tracing::debug!(error = %fault, why, "the database cannot serve this now");
                return Error::Unavailable(why);
            }
        }
        if matches!(fault, Db::BrokenTransactionManager) {
            return Error::Unavailable(AWAY);
        }
        Error::Internal(anyhow::Error::new(fault).context("database"))
    }
}
