//! A town: a real server on a port of its own over a database of its own, a clock that stands, an inbox, and people.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    num::NonZeroUsize,
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use diesel::{QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_types};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use sidebyside::{
    app::App,
    clock::{Clock, Instant},
    config,
    domain::account::{AccountStatus, Role},
    http::server,
    id::Id,
    index::Listing,
    service::{
        applications, run_views,
        sessions::{self, Checked},
    },
    store::{Conn, Tx, accounts, accounts::Account, overlaps, runs},
    worker,
};

use super::{
    Client, Letter, Person,
    inbox::{Behaviour, Inbox},
};
use crate::support::{
    databases::{Database, Kind},
    people::account,
};

/// Where the clock of a town stands at first: a Monday, in winter.
const T0: &str = "2026-11-23T10:00:00Z";
/// The password of everybody that a town makes.
pub const PASSWORD: &str = "wide meadow lantern";
/// The address that links in mails begin with; the tests open what comes after it.
pub const BASE_URL: &str = "http://town.example";
/// Longer than any case may take, on a slow machine with others beside it.
const DEADLINE: Duration = Duration::from_secs(600);

/// The handle of a town; clones are the same town.
#[derive(Clone)]
pub struct Town(Arc<Inner>);

struct Inner {
    app: Arc<App>,
    base: String,
    http: reqwest::Client,
    server: actix_web::dev::ServerHandle,
    clock: Clock,
    shared: Arc<Shared>,
}

/// What several servers of one town share.
struct Shared {
    database: Database,
    inbox: Inbox,
    people: AtomicUsize,
    mail_is_left: AtomicBool,
    /// Somebody changed rows behind everybody's back, or took the database away: the index is not held against it.
    rows_were_changed: AtomicBool,
}

/// A run that was posted.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: String,
    pub etag: String,
    pub json: Value,
}

impl Run {
    /// `/runs/{id}` and what follows.
    pub fn at(&self, rest: &str) -> String {
        format!("/runs/{}{rest}", self.id)
    }
}

/// Runs one case in a town of its own over `database`. Panics with the case, when mail was left undelivered, or when the
/// run index differs from the database afterwards.
pub fn run_case(database: Database, case: impl FnOnce(Town) -> BoxFuture<'static, ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let outcome = runtime.block_on(async {
        let town = Town::open(database).await;
        let done = AssertUnwindSafe(tokio::time::timeout(DEADLINE, case(town.clone()))).catch_unwind().await;
        let outcome = match done {
            Err(panic) => Err(words(&*panic)),
            Ok(Err(_)) => Err(format!("not done after {DEADLINE:?}")),
            Ok(Ok(())) => match town.no_mail_is_left() {
                Ok(()) => match tokio::time::timeout(DEADLINE, town.the_index_is_true()).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(format!("the index followed nothing for {DEADLINE:?}")),
                },
                left => left,
            },
        };
        town.0.server.stop(false).await;
        town.0.shared.database.remove();
        outcome
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "panicked".into())
}

fn password_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    let hash = || sidebyside::auth::passwords::hash_here(&PASSWORD.to_owned().into()).expect("a hash");
    HASH.get_or_init(hash).clone()
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = sql_types::BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = sql_types::Text)]
    t: String,
}

impl Town {
    async fn open(database: Database) -> Self {
        let shared = Shared {
            database,
            inbox: Inbox::open().await,
            people: AtomicUsize::new(0),
            mail_is_left: AtomicBool::new(false),
            rows_were_changed: AtomicBool::new(false),
        };
        let clock = Clock::standing_at(T0.parse().expect("an instant"));
        Self::serve(Arc::new(shared), clock, &[])
    }

    fn serve(shared: Arc<Shared>, clock: Clock, settings: &[(&'static str, &str)]) -> Self {
        let mut values: BTreeMap<&'static str, String> = [
            ("DATABASE_URL", shared.database.url()),
            ("DATA_DIR", shared.database.folder().display().to_string()),
            ("SMTP_URL", shared.inbox.url()),
            ("MAIL_FROM", "Side by Side <hello@town.example>".to_owned()),
            ("BASE_URL", BASE_URL.to_owned()),
            ("SECRET_KEY", "a master secret of the suite that is long enough".to_owned()),
            ("RATE_LIMITS", "off".to_owned()),
            ("ORG_NAME", "The Town".to_owned()),
            ("CONTACT", "hello@town.example".to_owned()),
            ("SAFEGUARDING_CONTACT", "safe@town.example".to_owned()),
        ]
        .into();
        let mut toml = None;
        for (name, value) in settings {
            if *name == "toml" {
                toml = Some((*value).to_owned());
            } else {
                values.insert(name, (*value).to_owned());
            }
        }
        let config = config::from_values(&values, toml.as_deref()).expect("settings");
        let app = Arc::new(App::build(config, clock.clone()).expect("an app"));
        app.follow_runs().expect("an index of runs");
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(app.runs.loaded()));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let server = server::start(app.clone(), listener, NonZeroUsize::MIN).expect("a server");
        let handle = server.handle();
        tokio::spawn(server);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // The server hangs up on connections that rest for five seconds; we let go of them first.
            .pool_idle_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(90))
            .build()
            .expect("a client");
        Self(Arc::new(Inner { app, base, http, server: handle, clock, shared }))
    }

    /// Another server over the same database, inbox and clock, with other settings; `toml` is the policy file.
    pub fn with(&self, settings: &[(&'static str, &str)]) -> Self {
        Self::serve(self.0.shared.clone(), self.0.clock.clone(), settings)
    }

    /// Two worlds that go on from here, each a server of its own over a copy of everything that is kept, with a clock and an
    /// inbox of its own. This town can do nothing more.
    pub async fn fork(&self) -> (Self, Self) {
        self.leave_mail();
        self.0.shared.rows_were_changed.store(true, Ordering::Relaxed);
        self.0.server.stop(true).await;
        let (one, other) = self.database().two_copies();
        (self.over(one).await, self.over(other).await)
    }

    async fn over(&self, database: Database) -> Self {
        let shared = Shared {
            database,
            inbox: Inbox::open().await,
            people: AtomicUsize::new(self.0.shared.people.load(Ordering::Relaxed)),
            mail_is_left: AtomicBool::new(true),
            rows_were_changed: AtomicBool::new(false),
        };
        Self::serve(Arc::new(shared), Clock::standing_at(self.now()), &[])
    }

    /// Stops the server and removes the database of a world.
    pub async fn close(self) {
        self.0.server.stop(false).await;
        self.0.shared.database.remove();
    }

    fn no_mail_is_left(&self) -> Result<(), String> {
        if self.0.shared.mail_is_left.load(Ordering::Relaxed) {
            return Ok(());
        }
        let left = self.texts(&format!(
            "SELECT kind || ' ' || status || ' ' || coalesce(last_error, '') AS t FROM outbox \
             WHERE status = 'dead' OR (status = 'queued' AND not_before <= '{}')",
            self.now()
        ));
        if left.is_empty() { Ok(()) } else { Err(format!("mail is left in the outbox: {left:?}")) }
    }

    /// What is in memory is what the database says, whatever the case did.
    async fn the_index_is_true(&self) -> Result<(), String> {
        if self.0.shared.rows_were_changed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (app, now) = (self.app(), self.now());
        // Also what another server of this town did.
        app.runs.looked(|| app.db.own_changes().ring()).await;
        let expected = app.db.read_here(|conn| app.runs.should_hold(conn, now)).map_err(|fault| fault.to_string())?;
        // What has begun a moment ago is asked for by nobody and goes with the next round.
        let held: Vec<_> = app.runs.sides().into_iter().filter(|side| side.starts_at > now).collect();
        if held != expected {
            return Err(format!("the index holds {held:#?} instead of {expected:#?}"));
        }
        self.the_cards_are_true(now)?;
        self.the_engagements_are_true(now)
    }

    /// What is kept of people says what they are on as the database does.
    fn the_engagements_are_true(&self, now: Instant) -> Result<(), String> {
        for caller in self.app().runs.callers.fresh(now) {
            let Some(viewer) = &caller.viewer else { continue };
            let read = |conn: &mut Conn| overlaps::engagements_of(conn, caller.account, caller.read_at);
            let expected = self.app().db.read_here(read).map_err(|fault| fault.to_string())?;
            if viewer.engagements != expected {
                return Err(format!("{} is kept with {:?} instead of {expected:?}", viewer.id, viewer.engagements));
            }
        }
        Ok(())
    }

    /// The cards that lists would show without a look at the database are those that a look would give.
    fn the_cards_are_true(&self, now: Instant) -> Result<(), String> {
        let app = self.app();
        let all = Listing {
            from: now,
            to: now.plus_days(800),
            near: None,
            activity: None,
            pace_s_per_km: None,
            access: None,
            language: None,
            after: None,
            limit: usize::MAX,
        };
        for found in app.runs.list(&all, now).0 {
            let Some(kept) = app.runs.cards.get(&found) else { continue };
            let card = app.db.read_here(|conn| {
                let runs = runs::of_ids(conn, &[found.id])?;
                let facts = run_views::facts(conn, &runs, None, &app.config.policy, now)?;
                Ok(serde_json::to_string(&facts.card(&runs[0]))?)
            });
            let card = card.map_err(|fault| fault.to_string())?;
            if *kept != *card {
                return Err(format!("lists show {kept} instead of {card}"));
            }
        }
        Ok(())
    }

    /// This test is not about the mail that it leaves behind.
    pub fn leave_mail(&self) {
        self.0.shared.mail_is_left.store(true, Ordering::Relaxed);
    }

    pub fn app(&self) -> &Arc<App> {
        &self.0.app
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub fn base(&self) -> &str {
        &self.0.base
    }

    pub fn kind(&self) -> Kind {
        self.0.shared.database.kind
    }

    pub fn database(&self) -> &Database {
        &self.0.shared.database
    }

    pub fn inbox(&self) -> &Inbox {
        &self.0.shared.inbox
    }

    /// From now on the mail server does this.
    pub fn mail_server(&self, behaviour: Behaviour) {
        self.inbox().behave(behaviour);
    }

    pub fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// Moves the clock to a moment, RFC 3339.
    pub fn set_clock(&self, to: &str) {
        self.0.clock.set(to.parse().expect("an instant"));
    }

    /// Moves the clock on.
    pub fn minutes_pass(&self, minutes: i64) {
        self.0.clock.set(self.now().plus_minutes(minutes));
    }

    /// Moves the clock on.
    pub fn hours_pass(&self, hours: i64) {
        self.minutes_pass(hours * 60);
    }

    /// Lets the worker do all that is due; gives how many steps and mails that were.
    pub async fn work(&self) -> usize {
        worker::tick(self.app()).await.expect("the worker works")
    }

    /// Lets the worker do all that is due and gives the mails that came of it.
    pub async fn post_office(&self) -> Vec<Letter> {
        self.work().await;
        self.inbox().empty()
    }

    /// Lets the worker do all that is due and gives the mails that came to one person.
    pub async fn mail_to(&self, email: &str) -> Vec<Letter> {
        self.post_office().await.into_iter().filter(|letter| letter.to == email).collect()
    }

    /// Lets the worker do all that is due and gives the one mail that came to a person.
    pub async fn one_mail_to(&self, email: &str) -> Letter {
        let mut letters = self.mail_to(email).await;
        let subjects: Vec<&String> = letters.iter().map(|letter| &letter.subject).collect();
        assert_eq!(letters.len(), 1, "mails to {email}: {subjects:?}");
        letters.remove(0)
    }

    pub fn nobody(&self) -> Client {
        Client::nobody(self)
    }

    /// A verified adult with a session.
    pub async fn person(&self, name: &str) -> Person {
        self.people(name, 1).await.remove(0)
    }

    /// Several people of one name at once.
    pub async fn people(&self, name: &str, many: usize) -> Vec<Person> {
        let first = self.0.shared.people.fetch_add(many, Ordering::Relaxed);
        let (now, policy, hash) = (self.now(), self.app().config.policy.clone(), password_hash());
        let accounts: Vec<Account> = (first..first + many)
            .map(|number| Account {
                password_hash: Some(hash.clone()),
                ..account(name, &format!("{}{number}@people.example", name.to_lowercase()), now)
            })
            .collect();
        let inserted = accounts.clone();
        let opened = self.app().db.write(move |tx| {
            let mut opened = Vec::new();
            for account in &inserted {
                assert!(accounts::insert(tx, account)?, "{} is taken", account.email);
                let checked = Checked { account: account.id, hash: hash.clone(), rehashed: None };
                opened.push(sessions::log_in(tx, &checked, &policy, now)?.session);
            }
            Ok(opened)
        });
        let person = |(account, session): (Account, Id)| Person {
            id: account.id,
            email: account.email,
            client: Client::with_session(self, account.id, session),
        };
        accounts.into_iter().zip(opened.await.expect("people")).map(person).collect()
    }

    /// Somebody who chats at the pace of the usual run and lives beside it, as `change` leaves the profile.
    pub async fn runner(&self, name: &str, change: impl FnOnce(&mut Value)) -> Person {
        let person = self.person(name).await;
        let mut body = json!({
            "activities": ["run", "run_walk", "walk"],
            "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 },
            "walking_pace": { "fastest_s_per_km": 600, "slowest_s_per_km": 800 },
            "home": { "lat": 51.415, "lng": -0.33 },
            "travel_radius_km": 10.0,
        });
        change(&mut body);
        person.put("/me/running-profile", body).await.expect(200);
        person
    }

    /// Another session of somebody, such as one opened after a decision.
    pub async fn log_in_again(&self, person: &Person) -> Person {
        let (now, policy, id) = (self.now(), self.app().config.policy.clone(), person.id);
        let log_in = move |tx: &mut Tx<'_>| {
            let hash = accounts::get(tx, id)?.password_hash.unwrap_or_default();
            sessions::log_in(tx, &Checked { account: id, hash, rehashed: None }, &policy, now)
        };
        let opened = self.app().db.write(log_in).await.expect("a log-in");
        Person { client: Client::with_session(self, id, opened.session), ..person.clone() }
    }

    /// An approved facilitator.
    pub async fn facilitator(&self, name: &str) -> Person {
        let person = self.person(name).await;
        let (id, now) = (person.id, self.now());
        self.app().db.write(move |tx| applications::approve_imported(tx, id, now)).await.expect("an approval");
        person
    }

    /// Somebody whom an import brought in, with the mail that invites them promised.
    pub async fn invited(&self, name: &str, email: &str) -> Id {
        let now = self.now();
        let invited = Account {
            status: AccountStatus::Invited,
            password_hash: None,
            terms_version: None,
            terms_accepted_at: None,
            verified_at: None,
            ..account(name, email, now)
        };
        let id = invited.id;
        let done = self.app().db.write(move |tx| {
            accounts::insert(tx, &invited)?;
            sidebyside::service::accounts::invite(tx, id, now)
        });
        done.await.expect("an invitation");
        id
    }

    async fn with_role(&self, name: &str, role: Role) -> Person {
        let person = self.person(name).await;
        let (id, now) = (person.id, self.now());
        self.app().db.write(move |tx| accounts::grant_role(tx, id, role, None, now)).await.expect("a role");
        person
    }

    pub async fn moderator(&self, name: &str) -> Person {
        self.with_role(name, Role::Moderator).await
    }

    pub async fn admin(&self) -> Person {
        self.with_role("Ada", Role::Admin).await
    }

    /// The body of `POST /runs`: in three days at nine in Bushy Park.
    pub fn run_body(&self) -> Value {
        json!({
            "title": "An easy morning in Bushy Park",
            "description": "Once around the ponds.",
            "activity": "run",
            "pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 },
            "distance_km": 5.0,
            "duration_min": 60,
            "starts_at": "2026-11-26T09:00:00Z",
            "meeting_point": { "lat": 51.410992, "lng": -0.335791, "name": "The Diana fountain" },
            "getting_there": "By the bench on the north side.",
            "capacity": 10,
            // A facilitator of a case may lead several groups from one place.
            "confirm_overlap": true,
        })
    }

    /// A run by this facilitator, as `change` leaves it.
    pub async fn run(&self, by: &Person, change: impl FnOnce(&mut Value)) -> Run {
        let mut body = self.run_body();
        change(&mut body);
        let answer = by.post("/runs", body).await.expect(201);
        Run { id: answer.id(), etag: answer.header("etag").to_owned(), json: answer.json }
    }

    /// One number that a query calls `n`.
    pub fn number(&self, query: &str) -> i64 {
        let read = |conn: &mut Conn| {
            Ok(match conn {
                Conn::Sqlite(conn) => diesel::sql_query(query).get_result::<Number>(conn)?.n,
                Conn::Postgres(conn) => diesel::sql_query(query).get_result::<Number>(conn)?.n,
            })
        };
        self.app().db.read_here(read).unwrap_or_else(|fault| panic!("{query}: {fault}"))
    }

    /// Texts that a query calls `t`.
    pub fn texts(&self, query: &str) -> Vec<String> {
        let read = |conn: &mut Conn| {
            let rows = match conn {
                Conn::Sqlite(conn) => diesel::sql_query(query).load::<Word>(conn)?,
                Conn::Postgres(conn) => diesel::sql_query(query).load::<Word>(conn)?,
            };
            Ok(rows.into_iter().map(|row| row.t).collect())
        };
        self.app().db.read_here(read).unwrap_or_else(|fault| panic!("{query}: {fault}"))
    }

    /// Statements outside everything; the fault in words when they fail.
    pub fn execute(&self, statements: &str) -> Result<(), String> {
        self.0.shared.rows_were_changed.store(true, Ordering::Relaxed);
        let mut conn = self.app().db.connect_alone().expect("a connection");
        let done = match &mut conn {
            Conn::Sqlite(conn) => conn.batch_execute(statements),
            Conn::Postgres(conn) => conn.batch_execute(statements),
        };
        done.map_err(|fault| fault.to_string())
    }

    /// Rows of a table, perhaps `WHERE` something.
    pub fn rows(&self, table_and_where: &str) -> i64 {
        self.number(&format!("SELECT count(*) AS n FROM {table_and_where}"))
    }
}
