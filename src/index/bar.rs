//! The bar: what a score has to reach to be among the best few, while they are looked for.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Of the scores so far, the lowest that is among the best `limit`.
pub(super) struct Bar {
    limit: usize,
    best: BinaryHeap<Reverse<i64>>,
    /// Logarithm of the least that is looked at.
    ln: f64,
}

/// Scores are steps of a billionth; what is nearer to the bar than this is weighed exactly.
const ROUNDING: f64 = 1e-7;

impl Bar {
    /// A bar below which nothing is wanted, from the start on: a score, or 0 where all are.
    pub(super) fn new(limit: usize, least: f64) -> Self {
        Self { limit, best: BinaryHeap::new(), ln: least.ln() - ROUNDING }
    }

    /// Logarithm of the score that has to be reached, lowered by more than rounding.
    pub(super) fn ln(&self) -> f64 {
        self.ln
    }

    /// Whether something with this score may be among the best.
    pub(super) fn lets_in(&self, steps: i64) -> bool {
        self.best.len() < self.limit || self.best.peek().is_some_and(|Reverse(lowest)| steps >= *lowest)
    }

    /// Counts something with this score, which the bar lets in.
    pub(super) fn take(&mut self, steps: i64) {
        self.best.push(Reverse(steps));
        if self.best.len() > self.limit {
            self.best.pop();
        }
        if self.best.len() == self.limit
            && let Some(Reverse(lowest)) = self.best.peek()
        {
            self.ln = self.ln.max((*lowest as f64 * 1e-9).ln() - ROUNDING);
        }
    }
}

/// Puts the most candidates few first, in order: when they are weighed, little is left to weigh.
pub(super) fn put_best_first<T>(candidates: &mut [(f64, T)], few: usize) {
    let better = |one: &(f64, T), other: &(f64, T)| other.0.total_cmp(&one.0);
    let few = few.min(candidates.len());
    if few < candidates.len() {
        candidates.select_nth_unstable_by(few, better);
    }
    candidates[..few].sort_unstable_by(better);
}
