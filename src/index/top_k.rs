//! The best `k` scores of a search so far, and the threshold that the next score has to reach to be among them.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::clock::Instant;

/// The best `limit` scores so far, each with the start of its run: of equal scores the sooner start is the better one.
pub(super) struct TopK {
    limit: usize,
    best: BinaryHeap<Reverse<(i64, Reverse<Instant>)>>,
    log_threshold: f64,
}

/// Scores are steps of a billionth; a score that is nearer to the threshold than this is compared in steps.
const ROUNDING: f64 = 1e-7;

impl TopK {
    /// Starts a search in which no score below `least` (0 to 1) is wanted.
    pub(super) fn new(limit: usize, least: f64) -> Self {
        Self { limit, best: BinaryHeap::new(), log_threshold: least.ln() - ROUNDING }
    }

    /// The logarithm of the score that has to be reached, lowered by more than rounding.
    pub(super) fn log_threshold(&self) -> f64 {
        self.log_threshold
    }

    /// Whether a run that scores at most `log_bound`, a logarithm, may be among the best. Its start is read only where the
    /// bound is the threshold itself.
    pub(super) fn may_enter(&self, log_bound: f64, starts_at: impl FnOnce() -> Instant) -> bool {
        if log_bound < self.log_threshold {
            return false;
        }
        if log_bound > self.log_threshold + 2.0 * ROUNDING {
            return true;
        }
        self.would_enter((log_bound.exp() * 1e9).round() as i64, starts_at())
    }

    /// Whether this score may be among the best.
    pub(super) fn would_enter(&self, steps: i64, starts_at: Instant) -> bool {
        self.best.len() < self.limit
            || self.best.peek().is_some_and(|Reverse(worst)| (steps, Reverse(starts_at)) >= *worst)
    }

    /// Counts a score that [`would_enter`](Self::would_enter).
    pub(super) fn push(&mut self, steps: i64, starts_at: Instant) {
        self.best.push(Reverse((steps, Reverse(starts_at))));
        if self.best.len() > self.limit {
            self.best.pop();
        }
        if self.best.len() == self.limit
            && let Some(Reverse((lowest, _))) = self.best.peek()
        {
            self.log_threshold = self.log_threshold.max((*lowest as f64 * 1e-9).ln() - ROUNDING);
        }
    }
}

/// Moves the `few` candidates with the highest bounds to the front, highest first and of equal ones in the order of `place`;
/// the rest stays in no order.
pub(super) fn partial_sort_desc<T>(candidates: &mut [(f64, T)], few: usize, place: impl Fn(&T) -> usize) {
    let better =
        |one: &(f64, T), other: &(f64, T)| other.0.total_cmp(&one.0).then_with(|| place(&one.1).cmp(&place(&other.1)));
    let few = few.min(candidates.len());
    if few < candidates.len() {
        candidates.select_nth_unstable_by(few, better);
    }
    candidates[..few].sort_unstable_by(better);
}
