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

/// Tries before a mail is given up; with the waits below that is about two days of a dead mail server.
pub const MAX_ATTEMPTS: i32 = 20;

/// Seconds to wait after try number `attempt` (1 is the first): doubling from ten seconds up to three hours.
pub fn backoff_s(attempt: i32) -> i64 {
    let doublings = u32::try_from(attempt.clamp(1, 12) - 1).unwrap_or(0);
    (10_i64 << doublings).min(3 * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_grow_to_three_hours_and_the_tries_span_two_days() {
        assert_eq!(backoff_s(1), 10);
        assert_eq!(backoff_s(2), 20);
        assert_eq!(backoff_s(20), 10_800);
        let total: i64 = (1..MAX_ATTEMPTS).map(backoff_s).sum();
        assert!(total > 24 * 3600, "{total}");
    }
}
