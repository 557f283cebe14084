//! How long the tests with rounds go on: short in every run of the suite, long in the nightly one.

/// Whether `SIDEBYSIDE_LONG=1` asks for the long forms.
#[allow(clippy::disallowed_methods, reason = "the length of the suite is set from outside")]
pub fn is_long() -> bool {
    std::env::var("SIDEBYSIDE_LONG").is_ok_and(|value| value == "1")
}

/// The rounds of a test: `long` ones with `SIDEBYSIDE_LONG=1`, otherwise `short` ones. Both make the same assertions.
pub fn rounds<N>(short: N, long: N) -> N {
    if is_long() { long } else { short }
}
