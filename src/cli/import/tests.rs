use std::collections::BTreeMap;

use super::*;
use crate::{
    clock::{Clock, Instant},
    config,
    domain::{
        account::AccountStatus,
        address::AddressHashes,
        link::LinkAction,
        moderation::{SanctionKind, SanctionScope},
        outbox::OutboxStatus,
        pace::Activity,
        run::{LanguageTag, YesNo},
    },
    id::Id,
    service::{
        accounts::{self as joining, Acceptance},
        imports::Report,
        links,
        sanctions::{NewSanction, impose},
        signups::{NewSignup, sign_up},
    },
    store::{
        Tx,
        accounts::{self, Account},
        facilitators, outbox,
        runs::{self, Run},
        sql_types::Json,
    },
};

/// An installation of its own on SQLite, with a clock that stands still.
pub struct Bench {
    pub app: App,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub fn at(now: &str) -> Self {
        Self::with(now, &[])
    }

    fn with(now: &str, settings: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data").to_string_lossy().into_owned();
        let mut values = BTreeMap::from([("DATA_DIR", data)]);
        values.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let clock = Clock::standing_at(now.parse().unwrap());
        let app = App::build(config::from_values(&values, None).unwrap(), clock).unwrap();
        Self { app, _folder: folder }
    }

    fn import(&self, what: What, file: impl AsRef<[u8]>) -> (Report, Vec<String>) {
        self.import_in(Mode::Import, what, false, file)
    }

    fn import_in(&self, mode: Mode, what: What, invite: bool, file: impl AsRef<[u8]>) -> (Report, Vec<String>) {
        let mut lines = Vec::new();
        let mut import = Import::read(what, file.as_ref(), None).unwrap();
        let house = House { invite, ..house(&self.app) };
        let now = self.app.clock.now();
        let report = import.run(&self.app.db, &house, mode, now, &mut |line| lines.push(line)).unwrap();
        (report, lines)
    }

    fn run_import(&self, mut import: Import) -> Report {
        import.run(&self.app.db, &house(&self.app), Mode::Import, self.app.clock.now(), &mut |_| ()).unwrap()
    }

    fn people_invited(&self, rows: &str) -> (Report, Vec<String>) {
        self.import_in(Mode::Import, What::People, true, format!("{PEOPLE}\n{rows}"))
    }

    fn people(&self, rows: &str) -> (Report, Vec<String>) {
        self.import(What::People, format!("{PEOPLE}\n{rows}"))
    }

    fn runs(&self, rows: &str) -> (Report, Vec<String>) {
        self.import(What::Runs, format!("{RUNS}\n{rows}"))
    }

    fn person(&self, key: &str) -> Account {
        self.app.db.read_here(|conn| accounts::find_by_external_id(conn, key)).unwrap().unwrap()
    }

    fn run(&self, key: &str) -> Run {
        self.app.db.read_here(|conn| runs::find_by_external_id(conn, key)).unwrap().unwrap()
    }

    /// Stores words for a person and a run that only an older release took.
    fn old_words(&self, person: Id, run: Run) {
        let write = |tx: &mut Tx<'_>| {
            let mut profile = accounts::find_profile(tx, person)?.unwrap();
            profile.languages = Json(vec![LanguageTag("zz".to_owned())]);
            accounts::put_profile(tx, &profile)?;
            let mut locked = runs::lock(tx, run.id)?;
            locked.run.access.0.insert("ramp_please".to_owned(), YesNo::No);
            runs::update(tx, &locked)
        };
        self.app.db.write_here(write).unwrap();
    }

    fn accept(&self, key: &str) -> Id {
        let (id, now) = (self.person(key).id, self.app.clock.now());
        let said = Acceptance { password_hash: "hash".to_owned(), display_name: None, terms_version: "1".to_owned() };
        self.app
            .db
            .write_here(|tx| {
                let link = links::ensure(tx, id, LinkAction::Invitation, None, now)?;
                joining::accept_invitation(tx, link.id, &said, now)
            })
            .unwrap();
        id
    }

    fn mails(&self) -> Vec<String> {
        let all = [OutboxStatus::Queued, OutboxStatus::Sent, OutboxStatus::Dropped, OutboxStatus::Dead];
        let parcels = self.app.db.read_here(|conn| outbox::list(conn, &all, 10_000)).unwrap();
        parcels.into_iter().rev().map(|parcel| parcel.kind).collect()
    }

    /// People and mails, however they stand.
    pub fn counts(&self) -> (i64, usize) {
        (self.app.db.read_here(accounts::count).unwrap(), self.mails().len())
    }
}

const NOW: &str = "2026-11-20T12:00:00Z";
const PEOPLE: &str = "external_id,email,display_name,activities,comfortable_fastest_s_per_km,\
                      comfortable_slowest_s_per_km,home_lat,home_lng,languages,not_after_dark,facilitator";
const ANA: &str = "a,Ana@Example.org,Ana,run;run_walk,6:10,6:45,51.4510,-2.5820,en,yes,yes\n";
const BO: &str = "b,bo@example.org,Bo,,,,,,,,\n";
const RUNS: &str = "external_id,title,activity,fastest_s_per_km,slowest_s_per_km,duration_min,local_start,lat,lng,\
                    place_name,capacity,join_policy,step_free,facilitator_email";
const LOOP: &str = "r,Loop,run,370,6:45,45,2026-11-28T09:00,51.4384,-2.5812,Park,10,open,yes,ana@example.org\n";

fn counted(report: Report) -> [usize; 5] {
    [report.new, report.changed, report.unchanged, report.kept, report.refused]
}

#[test]
fn people_come_with_a_profile_and_one_mail_each_if_asked() {
    let bench = Bench::at(NOW);
    let (report, lines) = bench.people_invited(&format!("{ANA}{BO}"));
    assert_eq!((counted(report), lines), ([2, 0, 0, 0, 0], vec![]));
    assert_eq!(report.to_string(), "people: 2 new, 0 changed, 0 unchanged, 0 refused; 2 rows read, 2 invited");
    let ana = bench.person("a");
    assert_eq!((ana.status, ana.email.as_str(), ana.password_hash), (AccountStatus::Invited, "ana@example.org", None));
    let (profile, none, open) = bench
        .app
        .db
        .read_here(|conn| {
            let bo = accounts::find_by_external_id(conn, "b")?.unwrap();
            let profile = accounts::find_profile(conn, ana.id)?.unwrap();
            Ok((profile, accounts::find_profile(conn, bo.id)?, facilitators::find_open(conn, ana.id)?))
        })
        .unwrap();
    assert_eq!(profile.activities.0, [Activity::Run, Activity::RunWalk]);
    assert_eq!(profile.comfortable_pace.unwrap().0.fastest_s_per_km, 370);
    assert!(profile.not_after_dark && profile.home_cell.len() == 15);
    assert!(none.is_none() && open.is_some());
    assert_eq!(bench.mails(), ["invitation", "invitation"]);
}

#[test]
fn a_second_import_changes_nothing() {
    let bench = Bench::at(NOW);
    let people = format!("{ANA}{BO}");
    bench.people_invited(&people);
    bench.accept("a");
    bench.runs(LOOP);
    let (before, mails) = (bench.run("r"), bench.mails());
    bench.app.clock.set(bench.app.clock.now().plus_hours(1));
    assert_eq!(counted(bench.people(&people).0), [0, 0, 2, 0, 0]);
    let again = bench.people_invited(&people).0;
    assert_eq!((counted(again), again.invited), ([0, 0, 2, 0, 0], 0));
    assert_eq!(counted(bench.runs(LOOP).0), [0, 0, 1, 0, 0]);
    let after = bench.run("r");
    assert_eq!((after.version, after.details.updated_at), (before.version, before.details.updated_at));
    assert_eq!(bench.person("b").updated_at, bench.person("b").created_at);
    assert_eq!(bench.mails(), mails);
    // Not even when the run is over.
    bench.app.clock.set(bench.app.clock.now().plus_days(30));
    assert_eq!(counted(bench.runs(LOOP).0), [0, 0, 1, 0, 0]);
    let (report, lines) = bench.runs(&LOOP.replace("Loop", "Lap"));
    assert_eq!((counted(report), lines.len()), ([0, 0, 0, 0, 1], 1), "{lines:?}");
}

#[test]
fn a_row_is_corrected_until_the_person_accepts_and_never_after() {
    let bench = Bench::at(NOW);
    bench.people_invited(ANA);
    let moved = ANA.replace("Ana,", "Anna,").replace("51.4510", "51.5049").replace("6:45", "7:00");
    assert_eq!(counted(bench.people_invited(&moved).0), [0, 1, 0, 0, 0]);
    assert_eq!(bench.person("a").display_name, "Anna");
    assert_eq!(bench.mails(), ["invitation"], "nobody is invited twice");
    let mended = moved.replace("Ana@", "anna@");
    assert_eq!(counted(bench.people(&mended).0), [0, 1, 0, 0, 0]);
    assert_eq!(bench.mails().len(), 1, "a mended address waits until it is asked for");
    assert_eq!(bench.people_invited(&mended).0.invited, 1);
    assert_eq!(bench.mails().len(), 2);
    bench.accept("a");
    let (report, lines) = bench.people(ANA);
    assert_eq!(counted(report), [0, 0, 0, 1, 0]);
    assert!(lines[0].starts_with("line 2: kept: the person has accepted"), "{lines:?}");
    assert_eq!(bench.person("a").display_name, "Anna");
    assert_eq!(counted(bench.people(&mended).0), [0, 0, 1, 0, 0]);
}

#[test]
fn every_fault_of_every_row_is_named_and_the_good_rows_are_in() {
    let bench = Bench::at(NOW);
    bench.app.db.write_here(|tx| crate::service::accounts::make_admin(tx, &admin(), bench.app.clock.now())).unwrap();
    let (report, lines) = bench.people(&format!(
        "{ANA}c,not an address,=1+1,swim,6.10,6:00,91,-2.5,english,maybe,\n\
         d,ana@example.org ,Di,,,,,,,,\n\
         a,e@example.org,Ed,,,,51.5,,,,\n\
         f,admin@example.org,\"A\u{7}b\",,405,370,51.4,-2.5,,,\n\
         ,,,,,,,,,,yes\n\
         \"{}\",g@example.org,Gus\n{BO}",
        "x".repeat(200)
    ));
    assert_eq!(counted(report), [2, 0, 0, 0, 6]);
    let expected = [
        "line 3: email: there is a space in the address",
        "line 3: display_name: a spreadsheet would take this for a formula",
        "line 3: comfortable_fastest_s_per_km: write seconds per kilometre such as 370, or 6:10; from 2:00 to 30:00",
        "line 3: not_after_dark: write yes or no",
        "line 3: activities: ",
        "line 3: home_lat: ",
        "line 3: languages: ",
        "line 4: email: line 2 has the same",
        "line 4: email: this is the address of external_id a",
        "line 5: external_id: line 2 has the same",
        "line 5: home_lng: this is needed",
        "line 6: display_name: control characters cannot be taken",
        "line 6: comfortable_fastest_s_per_km: fastest_s_per_km must not be more than",
        "line 6: email: this is the address of somebody who is here already",
        "line 7: external_id: this is needed",
        "line 7: email: this is needed",
        "line 7: display_name: this is needed",
        "line 8: 3 fields where the header has 11",
    ];
    for words in expected {
        assert!(lines.iter().any(|line| line.starts_with(words)), "{words} in {lines:#?}");
    }
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    assert_eq!(bench.counts(), (3, 0));
}

#[test]
fn unknown_words_are_refused_with_the_nearest_and_old_ones_stay() {
    let bench = Bench::at(NOW);
    let header = "external_id,email,display_name,languages,access_needs\n";
    let people = |rows: &str| bench.import(What::People, format!("{header}{rows}"));
    let (report, lines) = people("c,cy@example.org,Cy,ger,stepfree\n");
    assert_eq!(counted(report), [0, 0, 0, 0, 1]);
    let expected = [
        "line 2: languages: \"ger\" is not a known language; did you mean de? GET /v1/vocabulary lists them.",
        "line 2: access_needs: \"stepfree\" is not a known access need; did you mean step_free? GET /v1/vocabulary lists \
         them.",
    ];
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(expected.iter().all(|words| lines.iter().any(|line| line == words)), "{lines:#?}");

    bench.people(ANA);
    let id = bench.accept("a");
    bench.runs(LOOP);
    bench.old_words(id, bench.run("r"));
    // Rows that say nothing new about them, and one that repeats what is there.
    assert_eq!(counted(bench.people(&ANA.replace(",en,", ",zz,")).0), [0, 0, 1, 0, 0]);
    assert_eq!(counted(bench.runs(&LOOP.replace("Loop", "Round")).0), [0, 1, 0, 0, 0]);
    let run = bench.run("r");
    assert_eq!(serde_json::to_string(&run.access.0).unwrap(), r#"{"ramp_please":"no","step_free":"yes"}"#);
    let (report, lines) = bench.people(&ANA.replace(",en,", ",yy,"));
    assert_eq!(counted(report), [0, 0, 0, 0, 1]);
    assert!(lines[0].starts_with("line 2: languages: \"yy\" is not a known language"), "{lines:?}");
}

fn admin() -> joining::NewAdmin {
    joining::NewAdmin {
        email: "admin@example.org".to_owned(),
        display_name: "Admin".to_owned(),
        password_hash: "hash".to_owned(),
        terms_version: "1".to_owned(),
        address_hashes: AddressHashes {
            address: "hash of the address".to_owned(),
            mailbox: "hash of the mailbox".to_owned(),
        },
    }
}

#[test]
fn runs_need_a_facilitator_who_accepted_and_every_fault_is_named() {
    let bench = Bench::at(NOW);
    bench.people(&format!("{ANA}{BO}"));
    assert_eq!(bench.runs(LOOP).1, ["line 2: facilitator_email: this person has not accepted the invitation yet"]);
    bench.accept("a");
    bench.accept("b");
    let (report, lines) = bench.runs(&format!(
        "{LOOP}\
         s,Loop,run,370,405,45,2026-11-28T09:00,51.4,-2.5,Park,10,open,,bo@example.org\n\
         t,Loop,run,405,370,45,2026-11-19T09:00,51.4,-2.5,Park,10,open,,nobody@example.org\n\
         u,,swim,370,405,5,28.11.2026,51.4,-2.5,Park,0,maybe,perhaps,ana@example.org\n\
         v,Loop,run,370,405,45,2026-11-28T09:00,40,-40,Park,10,open,,ana@example.org\n\
         w,Lo\0op,run,370,405,45,2026-11-28T09:00,51.4,-2.5,Park,10,open,,a\0@example.org\n"
    ));
    assert_eq!(counted(report), [1, 0, 0, 0, 5]);
    for words in [
        "line 3: facilitator_email: this person is not an approved facilitator",
        "line 4: facilitator_email: nobody has this address",
        "line 4: fastest_s_per_km: fastest_s_per_km must not be more",
        "line 4: local_start: the start must lie in the future",
        "line 5: title: this is needed",
        "line 5: activity: ",
        "line 5: duration_min: ",
        "line 5: local_start: write the time on the clock there",
        "line 5: capacity: ",
        "line 5: join_policy: ",
        "line 5: step_free: write yes or no",
        "line 6: lat: there is no time zone at this point",
        "line 7: title: control characters cannot be taken",
        "line 7: facilitator_email: there is an invisible character in the address",
    ] {
        assert_eq!(lines.iter().filter(|line| line.starts_with(words)).count(), 1, "{words} in {lines:#?}");
    }
    assert_eq!(lines.len(), 14, "{lines:#?}");
}

#[test]
fn a_bad_row_among_many_holds_up_none_of_the_others() {
    let bench = Bench::at(NOW);
    let rows: String = (0..120).map(|n| format!("k{n},p{n}@example.org,Pat {n},,,,,,,,\n")).collect();
    let (report, lines) = bench.people(&rows.replace("Pat 60", "a@b"));
    assert_eq!(counted(report), [119, 0, 0, 0, 1]);
    assert!(lines[0].starts_with("line 62: display_name: "), "{lines:?}");
    assert_eq!(bench.counts(), (119, 0));
    assert_eq!(counted(bench.people(&rows).0), [1, 0, 119, 0, 0]);
}

#[test]
fn a_changed_run_is_edited_and_those_on_it_are_told_but_who_leads_stays() {
    let bench = Bench::at(NOW);
    bench.people(&format!("{ANA}{BO}c,cy@example.org,Cy,,,,,,,,yes\n"));
    for key in ["a", "b", "c"] {
        bench.accept(key);
    }
    bench.runs(LOOP);
    let (run, person, now) = (bench.run("r"), bench.person("b").id, bench.app.clock.now());
    assert_eq!(serde_json::to_string(&run.access.0).unwrap(), r#"{"step_free":"yes"}"#);
    bench
        .app
        .db
        .write_here(|tx| sign_up(tx, person, run.id, &NewSignup::default(), &bench.app.config.policy, now))
        .unwrap();
    assert_eq!(counted(bench.runs(&LOOP.replace("T09:00", "T10:00")).0), [0, 1, 0, 0, 0]);
    let edited = bench.run("r");
    assert_eq!((edited.version, edited.starts_at), (run.version + 1, run.starts_at.plus_hours(1)));
    assert!(bench.mails().contains(&"run_changed".to_owned()));
    let (report, lines) = bench.runs(&LOOP.replace("ana@", "cy@"));
    assert_eq!(counted(report), [0, 0, 0, 0, 1]);
    assert!(lines[0].contains("somebody else leads this run"), "{lines:?}");
}

#[test]
fn local_starts_are_by_the_clock_at_the_meeting_point_across_clock_changes() {
    let bench = Bench::at("2026-03-01T12:00:00Z");
    bench.people(ANA);
    bench.accept("a");
    let row = |key: &str, start: &str, lat: f64, lng: f64| {
        format!("{key},Loop,run,370,405,45,{start},{lat},{lng},Park,10,open,,ana@example.org\n")
    };
    let (bristol, new_york) = ((51.4384, -2.5812), (40.7829, -73.9654));
    let cases = [
        ("before", "2026-03-28T09:00", bristol, "2026-03-28T09:00:00Z"),
        ("after", "2026-03-29T09:00", bristol, "2026-03-29T08:00:00Z"),
        ("gap", "2026-03-29T01:30", bristol, "2026-03-29T01:30:00Z"),
        ("fold", "2026-10-25T01:30", bristol, "2026-10-25T00:30:00Z"),
        ("far", "2026-03-29 09:00", new_york, "2026-03-29T13:00:00Z"),
    ];
    let rows: String = cases.iter().map(|(key, start, (lat, lng), _)| row(key, start, *lat, *lng)).collect();
    assert_eq!(bench.runs(&rows).1, [""; 0]);
    for (key, _, _, expected) in cases {
        assert_eq!(bench.run(key).starts_at, expected.parse::<Instant>().unwrap(), "{key}");
    }
    assert_eq!(counted(bench.runs(&rows).0), [0, 0, 5, 0, 0]);
}

/// The values of a file by a spreadsheet, in each form that they may have.
#[test]
fn one_table_gives_the_same_people_in_every_form() {
    let columns = PEOPLE.replace("comfortable_fastest", "Comfortable Fastest").replace("email", "E-Mail");
    let rows = "a,ana@example.org,Zo\u{eb},run|run_walk,06:10:00,405.0,\"51,4510\",\"-2,582\",en,WAHR,ja\n\
                b,bo@example.org,J\u{fc}rgen,,,,,,,,\n";
    let comma = format!("{columns}\n{rows}");
    let semicolon = format!("sep=;\n{columns};;\n{rows};;;;\n")
        .replace(',', ";")
        .replace("\"51;4510\";\"-2;582\"", "51,4510;-2,582");
    let semicolon = semicolon.replace('\n', ";;\n").replacen(";;\n", "\n", 1);
    let utf_16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let forms: [(Vec<u8>, usize); 7] = [
        (comma.clone().into_bytes(), 0),
        (format!("\u{feff}{}", comma.replace('\n', "\r\n")).into_bytes(), 0),
        (comma.replace('\n', "\r").into_bytes(), 0),
        (semicolon.clone().into_bytes(), 0),
        (encoding_rs::WINDOWS_1252.encode(&semicolon).0.into_owned(), 1),
        (encoding_rs::MACINTOSH.encode(&comma.replace('\n', "\r")).0.into_owned(), 1),
        (utf_16(&comma.replace(',', "\t").replace("51\t4510", "51,4510").replace("-2\t582", "-2,582")), 1),
    ];
    for (at, (file, notes)) in forms.into_iter().enumerate() {
        let bench = Bench::at(NOW);
        let (report, lines) = bench.import(What::People, &file);
        assert_eq!((counted(report), lines.len()), ([2, 0, 0, 0, 0], notes), "form {at}: {lines:?}");
        let (ana, bo) = (bench.person("a"), bench.person("b"));
        assert_eq!((ana.display_name.as_str(), bo.display_name.as_str()), ("Zo\u{eb}", "J\u{fc}rgen"), "form {at}");
        let profile = bench.app.db.read_here(|conn| accounts::find_profile(conn, ana.id)).unwrap().unwrap();
        let pace = profile.comfortable_pace.unwrap().0;
        assert_eq!(
            (pace.fastest_s_per_km, pace.slowest_s_per_km, profile.not_after_dark),
            (370, 405, true),
            "form {at}"
        );
        assert_eq!(
            counted(bench.people(&rows.replace("-2,582", "-2.582").replace("51,4510", "51.4510")).0),
            [0, 0, 2, 0, 0]
        );
    }
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let bench = Bench::at(NOW);
    let rows = format!("{ANA}{BO}c,no address,Cy,,,,,,,,\n,,,,,,,,,,\n");
    let file = format!("{PEOPLE}\n{rows}");
    let (told, lines) = bench.import_in(Mode::DryRun, What::People, true, &file);
    assert_eq!((bench.counts(), told.invited), ((0, 0), 2));
    let (real, same_lines) = bench.import_in(Mode::Import, What::People, true, &file);
    assert_eq!((told, lines), (real, same_lines));
    assert_eq!(real.to_string(), "people: 2 new, 0 changed, 0 unchanged, 1 refused, 1 blank; 4 rows read, 2 invited");
    bench.accept("a");
    let before = bench.mails();
    let (told, _) = bench.import_in(Mode::DryRun, What::Runs, false, format!("{RUNS}\n{LOOP}"));
    assert_eq!((counted(told), bench.mails()), ([1, 0, 0, 0, 0], before));
    assert!(bench.app.db.read_here(|conn| runs::find_by_external_id(conn, "r")).unwrap().is_none());
}

#[test]
fn likely_swapped_places_are_refused_by_name() {
    let bench = Bench::at(NOW);
    // Milan and, swapped, a place in Ethiopia.
    let row = |key: &str, lat: &str, lng: &str| format!("{key},{key}@example.org,Pat,,,,{lat},{lng},,,yes\n");
    let milan = [row("a", "45.46", "9.19"), row("b", "45.47", "9.20"), row("c", "9.18", "45.45"), row("d", "0", "0")];
    let (report, lines) = bench.people(&milan.concat());
    assert_eq!(counted(report), [2, 0, 0, 0, 2]);
    assert!(lines[0].starts_with("line 4: home_lat: home_lat and home_lng are likely swapped"), "{lines:?}");
    assert!(lines[1].starts_with("line 5: home_lat: 0, 0 lies in the sea"), "{lines:?}");
    bench.accept("a");
    let run = LOOP.replace("51.4384,-2.5812", "9.19,45.46").replace("ana@", "a@");
    assert!(bench.runs(&run).1[0].starts_with("line 2: lat: lat and lng are likely swapped"));
    assert_eq!(counted(bench.runs(&run.replace("9.19,45.46", "45.46,9.19")).0), [1, 0, 0, 0, 0]);
    let file = format!("{PEOPLE}\n{}", milan[2]);
    let trusting = Import::read(What::People, file.as_bytes(), None).unwrap().trusting_places(true);
    assert_eq!(counted(bench.run_import(trusting)), [1, 0, 0, 0, 0]);
}

#[test]
fn an_invitation_is_sent_once_until_it_runs_out() {
    let bench = Bench::with(NOW, &[("ORG_NAME", "Riverside Runners")]);
    bench.people(&format!("{ANA}{BO}"));
    bench.accept("b");
    assert!(bench.mails().is_empty());
    assert!(invite(&bench.app, true).unwrap());
    assert!(bench.mails().is_empty(), "a dry run");
    for _ in 0..2 {
        assert!(invite(&bench.app, false).unwrap());
        assert_eq!(bench.mails(), ["invitation"]);
    }
    bench.app.clock.set(bench.app.clock.now().plus_days(31));
    assert!(invite(&bench.app, false).unwrap());
    assert_eq!(bench.mails().len(), 2);
}

#[test]
fn nobody_is_invited_while_the_mail_could_not_say_by_whom() {
    for name in [&[][..], &[("ORG_NAME", "side by side")]] {
        let bench = Bench::with(NOW, name);
        bench.people(ANA);
        assert!(!invite(&bench.app, false).unwrap());
        let file = bench.app.config.data_dir.join("people.csv");
        std::fs::write(&file, format!("{PEOPLE}\n{BO}")).unwrap();
        let table = Table { file, dry_run: false, trust_places: false, encoding: None };
        assert!(!import(&bench.app, What::People, &table, true).unwrap());
        assert_eq!(bench.counts(), (1, 0));
        assert!(import(&bench.app, What::People, &table, false).unwrap());
        assert_eq!(bench.counts(), (2, 0));
    }
}

#[test]
fn a_file_that_yields_nothing_is_an_error() {
    let bench = Bench::at(NOW);
    for contents in ["", "\r", PEOPLE, &format!("{PEOPLE}\r,,,,,,,,,,\r"), "PK\u{3}\u{4}[Content_Types].xml"] {
        let file = bench.app.config.data_dir.join("people.csv");
        std::fs::write(&file, contents).unwrap();
        let table = Table { file, dry_run: false, trust_places: false, encoding: None };
        assert!(!import(&bench.app, What::People, &table, false).unwrap(), "{contents:?}");
    }
    assert_eq!(bench.counts(), (0, 0));
}

#[test]
fn a_banned_address_does_not_come_in_again() {
    let bench = Bench::at(NOW);
    bench.people(BO);
    let (app, now, account_id) = (&bench.app, bench.app.clock.now(), bench.accept("b"));
    let ban = NewSanction {
        account_id,
        kind: SanctionKind::Ban,
        scope: SanctionScope::Site,
        rule: "Be kind".to_owned(),
        statement: "You were not.".to_owned(),
        facts_withheld: false,
        withheld_because: None,
        expires_at: None,
    };
    app.db
        .write_here(|tx| {
            let (admin, _) = joining::make_admin(tx, &admin(), now)?;
            impose(tx, admin.id, &ban, &app.config.policy, &app.addresses, now)
        })
        .unwrap();
    assert_eq!(counted(bench.people(BO).0), [0, 0, 1, 0, 0]);
    let lines = bench.people(&BO.replace("b,", "c,")).1;
    assert!(lines.contains(&"line 2: email: a decision keeps the owner of this address out".to_owned()), "{lines:?}");
}
