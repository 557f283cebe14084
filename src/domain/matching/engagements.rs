//! The runs that a person is on already: they are not proposed again, and neither is a run at the same time.
//!
//! Held with the person's side, so that a list needs no look at the database. Invariant: nothing of it reaches anybody else.

use std::collections::BTreeMap;

use crate::{clock::Instant, domain::signup::SignupStatus, id::Id};

/// A run to come, or under way, on which the person has a sign-up or which the person leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engagement {
    pub run: Id,
    /// The sign-up and its status; none where the person leads the run or goes along as the back marker.
    pub signup: Option<(Id, SignupStatus)>,
    pub starts_at: Instant,
    pub ends_at: Instant,
}

impl Engagement {
    /// Whether the person is expected there: a request, an offer or a waiting position takes no time yet.
    pub fn takes_time(&self) -> bool {
        match self.signup {
            Some((_, status)) => matches!(status, SignupStatus::Confirmed | SignupStatus::Attended),
            None => true,
        }
    }
}

/// All engagements of one person. They are in the order of their starts, since a list asks about thousands of runs, and
/// somebody who leads every week for a year ahead is on many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Engagements {
    by_start: Vec<Engagement>,
    signups: BTreeMap<Id, (Id, SignupStatus)>,
    /// The length of the longest of them, in seconds: what began earlier than that before a moment is over by then.
    longest_s: i64,
}

impl Engagements {
    /// Collects the engagements of one person, given in any order.
    ///
    /// One that ends while this is kept changes no answer about a run to come: what overlapped it has begun before.
    pub fn new(mut engagements: Vec<Engagement>) -> Self {
        engagements.sort_by_key(|engagement| (engagement.starts_at, engagement.run));
        let signups = engagements.iter().filter_map(|engagement| Some((engagement.run, engagement.signup?))).collect();
        let lengths = engagements.iter().map(|engagement| engagement.ends_at.seconds_since(engagement.starts_at));
        Self { longest_s: lengths.max().unwrap_or(0), signups, by_start: engagements }
    }

    /// The sign-up of the person for this run, and its status.
    pub fn signup_for(&self, run: Id) -> Option<(Id, SignupStatus)> {
        self.signups.get(&run).copied()
    }

    /// Whether the person is expected elsewhere between `from` and `to`, times of `run`.
    pub fn overlap(&self, run: Id, from: Instant, to: Instant) -> bool {
        let first = self.by_start.partition_point(|other| other.starts_at.plus_seconds(self.longest_s) <= from);
        let overlaps = |other: &Engagement| other.run != run && other.takes_time() && other.ends_at > from;
        self.by_start[first..].iter().take_while(|other| other.starts_at < to).any(overlaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Instant {
        "2026-12-01T10:00:00Z".parse::<Instant>().unwrap().plus_minutes(minutes)
    }

    fn engagement(status: SignupStatus) -> Engagement {
        Engagement { run: Id::random(), signup: Some((Id::random(), status)), starts_at: at(0), ends_at: at(60) }
    }

    #[test]
    fn confirmed_places_overlap_and_waiting_ones_do_not() {
        let place = engagement(SignupStatus::Confirmed);
        let mine = Engagements::new(vec![place.clone(), engagement(SignupStatus::Waitlisted)]);
        assert!(mine.overlap(Id::random(), at(59), at(120)));
        assert!(!mine.overlap(Id::random(), at(60), at(120)), "one begins when the other ends");
        assert!(!mine.overlap(place.run, at(0), at(60)), "a run does not overlap itself");
        let waiting = Engagements::new(vec![engagement(SignupStatus::Waitlisted)]);
        assert!(!waiting.overlap(Id::random(), at(0), at(60)));
    }

    #[test]
    fn long_engagement_overlaps_beside_shorter_later_ones() {
        let short = |minutes| Engagement {
            starts_at: at(minutes),
            ends_at: at(minutes + 10),
            ..engagement(SignupStatus::Confirmed)
        };
        let long = Engagement { starts_at: at(0), ends_at: at(600), signup: None, run: Id::random() };
        let mine = Engagements::new(vec![short(700), short(100), long.clone(), short(30)]);
        assert!(mine.overlap(Id::random(), at(599), at(650)), "by the long one alone");
        assert!(!mine.overlap(Id::random(), at(600), at(700)));
        assert!(mine.overlap(long.run, at(105), at(120)), "the run itself does not count, and the one beside it does");
        assert!(!mine.overlap(long.run, at(110), at(120)));
        assert!(!Engagements::default().overlap(long.run, at(0), at(600)));
    }

    #[test]
    fn sign_up_is_found_by_its_run() {
        let place = engagement(SignupStatus::Requested);
        let led = Engagement { run: Id::random(), signup: None, ..place.clone() };
        let mine = Engagements::new(vec![led.clone(), place.clone()]);
        assert_eq!(mine.signup_for(place.run), place.signup);
        assert_eq!(mine.signup_for(led.run), None);
        assert!(mine.overlap(place.run, at(0), at(1)), "the run that the person leads");
    }
}
