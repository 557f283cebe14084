//! Matches that were given lately: who asks again while nothing has changed gets the same answer.
//!
//! An answer counts for the person as they were known when it was made, for as long as the tiles around their home are the
//! same ones and no run begins or comes into the window. Whatever says what people see goes through one of the three.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    KnownCaller,
    by_bytes::{ByBytes, Kept, holding},
    grid::Near,
};
use crate::{clock::Instant, service::matching::Wish};

/// Bytes of answers that are kept.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a usual answer.
const USUAL_BYTES: u64 = 20_000;
/// What an answer holds besides: whom it was given to, as they were known.
const CALLER_BYTES: usize = 2_000;

/// What somebody was told.
#[derive(Debug, Clone)]
struct Answer {
    caller: Arc<KnownCaller>,
    limit: usize,
    include_full: bool,
    /// Which tiles it was made from.
    print: u64,
    made_at: Instant,
    until: Instant,
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
    /// What the same question would be answered at `now`, from tiles with this print.
    pub(super) fn get(&self, caller: &Arc<KnownCaller>, wish: &Wish, print: u64, now: Instant) -> Option<Bytes> {
        let answer = self.0.get(&caller.account)?;
        let is_same = Arc::ptr_eq(&answer.caller, caller)
            && (answer.limit, answer.include_full) == (wish.limit, wish.include_full)
            && answer.print == print
            && (answer.made_at..answer.until).contains(&now);
        is_same.then_some(answer.json)
    }

    /// Keeps what was answered at `now`, with the usual window that begins then.
    pub fn put(&self, caller: &Arc<KnownCaller>, wish: &Wish, near: &Near, now: Instant, json: Bytes) {
        let answer = Answer {
            caller: caller.clone(),
            limit: wish.limit,
            include_full: wish.include_full,
            print: near.print,
            made_at: now,
            until: near.same_until(now, wish.to),
            json,
        };
        self.0.insert(caller.account, answer);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::Policy,
        domain::matching::{Closed, Viewer, tests::person},
        id::Id,
        index::{RunIndex, grid::tests::side},
        service::run_sides::Read,
    };

    fn reader(now: Instant) -> Arc<KnownCaller> {
        let viewer = Viewer { id: Id::random(), person: person(), known: BTreeSet::new(), closed: Closed::default() };
        Arc::new(KnownCaller {
            account: viewer.id,
            session: Id::random(),
            session_expires_at: now.plus_days(1),
            read_at: now,
            viewer: Some(viewer),
            insider_of: BTreeSet::new(),
        })
    }

    /// Answers as a server would; says whether it was a kept one.
    fn ask(index: &RunIndex, caller: &Arc<KnownCaller>, now: Instant) -> (String, bool) {
        let wish = Wish { from: now, to: now.plus_days(14), limit: 5, include_full: false };
        if let Some(json) = index.answered(caller, &wish, now) {
            return (String::from_utf8(json.to_vec()).unwrap(), true);
        }
        let viewer = caller.viewer.as_ref().unwrap();
        let near = index.near(viewer);
        let json = format!("{:?}", near.matches(viewer, &wish, now, |_| 0));
        index.answers.put(caller, &wish, &near, now, json.clone().into());
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

    proptest! {
        #[test]
        fn a_kept_answer_is_the_one_that_would_be_given(acts in prop::collection::vec(any_act(), 1..40)) {
            let index = RunIndex::new(Policy::default());
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
                let (given, _) = ask(&index, &caller, now);
                let wish = Wish { from: now, to: now.plus_days(14), limit: 5, include_full: false };
                let anew = index.matches(caller.viewer.as_ref().unwrap(), &wish, now, |_| 0);
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
        assert!(!ask(&index, &caller, now).1);
        assert!(ask(&index, &caller, now.plus_seconds(1)).1);
        let read_again =
            Arc::new(KnownCaller { viewer: caller.viewer.clone(), insider_of: BTreeSet::new(), ..*caller });
        assert!(!ask(&index, &read_again, now.plus_seconds(1)).1);
    }
}
