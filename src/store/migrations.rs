//! The database's shape: brought up to this binary's at start or by `sidebyside migrate`, one process at a time.

use diesel::{Connection, RunQueryDsl, connection::SimpleConnection, sql_types::BigInt};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::db::{Conn, Db, Target};
use crate::error::{Error, Result};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The number of the advisory lock under which migrations run on PostgreSQL ("side" in ASCII).
const LOCK: i64 = 0x7369_6465;

/// Runs what is missing and returns its names. Several processes may call it at once: one migrates, the others wait.
///
/// # Errors
/// When the database has been migrated by a newer binary (its unknown migrations are named), or a migration fails.
pub fn run(db: &Db) -> Result<Vec<String>> {
    let _file_lock = match db.target() {
        Target::Sqlite(path) => {
            let lock = lock_file(&path.with_extension("migrate.lock"))?;
            private_file(path)?;
            Some(lock)
        }
        Target::Postgres(_) => None,
    };
    match &mut db.connect_alone()? {
        Conn::Sqlite(conn) => up(conn, SQLITE),
        // In one transaction, so that the lock ends with it whatever happens: a pooler may give the next statement another
        // session. The usual limits would cut the wait for another replica short.
        Conn::Postgres(conn) => conn.transaction(|conn| {
            conn.batch_execute(
                "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; \
                 SET LOCAL idle_in_transaction_session_timeout = 0;",
            )?;
            diesel::sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(LOCK).execute(conn)?;
            up(conn, POSTGRES)
        }),
    }
}

/// Takes everything back, newest first, and returns the names; the suite uses it to hold up and down together.
pub fn revert_all(db: &Db) -> Result<Vec<String>> {
    let done = match &mut db.connect_alone()? {
        Conn::Sqlite(conn) => conn.revert_all_migrations(SQLITE).map(names),
        Conn::Postgres(conn) => conn.revert_all_migrations(POSTGRES).map(names),
    };
    done.map_err(|fault| Error::Internal(anyhow::anyhow!("reverting migrations: {fault}")))
}

fn names(versions: Vec<diesel::migration::MigrationVersion<'_>>) -> Vec<String> {
    versions.iter().map(ToString::to_string).collect()
}

fn up<B, C>(conn: &mut C, ours: EmbeddedMigrations) -> Result<Vec<String>>
where
    B: diesel::backend::Backend,
    C: MigrationHarness<B>,
    EmbeddedMigrations: diesel::migration::MigrationSource<B>,
{
    let fail = |fault| Error::Internal(anyhow::anyhow!("migrating the database: {fault}"));
    let known: Vec<String> = diesel::migration::MigrationSource::<B>::migrations(&ours)
        .map_err(fail)?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let unknown: Vec<String> =
        names(conn.applied_migrations().map_err(fail)?).into_iter().filter(|name| !known.contains(name)).collect();
    if !unknown.is_empty() {
        return Err(Error::Internal(anyhow::anyhow!(
            "the database is newer than this program (sidebyside {}): it has migrations that are unknown here: {}",
            env!("CARGO_PKG_VERSION"),
            unknown.join(", "),
        )));
    }
    Ok(names(conn.run_pending_migrations(ours).map_err(fail)?))
}

/// Makes the database's file, unless it is there, for its owner's eyes only; SQLite gives its side files the same mode.
fn private_file(path: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::File::options().create(true).append(true).mode(0o600).open(path);
    made.map(|_| ()).map_err(|fault| {
        Error::Internal(anyhow::Error::new(fault).context(format!("making the database {}", path.display())))
    })
}

/// Waits for an exclusive lock on a file, which lasts as long as the returned handle.
fn lock_file(path: &std::path::Path) -> Result<std::fs::File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|fault| anyhow::Error::new(fault).context(format!("making {}", folder.display())))?;
    }
    let locked = std::fs::File::options().create(true).truncate(false).write(true).open(path).and_then(|file| {
        file.lock()?;
        Ok(file)
    });
    locked.map_err(|fault| Error::Internal(anyhow::Error::new(fault).context(format!("locking {}", path.display()))))
}
