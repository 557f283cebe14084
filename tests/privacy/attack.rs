//! What an attacker makes of what was seen: clues about a distance or an order, the place that fits them best, and how far
//! off that is. Knows nothing of the product, so that the same attack works on an oracle that leaks.

use sidebyside::domain::place::LatLng;

use super::earth::{off, on_map};

/// One thing learnt about a hidden place, on a flat map in kilometres.
#[derive(Debug, Clone, Copy)]
pub enum Clue {
    /// It lies this far from a known point.
    Ring { at: (f64, f64), low: f64, high: f64 },
    /// It lies nearer to one known point than to another.
    Nearer { this: (f64, f64), than: (f64, f64) },
}

impl Clue {
    pub fn at_distance(at: (f64, f64), km: f64) -> Self {
        Self::Ring { at, low: km, high: km }
    }

    pub fn within(at: (f64, f64), km: f64) -> Self {
        Self::Ring { at, low: 0.0, high: km }
    }

    pub fn beyond(at: (f64, f64), km: f64) -> Self {
        Self::Ring { at, low: km, high: f64::INFINITY }
    }

    /// How badly a place fits, in square kilometres.
    fn misfit(&self, place: (f64, f64)) -> f64 {
        let from = |at: (f64, f64)| (place.0 - at.0).hypot(place.1 - at.1);
        match *self {
            Self::Ring { at, low, high } => {
                let away = from(at);
                let out = (low - away).max(away - high).max(0.0);
                // Between two finite bounds the middle is the best guess.
                let middle = if low > 0.0 && high.is_finite() { (away - (low + high) / 2.0).powi(2) } else { 0.0 };
                out.powi(2) + 1e-4 * middle
            }
            Self::Nearer { this, than } => (from(this) - from(than)).max(0.0).powi(2),
        }
    }
}

/// The attacker's map: the rough whereabouts that are known anyway.
#[derive(Debug, Clone, Copy)]
pub struct Map(pub LatLng);

/// How far around its middle the map is searched, km.
const REACH_KM: f64 = 3.0;
/// Where the search begins: so many places along each side.
const STARTS: i32 = 9;
/// Where it ends, km.
const FINEST_KM: f64 = 0.002;

impl Map {
    pub fn at(&self, point: LatLng) -> (f64, f64) {
        on_map(self.0, point)
    }

    /// The place that fits all clues best.
    pub fn find(&self, clues: &[Clue]) -> LatLng {
        let misfit = |place: (f64, f64)| clues.iter().map(|clue| clue.misfit(place)).sum::<f64>();
        let mut starts: Vec<((f64, f64), f64)> = (0..STARTS * STARTS)
            .map(|at| {
                let side = |step: i32| REACH_KM * (2.0 * f64::from(step) / f64::from(STARTS - 1) - 1.0);
                let place = (side(at / STARTS), side(at % STARTS));
                (place, misfit(place))
            })
            .collect();
        starts.sort_by(|a, b| a.1.total_cmp(&b.1));
        let ends = starts.iter().take(3).map(|(start, cost)| descend(*start, *cost, misfit));
        let (place, _) = ends.min_by(|a, b| a.1.total_cmp(&b.1)).expect("a place");
        off(self.0, place.0, place.1)
    }
}

/// Walks downhill in steps that become shorter.
fn descend(start: (f64, f64), cost: f64, misfit: impl Fn((f64, f64)) -> f64) -> ((f64, f64), f64) {
    let (mut place, mut cost, mut step) = (start, cost, REACH_KM / 4.0);
    while step > FINEST_KM {
        let around = (0..8).map(|eighth| {
            let turned = std::f64::consts::FRAC_PI_4 * f64::from(eighth);
            let next = (place.0 + step * turned.cos(), place.1 + step * turned.sin());
            (next, misfit(next))
        });
        let (next, next_cost) = around.min_by(|a, b| a.1.total_cmp(&b.1)).expect("eight places");
        if next_cost < cost {
            (place, cost) = (next, next_cost);
        } else {
            step /= 2.0;
        }
    }
    (place, cost)
}

/// Errors of a way of attack over all its victims, in cell sizes (the square root of the cell's area).
#[derive(Debug, Clone, Default)]
pub struct Errors(Vec<f64>);

impl Errors {
    pub fn note(&mut self, guess: LatLng, truth: LatLng, cell_size_km: f64) {
        self.0.push(guess.distance_km(&truth) / cell_size_km);
    }

    pub fn how_many(&self) -> usize {
        self.0.len()
    }

    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (share * (sorted.len() as f64 - 1.0)).round() as usize;
        sorted[at]
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Of one in twenty the error is smaller.
    pub fn p5(&self) -> f64 {
        self.quantile(0.05)
    }
}

/// The least median error, in cell sizes, that an attack may have (guessing the centre has 0.40).
pub const LEAST_MEDIAN: f64 = 0.35;
/// The least error of all but one in twenty (guessing the centre has 0.126).
pub const LEAST_P5: f64 = 0.1;
/// What the same attack must reach against an oracle that leaks: less than a tenth of a cell.
pub const CAUGHT_BELOW: f64 = 0.1;

/// Every way of attack with its errors: against the product, and against what leaks.
#[derive(Debug, Clone, Default)]
pub struct Report(Vec<(String, Errors)>);

impl Report {
    pub fn note(&mut self, way: &str, guess: LatLng, truth: LatLng, cell_size_km: f64) {
        let at = self.0.iter().position(|(known, _)| known == way).unwrap_or_else(|| {
            self.0.push((way.to_owned(), Errors::default()));
            self.0.len() - 1
        });
        self.0[at].1.note(guess, truth, cell_size_km);
    }

    /// The way that finds most: by its median.
    pub fn best(&self) -> (&str, &Errors) {
        let best = self.0.iter().min_by(|a, b| a.1.median().total_cmp(&b.1.median())).expect("an attack");
        (&best.0, &best.1)
    }

    pub fn print(&self, of: &str) {
        for (way, errors) in &self.0 {
            let (many, median, p5) = (errors.how_many(), errors.median(), errors.p5());
            println!("{of}: {way}: median error {median:.3}, p5 {p5:.3} cell sizes ({many} places)");
        }
    }

    /// Every way of attack is held to the bounds.
    #[track_caller]
    pub fn finds_no_more_than_the_cell(&self, at_least: usize) {
        for (way, errors) in &self.0 {
            assert!(errors.how_many() >= at_least, "{way}: only {} places", errors.how_many());
            assert!(errors.median() >= LEAST_MEDIAN, "{way}: median error {:.3}", errors.median());
            assert!(errors.p5() >= LEAST_P5, "{way}: p5 {:.3}", errors.p5());
        }
    }

    /// The attack is worth something: against what leaks it finds people.
    #[track_caller]
    pub fn is_caught(&self, of: &str) {
        let (way, errors) = self.best();
        assert!(errors.median() < CAUGHT_BELOW, "{of}: the best attack ({way}) has a median of {:.3}", errors.median());
    }
}
