//! The import commands as operators run them: files in, words and an exit code out, on either database.

use std::process::{Output, Stdio};

use macro_rules_attribute::apply;
use sidebyside::clock::Clock;

use super::crash::command;
use crate::{harness::Town, support::database_test::database_test};

const PEOPLE: &str =
    "external_id;email;display_name;home_lat;home_lng;comfortable_fastest_s_per_km;comfortable_slowest_s_per_km";

/// Runs the program with a file of these contents; returns whether it says that all went well, and its words.
fn import(town: &Town, what: &str, contents: &[u8], more: &[&str]) -> (bool, String) {
    let file = town.database().folder().join("table.csv");
    std::fs::write(&file, contents).expect("a file");
    run(town, &[&["import", what, &file.to_string_lossy()], more].concat())
}

fn run(town: &Town, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } =
        command(town).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("the program");
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[apply(database_test!)]
async fn no_row_is_lost_whatever_ends_the_lines(town: Town) {
    let rows = [
        "a;a@people.example;Ana;51,451;-2,582;06:10:00;405.0",
        "b;nobody;Bo;;;;",
        ";;;;;;",
        "c;c@people.example;Cy;;;;",
    ];
    for (at, end) in ["\r", "\n", "\r\n"].into_iter().enumerate() {
        let table = [&[PEOPLE], rows.as_slice()].concat().join(end);
        let (worked, words) = import(&town, "people", table.as_bytes(), &[]);
        assert!(!worked && words.contains("line 3: email: "), "{words}");
        let new = if at == 0 { "2 new, 0 changed, 0 unchanged" } else { "0 new, 0 changed, 2 unchanged" };
        assert!(words.contains(&format!("people: {new}, 1 refused, 1 blank; 4 rows read")), "{words}");
        assert_eq!(town.rows("accounts"), 2);
    }
    let (worked, words) = import(&town, "people", format!("{PEOPLE}\r").as_bytes(), &[]);
    assert!(!worked && words.contains("no row"), "{words}");
    assert_eq!(town.rows("outbox"), 0, "nobody is written to");
}

#[apply(database_test!)]
async fn a_dry_run_leaves_the_database_as_it_was(town: Town) {
    let table = format!("{PEOPLE}\na;a@people.example;Ana;51,451;-2,582;;\nb;bo@;Bo;;;;\n");
    let (worked, words) = import(&town, "people", table.as_bytes(), &["--dry-run"]);
    assert!(!worked && words.contains("people: 1 new, 0 changed, 0 unchanged, 1 refused"), "{words}");
    assert!(words.contains("dry run"), "{words}");
    for table in ["accounts", "running_profiles", "outbox", "links", "changes"] {
        assert_eq!(town.rows(table), 0, "{table}");
    }
}

#[apply(database_test!)]
async fn invitations_go_out_once_and_only_when_asked_for(town: Town) {
    let table = format!("{PEOPLE}\na;a@people.example;Ana;;;;\nb;b@people.example;Bo;;;;\n");
    let (worked, words) = import(&town, "people", table.as_bytes(), &["--invite"]);
    assert!(!worked && words.contains("ORG_NAME") && town.rows("accounts") == 0, "{words}");
    let (worked, words) = run(&town, &["invite"]);
    assert!(!worked && words.contains("ORG_NAME"), "{words}");
    let named = ["--org-name", "Riverside Runners"];
    let (worked, words) = import(&town, "people", table.as_bytes(), &named);
    assert!(worked && words.contains("2 imported people hold no invitation"), "{words}");
    assert_eq!(town.rows("outbox"), 0);
    let one = format!("{PEOPLE}\na;a@people.example;Ana;;;;\n");
    for invited in [", 1 invited", "1 rows read\n"] {
        let (worked, words) = import(&town, "people", one.as_bytes(), &[&["--invite"], named.as_slice()].concat());
        assert!(worked && words.contains(invited), "{words}");
    }
    for words in ["1 people would be invited", "1 people are invited", "0 people are invited"] {
        let more: &[&str] = if words.contains("would") { &["--dry-run"] } else { &[] };
        let (worked, said) = run(&town, &[&["invite"], more, &named].concat());
        assert!(worked && said.contains(words), "{said}");
    }
    assert_eq!(town.rows("outbox WHERE kind = 'invitation'"), 2);
    town.leave_mail();
}

#[apply(database_test!)]
async fn runs_come_in_once_from_a_spreadsheet(town: Town) {
    let fay = town.facilitator("Fay").await;
    // The program has the clock of the machine.
    let day = Clock::system().now().plus_days(20).local("UTC").strftime("%d.%m.%Y");
    let columns = "External ID;Title;Activity;Fastest s per km;Slowest s per km;Duration min;Local start;Lat;Lng;Place name;Capacity;Facilitator email";
    let row = |key: &str, lat: &str| {
        format!("{key};Loop;run;06:10:00;405.0;45;{day} 09:00;{lat};-2,5812;Caf\u{e9};10;{};;\r", fay.email)
    };
    let table = format!("sep=;\r{columns};;\r{}{}", row("r", "51,4384"), row("s", "0,0"));
    let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(&table);
    for new in ["1 new, 0 changed, 0 unchanged", "0 new, 0 changed, 1 unchanged"] {
        let (_, words) = import(&town, "runs", &bytes, &[]);
        assert!(words.contains(&format!("runs: {new}, 1 refused; 2 rows read")), "{words}");
        assert!(words.contains("Windows-1252") && words.contains("line 4: lat: "), "{words}");
    }
    assert_eq!(town.texts("SELECT place_name AS t FROM run_details"), ["Caf\u{e9}"]);
    town.leave_mail();
}
