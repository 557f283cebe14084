//! The runs that a person is on already: they are not proposed again, and neither is a run at the same time.
//!
//! Held with the person's side, so that a list needs no look at the database. Invariant: nothing of it reaches anybody else.

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

/// All engagements of one person. A person has a few dozen at most, so that a plain list is the fastest to search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Engagements(Vec<Engagement>);

impl Engagements {
    /// Those of one person, in any order.
    pub fn new(engagements: Vec<Engagement>) -> Self {
        Self(engagements)
    }

    /// The sign-up of the person for this run, and its status.
    pub fn signup_for(&self, run: Id) -> Option<(Id, SignupStatus)> {
        self.0.iter().find(|engagement| engagement.run == run).and_then(|engagement| engagement.signup)
    }

    /// Whether the person is expected elsewhere between `from` and `to`, times of `run`.
    pub fn overlap(&self, run: Id, from: Instant, to: Instant) -> bool {
        self.0
            .iter()
            .any(|other| other.run != run && other.takes_time() && other.starts_at < to && other.ends_at > from)
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
    fn sign_up_is_found_by_its_run() {
        let place = engagement(SignupStatus::Requested);
        let led = Engagement { run: Id::random(), signup: None, ..place.clone() };
        let mine = Engagements::new(vec![led.clone(), place.clone()]);
        assert_eq!(mine.signup_for(place.run), place.signup);
        assert_eq!(mine.signup_for(led.run), None);
        assert!(mine.overlap(place.run, at(0), at(1)), "the run that the person leads");
    }
}
