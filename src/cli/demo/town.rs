//! The invented town: people who do not exist, at public places in Bristol that do.

use jiff::civil::Date;

/// People, as `import people` takes them.
pub const PEOPLE: &str = include_str!("people.csv");
/// Runs, as `import runs` takes them, but for `{day N}` in place of dates.
pub const RUNS: &str = include_str!("runs.csv");
/// How far ahead the runs go, in days.
const DAYS: i64 = 14;

/// The clock of the town.
pub const TIME_ZONE: &str = "Europe/London";
/// Somebody who takes part.
pub const PARTICIPANT: &str = "maya@example.org";
/// Somebody who leads runs.
pub const FACILITATOR: &str = "nia@example.org";
/// Somebody who moderates and administers.
pub const MODERATOR: &str = "robin@example.org";

/// Who signs up for what, in their order: the fifth run becomes full, and the ninth asks first.
pub const SIGNUPS: [(&str, &[&str]); 12] = [
    ("demo-01", &["demo-dee", "demo-ines", "demo-rosa", "demo-wyn", "demo-samir", "demo-joe"]),
    ("demo-02", &["demo-owen", "demo-grace", "demo-arthur"]),
    ("demo-03", &["demo-priya", "demo-femi", "demo-zofia"]),
    ("demo-04", &["demo-hana", "demo-lina", "demo-leo", "demo-ines"]),
    ("demo-05", &["demo-maya", "demo-zofia", "demo-wyn", "demo-rosa", "demo-dee"]),
    ("demo-06", &["demo-kofi", "demo-jun", "demo-leo"]),
    ("demo-07", &["demo-bill", "demo-grace", "demo-priya"]),
    ("demo-08", &["demo-dee", "demo-lina"]),
    ("demo-09", &["demo-owen", "demo-joe"]),
    ("demo-11", &["demo-femi", "demo-rosa"]),
    ("demo-12", &["demo-kofi", "demo-jun"]),
    ("demo-14", &["demo-wyn", "demo-ines"]),
];

/// The keys of a file's rows.
pub fn keys(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().skip(1).filter_map(|line| line.split(',').next())
}

/// The runs with the days that follow `today`.
pub fn runs_from(today: Date) -> String {
    (1..=DAYS).fold(RUNS.to_owned(), |text, ahead| {
        let day = today.saturating_add(jiff::Span::new().days(ahead));
        text.replace(&format!("{{day {ahead}}}"), &day.to_string())
    })
}

/// What pass phrases are made of.
pub const WORDS: [&str; 64] = [
    "acorn",
    "amber",
    "apple",
    "autumn",
    "badger",
    "basket",
    "beacon",
    "birch",
    "blanket",
    "bramble",
    "bridge",
    "candle",
    "canal",
    "cherry",
    "cloud",
    "clover",
    "copper",
    "cricket",
    "daisy",
    "dragonfly",
    "ember",
    "feather",
    "fern",
    "garden",
    "ginger",
    "harbour",
    "hazel",
    "heron",
    "honey",
    "island",
    "ivory",
    "kettle",
    "ladder",
    "lantern",
    "lemon",
    "linen",
    "maple",
    "marble",
    "meadow",
    "mitten",
    "nutmeg",
    "orchard",
    "otter",
    "paper",
    "pebble",
    "pepper",
    "puddle",
    "quilt",
    "raven",
    "ribbon",
    "river",
    "saddle",
    "silver",
    "sparrow",
    "spring",
    "thimble",
    "thistle",
    "timber",
    "tulip",
    "velvet",
    "walnut",
    "willow",
    "window",
    "woollen",
];
