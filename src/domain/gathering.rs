//! When a mail goes out of which others of its kind, to the same person about the same thing, went out lately: the first
//! at once, the next ones gathered and further apart each time. One member's acts must not flood another's inbox.

use crate::clock::Instant;

/// Mails of one topic that go out at once within [`COUNTED_HOURS`]; what follows is gathered. As for requests to join.
pub const AT_ONCE: usize = 2;
/// Hours over which the mails of one topic are counted.
pub const COUNTED_HOURS: i64 = 24;
/// Minutes between gathered mails that can wait: at most eight mails of one topic in a day.
const USUAL_MINUTES: [i64; 3] = [30, 120, 360];
/// Minutes between gathered mails that somebody has to act on soon, such as reports.
const SOON_MINUTES: [i64; 4] = [5, 15, 30, 60];
/// Part of the time until a run starts that a mail about it may wait at most: who is setting out has to know.
const PART_OF_TIME_LEFT: i64 = 4;

/// How long mails of a kind may wait for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Up to hours.
    Usual,
    /// Minutes: somebody has to act on it.
    Soon,
}

/// What is known when another mail of a topic is promised.
#[derive(Debug, Clone, Copy)]
pub struct Lately {
    /// Mails of the topic that went or are to go out, within [`COUNTED_HOURS`].
    pub mails: usize,
    /// When the newest of them went out, or is to.
    pub newest: Option<Instant>,
    /// The start of the run that it is about.
    pub starts_at: Option<Instant>,
}

/// When the next mail of a topic goes out: now, or late enough to gather what comes meanwhile.
pub fn due(patience: Patience, lately: Lately, now: Instant) -> Instant {
    let (Some(newest), Some(gathered)) = (lately.newest, lately.mails.checked_sub(AT_ONCE)) else { return now };
    let steps: &[i64] = match patience {
        Patience::Usual => &USUAL_MINUTES,
        Patience::Soon => &SOON_MINUTES,
    };
    let minutes = steps.get(gathered).or(steps.last()).copied().unwrap_or(0);
    let due = newest.plus_minutes(minutes);
    let latest = lately.starts_at.filter(|start| *start > now);
    let latest = latest.map(|start| now.plus_seconds(start.seconds_since(now) / PART_OF_TIME_LEFT));
    latest.map_or(due, |latest| due.min(latest)).max(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn due_after(mails: usize, newest: Option<&str>, starts_at: Option<&str>, patience: Patience) -> Instant {
        let lately = Lately { mails, newest: newest.map(at), starts_at: starts_at.map(at) };
        due(patience, lately, at("2026-11-22T10:00:00Z"))
    }

    #[test]
    fn first_two_mails_of_a_topic_go_out_at_once() {
        let now = at("2026-11-22T10:00:00Z");
        assert_eq!(due_after(0, None, None, Patience::Usual), now);
        assert_eq!(due_after(1, Some("2026-11-22T10:00:00Z"), None, Patience::Usual), now);
    }

    #[test]
    fn later_mails_wait_longer_each_time() {
        let newest = Some("2026-11-22T09:59:00Z");
        assert_eq!(due_after(2, newest, None, Patience::Usual), at("2026-11-22T10:29:00Z"));
        assert_eq!(due_after(3, newest, None, Patience::Usual), at("2026-11-22T11:59:00Z"));
        assert_eq!(due_after(9, newest, None, Patience::Usual), at("2026-11-22T15:59:00Z"));
        assert_eq!(due_after(2, newest, None, Patience::Soon), at("2026-11-22T10:04:00Z"));
        assert_eq!(due_after(9, newest, None, Patience::Soon), at("2026-11-22T10:59:00Z"));
    }

    #[test]
    fn mail_about_a_run_waits_a_quarter_of_the_time_left() {
        let newest = Some("2026-11-22T10:00:00Z");
        let soon = due_after(2, newest, Some("2026-11-22T10:40:00Z"), Patience::Usual);
        assert_eq!(soon, at("2026-11-22T10:10:00Z"));
        let begun = due_after(2, newest, Some("2026-11-22T09:40:00Z"), Patience::Usual);
        assert_eq!(begun, at("2026-11-22T10:30:00Z"));
    }

    #[test]
    fn mail_long_after_the_others_goes_out_at_once() {
        let long_ago = due_after(2, Some("2026-11-22T08:00:00Z"), None, Patience::Usual);
        assert_eq!(long_ago, at("2026-11-22T10:00:00Z"));
    }
}
