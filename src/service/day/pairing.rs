//! Side by side: a suggestion who runs beside whom, from those present, and what the facilitator made of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{possible, record};
use crate::{
    clock::Instant,
    domain::{
        day::DayAct,
        moderation::Act,
        pairs::{self, Tie, Walker},
        policy::Leads,
        refusal::{Code, Faults},
        signup::SignupStatus,
    },
    error::Result,
    id::Id,
    store::{
        Conn, Tx, accounts, blocks, history,
        runs::{self, Run},
        signups::{self, Signup},
    },
};

/// Somebody beside whom one can run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Beside {
    pub signup_id: Id,
    pub display_name: String,
}

/// Who might run beside whom.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PairsView {
    /// The best pairing of those present: as a suggestion.
    pub suggestion: Vec<Vec<Beside>>,
    /// Present, and nobody is there for them.
    pub alone: Vec<Beside>,
    /// What the facilitator chose; empty before.
    pub chosen: Vec<Vec<Beside>>,
}

/// The body of `PUT /runs/{id}/pairs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChosenPairs {
    /// Sign-ups, by twos and threes. Whoever would rather run alone is simply in none.
    #[schema(max_items = 500)]
    pub pairs: Vec<Vec<Id>>,
}

/// Suggests pairs of those who are checked in and not signed out.
pub fn suggest(conn: &mut Conn, proof: &Leads, now: Instant) -> Result<PairsView> {
    let run = runs::get(conn, proof.run())?;
    possible(DayAct::Mark, &run, now)?;
    view(conn, &run)
}

fn view(conn: &mut Conn, run: &Run) -> Result<PairsView> {
    let attended = signups::of_run(conn, run.id, &[SignupStatus::Attended])?;
    let people: Vec<Id> = attended.iter().map(|signup| signup.account_id).collect();
    let names = accounts::display_names(conn, &people)?;
    let beside = |signup: &Signup| Beside {
        signup_id: signup.id,
        display_name: names.get(&signup.account_id).cloned().unwrap_or_default(),
    };
    let present: Vec<&Signup> = attended.iter().filter(|signup| signup.signed_out_at.is_none()).collect();
    let (present, pairing) = best(conn, run, present)?;
    let named = |group: &Vec<usize>| group.iter().map(|at| beside(present[*at])).collect();
    Ok(PairsView {
        suggestion: pairing.groups.iter().map(named).collect(),
        alone: pairing.alone.iter().map(|at| beside(present[*at])).collect(),
        chosen: groups(&history::partners_on(conn, run.id)?)
            .iter()
            .map(|group| attended.iter().filter(|signup| group.contains(&signup.account_id)).map(beside).collect())
            .collect(),
    })
}

/// The best pairing of those present; many are paired with neighbours in pace.
fn best<'s>(conn: &mut Conn, run: &Run, mut present: Vec<&'s Signup>) -> Result<(Vec<&'s Signup>, pairs::Pairing)> {
    let people: Vec<Id> = present.iter().map(|signup| signup.account_id).collect();
    let walkers: BTreeMap<Id, Walker> = accounts::profiles(conn, &people)?
        .into_iter()
        .map(|profile| {
            let walker = Walker {
                pace: profile.pace_for(run.activity),
                languages: profile.languages.iter().map(|language| language.0.clone()).collect(),
                wish: profile.talk_or_quiet,
            };
            (profile.account_id, walker)
        })
        .collect();
    let middle =
        |signup: &Signup| walkers.get(&signup.account_id).and_then(|walker| walker.pace).map(|pace| pace.middle());
    present.sort_by(|one, other| {
        let (one_pace, other_pace) = (middle(one).unwrap_or(f64::MAX), middle(other).unwrap_or(f64::MAX));
        one_pace.total_cmp(&other_pace).then(one.id.cmp(&other.id))
    });
    let mut apart: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    for person in &people {
        apart.insert(*person, blocks::apart_from(conn, *person)?);
    }
    let last = history::last_partners(conn, &people, Some(run.id), run.starts_at)?;
    let stranger = Walker::default();
    let tie = |one: usize, other: usize| {
        let (one, other) = (present[one].account_id, present[other].account_id);
        let ran = |one: Id, other: Id| last.get(&one).is_some_and(|partners| partners.contains(&other));
        Tie {
            apart: apart.get(&one).is_some_and(|others| others.contains(&other)),
            last_time: ran(one, other) || ran(other, one),
            fit: pairs::fit(walkers.get(&one).unwrap_or(&stranger), walkers.get(&other).unwrap_or(&stranger)),
        }
    };
    let pairing = pairs::pair(present.len(), &tie);
    Ok((present, pairing))
}

/// Groups from "this one ran beside that one", told both ways.
fn groups(partners: &[(Id, Id)]) -> Vec<BTreeSet<Id>> {
    let mut groups: Vec<BTreeSet<Id>> = Vec::new();
    for (one, other) in partners {
        match groups.iter_mut().find(|group| group.contains(one) || group.contains(other)) {
            Some(group) => group.extend([*one, *other]),
            None => groups.push([*one, *other].into()),
        }
    }
    groups
}

/// Keeps who runs beside whom, in place of what was chosen before.
///
/// # Errors
/// [`Code::NotCheckedIn`] for whoever was not, [`Code::PairNotPossible`] where a block stands between two.
pub fn choose(tx: &mut Tx<'_>, chosen: &ChosenPairs, proof: &Leads, now: Instant) -> Result<PairsView> {
    let locked = runs::lock(tx, proof.run())?;
    let attended = people_of(tx, chosen, proof.run())?;
    possible(DayAct::Mark, &locked.run, now)?;
    let mut groups = Vec::new();
    for pair in &chosen.pairs {
        let mut group = Vec::new();
        for id in pair {
            let signup = attended.get(id).filter(|signup| signup.status == SignupStatus::Attended);
            let person = signup.ok_or(Code::NotCheckedIn)?.account_id;
            let apart = blocks::apart_from(tx, person)?;
            if group.iter().any(|other| apart.contains(other)) {
                return Err(Code::PairNotPossible.into());
            }
            group.push(person);
        }
        groups.push(group);
    }
    history::put_partners(tx, &locked, &groups)?;
    record(tx, Act::PairsChosen, proof, json!({ "pairs": groups.len() }), now)?;
    view(tx, &locked.run)
}

fn people_of(conn: &mut Conn, chosen: &ChosenPairs, run: Id) -> Result<BTreeMap<Id, Signup>> {
    let mut faults = Faults::default();
    let mut people = BTreeMap::new();
    for (at, pair) in chosen.pairs.iter().enumerate() {
        let pointer = format!("/pairs/{at}");
        faults.unless((2..=3).contains(&pair.len()), &pointer, "wrong_number", "two or three run side by side");
        for (within, id) in pair.iter().enumerate() {
            let pointer = format!("{pointer}/{within}");
            match signups::find(conn, *id)?.filter(|signup| signup.run_id == run) {
                Some(signup) => {
                    let twice = people.insert(*id, signup).is_some();
                    faults.unless(!twice, &pointer, "given_twice", "everybody runs in one pair");
                }
                None => faults.unless(false, &pointer, "not_found", "there is nobody with this id on the run"),
            }
        }
    }
    faults.none()?;
    Ok(people)
}
