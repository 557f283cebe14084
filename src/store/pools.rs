//! Pools of connections: one connection that writes and a few that read for SQLite, one pool for PostgreSQL.

use std::{
    sync::{Arc, LazyLock, OnceLock, Weak},
    time::Duration,
};

use diesel::r2d2::{Error::QueryError, ManageConnection, Pool, R2D2Connection};
use scheduled_thread_pool::ScheduledThreadPool;

use super::{
    connecting::Connector,
    db::{Conn, Target},
    outage::OutageWatch,
};

/// PostgreSQL connections a process may hold.
const POSTGRES_POOL: u32 = 16;
/// SQLite readers a process may hold.
const SQLITE_READERS: u32 = 4;
/// How long somebody waits for a connection before they are asked to come again: on SQLite that is the line of those who
/// write, and hundreds may come at once. A PostgreSQL that is away is noticed long before.
pub(super) const POOL_TIMEOUT: Duration = Duration::from_secs(20);
/// Half of it is the longest pause between two tries of a pool to connect.
const POSTGRES_CONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Threads that open connections: a server that does not answer holds one of them for a while.
const CONNECTORS: usize = 3;
/// The threads on which the pools of SQLite connect. Each pool would otherwise start three of its own.
static CONNECTING: LazyLock<Arc<ScheduledThreadPool>> = LazyLock::new(connecting_threads);

fn connecting_threads() -> Arc<ScheduledThreadPool> {
    Arc::new(ScheduledThreadPool::builder().num_threads(CONNECTORS).thread_name_pattern("connect-{}").build())
}

/// Makes and checks the connections of a pool.
pub(super) struct Manager(Arc<Connector>);

impl ManageConnection for Manager {
    type Connection = Conn;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Conn, Self::Error> {
        self.0.connect()
    }

    fn is_valid(&self, conn: &mut Conn) -> Result<(), Self::Error> {
        conn.ping().map_err(QueryError)
    }

    fn has_broken(&self, conn: &mut Conn) -> bool {
        std::thread::panicking() || conn.is_broken()
    }
}

/// The pools of a process.
#[derive(Clone)]
pub(super) struct Pools {
    pub(super) readers: Pool<Manager>,
    pub(super) writers: Pool<Manager>,
}

impl Pools {
    /// Opens the pools; they connect lazily. Failures to connect are told to the watch in `suspected`.
    pub(super) fn open(
        target: &Target,
        connector: &Arc<Connector>,
        suspected: &Arc<OnceLock<Weak<OutageWatch>>>,
    ) -> Self {
        let (pause, threads) = match target {
            Target::Sqlite(_) => (POOL_TIMEOUT, CONNECTING.clone()),
            // Its own: after an outage others may wait for an answer that never comes.
            Target::Postgres(_) => (POSTGRES_CONNECT_PAUSE, connecting_threads()),
        };
        let pool = |size: u32| {
            Pool::builder()
                .thread_pool(threads.clone())
                .max_size(size)
                .min_idle(Some(0))
                .connection_timeout(pause)
                .error_handler(Box::new(TellPoolErrors(suspected.clone())))
                .build_unchecked(Manager(connector.clone()))
        };
        match target {
            Target::Sqlite(_) => Self { readers: pool(SQLITE_READERS), writers: pool(1) },
            Target::Postgres(_) => {
                let one = pool(POSTGRES_POOL);
                Self { readers: one.clone(), writers: one }
            }
        }
    }
}

/// Logs what keeps a pool from connecting, and has PostgreSQL probed.
#[derive(Debug)]
struct TellPoolErrors(Arc<OnceLock<Weak<OutageWatch>>>);

impl diesel::r2d2::HandleError<diesel::r2d2::Error> for TellPoolErrors {
    fn handle_error(&self, error: diesel::r2d2::Error) {
        match self.0.get().and_then(Weak::upgrade) {
            Some(outage) => {
                // Each of its connections fails: one line tells, where the outage is found.
                tracing::debug!(%error, "no connection to the database");
                outage.suspect();
            }
            None => tracing::warn!(%error, "no connection to the database"),
        }
    }
}
