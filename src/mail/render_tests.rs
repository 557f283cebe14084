//! Every kind of mail, with hostile text wherever people type.

use super::sample::{self, LINK};
use super::{Body, Letter, RenderError, Rendered, Templates};
use std::collections::BTreeMap;

const MARK: &str = "HOSTILE";

fn hostile() -> Vec<String> {
    vec![
        "<script>alert('HOSTILE')</script><img src=x onerror=HOSTILE>".to_owned(),
        "HOSTILE\r\nBcc: victim@example.org\r\n\r\nhttps://evil.example/HOSTILE".to_owned(),
        "HOSTILE ".repeat(250),
        "H".repeat(2_000) + " HOSTILE",
        "\u{202E}HOSTILE\u{2066}\u{2028}https://evil.example/HOSTILE\u{85}HOSTILE".to_owned(),
        "> HOSTILE\n\nHello, this is Riverside HOSTILE\nNot today:\nhttps://evil.example/HOSTILE\n-- \nHOSTILE"
            .to_owned(),
        "{{ 7*7 }}{% raw %}HOSTILE{{ house.contact }}".to_owned(),
        "https://evil.example/HOSTILE".to_owned(),
        "\" onmouseover=\"HOSTILE()\" x=\"</blockquote></p>HOSTILE".to_owned(),
        String::new(),
    ]
}

fn templates() -> Templates {
    Templates::new(None).unwrap()
}

fn everything(words: &str) -> Vec<(Letter, Rendered)> {
    let templates = templates();
    sample::letters(words).into_iter().map(|letter| (letter.clone(), templates.render(&letter).unwrap())).collect()
}

/// Text with the line wrapping of quotes and paragraphs taken out.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_sample_exists_of_every_kind() {
    let kinds: std::collections::BTreeSet<_> = sample::letters("x").iter().map(|l| l.body.kind_name()).collect();
    assert_eq!(kinds.len(), 62);
    for letter in sample::letters("x") {
        assert_eq!(serde_json::to_value(&letter.body).unwrap()["kind"], letter.body.kind_name());
    }
}

#[test]
fn subjects_are_one_neutral_line_without_what_people_typed() {
    let mut plain = BTreeMap::new();
    for (at, (letter, mail)) in everything("plain").into_iter().enumerate() {
        plain.insert(at, mail.subject.clone());
        let lower = mail.subject.to_lowercase();
        for word in ["peer", "support", "therap", "mental", "welfare", "safeguard", "riverside", "report ", "ban"] {
            let to_the_team = matches!(letter.body, Body::ReportReceived { .. });
            assert!(!lower.contains(word) || to_the_team, "{}: {lower}", letter.body.kind_name());
        }
        assert!(mail.subject.len() < 78 && !mail.subject.contains(['\r', '\n']), "{}", mail.subject);
    }
    for words in hostile() {
        for (at, (_, mail)) in everything(&words).into_iter().enumerate() {
            assert_eq!(plain[&at], mail.subject, "the same whatever people type");
        }
    }
}

#[test]
fn html_holds_no_markup_that_people_typed() {
    for words in hostile() {
        for (letter, mail) in everything(&words) {
            let (kind, html) = (letter.body.kind_name(), mail.html.to_lowercase());
            for bad in ["<script", "<img", "onerror=hostile>", "\" onmouseover", "href=\"https://evil", "javascript:"] {
                assert!(!html.contains(bad), "{kind}: {bad} in {html}");
            }
            assert_eq!(html.matches("<blockquote").count(), html.matches("</blockquote").count(), "{kind}");
            assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{kind}");
            assert!(!html.contains("49"), "{kind}: a template was run");
            assert!(!html.contains("<p></p>") && !html.contains("http-equiv") && !html.contains("<style"), "{kind}");
        }
    }
}

#[test]
fn text_of_others_is_behind_a_mark_and_never_alone() {
    for words in hostile() {
        for (letter, mail) in everything(&words) {
            let kind = letter.body.kind_name();
            assert!(!mail.text.contains(['\r', '\u{202E}', '\u{2028}', '\u{85}', '\u{2066}', '\0']), "{kind}");
            for line in mail.text.lines() {
                let ours = !line.starts_with("> ");
                assert!(!(ours && line.contains("evil.example")), "{kind}: {line}");
                assert!(!(ours && line.starts_with(MARK)), "{kind}: {line}");
                assert!(!(ours && line.to_lowercase().starts_with("bcc")), "{kind}: {line}");
            }
            assert_eq!(mail.text.matches("\n-- \n").count(), 1, "{kind}: one signature\n{}", mail.text);
            assert!(!mail.text.contains("49"), "{kind}: a template was run");
        }
    }
}

#[test]
fn every_mail_says_who_sends_it_and_where_help_is() {
    for (letter, mail) in everything("plain") {
        let kind = letter.body.kind_name();
        for part in [flat(&mail.text), flat(&mail.html)] {
            for needed in [
                "Riverside Runners",
                "hello@example.org",
                "safe@example.org",
                "https://example.org/help",
                "Side by Side is not therapy and not an emergency service",
            ] {
                assert!(part.contains(needed), "{kind}: {needed} missing in {part}");
            }
            assert_eq!(part.contains("https://example.org/e/preferences/sample"), letter.preferences_link.is_some());
        }
    }
}

#[test]
fn a_link_is_alone_on_a_line_and_in_both_parts() {
    for (letter, mail) in everything("plain") {
        let json = serde_json::to_string(&letter.body).unwrap();
        let alone = mail.text.lines().filter(|line| *line == LINK).count();
        let anywhere = mail.text.matches(LINK).count();
        assert_eq!(alone, anywhere, "{}", mail.text);
        let uses_it = json.contains(LINK);
        assert_eq!(alone, json.matches(LINK).count(), "{}:\n{}", letter.body.kind_name(), mail.text);
        assert_eq!(mail.html.contains(&format!("href=\"{LINK}\"")), uses_it, "{}", mail.html);
        assert!(!uses_it || mail.html.contains(&format!(">{LINK}</span>")), "visible too");
    }
}

#[test]
fn confirmations_promotions_and_reminders_say_all_that_is_needed() {
    let run = sample::run("plain");
    for (letter, mail) in everything("plain words of Somebody") {
        let (Body::SignupConfirmed { run: of, .. } | Body::Reminder { run: of, .. }) = &letter.body else {
            continue;
        };
        for part in [flat(&mail.text), flat(&mail.html)] {
            for needed in [
                "Saturday 28 November 2026, 09:00",
                "Europe/London",
                "Where",
                "plain words of Somebody",
                "7:30–8:30 min/km, a pace at which you can chat",
                "about 50 minutes",
                "run-walk",
                "When you arrive",
                "Running late, or lost?",
                "Not today",
                "https://example.org/runs/sample",
            ] {
                assert!(part.contains(needed), "{needed} missing in {part}");
            }
            for (needed, given) in [
                ("Walking is fine", of.walking_is_fine),
                ("Nobody is left behind", of.no_drop),
                ("bring a light", of.after_dark),
                ("plain words of Somebody and Ana", !of.leaders.is_empty()),
                ("How to find the group", of.getting_there.is_some()),
                ("5 km", of.distance_km.is_some()),
                ("Coordinates: 51.5, -0.1", of.meeting_point_lat.is_some()),
            ] {
                assert_eq!(part.contains(needed), given, "{needed} in {part}");
            }
        }
        if of.map_url.is_some() {
            assert!(mail.text.lines().any(|line| Some(line) == run.map_url.as_deref()));
        }
    }
}

#[test]
fn a_facilitator_is_told_who_comes() {
    let letters = sample::letters("A note");
    let letter = letters.iter().find(|l| l.body.kind_name() == "facilitator_reminder").unwrap();
    let mail = templates().render(letter).unwrap();
    for needed in ["Coming: 7 people", "New to this: 2 people", "From A note:\n\n> A note\n", "I cannot lead"] {
        assert!(mail.text.contains(needed), "{needed} missing in {}", mail.text);
    }
}

#[test]
fn a_decision_says_what_why_until_when_and_how_to_object() {
    for (letter, mail) in everything("Because of Saturday") {
        let Body::Decision { until, appeal_link, statement, .. } = &letter.body else { continue };
        let text = flat(&mail.text);
        assert!(text.contains("Why: Treat everybody with respect."), "{text}");
        assert_eq!(text.contains("> Because of Saturday"), statement.is_some());
        assert_eq!(text.contains("Until when: Sunday 28 February 2027"), until.is_some());
        assert_eq!(mail.text.contains(&format!("Object to this:\n{LINK}\n")), appeal_link.is_some());
        assert!(appeal_link.is_some() || text.contains("write to hello@example.org"), "{text}");
    }
}

#[test]
fn the_name_that_somebody_typed_stays_out_of_an_unverified_mail() {
    for (letter, mail) in everything("Win-a-prize") {
        if letter.body.kind_name() == "verify_email" {
            assert!(!mail.text.contains("Win") && !mail.html.contains("Win"));
        }
    }
}

#[test]
fn an_override_replaces_the_words_of_both_parts() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("password_changed.j2"), "Subject: Changed\n\nOther <words> at {{ when }}.\n")
        .unwrap();
    std::fs::write(dir.path().join("_footer.txt"), "-- \nSmall footer of {{ house.org_name }}\n").unwrap();
    let templates = Templates::new(Some(dir.path().to_owned())).unwrap();
    let letters = sample::letters("x");
    let letter = letters.iter().find(|l| l.body.kind_name() == "password_changed").unwrap();
    let mail = templates.render(letter).unwrap();
    assert_eq!(mail.subject, "Changed");
    assert!(
        mail.text.ends_with("at Saturday 28 November 2026, 09:00.\n\n-- \nSmall footer of Riverside Runners\n"),
        "{}",
        mail.text
    );
    assert!(mail.html.contains("Other <words> at Saturday"), "{}", mail.html);
}

#[test]
fn a_broken_override_is_a_fault_at_start_that_names_the_file() {
    let faults = [
        ("reminder.j2", "Subject: x\n\n{% if %}"),
        ("reminder.html", "Subject: x\n\n{{ run.nonsense }}"),
        ("_run.txt", "{{ run.when | nonsense }}"),
        ("barred.j2", "No subject here"),
    ];
    for (file, source) in faults {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(file), source).unwrap();
        let error = Templates::new(Some(dir.path().to_owned())).unwrap_err();
        assert!(error.to_string().contains(dir.path().join(file).to_str().unwrap()), "{file}: {error}");
    }
    let missing = Templates::new(Some("/nowhere/at/all".into())).unwrap_err();
    assert!(matches!(missing, RenderError::Unreadable { .. }), "{missing}");
}

/// `MAIL_SAMPLES=dir cargo test` writes every sample there, to be read by a person.
#[test]
fn samples_can_be_written_out() {
    let dir = tempfile::tempdir().unwrap();
    for (at, (letter, mail)) in
        everything("Let us meet by the old bridge.\nLook for the blue jacket.").iter().enumerate()
    {
        let name = format!("{at:02}-{}", letter.body.kind_name());
        std::fs::write(dir.path().join(format!("{name}.html")), &mail.html).unwrap();
        std::fs::write(dir.path().join(format!("{name}.txt")), format!("{}\n\n{}", mail.subject, mail.text)).unwrap();
    }
    if let Some(keep) = option_env!("MAIL_SAMPLES") {
        std::fs::rename(dir.path(), keep).unwrap();
    }
}
