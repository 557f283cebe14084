//! Questions about coming, and what a yes to one of them was given for.
//!
//! A yes counts for a start, a place and the people it named, and for nothing else: a run that is moved, or another partner,
//! makes it void without anybody having to take it back.

use super::{
    change::{self, Moved, Reach},
    place::LatLng,
};
use crate::{clock::Instant, id::Id};

word_enum! {
    "snake_case";
    /// What somebody on a run is asked about coming.
    pub enum ComingQuestion {
        /// Whether they still come to a run whose start, place, pace or activity was changed. One change is one question,
        /// however much of the run it moves: its mail names the new start and the new place, and a yes counts for both.
        Change,
        /// Whether one participant and one facilitator run with each other alone.
        AsTwo,
        /// Whether they come, asked the day before after silent absences.
        DayBefore,
    }
}

/// A run as somebody was asked about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    pub starts_at: Instant,
    pub point: LatLng,
    /// With whom alone, where that was the question.
    pub with: Option<Id>,
}

/// A question with what a yes to it is given for. No question of these where the yes takes a place or a role.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    pub question: Option<ComingQuestion>,
    pub terms: Terms,
}

impl Terms {
    /// Whether a yes to these terms is a yes to `now`: the same people, and a start and a place that moved by no more than
    /// what nobody is asked about (`change`). `time_zone` is the run's.
    pub fn hold_for(&self, now: &Self, time_zone: &str) -> bool {
        let day = |at: Instant| at.local(time_zone).date();
        let moved = Moved {
            seconds: now.starts_at.seconds_since(self.starts_at),
            metres: self.point.distance_km(&now.point) * 1000.0,
            other_day: day(self.starts_at) != day(now.starts_at),
            other_effort: false,
        };
        self.with == now.with && change::reach(moved) == Reach::Small
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_holds_for_its_start_place_and_partner_only() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().map(Instant::new).unwrap();
        let point = LatLng { lat: 51.4, lng: -0.3 };
        let fay = Some(Id(uuid::Uuid::from_u128(1)));
        let yes = Terms { starts_at: at("2026-11-26T09:00:00Z"), point, with: fay };
        let holds = |now: Terms| yes.hold_for(&now, "Europe/London");
        assert!(holds(yes));
        assert!(holds(Terms { starts_at: at("2026-11-26T09:30:00Z"), ..yes }));
        assert!(!holds(Terms { starts_at: at("2026-11-26T09:30:01Z"), ..yes }));
        assert!(!holds(Terms { starts_at: at("2026-12-03T09:00:00Z"), ..yes }), "the same hour a week later");
        assert!(holds(Terms { point: LatLng { lat: 51.404, ..point }, ..yes }), "445 metres");
        assert!(!holds(Terms { point: LatLng { lat: 51.405, ..point }, ..yes }), "556 metres");
        assert!(!holds(Terms { with: Some(Id(uuid::Uuid::from_u128(2))), ..yes }));
        assert!(!holds(Terms { with: None, ..yes }));
    }
}
