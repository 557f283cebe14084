//! The best `k` scores of a search so far, and the threshold that the next score has to reach to be among them.

use std::{cmp::Reverse, collections::BinaryHeap};

/// The best `limit` scores so far.
pub(super) struct TopK {
    limit: usize,
    best: BinaryHeap<Reverse<i64>>,
    log_threshold: f64,
}

/// Scores are steps of a billionth; a score that is nearer to the threshold than this is weighed exactly.
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

    /// Whether this score may be among the best.
    pub(super) fn would_enter(&self, steps: i64) -> bool {
        self.best.len() < self.limit || self.best.peek().is_some_and(|Reverse(lowest)| steps >= *lowest)
    }

    /// Counts a score that [`would_enter`](Self::would_enter).
    pub(super) fn push(&mut self, steps: i64) {
        self.best.push(Reverse(steps));
        if self.best.len() > self.limit {
            self.best.pop();
        }
        if self.best.len() == self.limit
            && let Some(Reverse(lowest)) = self.best.peek()
        {
            self.log_threshold = self.log_threshold.max((*lowest as f64 * 1e-9).ln() - ROUNDING);
        }
    }
}

/// Moves the `few` candidates with the highest bounds to the front, highest first; the rest stays in no order.
pub(super) fn partial_sort_desc<T>(candidates: &mut [(f64, T)], few: usize) {
    let higher = |one: &(f64, T), other: &(f64, T)| other.0.total_cmp(&one.0);
    let few = few.min(candidates.len());
    if few < candidates.len() {
        candidates.select_nth_unstable_by(few, higher);
    }
    candidates[..few].sort_unstable_by(higher);
}
