//! The rules of the house: the `[policy]` section of `sidebyside.toml`. A new rule is one entry in the table below.

use super::Reader;
use crate::domain::{
    run::LanguageTag,
    vocabulary::{Kind, Word},
};

/// A rule that is a number, for those who want to show or check them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its name in the file.
    pub name: &'static str,
    /// What holds when the file says nothing.
    pub default: i64,
    /// The least that is allowed.
    pub min: i64,
    /// The most that is allowed.
    pub max: i64,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $default:literal, $min:literal to $max:literal;)*) => {
        /// The rules of the house, checked.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Policy {
            $($(#[$doc])* pub $name: $kind,)*
            /// Kinds of credentials that every facilitator needs. Default: none, since what the law and insurers ask for
            /// differs from place to place. Also `REQUIRED_CREDENTIALS`.
            pub required_credentials: Vec<String>,
            /// Hours until somebody of the team gets in touch with whoever wishes for it after a run. Default: none, since
            /// only an installation with people on duty can promise that. Also `CARE_HOURS`.
            pub care_hours: Option<i64>,
            /// The least score of a match, 0 to 0.9: what fits less is not proposed. Default 0.25: below it one part is so far
            /// off that nothing makes up for it.
            pub match_floor: f64,
            /// The language that a group speaks where its run does not say. Default: `en`, the language in which everything
            /// here is written. Also `DEFAULT_LANGUAGE`.
            pub default_language: LanguageTag,
            /// The version of the terms that people accept when they sign up. Default: "1". Change it with the terms.
            pub terms_version: String,
        }

        impl Policy {
            /// The rules that are numbers.
            pub const RULES: &[Rule] =
                &[$(Rule { name: stringify!($name), default: $default, min: $min, max: $max }),*];
        }

        impl Default for Policy {
            fn default() -> Self {
                Self {
                    $($name: $default,)*
                    required_credentials: Vec::new(),
                    care_hours: None,
                    match_floor: MATCH_FLOOR,
                    default_language: LanguageTag("en".to_owned()),
                    terms_version: "1".to_owned(),
                }
            }
        }

        /// Sets the rule of this name; `value` lies within its bounds.
        fn set(policy: &mut Policy, name: &str, value: i64) {
            match name {
                $(stringify!($name) => policy.$name = <$kind>::try_from(value).unwrap_or(policy.$name),)*
                _ => {}
            }
        }
    };
}

rules! {
    /// Participants for each facilitator active on a run. Default 12: what athletics bodies commonly ask of leaders of
    /// mixed groups, so that nobody is left behind unseen.
    facilitator_ratio: i32 = 12, 1 to 1000;
    /// H3 resolution of home cells. Default 8, about 0.7 km²: near enough to match, too coarse to find a door. It is
    /// fixed at the first start.
    cell_resolution: u8 = 8, 6 to 9;
    /// Hours before the start until which a paused run can be taken over; then it is cancelled. Default 12: people hear
    /// of it the evening before and need not set out.
    take_over_deadline_hours: i64 = 12, 1 to 72;
    /// Minutes before the start at which a run's list is closed: unanswered requests and yeses that were due expire.
    /// Default 60: whoever hears no has not set out yet.
    cut_off_minutes: i64 = 60, 0 to 1440;
    /// Hours before the start until which a free place is held long. Default 72: three days ahead there is time to ask.
    long_offer_until_hours: i64 = 72, 1 to 720;
    /// Hours that an early offer is held; 22:00 to 08:00 at the run do not count. Default 24: a day to think.
    long_offer_hours: i64 = 24, 1 to 168;
    /// Hours that a later offer is held; 22:00 to 08:00 at the run do not count. Default 4: a look at one's mail.
    short_offer_hours: i64 = 4, 1 to 48;
    /// Hours before the start from which nothing is held: the first yes has a free place. Default 24.
    first_yes_hours: i64 = 24, 1 to 72;
    /// Hours after which facilitators are asked again about a request. Default 24.
    request_nudge_hours: i64 = 24, 1 to 168;
    /// Hours before the start until which somebody who was missing twice has to say that they come. Default 12.
    reconfirm_until_hours: i64 = 12, 1 to 24;
    /// Hours that a place is kept for a friend who has yet to sign up. Default 24.
    friend_hours: i64 = 24, 1 to 72;
    /// Days before the start from which a run is paused when nobody who leads it would still have every required
    /// credential that day. Default 7: time to find somebody.
    credential_pause_days: i64 = 7, 1 to 30;
    /// Days before the start from which a facilitator is told that a required credential lapses before it. Default 28:
    /// time to renew it.
    credential_notice_days: i64 = 28, 1 to 90;
    /// Announcements that a run's facilitators may send in 24 hours. Default 5: more is noise, and people turn mails off.
    announcements_a_day: i64 = 5, 1 to 50;
    /// Weeks ahead that the dates of a series are made. Default 8: as far as people plan a habit.
    series_weeks_ahead: i64 = 8, 1 to 26;
    /// Places of each date of a series that are kept for newcomers where it does not say. Default 2.
    newcomer_places: i32 = 2, 0 to 50;
    /// Hours before the start until which places are kept for newcomers. Default 48.
    newcomer_places_until_hours: i64 = 48, 0 to 336;
    /// Youngest age. Default 18: work with minors needs safeguards that are not built in. Also `MIN_AGE`.
    min_age: u8 = 18, 16 to 21;
    /// Minutes that an access token counts. Default 15: it is renewed by itself, and a lost one is soon worth nothing.
    access_token_minutes: i64 = 15, 1 to 60;
    /// Days that a session lasts without use. Default 60, so that people seldom type a password.
    session_days: i64 = 60, 1 to 365;
    /// Days after a run for which its facilitators see who took part. Default 14: time to write a report, no archive.
    roster_visible_days: i64 = 14, 0 to 90;
    /// Days after a run for which what it was like stays sealed for welfare moderators; then its sign-ups are forgotten.
    /// Default 365: reports come late.
    roster_sealed_days: i64 = 365, 30 to 3650;
    /// Days after a run for which a guest's name and number are kept. Default 14.
    guests_kept_days: i64 = 14, 0 to 90;
    /// Days ahead that matches look. Default 14: as far as people plan.
    match_window_days: i64 = 14, 1 to 60;
    /// Per cent that a run has to fit a match request by, for an alert. Default 75: a run at one's own pace, in one's hours
    /// and up to about seven tenths of one's travel radius away. What fits less well stands in the matches.
    alert_fit_percent: i64 = 75, 1 to 100;
    /// Minutes that a gathered alert waits for more. Default 30: what is posted in one sitting comes in one mail.
    alert_wait_minutes: i64 = 30, 0 to 1440;
    /// People alerted to a run for each of its free places, the best fits first. Default 100: an alert that thousands get
    /// is a promise that cannot be kept.
    alerts_per_place: i64 = 100, 1 to 100000;
    /// Match requests that one person may have. Default 10: for a few habits and places, not for a map.
    match_requests_each: i64 = 10, 1 to 100;
    /// Days that a match request stands. Default 60: a season's habit; who still wants it says so with one tap.
    match_request_days: i64 = 60, 1 to 365;
    /// Days before a match request ends that its owner hears of it. Default 7: a week with a quiet evening in it.
    match_request_notice_days: i64 = 7, 1 to 60;
    /// Days that mails which were sent are kept in the outbox. Default 30: time to answer "I got no mail".
    outbox_kept_days: i64 = 30, 1 to 365;
}

/// The least score of a match where the file says nothing.
const MATCH_FLOOR: f64 = 0.25;
/// The most that the least score may be: above it hardly any run is a match.
const MATCH_FLOOR_MAX: f64 = 0.9;

/// Longest version of the terms and kind of credential, in characters.
const WORD_MAX: usize = 40;

/// Reads the section, then what the environment puts in its place; what is wrong is noted and its default holds.
pub(super) fn read(reader: &mut Reader<'_>, toml: Option<&str>) -> Policy {
    let mut policy = Policy::default();
    for (name, value) in section(reader, toml.unwrap_or("")) {
        let setting = format!("[policy] {name}");
        if let Err(problem) = apply(&mut policy, &name, &value) {
            reader.fault(&setting, problem);
        }
    }
    if let Some(kinds) = reader.read("REQUIRED_CREDENTIALS", |text| {
        text.split(',').map(str::trim).filter(|kind| !kind.is_empty()).map(kind).collect()
    }) {
        policy.required_credentials = kinds;
    }
    if let Some(hours) = reader.read("CARE_HOURS", |text| care_hours(text.parse().ok())) {
        policy.care_hours = Some(hours);
    }
    if let Some(language) = reader.read("DEFAULT_LANGUAGE", language) {
        policy.default_language = language;
    }
    let rule = Policy::RULES.iter().find(|rule| rule.name == "min_age");
    if let Some((rule, age)) =
        rule.and_then(|rule| Some((rule, reader.read("MIN_AGE", |text| within(rule, text.parse().ok()))?)))
    {
        set(&mut policy, rule.name, age);
    }
    policy
}

/// The keys of `[policy]`; everything else in the file is a fault.
fn section(reader: &mut Reader<'_>, text: &str) -> toml::Table {
    let mut file = match text.parse::<toml::Table>() {
        Ok(file) => file,
        Err(fault) => {
            let line = fault
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1);
            reader.fault("CONFIG_FILE", format!("line {line}: {}", fault.message()));
            return toml::Table::new();
        }
    };
    let policy = file.remove("policy");
    for other in file.keys() {
        reader.fault(
            other,
            "sidebyside.toml has a [policy] section and nothing else; this is an environment variable or a mistake",
        );
    }
    match policy {
        None => toml::Table::new(),
        Some(toml::Value::Table(table)) => table,
        Some(_) => {
            reader.fault("[policy]", "it must be a section");
            toml::Table::new()
        }
    }
}

fn apply(policy: &mut Policy, name: &str, value: &toml::Value) -> Result<(), String> {
    if let Some(rule) = Policy::RULES.iter().find(|rule| rule.name == name) {
        set(policy, name, within(rule, value.as_integer())?);
        return Ok(());
    }
    match name {
        "required_credentials" => policy.required_credentials = kinds(value)?,
        "care_hours" => policy.care_hours = Some(care_hours(value.as_integer())?),
        "match_floor" => policy.match_floor = floor(value)?,
        "default_language" => {
            policy.default_language = language(value.as_str().ok_or("it must be a language code in quotes")?)?;
        }
        "terms_version" => policy.terms_version = version(value)?,
        _ => {
            let names: Vec<&str> = Policy::RULES.iter().map(|rule| rule.name).collect();
            return Err(format!(
                "there is no such rule; there are {}, required_credentials, care_hours, \
                 default_language, match_floor and terms_version",
                names.join(", ")
            ));
        }
    }
    Ok(())
}

fn within(rule: &Rule, value: Option<i64>) -> Result<i64, String> {
    let Rule { min, max, .. } = *rule;
    value
        .filter(|value| (min..=max).contains(value))
        .ok_or_else(|| format!("it must be a whole number from {min} to {max}"))
}

/// The longest promise to get in touch, in hours: two weeks. Whoever cannot keep that should promise nothing.
const CARE_HOURS_MAX: i64 = 336;

fn care_hours(value: Option<i64>) -> Result<i64, String> {
    value
        .filter(|hours| (1..=CARE_HOURS_MAX).contains(hours))
        .ok_or_else(|| format!("it must be a whole number of hours from 1 to {CARE_HOURS_MAX}, such as 48"))
}

fn floor(value: &toml::Value) -> Result<f64, String> {
    let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
    number
        .filter(|number| (0.0..=MATCH_FLOOR_MAX).contains(number))
        .ok_or_else(|| format!("it must be a number from 0 to {MATCH_FLOOR_MAX}, such as 0.25"))
}

fn language(text: &str) -> Result<LanguageTag, String> {
    let known = LanguageTag::read(text).filter(|tag| Kind::Language.knows(&tag.0));
    known.ok_or_else(|| {
        let nearest = match Kind::Language.nearest(text) {
            Some(Word { code, text, .. }) => format!("; did you mean {code} ({text})?"),
            None => String::new(),
        };
        format!("\"{text}\" is no language code such as en or pt{nearest}")
    })
}

fn kinds(value: &toml::Value) -> Result<Vec<String>, String> {
    let words = value.as_array().and_then(|list| list.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>());
    words.ok_or_else(|| "it must be a list of words in quotes".to_owned())?.into_iter().map(kind).collect()
}

fn kind(word: &str) -> Result<String, String> {
    let fine = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '_';
    if word.starts_with(|sign: char| sign.is_ascii_lowercase()) && word.chars().all(fine) && word.len() <= WORD_MAX {
        Ok(word.to_owned())
    } else {
        Err(format!(
            "\"{word}\" is no kind of credential: a lower-case word such as first_aid, at most {WORD_MAX} characters"
        ))
    }
}

fn version(value: &toml::Value) -> Result<String, String> {
    let fine = |text: &&str| {
        !text.trim().is_empty() && text.chars().count() <= WORD_MAX && !text.chars().any(char::is_control)
    };
    let text = value
        .as_str()
        .filter(fine)
        .ok_or_else(|| format!("it must be a text of 1 to {WORD_MAX} characters in quotes"))?;
    Ok(text.trim().to_owned())
}
