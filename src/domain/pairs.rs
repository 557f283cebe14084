//! Side by side: who of those present might run beside whom.
//!
//! The best pairing is exact for up to [`AT_ONCE`] people: as many as can be are beside somebody, then as few as can be
//! are with whom they ran last time, then everybody's fit with their partners, added up, is the greatest possible. Two
//! people who must be kept apart are never put together; the one group of three is for an odd number.

use super::{matching::exclusion::languages_meet, pace::PaceBand, profile::TalkOrQuiet};

/// How many people are paired at once: the exact way takes 2^n steps.
pub const AT_ONCE: usize = 20;

/// Somebody who is there.
#[derive(Debug, Clone, Default)]
pub struct Walker {
    /// The pace at which they can chat, for this activity; none: not said.
    pub pace: Option<PaceBand>,
    pub languages: Vec<String>,
    pub wish: Option<TalkOrQuiet>,
}

/// What two people are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    /// A block stands between them.
    pub apart: bool,
    /// They ran together last time.
    pub last_time: bool,
    /// 0 to 1000.
    pub fit: i64,
}

/// Groups of two, at most one of three, and those for whom there is nobody; by index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairing {
    pub groups: Vec<Vec<usize>>,
    pub alone: Vec<usize>,
}

/// Shares of pace, language and wish in a fit; pace decides whether two can stay together at all.
const SHARES: [f64; 3] = [0.6, 0.2, 0.2];
/// How quickly paces that do not meet stop fitting, as a share: the scale of a no-drop run in `matching`.
const PACE_SCALE: f64 = 0.08;

/// How well two people fit beside each other, 0 to 1000.
pub fn fit(one: &Walker, other: &Walker) -> i64 {
    let language = match languages_meet(&one.languages, &other.languages) {
        Some(true) => 1.0,
        None => 0.8,
        Some(false) => 0.0,
    };
    let parts = [pace_fit(one.pace, other.pace), language, wish_fit(one.wish, other.wish)];
    let sum: f64 = SHARES.iter().zip(parts).map(|(share, part)| share * part).sum();
    #[allow(clippy::cast_possible_truncation, reason = "between 0 and 1000")]
    let points = (sum * 1000.0).round() as i64;
    points
}

/// 0.5 to 1 by how much of the narrower band is shared; below 0.5 where the bands do not meet.
fn pace_fit(one: Option<PaceBand>, other: Option<PaceBand>) -> f64 {
    let (Some(one), Some(other)) = (one, other) else { return 0.5 };
    let ((fast1, slow1), (fast2, slow2)) = (one.in_order(), other.in_order());
    let (fast, slow) = (fast1.max(fast2), slow1.min(slow2));
    if fast > slow {
        let gap = (fast / slow).ln() / PACE_SCALE;
        return 0.5 * (-gap * gap / 2.0).exp();
    }
    let narrower = (slow1 - fast1).min(slow2 - fast2);
    if narrower <= 0.0 { 1.0 } else { 0.5 + 0.5 * ((slow - fast) / narrower).min(1.0) }
}

fn wish_fit(one: Option<TalkOrQuiet>, other: Option<TalkOrQuiet>) -> f64 {
    use TalkOrQuiet::{Quiet, Talk};
    let opposed = matches!((one, other), (Some(Talk), Some(Quiet)) | (Some(Quiet), Some(Talk)));
    if opposed { 0.0 } else { 1.0 }
}

/// What a person beside somebody is worth, and what it costs to meet the same again: each outweighs all that follows.
const PLACED: i64 = 1_000_000_000;
const AGAIN: i64 = 1_000_000;

/// What a group is worth; none where two of it must be kept apart. Everybody counts with the mean of their fits.
pub fn worth(group: &[usize], tie: &dyn Fn(usize, usize) -> Tie) -> Option<i64> {
    let (mut sum, mut again) = (0, 0);
    for (at, one) in group.iter().enumerate() {
        for other in &group[at + 1..] {
            let tie = tie(*one, *other);
            if tie.apart {
                return None;
            }
            sum += tie.fit;
            again += i64::from(tie.last_time);
        }
    }
    // Two: each has the fit. Three: each has the mean of two, which is the sum of all three fits together.
    let fits = if group.len() == 2 { 2 * sum } else { sum };
    let people = i64::try_from(group.len()).unwrap_or(0);
    Some(people * PLACED - again * AGAIN + fits)
}

/// The best pairing of `n` people; more than [`AT_ONCE`] are first split into neighbours in the order given.
pub fn pair(n: usize, tie: &dyn Fn(usize, usize) -> Tie) -> Pairing {
    let mut all = Pairing::default();
    let mut from = 0;
    for size in sizes(n) {
        let part = best(size, &|one, other| tie(from + one, from + other));
        all.groups.extend(part.groups.into_iter().map(|group| group.iter().map(|at| from + at).collect()));
        all.alone.extend(part.alone.into_iter().map(|at| from + at));
        from += size;
    }
    all
}

/// Parts of nearly the same, even size, of which at most the last is odd.
fn sizes(n: usize) -> Vec<usize> {
    let parts = n.div_ceil(AT_ONCE);
    let mut left = n;
    let mut sizes = Vec::new();
    for part in (1..=parts).rev() {
        let share = left.div_ceil(part);
        let size = if part == 1 { left } else { (share + share % 2).min(AT_ONCE) };
        sizes.push(size);
        left -= size;
    }
    sizes
}

/// For each set of people who are left, with and without the group of three to come, the most that can be made of it.
struct Table<'t> {
    tie: &'t dyn Fn(usize, usize) -> Tie,
    pairs: Vec<Option<i64>>,
    n: usize,
    known: [Vec<i64>; 2],
}

const UNKNOWN: i64 = i64::MIN;

fn best(n: usize, tie: &dyn Fn(usize, usize) -> Tie) -> Pairing {
    let pairs = (0..n * n).map(|at| if at / n < at % n { worth(&[at / n, at % n], tie) } else { None }).collect();
    let known = [vec![UNKNOWN; 1 << n], vec![UNKNOWN; 1 << n]];
    let mut table = Table { tie, pairs, n, known };
    let mut pairing = Pairing::default();
    let (mut left, mut three) = ((1_usize << n) - 1, true);
    while left != 0 {
        let (_, group) = table.step(left, three);
        three &= group.len() < 3;
        left &= !group.iter().fold(0, |set, at| set | 1 << at);
        match group.as_slice() {
            [one] => pairing.alone.push(*one),
            _ => pairing.groups.push(group),
        }
    }
    pairing
}

impl Table<'_> {
    fn most(&mut self, left: usize, three: bool) -> i64 {
        if left == 0 {
            return 0;
        }
        let known = self.known[usize::from(three)][left];
        if known != UNKNOWN {
            return known;
        }
        let most = self.step(left, three).0;
        self.known[usize::from(three)][left] = most;
        most
    }

    /// The best group for the first of those left, and what it all comes to.
    fn step(&mut self, left: usize, three: bool) -> (i64, Vec<usize>) {
        let first = left.trailing_zeros() as usize;
        let rest = left & !(1 << first);
        let mut best = (self.most(rest, three), vec![first]);
        for second in (first + 1..self.n).filter(|at| rest & 1 << at != 0) {
            let after = rest & !(1 << second);
            if let Some(worth) = self.pairs[first * self.n + second] {
                let sum = worth + self.most(after, three);
                if sum > best.0 {
                    best = (sum, vec![first, second]);
                }
            }
            for third in (second + 1..self.n).filter(|at| three && after & 1 << at != 0) {
                if let Some(worth) = worth(&[first, second, third], self.tie) {
                    let sum = worth + self.most(after & !(1 << third), false);
                    if sum > best.0 {
                        best = (sum, vec![first, second, third]);
                    }
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(pairing: &Pairing, tie: &dyn Fn(usize, usize) -> Tie) -> i64 {
        pairing.groups.iter().map(|group| worth(group, tie).expect("nobody beside whom they must not meet")).sum()
    }

    /// The most by trying everything: whoever is first goes alone, with one or, once, with two.
    fn by_trying(left: &[usize], three: bool, tie: &dyn Fn(usize, usize) -> Tie) -> i64 {
        let Some((first, rest)) = left.split_first() else { return 0 };
        let mut most = by_trying(rest, three, tie);
        for (at, second) in rest.iter().enumerate() {
            let without: Vec<usize> = rest.iter().copied().filter(|one| one != second).collect();
            if let Some(worth) = worth(&[*first, *second], tie) {
                most = most.max(worth + by_trying(&without, three, tie));
            }
            for third in rest[at + 1..].iter().filter(|_| three) {
                let without: Vec<usize> = without.iter().copied().filter(|one| one != third).collect();
                if let Some(worth) = worth(&[*first, *second, *third], tie) {
                    most = most.max(worth + by_trying(&without, false, tie));
                }
            }
        }
        most
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_pairing_is_better(n in 0_usize..9, ties in prop::collection::vec((0_u8..6, 0_i64..=1000), 81)) {
            let tie = |one: usize, other: usize| {
                let (kind, fit) = ties[one.min(other) * 9 + one.max(other)];
                Tie { apart: kind == 0, last_time: kind == 1, fit }
            };
            let found = pair(n, &tie);
            let mut seen: Vec<usize> = found.groups.iter().flatten().chain(&found.alone).copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..n).collect::<Vec<_>>());
            prop_assert!(found.groups.iter().filter(|group| group.len() == 3).count() <= 1);
            prop_assert_eq!(total(&found, &tie), by_trying(&(0..n).collect::<Vec<_>>(), true, &tie));
        }
    }

    fn free(_: usize, _: usize) -> Tie {
        Tie { apart: false, last_time: false, fit: 500 }
    }

    #[test]
    fn nobody_is_left_over_and_only_an_odd_number_has_a_group_of_three() {
        for n in (2..50).filter(|n| *n < 10 || [21, 23].contains(n)) {
            let found = pair(n, &free);
            assert_eq!(found.alone, [0; 0], "{n}");
            let threes = found.groups.iter().filter(|group| group.len() == 3).count();
            assert_eq!(threes, n % 2, "{n}");
        }
        assert_eq!(pair(1, &free).alone, [0]);
        for n in 2..200 {
            let sizes = sizes(n);
            assert_eq!(sizes.iter().sum::<usize>(), n);
            assert!(sizes.iter().all(|size| (2..=AT_ONCE).contains(size)), "{sizes:?}");
            assert_eq!(sizes.iter().filter(|size| *size % 2 == 1).count(), n % 2, "{sizes:?}");
        }
    }

    #[test]
    fn the_same_two_meet_again_only_where_nobody_else_is_there() {
        let again = |_, _| Tie { apart: false, last_time: true, fit: 1000 };
        assert_eq!(pair(2, &again).groups, [[0, 1]]);
        let first_two =
            |one: usize, other: usize| Tie { last_time: one.min(other) / 2 == one.max(other) / 2, ..free(one, other) };
        for group in pair(4, &first_two).groups {
            assert_ne!(group[0] / 2, group[1] / 2);
        }
    }

    #[test]
    fn a_like_pace_a_language_and_a_wish_in_common_make_a_fit() {
        let band = |fastest_s_per_km, slowest_s_per_km| Some(PaceBand { fastest_s_per_km, slowest_s_per_km });
        let ana = Walker { pace: band(360, 400), languages: vec!["en".into()], wish: Some(TalkOrQuiet::Talk) };
        assert_eq!(fit(&ana, &ana), 1000);
        let slower = Walker { pace: band(480, 520), ..ana.clone() };
        let near = Walker { pace: band(390, 430), ..ana.clone() };
        assert!(fit(&ana, &ana) > fit(&ana, &near) && fit(&ana, &near) > fit(&ana, &slower));
        let quiet = Walker { wish: Some(TalkOrQuiet::Quiet), ..ana.clone() };
        assert_eq!(fit(&ana, &quiet), 800);
        let other = Walker { languages: vec!["de".into()], ..ana.clone() };
        assert_eq!(fit(&ana, &other), 800);
        assert_eq!(fit(&ana, &Walker::default()), 300 + 160 + 200);
    }
}
