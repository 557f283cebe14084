//! Promising mails: each promise is an outbox row in the transaction of the act.

use crate::{
    clock::Instant,
    domain::{account::Role, signup::SignupStatus},
    error::Result,
    id::Id,
    mail::Notice,
    store::{
        Tx, accounts, facilitators,
        outbox::{self, Promise},
        signups::{self, Signup},
    },
};

/// Promises a mail to one person that is about no run.
pub fn to_person(tx: &mut Tx<'_>, to: Id, notice: Notice, now: Instant) -> Result<()> {
    outbox::promise(tx, Promise::new(to, notice), now)?;
    Ok(())
}

/// Promises a mail that tells somebody of what `by` did; those of one person's acts are gathered.
pub fn of_act(tx: &mut Tx<'_>, by: Id, to: Id, notice: Notice, now: Instant) -> Result<()> {
    outbox::promise(tx, Promise::new(to, notice).by(by), now)?;
    Ok(())
}

/// Promises a mail about somebody's sign-up to that person.
pub fn about_signup(tx: &mut Tx<'_>, signup: &Signup, notice: Notice, now: Instant) -> Result<()> {
    outbox::promise(tx, Promise::new(signup.account_id, notice).of_signup(signup), now)?;
    Ok(())
}

/// Promises a mail to everybody with a live sign-up in a run; returns how many.
pub fn to_everybody_on(tx: &mut Tx<'_>, run: Id, notice: impl Fn(&Signup) -> Notice, now: Instant) -> Result<usize> {
    let live = signups::of_run(tx, run, &SignupStatus::LIVE)?;
    for signup in &live {
        about_signup(tx, signup, notice(signup), now)?;
    }
    Ok(live.len())
}

/// Promises a mail to those who accepted to lead a run, but for one.
pub fn to_facilitators(tx: &mut Tx<'_>, run: Id, but: Option<Id>, notice: &Notice, now: Instant) -> Result<()> {
    for leader in facilitators::accepted_on(tx, run)?.into_iter().filter(|leader| Some(*leader) != but) {
        outbox::promise(tx, Promise::new(leader, notice.clone()).of_run(run), now)?;
    }
    Ok(())
}

/// Promises the team a mail that tells of what `by` did, but for `by` and those in `but`.
pub fn to_moderators(tx: &mut Tx<'_>, by: Id, but: Option<Id>, notice: &Notice, now: Instant) -> Result<()> {
    let team = accounts::with_any_role(tx, &[Role::Moderator, Role::WelfareModerator, Role::Admin])?;
    for member in team {
        if member != by && Some(member) != but {
            of_act(tx, by, member, notice.clone(), now)?;
        }
    }
    Ok(())
}
