//! The database's shape: up, down and up again, by several at once, and never by an older program.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
    thread,
};

use diesel::{QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_types::Text};
use macro_rules_attribute::apply;
use sidebyside::{
    service::{applications, runs as run_service},
    store::{Conn, Db, accounts, migrations, runs},
};

use crate::support::{
    database_test::database_test,
    databases::{Database, Kind},
    people::account,
};

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    nullable: String,
}

/// Every column there is, but diesel's own.
fn columns(db: &Db) -> Vec<Column> {
    let mut columns: Vec<Column> = match &mut db.connect_alone().expect("a connection") {
        Conn::Sqlite(conn) => diesel::sql_query(
            "SELECT m.name AS table_name, c.name AS column_name, upper(c.type) AS kind, \
             CASE WHEN c.\"notnull\" = 1 OR c.pk > 0 THEN 'NO' ELSE 'YES' END AS nullable \
             FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'",
        )
        .load(conn)
        .expect("columns"),
        Conn::Postgres(conn) => diesel::sql_query(
            "SELECT table_name::text, column_name::text, upper(data_type::text) AS kind, is_nullable::text AS nullable \
             FROM information_schema.columns WHERE table_schema = 'public'",
        )
        .load(conn)
        .expect("columns"),
    };
    columns.retain(|column| !column.table_name.starts_with("__diesel") && !column.table_name.starts_with("sqlite_"));
    columns
}

#[apply(database_test!)]
fn up_down_and_up_again(kind: Kind) {
    let database = Database::empty(kind);
    let db = Db::open(database.target.clone());
    let first = migrations::run(&db).expect("up");
    assert!(first.len() >= 7, "{first:?}");
    assert_eq!(migrations::run(&db).expect("nothing to do"), [""; 0]);
    let shape = |db: &Db| -> BTreeSet<String> {
        columns(db)
            .into_iter()
            .map(|c| format!("{}.{} {} {}", c.table_name, c.column_name, c.kind, c.nullable))
            .collect()
    };
    let before = shape(&db);
    let mut back = migrations::revert_all(&db).expect("down");
    back.reverse();
    assert_eq!(back, first);
    assert!(columns(&db).is_empty(), "nothing is left of the tables");
    if kind == Kind::Postgres {
        let functions = "SELECT proname::text AS table_name, '' AS column_name, '' AS kind, '' AS nullable FROM pg_proc p \
                         JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public' AND proname LIKE 'audit%'";
        let Conn::Postgres(conn) = &mut db.connect_alone().unwrap() else { panic!("another database") };
        let left: Vec<Column> = diesel::sql_query(functions).load(conn).expect("functions");
        assert!(left.is_empty(), "a function is left: {}", left[0].table_name);
    }
    assert_eq!(migrations::run(&db).expect("up again"), first);
    assert_eq!(shape(&db), before);
}

/// The scripts of the migration of run details, first down and then up, for one kind of database.
fn details_scripts(kind: Kind) -> [&'static str; 2] {
    macro_rules! scripts {
        ($database:literal) => {
            [
                include_str!(concat!("../../migrations/", $database, "/2026-11-29-000001_run_details/down.sql")),
                include_str!(concat!("../../migrations/", $database, "/2026-11-29-000001_run_details/up.sql")),
            ]
        };
    }
    match kind {
        Kind::Sqlite => scripts!("sqlite"),
        Kind::Postgres => scripts!("postgres"),
    }
}

#[apply(database_test!)]
fn run_keeps_its_details_over_down_and_up(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let now = "2026-11-22T10:00:00Z".parse().expect("an instant");
    let leader = account("Ana", "ana@example.org", now);
    let draft = serde_json::from_value(serde_json::json!({
        "title": "An easy evening", "description": "We start together.", "activity": "run",
        "pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 }, "distance_km": 5.5, "duration_min": 60,
        "starts_at": "2026-11-24T10:00:00Z", "capacity": 12, "join_policy": "open", "getting_there": "By the bench.",
        "meeting_point": { "lat": 51.410992, "lng": -0.335791, "name": "The fountain" }, "day_contact": "07700 900123",
    }))
    .expect("a draft");
    let posted = db.write_here(|tx| {
        accounts::insert(tx, &leader)?;
        applications::approve_imported(tx, leader.id, now)?;
        run_service::post(tx, leader.id, &draft, None, now)
    });
    let id = posted.expect("a run").id;
    let shown = || format!("{:?}", db.read_here(|conn| runs::get(conn, id)).expect("the run"));
    let before = shown();
    assert!(before.contains("By the bench.") && before.contains("51.410992"), "{before}");
    for script in details_scripts(kind) {
        let mut conn = db.connect_alone().expect("a connection");
        conn.batch_execute(script).expect("the script runs");
    }
    assert_eq!(shown(), before);
}

/// The schema of `src/store/schema.rs`: by table and column, the SQL type as it is written there.
fn schema() -> BTreeMap<(String, String), String> {
    let text = concat!(
        include_str!("../../src/store/schema/of_people.rs"),
        include_str!("../../src/store/schema/of_runs.rs"),
        include_str!("../../src/store/schema/of_wishes.rs"),
    );
    let mut all = BTreeMap::new();
    for block in text.split("diesel::table! {").skip(1) {
        let body: Vec<&str> = block.lines().map(str::trim).skip_while(|line| !line.ends_with(") {")).collect();
        let table = body[0].split_whitespace().next().expect("a name").to_owned();
        for (at, line) in body.iter().enumerate() {
            let Some((column, kind)) = line.trim_end_matches(',').split_once(" -> ") else { continue };
            let renamed = at.checked_sub(1).and_then(|before| body[before].strip_prefix("#[sql_name = \""));
            let column = renamed.map_or(column, |name| name.trim_end_matches("\"]"));
            all.insert((table.clone(), column.to_owned()), kind.to_owned());
            if body.get(at + 1) == Some(&"}") {
                break;
            }
        }
    }
    all
}

#[apply(database_test!)]
fn the_tables_are_those_of_the_schema(kind: Kind) {
    let database = Database::migrated(kind);
    let ours = schema();
    assert!(ours.len() > 150, "{}", ours.len());
    let theirs = columns(&Db::open(database.target.clone()));
    let names: BTreeSet<(String, String)> =
        theirs.iter().map(|c| (c.table_name.clone(), c.column_name.clone())).collect();
    assert_eq!(ours.keys().cloned().collect::<BTreeSet<_>>(), names);
    for column in theirs {
        let word = &ours[&(column.table_name.clone(), column.column_name.clone())];
        let bare = word.trim_start_matches("Nullable<").trim_end_matches('>');
        let wanted: &[&str] = match (kind, bare) {
            (Kind::Sqlite, "SqlId") => &["BLOB"],
            (Kind::Sqlite, "SqlInstant" | "Text") => &["TEXT"],
            (Kind::Sqlite, "Bool" | "Integer") => &["INTEGER", "BOOLEAN"],
            (Kind::Sqlite, "BigInt") => &["BIGINT", "INTEGER"],
            (Kind::Sqlite, "Double") => &["DOUBLE"],
            (Kind::Postgres, "SqlId") => &["UUID"],
            (Kind::Postgres, "SqlInstant") => &["TIMESTAMP WITH TIME ZONE"],
            (Kind::Postgres, "Text") => &["TEXT"],
            (Kind::Postgres, "Bool") => &["BOOLEAN"],
            (Kind::Postgres, "Integer") => &["INTEGER"],
            (Kind::Postgres, "BigInt") => &["BIGINT"],
            (Kind::Postgres, "Double") => &["DOUBLE PRECISION"],
            other => panic!("{}.{}: no rule for {other:?}", column.table_name, column.column_name),
        };
        let at = format!("{}.{}", column.table_name, column.column_name);
        assert!(wanted.contains(&column.kind.as_str()), "{at}: {word} and {}", column.kind);
        assert_eq!(
            word.starts_with("Nullable<"),
            column.nullable == "YES",
            "{at}: {word} and nullable {}",
            column.nullable
        );
    }
}

#[apply(database_test!)]
fn of_several_threads_one_migrates_and_all_succeed(kind: Kind) {
    let database = Database::empty(kind);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let target = database.target.clone();
            thread::spawn(move || migrations::run(&Db::open(target)).expect("migrations run").len())
        })
        .collect();
    let done: Vec<usize> = threads.into_iter().map(|thread| thread.join().expect("a thread")).collect();
    assert_eq!(done.iter().filter(|done| **done > 0).count(), 1, "{done:?}");
}

#[apply(database_test!)]
fn of_several_processes_one_migrates_and_all_succeed(kind: Kind) {
    let database = Database::empty(kind);
    let start = |_| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_sidebyside"));
        program
            .arg("migrate")
            .env("DATABASE_URL", database.url())
            .env("DATA_DIR", database.folder())
            .env("SECRET_KEY", "a master secret of the suite that is long enough")
            .current_dir(database.folder())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        program.spawn().expect("a process")
    };
    // All of them are under way before the first is waited for.
    let started: Vec<_> = (0..4).map(start).collect();
    let processes: Vec<_> = started.into_iter().map(|one| one.wait_with_output().expect("an end")).collect();
    for process in &processes {
        assert!(process.status.success(), "{}", String::from_utf8_lossy(&process.stderr));
    }
    assert_eq!(migrations::run(&Db::open(database.target.clone())).expect("nothing to do"), [""; 0]);
}

#[apply(database_test!)]
fn a_newer_database_is_refused_by_name(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let insert = "INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000001')";
    match &mut db.connect_alone().unwrap() {
        Conn::Sqlite(conn) => conn.batch_execute(insert).unwrap(),
        Conn::Postgres(conn) => conn.batch_execute(insert).unwrap(),
    }
    let fault = migrations::run(&db).expect_err("it is newer").to_string();
    assert!(fault.contains("newer than this program") && fault.contains("20991231000001"), "{fault}");
    let process = Command::new(env!("CARGO_BIN_EXE_sidebyside"))
        .arg("migrate")
        .env("DATABASE_URL", database.url())
        .env("DATA_DIR", database.folder())
        .env("SECRET_KEY", "a master secret of the suite that is long enough")
        .current_dir(database.folder())
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&process.stderr).into_owned() + &String::from_utf8_lossy(&process.stdout);
    assert!(!process.status.success() && said.contains("20991231000001"), "{said}");
}
