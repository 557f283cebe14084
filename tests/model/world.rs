//! The model's world: three facilitators, eight people, four runs of which two lie at the same time, a series on two days
//! of the week, a clock, and the services. Each sequence has people and runs of its own, so that sequences share a
//! database and nothing else. What happens to series and at the desk is in `habits`.

use std::collections::{BTreeMap, BTreeSet};

use proptest::test_runner::TestCaseError;
use sidebyside::{
    auth::keys::AddressHasher,
    clock::Instant,
    config::Policy,
    domain::{
        account::Role,
        moderation::{SanctionKind, SanctionScope},
        run::{CancelReason, ListingRole, RunDraft},
        signup::RemovalReason,
    },
    error::{Error, Result},
    id::Id,
    service::{
        applications,
        bars::{self, NewBar},
        blocks::{self, NewBlock},
        callers, day, housekeeping, one_to_one,
        runs::{self, calling_off, leading},
        sanctions::{self, NewSanction},
        signups::{
            self, Instead, NewSignup,
            decisions::{self, Removal},
            friends, offers, reconfirming,
        },
    },
    store::{Db, Tx, accounts, facilitators, moderation, runs as kept_runs, signups as kept},
};

use super::{acts::Act, habits, promises};
use crate::support::people::account;

/// One sequence's world.
pub struct World {
    pub db: Db,
    pub policy: Policy,
    pub now: Instant,
    pub leaders: Vec<Id>,
    pub people: Vec<Id>,
    /// The four, and the dates of the series as they are made.
    pub runs: Vec<Id>,
    /// The series, and those that went on from it.
    pub series: Vec<Id>,
    /// Dates whose capacity was changed alone: later edits of the series leave it.
    pub kept_capacity: BTreeSet<Id>,
    moderator: Id,
    addresses: AddressHasher,
    /// Pairs between whom a block was made when both were in the run already: they may stay.
    pub both_were_in: BTreeSet<(Id, Id, Id)>,
    /// Blocks that stand: who made it, whom it is about.
    pub blocks: BTreeMap<(Id, Id), Id>,
    /// What the rows said after the last step.
    look: promises::Look,
}

/// A run of the model: at the same time as its neighbour, or some hours later; one by approval, one with a place kept for
/// newcomers.
fn draft(number: usize, now: Instant) -> RunDraft {
    let body = serde_json::json!({
        "title": format!("Run {number}"),
        "activity": "run",
        "pace": { "fastest_s_per_km": 400, "slowest_s_per_km": 450 },
        "duration_min": 60,
        "starts_at": now.plus_hours(77 + 5 * i64::try_from(number / 2).unwrap_or(0)),
        "meeting_point": { "lat": 51.41, "lng": -0.33, "name": "The gate" },
        "capacity": 1 + number,
        "newcomer_places": i32::from(number == 3),
        "join_policy": if number == 1 { "approval" } else { "open" },
        // All meet at one gate.
        "confirm_overlap": true,
    });
    serde_json::from_value(body).expect("a draft")
}

/// Few people for each facilitator, so that it matters who leads; few dates, so that they are full.
fn policy() -> Policy {
    Policy { facilitator_ratio: 3, series_weeks_ahead: 1, newcomer_places: 1, ..Policy::default() }
}

impl World {
    pub fn new(db: &Db) -> Self {
        let now: Instant = "2026-11-23T10:00:00Z".parse().expect("an instant");
        let (leaders, people, runs, series, moderator) = db
            .write_here(|tx| {
                // What earlier sequences left behind must not cost this one time.
                end_all(tx, now)?;
                let many = |tx: &mut Tx<'_>, name: &str, many: usize| -> Result<Vec<Id>> {
                    (0..many)
                        .map(|_| {
                            let address = format!("{name}-{}@model.example", Id::random());
                            let account = account(name, &address, now);
                            accounts::insert(tx, &account)?;
                            Ok(account.id)
                        })
                        .collect()
                };
                let leaders = many(tx, "leader", 3)?;
                for leader in &leaders {
                    applications::approve_imported(tx, *leader, now)?;
                }
                let people = many(tx, "person", 8)?;
                let moderator = many(tx, "moderator", 1)?.remove(0);
                accounts::grant_role(tx, moderator, Role::Moderator, None, now)?;
                let mut posted = Vec::new();
                for number in 0..4 {
                    posted.push(runs::post(tx, leaders[number % 2], &draft(number, now), None, now)?.id);
                }
                let series = habits::post_series(tx, leaders[0], &policy(), now)?;
                Ok((leaders, people, posted, series, moderator))
            })
            .expect("a world");
        let mut world = Self {
            db: db.clone(),
            policy: policy(),
            now,
            leaders,
            people,
            runs,
            series: vec![series],
            kept_capacity: BTreeSet::new(),
            moderator,
            addresses: AddressHasher::new([7; 32]),
            both_were_in: BTreeSet::new(),
            blocks: BTreeMap::new(),
            look: promises::Look::default(),
        };
        world.look_again();
        world
    }

    /// Everybody, the leaders last.
    fn anybody(&self, at: usize) -> Id {
        self.people.iter().chain(&self.leaders).nth(at).copied().expect("somebody")
    }

    /// One of the runs: any number is one.
    pub fn run(&self, at: usize) -> Id {
        self.runs[at % self.runs.len()]
    }

    /// Reads the rows again, with the dates that were made of the series.
    fn look_again(&mut self) {
        habits::find_new_dates(self);
        self.look = promises::look(self);
    }

    /// Takes one step and checks the promises; says whether it did something.
    pub fn step(&mut self, act: Act) -> std::result::Result<bool, TestCaseError> {
        let until = match act {
            Act::Pass { minutes } => Some(self.now.plus_minutes(minutes)),
            Act::GoToDesk { run, minutes } => Some(self.look.start_of(self.run(run)).plus_minutes(minutes)),
            _ => None,
        };
        if let Some(until) = until {
            let goes_on = until > self.now && until < self.now.plus_days(5);
            if goes_on {
                self.pass(act, until)?;
            }
            return Ok(goes_on);
        }
        let over_another = promises::is_over_another(act);
        let rows = if over_another { promises::audit_rows(self) } else { 0 };
        let (before, sent) = (self.look.clone(), habits::mails(self, act));
        let done = match self.act(act) {
            Ok(()) => true,
            Err(Error::Refused(_) | Error::Invalid(_) | Error::NotFound) => false,
            Err(fault) => return Err(TestCaseError::fail(format!("{act:?}: {fault:?}"))),
        };
        self.look_again();
        if !done && before != self.look && !matches!(act, Act::Invite { .. }) {
            return Err(TestCaseError::fail(format!("{act:?} was refused and changed something")));
        }
        if over_another && done && before != self.look && promises::audit_rows(self) <= rows {
            return Err(self.report(act, "promise 6: an act over another person without its audit row"));
        }
        // Where nothing happened, what held before holds.
        if done {
            promises::check(self, &before, &self.look, Some(act)).map_err(|broken| self.report(act, &broken))?;
            habits::check(self, &before, &self.look, act, &sent).map_err(|broken| self.report(act, &broken))?;
        }
        Ok(done)
    }

    fn report(&self, act: Act, broken: &str) -> TestCaseError {
        TestCaseError::fail(format!("at {} after {act:?}: {broken}", self.now))
    }

    /// Lets time pass, with a look of the worker at once (it looks every second) and at every moment at which something is
    /// due.
    fn pass(&mut self, act: Act, until: Instant) -> std::result::Result<(), TestCaseError> {
        let mut next = Some(self.now);
        loop {
            let before = self.look.clone();
            self.now = next.unwrap_or(until);
            housekeeping::tick(&self.db, &self.policy, self.now)
                .map_err(|fault| TestCaseError::fail(format!("the worker: {fault:?}")))?;
            self.look_again();
            promises::check(self, &before, &self.look, None).map_err(|broken| self.report(act, &broken))?;
            if next.is_none() {
                return Ok(());
            }
            next = promises::next_due(&self.look, self.now, until);
        }
    }

    fn act(&mut self, act: Act) -> Result<()> {
        let (now, policy) = (self.now, self.policy.clone());
        let kindly = Removal {
            reason_code: RemovalReason::GroupSize,
            private_note: Some("The model.".to_owned()),
            statement: None,
        };
        let live = |db: &Db, person: Id, run: Id| {
            db.read_here(|conn| kept::of_person_in_run(conn, person, run)?.pop().map(|s| s.id).ok_or(Error::NotFound))
        };
        match act {
            Act::SignUp { person, run, swap } => {
                let input = NewSignup { swap, ..NewSignup::default() };
                let (person, run) = (self.people[person], self.run(run));
                self.db.write_here(|tx| signups::sign_up(tx, person, run, &input, &policy, now).map(drop))
            }
            Act::Withdraw { person, run } => {
                let person = self.people[person];
                let signup = live(&self.db, person, self.run(run))?;
                self.db.write_here(|tx| signups::withdraw(tx, person, signup, &policy, now).map(drop))
            }
            Act::Accept { person, run, swap } => {
                let person = self.people[person];
                let signup = live(&self.db, person, self.run(run))?;
                let instead = Instead { swap, leave_overlapping: swap };
                self.db.write_here(|tx| offers::accept(tx, person, signup, instead, &policy, now).map(drop))
            }
            Act::DeclineOffer { person, run } => {
                let person = self.people[person];
                let signup = live(&self.db, person, self.run(run))?;
                self.db.write_here(|tx| offers::decline_offer(tx, person, signup, &policy, now).map(drop))
            }
            Act::Reconfirm { person, run } => {
                let person = self.people[person];
                let signup = live(&self.db, person, self.run(run))?;
                self.db.write_here(|tx| {
                    let found = kept::get(tx, signup)?;
                    let of = kept_runs::get(tx, found.run_id)?;
                    // Each question is answered by itself.
                    for question in reconfirming::open_questions(tx, &found, &of, now)? {
                        let answer = reconfirming::Answer { question: Some(question), link: None };
                        reconfirming::reconfirm(tx, person, signup, &answer, &policy, now)?;
                    }
                    Ok(())
                })
            }
            Act::Approve { person, run } => {
                let signup = live(&self.db, self.people[person], self.run(run))?;
                let leader = self.leader_of(self.run(run))?;
                self.db.write_here(|tx| {
                    let (found, proof) = decisions::led_by(tx, leader, signup, now)?;
                    decisions::approve(tx, &found, &proof, &policy, now).map(drop)
                })
            }
            Act::Decline { person, run } => {
                let signup = live(&self.db, self.people[person], self.run(run))?;
                let leader = self.leader_of(self.run(run))?;
                self.db.write_here(|tx| {
                    let (found, proof) = decisions::led_by(tx, leader, signup, now)?;
                    decisions::decline(tx, &found, &proof, &kindly, now).map(drop)
                })
            }
            Act::Remove { person, run } => {
                let signup = live(&self.db, self.people[person], self.run(run))?;
                let leader = self.leader_of(self.run(run))?;
                self.db.write_here(|tx| {
                    let (found, proof) = decisions::led_by(tx, leader, signup, now)?;
                    decisions::remove(tx, &found, &proof, &kindly, &policy, now).map(drop)
                })
            }
            Act::Capacity { run, places } => {
                let run = self.run(run);
                let before = self.look.capacity_of(run);
                self.edit(run, |draft| draft.capacity = places)?;
                if before != places {
                    self.kept_capacity.insert(run);
                }
                Ok(())
            }
            Act::Move { run, minutes } => {
                self.edit(self.run(run), |draft| draft.starts_at = draft.starts_at.plus_minutes(minutes))
            }
            Act::Close { run } => {
                let (run, leader) = (self.run(run), self.leader_of(self.run(run))?);
                self.db.write_here(|tx| {
                    let proof = callers::leads(tx, leader, run, now)?;
                    runs::close(tx, &proof, now).map(drop)
                })
            }
            Act::Cancel { run } => {
                let (run, leader) = (self.run(run), self.leader_of(self.run(run))?);
                let reason = CancelReason::Weather;
                self.db.write_here(|tx| calling_off::cancel(tx, leader, run, reason, None, now).map(drop))
            }
            Act::StepDown { leader, run } => {
                let (leader, run) = (self.leaders[leader], self.run(run));
                self.db.write_here(|tx| leading::step_down(tx, leader, run, &policy, now))
            }
            Act::TakeOver { leader, run } => {
                let (leader, run) = (self.leaders[leader], self.run(run));
                self.db.write_here(|tx| leading::take_over(tx, leader, run, true, &policy, now).map(drop))
            }
            Act::Invite { leader, run } => {
                let (guest, run) = (self.leaders[leader], self.run(run));
                let leader = self.leader_of(run)?;
                self.db.write_here(|tx| {
                    let proof = callers::leads(tx, leader, run, now)?;
                    leading::list_facilitator(tx, &proof, guest, ListingRole::Leader, now).map(drop)
                })?;
                self.db.write_here(|tx| leading::accept_listing(tx, guest, run, true, &policy, now).map(drop))
            }
            Act::RunAsTwo { leader, run } => {
                let (leader, run) = (self.leaders[leader], self.run(run));
                self.db.write_here(|tx| one_to_one::say_yes(tx, leader, run, None, now))
            }
            Act::Bar { leader, person, hours } => {
                let new = NewBar {
                    account_id: Some(self.people[person]),
                    signup_id: None,
                    until: now.plus_hours(hours),
                    reason_code: RemovalReason::NotAFit,
                    private_note: "The model.".to_owned(),
                    statement: None,
                };
                let leader = self.leaders[leader];
                self.db.write_here(|tx| bars::set(tx, leader, &new, &policy, now).map(drop))
            }
            Act::Hold { person } => self.decide(self.people[person], SanctionKind::Hold, SanctionScope::Site),
            Act::HoldLeader { leader } => {
                self.decide(self.leaders[leader], SanctionKind::Hold, SanctionScope::Facilitating)
            }
            Act::Ban { person } => self.decide(self.people[person], SanctionKind::Ban, SanctionScope::Site),
            Act::Lift { person } => {
                let (person, moderator) = (self.people[person], self.moderator);
                let standing = self.db.read_here(|conn| moderation::keeping_out(conn, person, now))?;
                let sanction = standing.first().ok_or(Error::NotFound)?.id;
                self.db.write_here(|tx| sanctions::lift(tx, moderator, sanction, "The model.", now).map(drop))
            }
            Act::Block { one, other } => {
                let (one, other) = (self.anybody(one), self.anybody(other));
                let both_in = self.look.runs_with_both(one, other);
                let new = NewBlock { account_id: Some(other), ..NewBlock::default() };
                let made = self.db.write_here(|tx| blocks::make(tx, one, &new, &self.addresses, &policy, now))?;
                self.blocks.insert((one, other), made.id);
                self.both_were_in.extend(both_in.into_iter().map(|run| (run, one.min(other), one.max(other))));
                Ok(())
            }
            Act::Unblock { one, other } => {
                let (one, other) = (self.anybody(one), self.anybody(other));
                let block = *self.blocks.get(&(one, other)).ok_or(Error::NotFound)?;
                self.db.write_here(|tx| blocks::take_back(tx, one, block, now))?;
                self.blocks.remove(&(one, other));
                Ok(())
            }
            Act::BringFriend { person, run } => {
                let person = self.people[person];
                let signup = live(&self.db, person, self.run(run))?;
                self.db.write_here(|tx| friends::keep_place(tx, person, signup, &policy, now).map(drop))
            }
            Act::CheckIn { person, run } => {
                let (person, run) = (self.people[person], self.run(run));
                let signup = live(&self.db, person, run)?;
                let leader = self.leader_of(run)?;
                self.db.write_here(|tx| {
                    let proof = callers::accompanies(tx, leader, run, now)?;
                    day::attendance::check_in(tx, signup, &proof, &policy, now).map(drop)
                })
            }
            Act::Pass { .. } | Act::GoToDesk { .. } => Ok(()),
            other => habits::act(self, other),
        }
    }

    pub fn leader_of(&self, run: Id) -> Result<Id> {
        let now = self.now;
        self.db.read_here(|conn| facilitators::active_on(conn, run, now)?.first().copied().ok_or(Error::NotFound))
    }

    fn edit(&self, run: Id, change: impl Fn(&mut RunDraft)) -> Result<()> {
        let (leader, now, policy) = (self.leader_of(run)?, self.now, self.policy.clone());
        self.db.write_here(|tx| {
            let proof = callers::leads(tx, leader, run, now)?;
            let kept = kept_runs::get(tx, run)?;
            let mut draft = kept.draft();
            change(&mut draft);
            runs::edit(tx, &proof, &draft, kept.version, &policy, now).map(drop)
        })
    }

    fn decide(&self, about: Id, kind: SanctionKind, scope: SanctionScope) -> Result<()> {
        let (moderator, now) = (self.moderator, self.now);
        let new = NewSanction {
            account_id: about,
            kind,
            scope,
            rule: "The model.".to_owned(),
            statement: "The model.".to_owned(),
            facts_withheld: false,
            withheld_because: None,
            expires_at: None,
        };
        self.db.write_here(|tx| sanctions::impose(tx, moderator, &new, &self.policy, &self.addresses, now).map(drop))
    }
}

/// Ends the runs and series of earlier sequences.
fn end_all(tx: &mut Tx<'_>, now: Instant) -> Result<()> {
    use diesel::prelude::*;
    use sidebyside::{
        domain::{run::RunStatus, series::SeriesStatus},
        store::schema,
    };
    diesel::update(schema::runs::table)
        .filter(schema::runs::status.eq_any([RunStatus::Published, RunStatus::Paused].as_slice()))
        .set((schema::runs::status.eq(RunStatus::Completed), schema::runs::starts_at.eq(now.plus_days(-365))))
        .execute(&mut **tx)?;
    diesel::update(schema::run_series::table)
        .set(schema::run_series::status.eq(SeriesStatus::Ended))
        .execute(&mut **tx)?;
    diesel::update(schema::series_regulars::table)
        .set(schema::series_regulars::ended_at.eq(now))
        .execute(&mut **tx)
        .map(drop)
        .map_err(Error::from)
}
