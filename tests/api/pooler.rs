//! PgBouncer between several servers and PostgreSQL. Runs where there is a PostgreSQL and the program `pgbouncer`.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant as Stopwatch},
};

use macro_rules_attribute::apply;
use serde_json::json;
use sidebyside::store::{Db, db::Target, migrations};

use crate::{
    harness::Town,
    support::{
        database_test::database_test,
        databases::{Kind, postgres_url},
    },
};

/// A pooler of its own; killed when it is dropped.
struct Pooler {
    child: Child,
    port: u16,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the pooler in front of the suite's server; none where the program is not installed.
fn start(town: &Town, pool_mode: &str) -> Option<Pooler> {
    let places = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
    let Some(program) = places.into_iter().find(|place| std::path::Path::new(place).exists()) else {
        println!("PgBouncer: DID NOT RUN (install pgbouncer)");
        return None;
    };
    let server = postgres_url()?;
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let password = server.password().map(|word| format!(" password={word}")).unwrap_or_default();
    // In session mode each of our connections holds a session.
    let sessions = if pool_mode == "session" { 60 } else { 4 };
    let settings = format!(
        "[databases]\n* = host={} port={} user={}{password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         auth_type = any\npool_mode = {pool_mode}\ndefault_pool_size = {sessions}\nmax_client_conn = 200\nunix_socket_dir =\n",
        server.host_str().expect("a host"),
        server.port().unwrap_or(5432),
        server.username(),
    );
    let folder = town.database().folder();
    let file = folder.join(format!("pgbouncer-{pool_mode}.ini"));
    std::fs::write(&file, settings).expect("its settings");
    // It refuses to be root, and the folder of a test is for its owner only.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.args(["-u", "postgres"]);
    }
    let child = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the pooler");
    let pooler = Pooler { child, port };
    let since = Stopwatch::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(since.elapsed() < Duration::from_secs(60), "the pooler does not start");
        std::thread::yield_now();
    }
    Some(pooler)
}

fn url_through(town: &Town, pooler: &Pooler) -> String {
    let mut url = url::Url::parse(&town.database().url()).expect("a URL");
    url.set_host(Some("127.0.0.1")).expect("a host");
    url.set_port(Some(pooler.port)).expect("a port");
    url.into()
}

#[apply(database_test!)]
async fn servers_behind_pgbouncer_in_transaction_mode_work(town: Town) {
    if town.kind() == Kind::Sqlite {
        return;
    }
    for pool_mode in ["transaction", "session"] {
        let Some(pooler) = start(&town, pool_mode) else { return };
        let url = url_through(&town, &pooler);
        let one = town.with(&[("DATABASE_URL", &url)]);
        let other = town.with(&[("DATABASE_URL", &url)]);
        let fay = one.facilitator("Fay").await;
        let run = one.run(&fay, |run| run["capacity"] = json!(5)).await;
        let (here, there) = (one.people("Pat", 15).await, other.people("Sam", 15).await);
        let calls = here.iter().chain(&there).map(|person| person.sign_up(&run.id));
        for answer in futures_util::future::join_all(calls).await {
            answer.expect(201);
        }
        let in_run = format!("run_id = '{}'", run.id);
        assert_eq!(one.rows(&format!("signups WHERE {in_run} AND status = 'confirmed'")), 5);
        assert_eq!(one.rows(&format!("signups WHERE {in_run} AND status = 'waitlisted'")), 25);
        let (first, second) = tokio::join!(one.work(), other.work());
        assert!(first + second >= 30, "{first} and {second} mails");
        // The other server's lists follow what was done here.
        one.app().runs.looked(|| one.app().db.own_changes().ring()).await;
        other.app().runs.looked(|| other.app().db.own_changes().ring()).await;
        let listed = other.nobody().get("/runs").await.expect(200).json;
        let found = listed["items"].as_array().unwrap().iter().find(|item| item["id"] == run.id.as_str());
        assert_eq!(found.expect("the run")["places_left"], 0);
        one.nobody().open("/readyz").await.expect(200);
        fay.post(&run.at("/cancel"), json!({ "reason_code": "illness" })).await.expect(200);
        one.work().await;
        // The lock of migrations does not stay with a session of the pooler.
        assert!(migrations::run(&one.app().db).expect("no migrations").is_empty());
        let locks = one.rows(
            "pg_locks l JOIN pg_database d ON d.oid = l.database \
             WHERE l.locktype = 'advisory' AND d.datname = current_database()",
        );
        assert_eq!(locks, 0);
    }
}

#[apply(database_test!)]
async fn pgbouncer_in_statement_mode_is_refused_by_name(town: Town) {
    if town.kind() == Kind::Sqlite {
        return;
    }
    let Some(pooler) = start(&town, "statement") else { return };
    let refused = migrations::run(&Db::open(Target::Postgres(url_through(&town, &pooler)))).unwrap_err().to_string();
    assert!(refused.contains("PgBouncer") && refused.contains("pool_mode = transaction"), "{refused}");
}
