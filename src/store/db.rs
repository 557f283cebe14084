//! Connections and transactions: the only way to change anything is [`Db::write`], which alone makes a [`Tx`].
//!
//! SQLite gets one writing connection (it has one writer anyway) that begins IMMEDIATE, and a few readers; PostgreSQL
//! one pool, READ COMMITTED with row locks taken through `store::dialect`. What loses a race for a lock is tried three
//! times more, then answered with "unavailable".

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use diesel::{
    PgConnection, SqliteConnection,
    connection::{AnsiTransactionManager, Connection, SimpleConnection, TransactionManager},
    r2d2::{
        Error::{ConnectionError, QueryError},
        ManageConnection, Pool, PooledConnection, R2D2Connection,
    },
    result::DatabaseErrorKind,
};
use scheduled_thread_pool::ScheduledThreadPool;

use super::{
    changes::{self, ChangeKind, Touched},
    own_changes::OwnChanges,
};
use crate::{
    error::{Error, Result},
    id::Id,
};

pub use multi::{Conn, MultiBackend};

#[allow(missing_docs, clippy::all, reason = "the derive's own code")]
mod multi {
    use super::{PgConnection, SqliteConnection};

    /// A connection to whichever database the installation has.
    #[derive(diesel::MultiConnection)]
    pub enum Conn {
        Sqlite(SqliteConnection),
        Postgres(PgConnection),
    }
}

/// Which database a URL means, by its scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file.
    Sqlite(PathBuf),
    /// A libpq connection URL.
    Postgres(String),
}

impl Target {
    /// Reads `sqlite://PATH` or `postgres://…`. Without the `tls` feature libpq would silently talk in the clear, so a
    /// server that is not on this machine is refused unless the URL says `sslmode=disable`.
    pub fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() || path.starts_with(":memory:") {
                return Err("name a file, such as sqlite://data/sidebyside.db".to_owned());
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err("start it with sqlite:// or postgres://".to_owned());
        }
        let parsed = url::Url::parse(url).map_err(|fault| fault.to_string())?;
        let host = parsed.host_str().unwrap_or("").trim_matches(['[', ']']);
        let local = matches!(host, "" | "localhost" | "127.0.0.1" | "::1") || host.starts_with("%2F");
        let in_the_clear = parsed.query_pairs().any(|(name, value)| name == "sslmode" && value == "disable");
        if !local && !in_the_clear && !cfg!(feature = "tls") {
            return Err("this build has no TLS for PostgreSQL: build with --features tls, or say ?sslmode=disable \
                        when the network in between is yours"
                .to_owned());
        }
        Ok(Self::Postgres(url.to_owned()))
    }
}

struct Manager(Target);

impl ManageConnection for Manager {
    type Connection = Conn;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Conn, Self::Error> {
        connect(&self.0)
    }

    fn is_valid(&self, conn: &mut Conn) -> Result<(), Self::Error> {
        conn.ping().map_err(QueryError)
    }

    fn has_broken(&self, conn: &mut Conn) -> bool {
        std::thread::panicking() || conn.is_broken()
    }
}

fn connect(target: &Target) -> Result<Conn, diesel::r2d2::Error> {
    match target {
        Target::Sqlite(path) => {
            let mut conn = SqliteConnection::establish(&path.to_string_lossy()).map_err(ConnectionError)?;
            conn.batch_execute(
                "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
            )
            .map_err(QueryError)?;
            Ok(Conn::Sqlite(conn))
        }
        Target::Postgres(url) => {
            let mut conn = PgConnection::establish(url).map_err(ConnectionError)?;
            conn.batch_execute(
                "SET application_name = 'sidebyside'; SET timezone = 'UTC'; SET lock_timeout = '5s'; \
                 SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s';",
            )
            .map_err(QueryError)?;
            Ok(Conn::Postgres(conn))
        }
    }
}

/// The database.
#[derive(Clone)]
pub struct Db {
    target: Target,
    readers: Pool<Manager>,
    writers: Pool<Manager>,
    own: Arc<OwnChanges>,
}

/// A transaction that may change things. It reads like any [`Conn`].
pub struct Tx<'c> {
    conn: &'c mut Conn,
    touched: Touched,
}

impl Tx<'_> {
    /// Does a part of the transaction that is taken back alone when it fails.
    ///
    /// # Errors
    /// Those of `work`; the transaction can go on.
    pub fn savepoint<T>(&mut self, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        type Manager = <Conn as Connection>::TransactionManager;
        let touched_before = self.touched.clone();
        Manager::begin_transaction(self.conn)?;
        match work(self) {
            Ok(done) => {
                Manager::commit_transaction(self.conn)?;
                Ok(done)
            }
            Err(fault) => {
                Manager::rollback_transaction(self.conn)?;
                self.touched = touched_before;
                Err(fault)
            }
        }
    }

    /// Notes that a run, its places or those who lead it changed: the change is written with this transaction.
    pub(super) fn touch_run(&mut self, run: Id) {
        self.touched.note(ChangeKind::Run, run);
    }

    /// Notes that a match request is new, other or gone.
    pub(super) fn touch_match_request(&mut self, request: Id) {
        self.touched.note(ChangeKind::MatchRequest, request);
    }

    /// Notes that what a person may do, or where they are, changed.
    pub(super) fn touch_person(&mut self, person: Id) {
        self.touched.note(ChangeKind::Person, person);
    }
}

impl std::ops::Deref for Tx<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn
    }
}

impl std::ops::DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn
    }
}

/// PostgreSQL connections a process may hold.
const POSTGRES_POOL: u32 = 16;
/// SQLite readers a process may hold.
const SQLITE_READERS: u32 = 4;
/// Tries of a transaction that lost a race for a lock.
const TRIES: u32 = 4;

/// How long somebody waits for a connection before they are asked to come again: on SQLite that is the line of those who
/// write, and hundreds may come at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// Threads that open connections: a server that does not answer holds one of them for a while.
const CONNECTORS: usize = 3;
/// The threads on which the pools of this process connect. Each pool would otherwise start three of its own.
static CONNECTING: LazyLock<Arc<ScheduledThreadPool>> = LazyLock::new(|| {
    Arc::new(ScheduledThreadPool::builder().num_threads(CONNECTORS).thread_name_pattern("connect-{}").build())
});

impl Db {
    /// Opens the pools. It connects lazily: a database that is away makes requests fail, not the start.
    pub fn open(target: Target) -> Self {
        let pool = |size: u32| {
            Pool::builder()
                .thread_pool(CONNECTING.clone())
                .max_size(size)
                .min_idle(Some(0))
                .connection_timeout(PATIENCE)
                .error_handler(Box::new(LogPoolErrors))
                .build_unchecked(Manager(target.clone()))
        };
        let (readers, writers) = match target {
            Target::Sqlite(_) => (pool(SQLITE_READERS), pool(1)),
            Target::Postgres(_) => {
                let one = pool(POSTGRES_POOL);
                (one.clone(), one)
            }
        };
        Self { target, readers, writers, own: Arc::default() }
    }

    /// What this process's own transactions changed.
    pub fn own_changes(&self) -> &Arc<OwnChanges> {
        &self.own
    }

    /// Which database this is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// A connection outside the pools, for what reads or changes much: migrations, the index.
    pub fn connect_alone(&self) -> Result<Conn> {
        let fault = |fault: diesel::r2d2::Error| Error::Internal(anyhow::anyhow!("cannot open the database: {fault}"));
        let mut conn = connect(&self.target).map_err(fault)?;
        if let Conn::Sqlite(conn) = &mut conn {
            // It reads whole tables: pages are looked at where they are instead of being copied each.
            conn.batch_execute("PRAGMA mmap_size = 1073741824;").map_err(|error| fault(QueryError(error)))?;
        }
        Ok(conn)
    }

    /// Reads, on a thread that may block.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        let db = self.clone();
        on_blocking_thread(move || db.read_here(work)).await
    }

    /// Changes things in one transaction, on a thread that may block. `work` may run again when it loses a race, so it
    /// must do nothing but talk to the database.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let db = self.clone();
        on_blocking_thread(move || db.write_here(work)).await
    }

    /// [`read`](Self::read) on this thread.
    pub fn read_here<T>(&self, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
        work(&mut *take(&self.readers)?)
    }

    /// [`write`](Self::write) on this thread.
    pub fn write_here<T>(&self, work: impl Fn(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.transact(work, End::Commit)
    }

    /// Does the same as [`write_here`](Self::write_here) and takes all of it back: it tells what would happen. Meanwhile
    /// it holds the locks that writing holds; on SQLite nobody else writes.
    pub fn rehearse<T>(&self, work: impl Fn(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.transact(work, End::RollBack)
    }

    fn transact<T>(&self, work: impl Fn(&mut Tx<'_>) -> Result<T>, end: End) -> Result<T> {
        let mut outcome = None;
        let mut work = |tx: &mut Tx<'_>| {
            outcome = Some(work(tx)?);
            Ok(())
        };
        self.write_erased(&mut work, end)?;
        outcome.ok_or_else(|| Error::Internal(anyhow::anyhow!("a transaction that was committed has no outcome")))
    }

    /// [`transact`](Self::transact) without its types: the compiler makes it once and not for each of 119 closures.
    fn write_erased(&self, work: &mut dyn FnMut(&mut Tx<'_>) -> Result<()>, end: End) -> Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match attempt(&mut *take(&self.writers)?, work, end, &self.own) {
                Err(Attempt::LostRace(_)) if tries < TRIES => {
                    let [jitter] = crate::id::random_bytes::<1>();
                    std::thread::sleep(Duration::from_millis(u64::from(tries) * 10 + u64::from(jitter) / 4));
                }
                Err(Attempt::LostRace(fault) | Attempt::Final(fault)) => return Err(fault),
                Ok(()) => return Ok(()),
            }
        }
    }
}

enum Attempt {
    LostRace(Error),
    Final(Error),
}

/// How a transaction ends whose work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Commit,
    RollBack,
}

fn attempt(
    conn: &mut Conn,
    work: &mut dyn FnMut(&mut Tx<'_>) -> Result<()>,
    end: End,
    own: &OwnChanges,
) -> Result<(), Attempt> {
    let begun = match conn {
        Conn::Sqlite(sqlite) => AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE"),
        Conn::Postgres(postgres) => AnsiTransactionManager::begin_transaction(postgres),
    };
    begun.map_err(|fault| Attempt::LostRace(fault.into()))?;
    let mut tx = Tx { conn, touched: Touched::default() };
    let outcome = work(&mut tx).and_then(|()| changes::write(tx.conn, &tx.touched));
    match outcome {
        Ok(_) if end == End::RollBack => <Conn as Connection>::TransactionManager::rollback_transaction(conn)
            .map_err(|fault| Attempt::Final(fault.into())),
        Ok(written) => {
            // A commit that fails half-way may yet have happened: it is not tried again.
            <Conn as Connection>::TransactionManager::commit_transaction(conn)
                .map_err(|fault| Attempt::Final(fault.into()))?;
            own.committed(written);
            Ok(())
        }
        Err(fault) => {
            if let Err(second) = <Conn as Connection>::TransactionManager::rollback_transaction(conn) {
                tracing::warn!(error = %second, "a transaction could not be rolled back; its connection is dropped");
            }
            Err(if matches!(fault, Error::Unavailable(_)) { Attempt::LostRace(fault) } else { Attempt::Final(fault) })
        }
    }
}

fn take(pool: &Pool<Manager>) -> Result<PooledConnection<Manager>> {
    pool.get().map_err(|_| Error::Unavailable("no database connection is free"))
}

async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
        .await
        .unwrap_or_else(|fault| Err(Error::Internal(anyhow::Error::new(fault).context("database work"))))
}

#[derive(Debug)]
struct LogPoolErrors;

impl diesel::r2d2::HandleError<diesel::r2d2::Error> for LogPoolErrors {
    fn handle_error(&self, error: diesel::r2d2::Error) {
        tracing::warn!(%error, "no connection to the database");
    }
}

impl From<diesel::result::Error> for Error {
    fn from(fault: diesel::result::Error) -> Self {
        use diesel::result::Error as Db;
        if let Db::DatabaseError(kind, about) = &fault {
            let words = about.message();
            let lost = matches!(kind, DatabaseErrorKind::SerializationFailure)
                || words.contains("database is locked")
                || words.contains("database table is locked")
                || words.contains("deadlock detected")
                || words.contains("lock timeout");
            let away = matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand)
                || words.contains("terminating connection")
                || words.contains("database or disk is full");
            if lost || away {
                tracing::debug!(error = %fault, "the database is busy or away");
                return Error::Unavailable(if lost { "the database is busy" } else { "the database is away" });
            }
        }
        if matches!(fault, Db::BrokenTransactionManager) {
            return Error::Unavailable("the database is away");
        }
        Error::Internal(anyhow::Error::new(fault).context("database"))
    }
}
