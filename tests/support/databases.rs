//! A database for each test: a SQLite file in a folder of its own, or a PostgreSQL database made and dropped again.
//!
//! Migrated ones are copies of a template that is migrated once in a process. The one invariant: nothing outlives its
//! test, and nothing but `TEST_DATABASE_URL` decides whether there is a PostgreSQL half.

use std::{
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use diesel::{Connection, PgConnection, RunQueryDsl};
use sidebyside::store::{Db, db::Target, migrations};
use tempfile::TempDir;

/// Which database a case runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// The first word of a case's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// Copying the files of a template took 8 ms, copying it by way of the log 21 ms, and loading the schema 90 ms (measured on
/// PostgreSQL 15 with its data in memory).
const COPY_STRATEGY: &str = "STRATEGY FILE_COPY";

/// The server on which databases may be made, if there is one.
pub fn postgres_url() -> Option<&'static url::Url> {
    static URL: OnceLock<Option<url::Url>> = OnceLock::new();
    #[allow(clippy::disallowed_methods, reason = "the suite's only setting")]
    let read = || {
        let text = std::env::var("TEST_DATABASE_URL").ok().filter(|text| !text.trim().is_empty())?;
        Some(url::Url::parse(&text).expect("TEST_DATABASE_URL is a postgres:// URL"))
    };
    URL.get_or_init(read).as_ref()
}

/// A database of one test.
pub struct Database {
    pub kind: Kind,
    pub target: Target,
    folder: TempDir,
    postgres_name: Option<String>,
    gone: AtomicBool,
}

/// Memory that a folder in memory must have left for the suite to use it, in bytes: 1 GiB. Containers often have 64 MB.
const MEMORY_FOLDER_BYTES: u64 = 1 << 30;

/// A folder for one test: in memory where there is enough of it, since the suite tests no disk.
fn folder() -> TempDir {
    static PARENT: OnceLock<PathBuf> = OnceLock::new();
    let parent = PARENT.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let left = rustix::fs::statvfs(memory).map_or(0, |about| about.f_bavail.saturating_mul(about.f_frsize));
        if left >= MEMORY_FOLDER_BYTES { memory.to_owned() } else { std::env::temp_dir() }
    });
    temporary_folder(parent)
}

fn temporary_folder(parent: &Path) -> TempDir {
    tempfile::Builder::new().prefix("sidebyside-test-").tempdir_in(parent).expect("a folder")
}

static COUNTER: AtomicUsize = AtomicUsize::new(0);

impl Database {
    /// One without a table.
    pub fn empty(kind: Kind) -> Self {
        Self::new(kind, false, folder())
    }

    /// One with all tables and no rows.
    pub fn migrated(kind: Kind) -> Self {
        Self::new(kind, true, folder())
    }

    /// As [`migrated`](Self::migrated), with its files on a disk, where a commit is worth what the disk says.
    pub fn on_disk(kind: Kind) -> Self {
        Self::new(kind, true, temporary_folder(&std::env::temp_dir()))
    }

    fn new(kind: Kind, is_migrated: bool, folder: TempDir) -> Self {
        match kind {
            Kind::Sqlite => {
                let path = folder.path().join("sidebyside.db");
                if is_migrated {
                    std::fs::copy(sqlite_template(), &path).expect("a copy of the template");
                }
                Self { kind, target: Target::Sqlite(path), folder, postgres_name: None, gone: AtomicBool::new(false) }
            }
            Kind::Postgres => {
                let template = if is_migrated {
                    format!(" TEMPLATE {} {COPY_STRATEGY}", postgres_template())
                } else {
                    String::new()
                };
                let name = fresh_name("t");
                on_server(&format!("CREATE DATABASE {name}{template}"));
                let target = Target::Postgres(url_of(&name));
                Self { kind, target, folder, postgres_name: Some(name), gone: AtomicBool::new(false) }
            }
        }
    }

    /// Two copies of everything in it. Whoever still holds a connection loses it.
    pub fn two_copies(&self) -> (Self, Self) {
        if let Some(name) = &self.postgres_name {
            // A database is copied only while nobody is in it, and the pool of a server comes back at once.
            on_server(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
            on_server(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
        }
        (self.copy(), self.copy())
    }

    fn copy(&self) -> Self {
        let folder = folder();
        let (target, postgres_name) = match &self.target {
            Target::Sqlite(path) => {
                let copy = folder.path().join("sidebyside.db");
                let mut conn = diesel::SqliteConnection::establish(&path.to_string_lossy()).expect("the database");
                let command = format!("VACUUM INTO '{}'", copy.display());
                diesel::sql_query(command).execute(&mut conn).expect("a copy");
                (Target::Sqlite(copy), None)
            }
            Target::Postgres(_) => {
                let name = fresh_name("copy");
                let original = self.postgres_name.as_deref().expect("a name");
                on_server(&format!("CREATE DATABASE {name} TEMPLATE {original} {COPY_STRATEGY}"));
                on_server(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
                (Target::Postgres(url_of(&name)), Some(name))
            }
        };
        Self { kind: self.kind, target, folder, postgres_name, gone: AtomicBool::new(false) }
    }

    /// A folder that goes with the database.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// As `DATABASE_URL` takes it.
    pub fn url(&self) -> String {
        match &self.target {
            Target::Sqlite(path) => format!("sqlite://{}", path.display()),
            Target::Postgres(url) => url.clone(),
        }
    }

    /// Does at once what PostgreSQL does by itself some minutes after many rows were written.
    #[allow(dead_code, reason = "for benches")]
    pub fn tidy(&self) {
        if let Target::Postgres(url) = &self.target {
            on(url, "VACUUM (ANALYZE)");
        }
    }

    /// Removes it, whoever still holds a connection.
    pub fn remove(&self) {
        if let (Some(name), false) = (&self.postgres_name, self.gone.swap(true, Ordering::AcqRel)) {
            on_server(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.remove();
    }
}

fn fresh_name(word: &str) -> String {
    format!("sidebyside_{word}_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

fn url_of(name: &str) -> String {
    let mut url = postgres_url().expect("a PostgreSQL case runs only where there is a server").clone();
    url.set_path(name);
    url.to_string()
}

fn on_server(command: &str) {
    on(postgres_url().expect("a PostgreSQL case runs only where there is a server").as_str(), command);
}

fn on(url: &str, command: &str) {
    let mut server = PgConnection::establish(url).expect("TEST_DATABASE_URL answers");
    diesel::sql_query(command).execute(&mut server).unwrap_or_else(|fault| panic!("{command}: {fault}"));
}

static SQLITE_TEMPLATE: OnceLock<TempDir> = OnceLock::new();
static POSTGRES_TEMPLATE: OnceLock<String> = OnceLock::new();

fn sqlite_template() -> PathBuf {
    let folder = SQLITE_TEMPLATE.get_or_init(|| {
        let folder = folder();
        let db = Db::open(Target::Sqlite(folder.path().join("template.db")));
        migrations::run(&db).expect("migrations run");
        folder
    });
    folder.path().join("template.db")
}

fn postgres_template() -> &'static str {
    POSTGRES_TEMPLATE.get_or_init(|| {
        let name = fresh_name("template");
        on_server(&format!("CREATE DATABASE {name}"));
        migrations::run(&Db::open(Target::Postgres(url_of(&name)))).expect("migrations run");
        name
    })
}

/// Removes the templates; to be called once, when all is over.
pub fn clean_up() {
    if let Some(name) = POSTGRES_TEMPLATE.get() {
        on_server(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }
    if let Some(folder) = SQLITE_TEMPLATE.get() {
        let _ = std::fs::remove_dir_all(folder.path());
    }
}
