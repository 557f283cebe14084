//! The life of a mail between the act that promised it and the mail server.

word_enum! {
    "snake_case";
    /// Where a mail is.
    pub enum OutboxStatus {
        /// Waits for its time or for another try.
        Queued,
        /// A mail server took it.
        Sent,
        /// It was no longer true when its turn came, or a decision took it back.
        Dropped,
        /// Refused for good, or tried for too long. `sidebyside outbox retry` tries again.
        Dead,
    }
}

word_enum! {
    "snake_case";
    /// Why the last try of a mail failed.
    pub enum Setback {
        /// The mail server put it off or was away.
        PutOff,
        /// The try ran into a time limit, or went to a place where many others hang.
        Hung,
        /// The mail server refuses this installation: its name, sender, password, or the way it sends.
        RefusedUs,
    }
}

/// Tries before a mail that is put off is given up: with the waits below that is two days of a dead mail server.
pub const MAX_ATTEMPTS: i32 = 27;
/// Tries before a mail is given up because the server refuses us: with the waits below that is two days as well.
const MAX_REFUSALS: i32 = 21;
/// The longest wait between two tries, in seconds.
pub const LONGEST_BACKOFF_S: i64 = 3 * 3600;
/// The wait after the first failure, in seconds: a fault that passes is over soon, and one of ours waits for people.
const FIRST_BACKOFF_S: i64 = 10;
const FIRST_BACKOFF_AFTER_REFUSAL_S: i64 = 600;

/// Seconds to wait after try number `attempt` (1 is the first), doubling up to three hours; none when the mail is given up.
pub fn backoff_s(setback: Setback, attempt: i32) -> Option<i64> {
    let (first, tries) = match setback {
        Setback::PutOff | Setback::Hung => (FIRST_BACKOFF_S, MAX_ATTEMPTS),
        Setback::RefusedUs => (FIRST_BACKOFF_AFTER_REFUSAL_S, MAX_REFUSALS),
    };
    let doublings = u32::try_from(attempt.clamp(1, 12) - 1).unwrap_or(0);
    (attempt < tries).then(|| (first << doublings).min(LONGEST_BACKOFF_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_three_hours_and_tries_span_two_days() {
        assert_eq!(backoff_s(Setback::PutOff, 1), Some(10));
        assert_eq!(backoff_s(Setback::Hung, 2), Some(20));
        assert_eq!(backoff_s(Setback::PutOff, 20), Some(10_800));
        assert_eq!(backoff_s(Setback::RefusedUs, 1), Some(600));
        assert_eq!(backoff_s(Setback::RefusedUs, 20), Some(10_800));
        for (setback, tries) in [(Setback::PutOff, MAX_ATTEMPTS), (Setback::RefusedUs, MAX_REFUSALS)] {
            assert_eq!(backoff_s(setback, tries), None);
            let total: i64 = (1..tries).filter_map(|attempt| backoff_s(setback, attempt)).sum();
            assert!((48 * 3600..54 * 3600).contains(&total), "{setback}: {total}");
        }
    }
}
