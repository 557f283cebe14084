//! What holds for all settings together.

use super::*;
use crate::domain::run::LanguageTag;

const SECRET: &str = "correct-horse-battery-staple-and-more";

fn values(pairs: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// The names of the settings with faults.
fn faults(pairs: &[(&'static str, &str)], toml: &str) -> Vec<String> {
    let faults = from_values(&values(pairs), Some(toml)).unwrap_err();
    faults.0.into_iter().map(|fault| fault.setting).collect()
}

#[test]
fn without_any_setting_everything_has_a_default() {
    let dir = tempfile::tempdir().unwrap();
    let config = from_values(&values(&[("DATA_DIR", dir.path().to_str().unwrap())]), None).unwrap();
    assert_eq!(config.database, Target::Sqlite(dir.path().join("sidebyside.db")));
    assert_eq!(
        (config.bind.to_string().as_str(), config.base_url.as_str()),
        ("127.0.0.1:8080", "http://127.0.0.1:8080")
    );
    assert_eq!(config.mail_from, "Side by Side <no-reply@localhost>");
    assert_eq!(config.mail_dir, dir.path().join("mail"));
    assert!(config.smtp_url.is_none() && config.rate_limits && config.log_format == LogFormat::Text);
    assert!(config.trusted_proxies.is_empty() && config.contact.is_none() && config.templates_dir.is_none());
    assert_eq!(config.policy, Policy::default());
    assert_eq!(config.help, HelpLines::default());
    assert!(dir.path().join("secret.key").exists());
}

/// The document that tells operators about every setting and every rule of the policy.
const OPERATORS: &str = include_str!("../../docs/operators.md");

/// The name and the default of each setting in the document, as its table shows them, without code marks.
fn documented_settings() -> Vec<(String, String)> {
    let (_, rest) = OPERATORS.split_once("\n## Settings\n").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.replace('`', "").splitn(3, " | ").map(str::to_owned).collect::<Vec<_>>());
    cells.map(|cells| (cells[0].clone(), cells[1].clone())).collect()
}

#[test]
fn operators_document_lists_every_setting_in_order() {
    let names: Vec<String> = documented_settings().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, NAMES);
}

#[test]
fn operators_document_shows_defaults_as_help_does() {
    use clap::Args;
    let documented: BTreeMap<String, String> = documented_settings().into_iter().collect();
    let mut compared = 0;
    for flag in Flags::augment_args(clap::Command::new("settings")).get_arguments() {
        let name = flag.get_env().unwrap().to_str().unwrap();
        let help = flag.get_help().unwrap().to_string();
        let Some((_, default)) = help.split_once("(default: ") else { continue };
        assert_eq!(Some(documented[name].as_str()), default.split(')').next(), "{name}");
        compared += 1;
    }
    assert!(compared > 10, "only {compared} help texts name a default");
}

#[test]
fn operators_document_shows_policy_defaults_and_bounds() {
    let (_, rest) = OPERATORS.split_once("[policy]\n").unwrap();
    let (section, _) = rest.split_once("```").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let data = [("DATA_DIR", dir.path().to_str().unwrap())];
    assert_eq!(from_values(&values(&data), Some(&format!("[policy]\n{section}"))).unwrap().policy, Policy::default());
    let lines_of = |name: &str| -> Vec<&str> {
        section.lines().filter(|line| line.trim_start_matches("# ").starts_with(&format!("{name} = "))).collect()
    };
    for name in ["required_credentials", "care_hours", "match_floor", "default_language", "terms_version"] {
        assert_eq!(lines_of(name).len(), 1, "{name}");
    }
    for rule in Policy::RULES {
        let bounds = format!(" # {} to {}: ", rule.min, rule.max);
        assert!(matches!(lines_of(rule.name)[..], [line] if line.contains(&bounds)), "{}:{bounds}", rule.name);
    }
}

#[test]
fn all_faults_are_told_at_once_and_by_name() {
    let wrong = [
        ("DATABASE_URL", "mysql://somewhere"),
        ("SMTP_URL", "http://mail"),
        ("SMTP_EHLO_NAME", "my machine"),
        ("MAIL_FROM", "nobody"),
        ("BIND", "everywhere"),
        ("BASE_URL", "ftp://example.org"),
        ("SECRET_KEY", "short"),
        ("TRUSTED_PROXIES", "10.0.0.1,proxy"),
        ("FORWARDED_HEADER", "x-real-ip"),
        ("RATE_LIMITS", "perhaps"),
        ("LOG_FORMAT", "xml"),
        ("ORG_NAME", "two\nlines"),
        ("CONTACT", "tab\there"),
        ("SAFEGUARDING_CONTACT", "tab\there"),
        ("HELP_FILE", "/nowhere/help.toml"),
        ("REQUIRED_CREDENTIALS", "First Aid"),
        ("CARE_HOURS", "Mon-Fri 9-17"),
        ("MIN_AGE", "12"),
        ("DEFAULT_LANGUAGE", "Klingon"),
        ("DATA_DIR", "/dev/null"),
        ("TEMPLATES_DIR", "/nowhere"),
    ];
    let toml = "bind = 1\n[policy]\ndefault_language = 'xx'\nfacilitator_ratio = 0\ncell_resolution = 'fine'\nterms_version = 1\nrequired_credentials = 'x'\nratio = 3\n[other]";
    let mut found = faults(&wrong, toml);
    let mut expected: Vec<String> = wrong.iter().map(|(name, _)| (*name).to_owned()).collect();
    let rules =
        ["default_language", "facilitator_ratio", "cell_resolution", "terms_version", "required_credentials", "ratio"];
    expected.extend(rules.map(|name| format!("[policy] {name}")));
    expected.extend(["bind", "other"].map(str::to_owned));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn every_fault_stands_on_its_own_line() {
    let faults = from_values(&values(&[("RATE_LIMITS", "no"), ("LOG_FORMAT", "xml")]), None).unwrap_err();
    assert_eq!(faults.to_string(), "RATE_LIMITS: \"no\" is not on or off\nLOG_FORMAT: \"xml\" is not text or json");
}

#[test]
fn nothing_is_made_while_a_setting_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(faults(&[("DATA_DIR", dir.path().to_str().unwrap()), ("BIND", "x")], ""), ["BIND"]);
    assert!(!dir.path().join("secret.key").exists());
}

#[test]
fn postgresql_needs_a_secret_key() {
    assert_eq!(faults(&[("DATABASE_URL", "postgres://localhost/x")], ""), ["SECRET_KEY"]);
    let wrong = [("DATABASE_URL", "postgres://localhost:port/x")];
    assert_eq!(faults(&wrong, ""), ["DATABASE_URL", "SECRET_KEY"]);
    let fine = values(&[("DATABASE_URL", "postgres://localhost/x"), ("SECRET_KEY", SECRET)]);
    assert!(from_values(&fine, None).is_ok());
}

#[test]
fn no_secret_is_shown_by_debug_or_by_a_fault() {
    let secret = [
        ("DATABASE_URL", "postgres://me:hunter2@localhost/x"),
        ("SMTP_URL", "smtps://me:hunter2@mail.example.org"),
        ("SECRET_KEY", SECRET),
    ];
    let config = from_values(&values(&secret), None).unwrap();
    let flags =
        Flags { database_url: Some(secret[0].1.to_owned()), secret_key: Some(SECRET.to_owned()), ..Flags::default() };
    let shown = format!("{config:?} {config:#?} {flags:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("horse"), "{shown}");

    let wrong = [
        ("DATABASE_URL", "postgres://me:hunter2@localhost:port/x"),
        ("SMTP_URL", "smtps://me:hunter2@mail:port"),
        ("SECRET_KEY", "hunter2"),
        ("BASE_URL", "https://me:hunter2@example.org"),
    ];
    let faults = from_values(&values(&wrong), None).unwrap_err();
    assert!(faults.0.len() == 4 && !format!("{faults} {faults:?}").contains("hunter2"), "{faults}");
}

#[test]
fn empty_values_count_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut all: BTreeMap<&str, String> = NAMES.iter().map(|name| (*name, " ".to_owned())).collect();
    all.insert("DATA_DIR", dir.path().to_str().unwrap().to_owned());
    assert_eq!(from_values(&all, Some("")).unwrap().bind.port(), 8080);
}

#[test]
fn settings_are_taken_as_they_stand() {
    let pairs = [
        ("SECRET_KEY", SECRET),
        ("BIND", "[::]:9000"),
        ("BASE_URL", "https://Runs.example.org/side/"),
        ("ORG_NAME", "Walks, Talks & Co."),
        ("TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("FORWARDED_HEADER", "Forwarded"),
        ("RATE_LIMITS", "OFF"),
        ("LOG_FORMAT", "json"),
        ("REQUIRED_CREDENTIALS", "first_aid, dbs_check"),
        ("MIN_AGE", "21"),
        ("DEFAULT_LANGUAGE", "pt-BR"),
    ];
    let toml = "[policy]\ndefault_language = 'de'\nfacilitator_ratio = 8\nmin_age = 19\nrequired_credentials = ['other']\nterms_version = '2026-11'";
    let config = from_values(&values(&pairs), Some(toml)).unwrap();
    assert_eq!(config.base_url, "https://runs.example.org/side");
    assert_eq!(config.mail_from, "\"Walks, Talks & Co.\" <no-reply@localhost>");
    assert!(!config.rate_limits && config.log_format == LogFormat::Json && config.trusted_proxies.len() == 2);
    let rules = Policy {
        facilitator_ratio: 8,
        min_age: 21,
        required_credentials: vec!["first_aid".to_owned(), "dbs_check".to_owned()],
        terms_version: "2026-11".to_owned(),
        default_language: LanguageTag("pt".to_owned()),
        ..Policy::default()
    };
    assert_eq!(config.policy, rules);
}

#[test]
fn an_address_that_means_everywhere_is_not_a_link_and_the_log_is_told() {
    let config = from_values(&values(&[("SECRET_KEY", SECRET), ("BIND", "0.0.0.0:80")]), None).unwrap();
    assert_eq!(config.base_url, "http://127.0.0.1:80");
    assert!(config.notes.iter().any(|note| note.contains("BASE_URL")), "{:?}", config.notes);
}

#[test]
fn a_file_that_is_no_toml_is_one_fault_with_its_line() {
    let faults = from_values(&values(&[("SECRET_KEY", SECRET)]), Some("[policy]\nmin_age = = 3")).unwrap_err();
    assert!(faults.to_string().starts_with("CONFIG_FILE: line 2: "), "{faults}");
}

#[test]
fn a_settings_file_that_was_named_must_be_there_and_the_other_faults_are_told_too() {
    let flags = Flags { config_file: Some("/nowhere.toml".to_owned()), bind: Some("x".to_owned()), ..Flags::default() };
    let names: Vec<String> = load(flags, false).unwrap_err().0.into_iter().map(|fault| fault.setting).collect();
    assert_eq!(names, ["CONFIG_FILE", "BIND"]);
}

#[test]
fn fault_of_a_language_names_the_nearest_code() {
    let fault = |language: &str| {
        let wrong = values(&[("SECRET_KEY", SECRET), ("DEFAULT_LANGUAGE", language)]);
        from_values(&wrong, None).unwrap_err().to_string()
    };
    let words = "DEFAULT_LANGUAGE: \"German\" is no language code such as en or pt; did you mean de (German)?";
    assert_eq!(fault("German"), words);
    assert_eq!(fault("1234"), "DEFAULT_LANGUAGE: \"1234\" is no language code such as en or pt");
    let fine = |language: &str| {
        let fine = values(&[("SECRET_KEY", SECRET), ("DEFAULT_LANGUAGE", language)]);
        from_values(&fine, None).unwrap().policy.default_language.0
    };
    assert_eq!(["cy", "EN_gb", "deu"].map(fine), ["cy", "en", "de"]);
}

#[test]
fn every_default_lies_within_the_bounds_of_its_rule() {
    for rule in Policy::RULES {
        assert!((rule.min..=rule.max).contains(&rule.default), "{}", rule.name);
        for bound in [rule.min, rule.max] {
            let toml = format!("[policy]\n{} = {bound}", rule.name);
            assert!(from_values(&values(&[("SECRET_KEY", SECRET)]), Some(&toml)).is_ok(), "{toml}");
        }
        for beyond in [rule.min - 1, rule.max + 1] {
            assert_eq!(faults(&[("SECRET_KEY", SECRET)], &format!("[policy]\n{} = {beyond}", rule.name)).len(), 1);
        }
    }
}

#[test]
fn a_flag_works_before_and_after_the_command() {
    use clap::Parser;
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        flags: Flags,
        #[command(subcommand)]
        command: Option<Command>,
    }
    #[derive(clap::Subcommand)]
    enum Command {
        Serve,
    }
    for line in [["x", "--bind", "[::1]:1", "serve"], ["x", "serve", "--bind", "[::1]:1"]] {
        let cli = Cli::try_parse_from(line).unwrap();
        assert!(matches!(cli.command, Some(Command::Serve)));
        assert_eq!(cli.flags.values().get("BIND").map(String::as_str), Some("[::1]:1"));
    }
}

#[test]
fn ehlo_name_is_a_host_or_an_address_in_brackets() {
    let dir = tempfile::tempdir().unwrap();
    let with = |pairs: &[(&'static str, &str)]| {
        let mut all = values(&[("DATA_DIR", dir.path().to_str().unwrap())]);
        all.extend(values(pairs));
        from_values(&all, None).map(|config| config.smtp_ehlo_name)
    };
    let (label, long) = ("a".repeat(63), [&*"a".repeat(63); 4].join("."));
    let named = |name: &str| with(&[("SMTP_EHLO_NAME", name)]);
    for fine in ["mail.example.org", "localhost", "[192.0.2.1]", "[IPv6:2001:db8::1]", &label, &long[..253]] {
        assert_eq!(named(fine).unwrap().as_deref(), Some(fine));
    }
    let (long_label, long) = ("a".repeat(64), long[..254].to_owned());
    for wrong in [
        "my machine",
        "a..b",
        ".",
        "-a.b",
        "a-.b",
        "ünï.example",
        "192.0.2.1",
        "[1.2.3]",
        "a\r\nQUIT",
        "a_b",
        &long_label,
        &long,
    ] {
        assert!(named(wrong).is_err(), "{wrong}");
    }
    let of_base = |url: &str| with(&[("BASE_URL", url)]).unwrap();
    assert_eq!(of_base("https://runs.example.org:8443/x").as_deref(), Some("runs.example.org"));
    assert_eq!((of_base("http://localhost"), of_base("http://192.0.2.1")), (None, None));
    assert_eq!(with(&[]).unwrap(), None);
}
