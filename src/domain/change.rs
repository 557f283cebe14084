//! How far a change of a run reaches, and so what those on it are asked: nothing, whether it still suits, or for a fresh
//! yes.

/// Up to so many minutes a start may move without a question.
pub const SMALL_MINUTES: i64 = 30;
/// Up to so many metres a meeting point may move without a question.
pub const SMALL_METRES: f64 = 500.0;
/// Beyond so many minutes it is another run.
pub const FAR_MINUTES: i64 = 120;
/// Beyond so many metres it is another run.
pub const FAR_METRES: f64 = 2000.0;
/// Within so many hours before the start a run cannot be changed far any more: people are setting out. Cancel instead.
pub const NO_FAR_CHANGE_HOURS: i64 = 3;

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// People are told.
    Small,
    /// People are told and asked; silence keeps the place.
    Asks,
    /// It is another run: a place is kept only with a fresh yes.
    Far,
}

/// What was moved.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moved {
    /// How far the start moved, in seconds.
    pub seconds: i64,
    /// How far the meeting point moved, in metres.
    pub metres: f64,
    /// It is on another local day.
    pub other_day: bool,
    /// Pace or activity is another.
    pub other_effort: bool,
}

/// How far a change reaches.
pub fn reach(moved: Moved) -> Reach {
    if moved.other_day || moved.seconds.abs() > FAR_MINUTES * 60 || moved.metres > FAR_METRES {
        Reach::Far
    } else if moved.seconds.abs() > SMALL_MINUTES * 60 || moved.metres > SMALL_METRES || moved.other_effort {
        Reach::Asks
    } else {
        Reach::Small
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_hour_and_five_hundred_metres_are_told_and_more_is_asked() {
        let moved = |minutes, metres| reach(Moved { seconds: i64::from(minutes) * 60, metres, ..Default::default() });
        assert_eq!(moved(30, 500.0), Reach::Small);
        assert_eq!(moved(-31, 0.0), Reach::Asks);
        assert_eq!(moved(0, 501.0), Reach::Asks);
        assert_eq!(moved(-120, 2000.0), Reach::Asks);
        assert_eq!(moved(121, 0.0), Reach::Far);
        assert_eq!(moved(0, 2001.0), Reach::Far);
        assert_eq!(reach(Moved { seconds: 120 * 60 + 1, ..Default::default() }), Reach::Far);
        assert_eq!(reach(Moved { other_day: true, ..Default::default() }), Reach::Far);
        assert_eq!(reach(Moved { other_effort: true, ..Default::default() }), Reach::Asks);
    }
}
