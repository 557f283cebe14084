//! `demo`: fills a fresh database with a small invented town on real public places in Bristol.
//!
//! It goes through the importer and the services like everybody else, in one transaction: it is all there or nothing
//! is, and no worker ever sees the mails that it would have sent. The same each time but for the pass phrase and the
//! days.

mod town;

use anyhow::Result;
use secrecy::SecretString;

use crate::{
    app::App,
    auth::passwords,
    clock::Instant,
    domain::{account::Role, link::LinkAction, signup::SignupStatus},
    error::{Error, Result as Outcome},
    id::{Id, random_bytes},
    service::{
        accounts::{self, Acceptance, NewAdmin},
        addresses,
        imports::{Import, What},
        links,
        signups::{self, NewSignup},
    },
    store::{Tx, accounts as people, alerts, outbox, runs},
};

/// Words of a pass phrase: six of 64 give 36 bits, plenty against guessing through the log-in's rate limits.
const PHRASE_WORDS: usize = 6;

/// What the town came to.
struct Filled {
    people: i64,
    runs: usize,
    signups: usize,
    waiting: usize,
    mails: usize,
}

/// `demo`
pub fn demo(app: &App) -> Result<bool> {
    let refusal = "There are people in this database already, so nothing was changed: the demo fills a fresh one only. \
                   Name another with DATA_DIR or DATABASE_URL.";
    if app.db.read_here(people::count)? > 0 {
        println!("{refusal}");
        return Ok(false);
    }
    let phrase = pass_phrase();
    let hash = passwords::hash_here(&SecretString::from(phrase.clone()))?;
    let now = app.clock.now();
    let filled = app.db.write_here(|tx| {
        // Somebody may have come between the look above and this transaction.
        if people::count(tx)? > 0 { Ok(None) } else { fill(tx, app, &hash, now).map(Some) }
    })?;
    match &filled {
        Some(filled) => print!("{}", told(filled, &phrase, &app.config.base_url)),
        None => println!("{refusal}"),
    }
    Ok(filled.is_some())
}

fn pass_phrase() -> String {
    let words = random_bytes::<PHRASE_WORDS>().map(|byte| town::WORDS[usize::from(byte) % town::WORDS.len()]);
    words.join(" ")
}

fn fill(tx: &mut Tx<'_>, app: &App, hash: &str, now: Instant) -> Outcome<Filled> {
    let house = super::import::house(app);
    let terms = &app.config.policy.terms_version;
    let read = |what, text: &str| Import::read(what, text.as_bytes(), None).map_err(anyhow::Error::msg);
    read(What::People, town::PEOPLE)?.run_whole(tx, &house, now)?;
    for key in town::keys(town::PEOPLE) {
        let account = person(tx, key)?;
        let link = links::ensure(tx, account, LinkAction::Invitation, None, now)?;
        let acceptance =
            Acceptance { password_hash: hash.to_owned(), display_name: None, terms_version: terms.clone() };
        accounts::accept_invitation(tx, link.id, &acceptance, now)?;
    }
    let admin = NewAdmin {
        email: town::MODERATOR.to_owned(),
        display_name: "Robin".to_owned(),
        password_hash: hash.to_owned(),
        terms_version: terms.clone(),
        address_hashes: addresses::hashes(&app.addresses, town::MODERATOR),
    };
    let (admin, _) = accounts::make_admin(tx, &admin, now)?;
    accounts::grant_role(tx, admin.id, admin.id, Role::Moderator, now)?;

    let today = now.local(town::TIME_ZONE).date();
    read(What::Runs, &town::runs_from(today))?.run_whole(tx, &house, now)?;
    let (mut signed_up, mut waiting) = (0, 0);
    for (run, keys) in town::SIGNUPS {
        let run = runs::find_by_external_id(tx, run)?.ok_or(Error::NotFound)?.id;
        for key in keys {
            let person = person(tx, key)?;
            let policy = app.config.policy.clone();
            let (signup, _) = signups::sign_up(tx, person, run, &NewSignup::default(), &policy, now)?;
            signed_up += 1;
            waiting += usize::from(signup.status == SignupStatus::Waitlisted);
        }
    }
    Ok(Filled {
        people: people::count(tx)?,
        runs: town::keys(town::RUNS).count(),
        signups: signed_up,
        waiting,
        mails: {
            alerts::no_mail_waits(tx, None)?;
            outbox::drop_all_queued(tx, now)?
        },
    })
}

fn person(tx: &mut Tx<'_>, key: &str) -> Outcome<Id> {
    Ok(people::find_by_external_id(tx, key)?.ok_or(Error::NotFound)?.id)
}

fn told(filled: &Filled, phrase: &str, base_url: &str) -> String {
    let Filled { people, runs, signups, waiting, mails } = filled;
    let (participant, facilitator, moderator) = (town::PARTICIPANT, town::FACILITATOR, town::MODERATOR);
    format!(
        r#"A small invented town in Bristol: {people} people, {runs} runs in the coming two weeks, {signups} sign-ups, {waiting} of them waiting.
The {mails} mails that this promised are dropped: nobody at example.org is written to. Reminders of these runs will
go out like any others, as files unless SMTP_URL is set.

Log in as
  {participant}    takes part
  {facilitator}     leads runs
  {moderator}   moderates and administers
and everybody else in the town with the pass phrase
  {phrase}

With `sidebyside serve` running, these lines log in and show what fits Maya:

TOKEN=$(curl -sS {base_url}/v1/sessions -H 'Content-Type: application/json' \
  -d '{{"email":"{participant}","password":"{phrase}"}}' | grep -o '"access_token":"[^"]*"' | cut -d '"' -f 4)
curl -sS '{base_url}/v1/matches?limit=5' -H "Authorization: Bearer $TOKEN"
"#
    )
}

#[cfg(test)]
mod tests;
