//! Connections and transactions: the only way to change anything is [`Db::write`], which alone makes a [`Tx`].
//!
//! SQLite gets one writing connection (it has one writer anyway) that begins IMMEDIATE, and a few readers; PostgreSQL
//! one pool, READ COMMITTED with row locks taken through `store::dialect`. What loses a race for a lock is tried three
//! times more, then answered with "unavailable".

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, PoisonError, RwLock, Weak},
    time::{Duration, Instant as Moment},
};

use diesel::{
    PgConnection, SqliteConnection,
    connection::{AnsiTransactionManager, Connection, SimpleConnection, TransactionManager},
    r2d2::{Error::QueryError, Pool, PooledConnection, R2D2Connection},
};

use super::{
    changes::{self, ChangeKind, Touched},
    connecting::{Connector, TRANSACTION, explained},
    faults::{AWAY, UNWRITABLE},
    outage::OutageWatch,
    own_changes::OwnChanges,
    pools::{Manager, POOL_TIMEOUT, Pools},
    readiness::Writability,
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

/// The database.
#[derive(Clone)]
pub struct Db {
    target: Target,
    connector: Arc<Connector>,
    /// Made anew after an outage: a connection from before may hang for good.
    pools: Arc<RwLock<Pools>>,
    own: Arc<OwnChanges>,
    /// None for SQLite, which is a file.
    outage: Option<Arc<OutageWatch>>,
    writability: Arc<Writability>,
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

/// Tries of a transaction that lost a race for a lock.
const TRIES: u32 = 4;

/// How long somebody waits for a connection before they look whether PostgreSQL is away.
const POOL_SLICE: Duration = Duration::from_millis(100);
impl Db {
    /// Opens the pools. It connects lazily: a database that is away makes requests fail, not the start.
    pub fn open(target: Target) -> Self {
        let connector = Arc::new(Connector::new(target.clone()));
        let suspected: Arc<OnceLock<Weak<OutageWatch>>> = Arc::default();
        let make = {
            let (connector, suspected, target) = (connector.clone(), suspected.clone(), target.clone());
            move || Pools::open(&target, &connector, &suspected)
        };
        let pools = Arc::new(RwLock::new(make()));
        let outage = matches!(target, Target::Postgres(_)).then(|| {
            let (asked, renewed) = (connector.clone(), Arc::downgrade(&pools));
            let on_return = move || {
                if let Some(pools) = renewed.upgrade() {
                    *pools.write().unwrap_or_else(PoisonError::into_inner) = make();
                }
            };
            OutageWatch::new(Box::new(move || answers(&asked)), Box::new(on_return))
        });
        if let Some(outage) = &outage {
            let _ = suspected.set(Arc::downgrade(outage));
        }
        Self { target, connector, pools, own: Arc::default(), outage, writability: Arc::default() }
    }

    fn pools(&self) -> Pools {
        self.pools.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of writing to this database.
    pub(super) fn writability(&self) -> &Arc<Writability> {
        &self.writability
    }

    /// How often the database was away and came back: a connection from before may hang for good.
    pub fn outages(&self) -> u64 {
        self.outage.as_ref().map_or(0, |outage| outage.outages())
    }

    /// Whether the database does not answer.
    pub fn is_away(&self) -> bool {
        self.outage.as_ref().is_some_and(|outage| outage.is_away())
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
        let fault = |fault: diesel::r2d2::Error| {
            self.suspect();
            Error::Internal(anyhow::anyhow!(explained(&fault)))
        };
        let mut conn = self.connector.connect().map_err(fault)?;
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
        self.on_blocking_thread(move || db.read_here(work)).await
    }

    /// Changes things in one transaction, on a thread that may block. `work` may run again when it loses a race, so it
    /// must do nothing but talk to the database.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let db = self.clone();
        self.on_blocking_thread(move || db.write_here(work)).await
    }

    /// [`read`](Self::read) on this thread.
    pub fn read_here<T>(&self, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
        let outcome = work(&mut *self.take(|pools| &pools.readers)?);
        self.note(&outcome);
        outcome
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
            let mut conn = self.take(|pools| &pools.writers)?;
            let outcome = attempt(&mut conn, work, end, &self.own, self.connector.is_pooled());
            // Back before anybody waits, and before the next try, which may get a better one.
            drop(conn);
            match outcome {
                Err(Attempt::LostRace(_)) if tries < TRIES && !self.is_away() => {
                    let [jitter] = crate::id::random_bytes::<1>();
                    std::thread::sleep(Duration::from_millis(u64::from(tries) * 10 + u64::from(jitter) / 4));
                }
                Err(Attempt::LostRace(fault) | Attempt::Final(fault)) => {
                    let outcome = Err(fault);
                    self.note(&outcome);
                    return outcome;
                }
                Ok(()) => {
                    self.writability.committed();
                    self.note(&Ok(()));
                    return Ok(());
                }
            }
        }
    }

    /// Takes a connection out of a pool, unless the database is away.
    fn take(&self, which: impl Fn(&Pools) -> &Pool<Manager>) -> Result<PooledConnection<Manager>> {
        let since = Moment::now();
        let slice = if self.outage.is_some() { POOL_SLICE } else { POOL_TIMEOUT };
        loop {
            if self.is_away() {
                return Err(Error::Unavailable(AWAY));
            }
            match which(&self.pools()).get_timeout(slice) {
                Ok(conn) => return Ok(conn),
                Err(_) if since.elapsed() >= POOL_TIMEOUT => {
                    return Err(Error::Unavailable("no database connection is free"));
                }
                Err(_) => {}
            }
        }
    }

    /// Notes what an outcome says about the database itself.
    fn note<T>(&self, outcome: &Result<T>) {
        match outcome {
            Err(Error::Unavailable(AWAY)) => self.suspect(),
            Err(Error::Unavailable(UNWRITABLE)) => self.writability.refused(),
            _ => {
                if let Some(outage) = &self.outage {
                    outage.answered();
                }
            }
        }
    }

    fn suspect(&self) {
        if let Some(outage) = &self.outage {
            outage.suspect();
        }
    }

    /// Does what may block on a thread of its own. Whoever waits is sent away when the database is; the thread goes on, and
    /// what it wrote may hold all the same.
    ///
    /// # Errors
    /// What `work` gives, or unavailable.
    pub async fn on_blocking_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.is_away() {
            return Err(Error::Unavailable(AWAY));
        }
        let span = tracing::Span::current();
        let working = tokio::task::spawn_blocking(move || span.in_scope(work));
        let outage_began = async {
            match &self.outage {
                Some(outage) => outage.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = working => {
                done.unwrap_or_else(|fault| Err(Error::Internal(anyhow::Error::new(fault).context("database work"))))
            }
            () = outage_began => Err(Error::Unavailable(AWAY)),
        }
    }
}

/// Whether PostgreSQL answers on a new connection. One that has no connection left for us is there.
fn answers(connector: &Connector) -> bool {
    match connector.connect() {
        Ok(mut conn) => conn.ping().is_ok(),
        Err(fault) => {
            let words = fault.to_string();
            ["too many clients", "too many connections", "connection slots", "no more connections allowed"]
                .iter()
                .any(|full| words.contains(full))
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
    is_pooled: bool,
) -> Result<(), Attempt> {
    let begun = match conn {
        Conn::Sqlite(sqlite) => AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE"),
        Conn::Postgres(postgres) => AnsiTransactionManager::begin_transaction(postgres)
            .and_then(|()| if is_pooled { postgres.batch_execute(TRANSACTION) } else { Ok(()) }),
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
