//! Matches that were given lately: who asks again while nothing has changed gets the same answer.
//!
//! An answer counts for the person as they were known when it was made, for as long as the tiles around their home are the
//! same ones, as far as anything there could be good enough, and no run there begins or comes into the window. Whatever
//! says what people see goes through one of the three.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    CachedCaller,
    by_bytes::{ByBytes, Kept, holding},
    grid::Good,
};
use crate::{
    clock::Instant,
    config::Policy,
    domain::matching::{Limits, search::MatchSearch},
};

/// Bytes of answers that are kept.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a usual answer.
const USUAL_BYTES: u64 = 20_000;
/// What an answer holds besides: whom it was given to, as they were known.
const CALLER_BYTES: usize = 2_000;

/// What somebody asks, as it was said: an end that was left open goes along with the time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Asked {
    pub from: Option<Instant>,
    pub to: Option<Instant>,
    pub limit: usize,
    pub include_full: bool,
    pub include_mine: bool,
    pub include_overlapping: bool,
    pub include_any_pace: bool,
}

impl Asked {
    /// What is searched when this is asked at `now`: from now on where no start was named, and for the policy's days, and on
    /// until enough is found, where no end was.
    pub fn search(self, now: Instant, policy: &Policy) -> MatchSearch {
        let from = self.from.unwrap_or(now);
        MatchSearch {
            from,
            to: self.to.unwrap_or_else(|| from.max(now).plus_days(policy.match_window_days)),
            goes_on: self.to.is_none(),
            limit: self.limit,
            limits: Limits {
                include_full: self.include_full,
                include_any_pace: self.include_any_pace,
                ..Limits::usual(policy.match_floor)
            },
            include_mine: self.include_mine,
            include_overlapping: self.include_overlapping,
        }
    }
}

/// What somebody was told.
#[derive(Debug, Clone)]
struct Answer {
    caller: Arc<CachedCaller>,
    asked: Asked,
    good: Good,
    json: Bytes,
}

impl Kept for Answer {
    fn size(&self) -> usize {
        self.json.len() + CALLER_BYTES
    }
}

/// The answers, one for each person.
pub struct Answers(ByBytes<Answer>);

impl Default for Answers {
    fn default() -> Self {
        Self(holding(KEPT_BYTES, USUAL_BYTES))
    }
}

impl Answers {
    /// What the same question would be answered at `now`. The `print` of the tiles as far as the answer reaches is only asked
    /// for where nothing else has changed.
    pub(super) fn get(
        &self,
        caller: &Arc<CachedCaller>,
        asked: Asked,
        now: Instant,
        print: impl FnOnce(f64) -> u64,
    ) -> Option<Bytes> {
        let answer = self.0.get(&caller.account)?;
        let is_same = Arc::ptr_eq(&answer.caller, caller)
            && answer.asked == asked
            && (answer.good.from..answer.good.until).contains(&now)
            && answer.good.print == print(answer.good.reach_km);
        is_same.then_some(answer.json)
    }

    /// Keeps what was answered.
    pub fn put(&self, caller: &Arc<CachedCaller>, asked: Asked, good: Good, json: Bytes) {
        self.0.insert(caller.account, Answer { caller: caller.clone(), asked, good, json });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::Policy,
        domain::matching::{Closed, Viewer, engagements::Engagements, tests::person},
        id::Id,
        index::{RunIndex, grid::tests::side},
        service::run_sides::Read,
    };

    fn reader(now: Instant) -> Arc<CachedCaller> {
        let viewer = Viewer {
            id: Id::random(),
            person: person(),
            known: BTreeSet::new(),
            closed: Closed::default(),
            engagements: Engagements::default(),
        };
        Arc::new(CachedCaller {
            account: viewer.id,
            session: Id::random(),
            session_expires_at: now.plus_days(1),
            read_at: now,
            viewer: Some(viewer),
            insider_of: BTreeSet::new(),
        })
    }

    fn usual() -> Asked {
        Asked { from: None, to: None, limit: 5, ..Asked::default() }
    }

    /// Answers as a server would; says whether it was a kept one.
    fn ask(index: &RunIndex, caller: &Arc<CachedCaller>, asked: Asked, now: Instant) -> (String, bool) {
        if let Some(json) = index.answered(caller, asked, now) {
            return (String::from_utf8(json.to_vec()).unwrap(), true);
        }
        let (viewer, search) = (caller.viewer.as_ref().unwrap(), asked.search(now, &Policy::default()));
        let near = index.near(viewer);
        let matched = near.matches(viewer, &search, now, |_| 0);
        let json = format!("{:?}", matched.best);
        index.answers.put(caller, asked, near.good(matched.reach_km, now, search.to), json.clone().into());
        (json, false)
    }

    #[derive(Debug, Clone)]
    enum Act {
        Add { north: f64, minutes: i64 },
        TakeOut,
        Pass { minutes: i64 },
        Reload,
    }

    fn any_act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (-0.3..0.3f64, 0..30_000i64).prop_map(|(north, minutes)| Act::Add { north, minutes }),
            1 => Just(Act::TakeOut),
            2 => (-60..3_000i64).prop_map(|minutes| Act::Pass { minutes }),
            1 => Just(Act::Reload),
        ]
    }

    /// Each end in minutes, or left open.
    fn any_window() -> impl Strategy<Value = [Option<i64>; 2]> {
        let open_or = || prop::option::of(-500..20_000i64);
        [open_or(), open_or()]
    }

    proptest! {
        #[test]
        fn a_kept_answer_is_the_one_that_would_be_given(
            acts in prop::collection::vec(any_act(), 1..40), window in any_window(),
        ) {
            let index = RunIndex::new(Policy::default());
            let epoch: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
            let [from, to] = window.map(|end| end.map(|minutes| epoch.plus_minutes(minutes)));
            let asked = Asked { from, to, ..usual() };
            let mut now: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
            let caller = reader(now);
            let mut held = Vec::new();
            for act in acts {
                match act {
                    Act::Add { north, minutes } => {
                        let read = Read { side: side(51.5 + north, -0.1, minutes), good_until: None };
                        held.push(read.clone());
                        let entry = index.entry(read);
                        index.write().insert(entry);
                    }
                    Act::TakeOut => {
                        if let Some(read) = held.pop() {
                            index.write().remove(read.side.id);
                        }
                    }
                    Act::Pass { minutes } => now = now.plus_minutes(minutes),
                    Act::Reload => index.fill(held.iter().cloned()),
                }
                let (given, _) = ask(&index, &caller, asked, now);
                let anew = index.matches(caller.viewer.as_ref().unwrap(), &asked.search(now, &Policy::default()), now, |_| 0);
                prop_assert_eq!(&given, &format!("{anew:?}"), "after {:?}", act);
            }
        }
    }

    #[test]
    fn asked_again_at_once_nothing_is_made_anew_and_for_another_reading_of_the_person_it_is() {
        let index = RunIndex::new(Policy::default());
        let now: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
        let caller = reader(now);
        index.fill([Read { side: side(51.5, -0.1, 600), good_until: None }].into_iter());
        assert!(!ask(&index, &caller, usual(), now).1);
        assert!(ask(&index, &caller, usual(), now.plus_seconds(1)).1);
        let saturday = Asked { from: Some(now.plus_days(4)), to: Some(now.plus_days(5)), ..usual() };
        assert!(!ask(&index, &caller, saturday, now.plus_seconds(1)).1, "another question");
        assert!(ask(&index, &caller, saturday, now.plus_seconds(2)).1);
        let read_again =
            Arc::new(CachedCaller { viewer: caller.viewer.clone(), insider_of: BTreeSet::new(), ..*caller });
        assert!(!ask(&index, &read_again, saturday, now.plus_seconds(2)).1);
    }

    #[test]
    fn what_changes_where_nothing_could_be_good_enough_leaves_an_answer_as_it_is() {
        let index = RunIndex::new(Policy::default());
        let now: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
        let caller = reader(now);
        let home = caller.viewer.as_ref().unwrap().person.home;
        let read = |north: f64, minutes| Read { side: side(home.lat + north, home.lng, minutes), good_until: None };
        index.fill((0..5).map(|nth| read(0.0, 600 + nth)));
        let add = |north: f64| {
            let entry = index.entry(read(north, 700));
            index.write().insert(entry);
        };
        assert!(!ask(&index, &caller, usual(), now).1);
        // Eight kilometres away, where no run was before.
        add(0.072);
        assert!(ask(&index, &caller, usual(), now).1);
        add(0.0);
        assert!(!ask(&index, &caller, usual(), now).1);
    }
}
