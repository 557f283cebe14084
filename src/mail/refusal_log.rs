//! Refusals that are the installation's fault are told to the operator once, not once for each mail.

use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A cause that was not met for so long is a new one: refused mails are tried at least every three hours.
const EPISODE: SignedDuration = SignedDuration::from_hours(6);
/// Causes that are remembered. A server that makes up new ones is logged for each, and fills no memory.
const CAUSES_LIMIT: usize = 100;

/// The causes that were logged lately, each with when it was met last.
#[derive(Debug, Default)]
pub struct RefusalLog(Mutex<HashMap<String, Timestamp>>);

impl RefusalLog {
    /// Notes that a mail was refused for this cause, and says whether the operator has yet to be told of it.
    pub fn is_news(&self, cause: &str, now: Timestamp) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, met| now.duration_since(*met).abs() < EPISODE);
        if known.len() >= CAUSES_LIMIT && !known.contains_key(cause) {
            known.clear();
        }
        known.insert(cause.to_owned(), now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_is_news_once_until_it_was_over() {
        let log = RefusalLog::default();
        let at = |hour: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
        assert!(log.is_news("554", at(0)) && !log.is_news("554", at(0)) && log.is_news("504", at(0)));
        assert!(!log.is_news("554", at(3)) && !log.is_news("554", at(6)), "it goes on");
        assert!(log.is_news("554", at(13)), "it was over and is back");
        (0..1000).for_each(|number| assert!(log.is_news(&number.to_string(), at(13))));
        assert!(log.0.lock().unwrap().len() <= CAUSES_LIMIT);
    }
}
