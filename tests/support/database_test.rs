//! Makes two standard tests of each case, one on SQLite and one on PostgreSQL, and tells at the end of the process whether
//! the PostgreSQL half ran.

use std::sync::{
    Once,
    atomic::{AtomicUsize, Ordering},
};

use super::databases::{self, Kind};

/// Turns a case into the tests `NAME::sqlite` and `NAME::postgres`: `#[apply(database_test!)]` above the function.
///
/// An async case takes a [`Town`](crate::harness::Town), any other one a [`Kind`]. The PostgreSQL test of a case does
/// nothing without `TEST_DATABASE_URL`; the closing line of the process says how many did nothing.
macro_rules! database_test {
    ($(#[$about:meta])* async fn $name:ident $($rest:tt)*) => {
        $(#[$about])* async fn $name $($rest)*
        $crate::support::database_test::both_databases!($name, |kind| {
            $crate::harness::run_case($crate::support::databases::Database::migrated(kind), |town| Box::pin($name(town)))
        });
    };
    ($(#[$about:meta])* fn $name:ident $($rest:tt)*) => {
        $(#[$about])* fn $name $($rest)*
        $crate::support::database_test::both_databases!($name, $name);
    };
}
pub(crate) use database_test;

/// As [`database_test`], with the database on a disk: for cases about programs that are killed.
macro_rules! disk_database_test {
    ($(#[$about:meta])* async fn $name:ident $($rest:tt)*) => {
        $(#[$about])* async fn $name $($rest)*
        $crate::support::database_test::both_databases!($name, |kind| {
            $crate::harness::run_case($crate::support::databases::Database::on_disk(kind), |town| Box::pin($name(town)))
        });
    };
}
pub(crate) use disk_database_test;

/// The two test functions of a case, in a module of the case's name.
macro_rules! both_databases {
    ($name:ident, $run:expr) => {
        mod $name {
            use super::*;

            fn run_on(kind: $crate::support::databases::Kind) {
                let run: fn($crate::support::databases::Kind) = $run;
                $crate::support::database_test::run(kind, run);
            }

            #[test]
            fn sqlite() {
                run_on($crate::support::databases::Kind::Sqlite);
            }

            #[test]
            fn postgres() {
                run_on($crate::support::databases::Kind::Postgres);
            }
        }
    };
}
pub(crate) use both_databases;

static POSTGRES_TESTS: AtomicUsize = AtomicUsize::new(0);
static SET_UP: Once = Once::new();

/// Runs a case on one kind of database, or counts it as not run where there is none of that kind.
pub fn run(kind: Kind, case: fn(Kind)) {
    SET_UP.call_once(|| {
        sidebyside::auth::tokens::install_crypto_provider();
        #[allow(unsafe_code, reason = "the standard harness has no hook that follows all tests")]
        // SAFETY: the function is called once, when the process ends, and touches nothing but statics.
        let registered = unsafe { libc::atexit(close) };
        assert_eq!(registered, 0, "the closing line of the suite is registered");
    });
    if kind == Kind::Postgres {
        POSTGRES_TESTS.fetch_add(1, Ordering::Relaxed);
        if databases::postgres_url().is_none() {
            return;
        }
    }
    case(kind);
}

/// Removes the templates and prints the closing line. The standard test harness has no place for what follows all tests.
extern "C" fn close() {
    databases::clean_up();
    let tests = POSTGRES_TESTS.load(Ordering::Relaxed);
    if databases::postgres_url().is_some() {
        println!("PostgreSQL half: ran ({tests} tests)");
    } else {
        println!(
            "PostgreSQL half: DID NOT RUN ({tests} tests did nothing; set TEST_DATABASE_URL to a postgres:// URL)"
        );
    }
}
