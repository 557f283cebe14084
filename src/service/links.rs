//! The links in mails: made with the mail, found again by the id in their signed token, used by `http::links`.
//!
//! The row says what a link may do and for whom; the token only names the row (`auth::keys`).

use crate::{
    auth::Keyring,
    clock::Instant,
    domain::{
        after_run::answer_until, link::LinkAction, moderation::AppealKind, question::Asked, refusal::Code,
        run::RunStatus,
    },
    error::Result,
    id::Id,
    store::{
        Conn, Tx, runs,
        sessions::{self, Link},
        signups,
    },
};

/// What a link is about, and which kind of decision that is.
pub type About = Option<(Id, Option<AppealKind>)>;

/// Makes a link.
pub fn make(tx: &mut Tx<'_>, account: Id, action: LinkAction, about: About, now: Instant) -> Result<Link> {
    make_for(tx, account, action, about, None, now)
}

fn make_for(
    tx: &mut Tx<'_>,
    account: Id,
    action: LinkAction,
    about: About,
    asked: Option<Asked>,
    now: Instant,
) -> Result<Link> {
    let expires_at = expiry(tx, action, about, now)?;
    let link = Link {
        id: Id::at(now),
        action,
        account_id: account,
        about_id: about.map(|(id, _)| id),
        about_kind: about.and_then(|(_, kind)| kind),
        created_at: now,
        expires_at,
        used_at: None,
        question: asked.and_then(|asked| asked.question),
        for_starts_at: asked.map(|asked| asked.terms.starts_at),
        for_lat: asked.map(|asked| asked.terms.point.lat),
        for_lng: asked.map(|asked| asked.terms.point.lng),
        for_account_id: asked.and_then(|asked| asked.terms.with),
    };
    sessions::insert_link(tx, &link)?;
    Ok(link)
}

/// A working link of this person for this act, or a new one: a mail that is composed again carries the same.
pub fn ensure(tx: &mut Tx<'_>, account: Id, action: LinkAction, about: About, now: Instant) -> Result<Link> {
    ensure_for(tx, account, action, about, None, now)
}

/// [`ensure`] for a link that says yes to a run: it says what it is a yes to, and another start, place or partner has a
/// link of its own.
pub fn ensure_for(
    tx: &mut Tx<'_>,
    account: Id,
    action: LinkAction,
    about: About,
    asked: Option<Asked>,
    now: Instant,
) -> Result<Link> {
    if let Some(link) = sessions::find_link_for(tx, account, action, about.map(|(id, _)| id), asked, now)? {
        let wanted = if is_about_a_run(action) {
            // The run may have been moved to a later day.
            expiry(tx, action, about, now)?
        } else {
            now.plus_hours(action.hours() / 2)
        };
        if link.expires_at >= wanted {
            return Ok(link);
        }
    }
    make_for(tx, account, action, about, asked, now)
}

fn is_about_a_run(action: LinkAction) -> bool {
    is_about_a_signup(action) || is_about_leading(action) || is_said_after(action)
}

/// Those about a sign-up whose run is over.
pub fn is_said_after(action: LinkAction) -> bool {
    use LinkAction::{ContactMe, FeltUnsafe, PaceRight, PaceTooFast, PaceTooSlow};
    matches!(action, PaceTooFast | PaceRight | PaceTooSlow | FeltUnsafe | ContactMe)
}

/// Those whose `about` is a sign-up.
pub fn is_about_a_signup(action: LinkAction) -> bool {
    use LinkAction::{ApproveRequest, DeclineRequest, LetPlaceGo, NotToday, StillComing, TakePlace};
    matches!(action, NotToday | TakePlace | LetPlaceGo | StillComing | ApproveRequest | DeclineRequest)
}

/// Those whose `about` is a run.
fn is_about_leading(action: LinkAction) -> bool {
    matches!(action, LinkAction::CannotLead | LinkAction::LeadTogether | LinkAction::RunAsTwo)
}

/// Links about a run end with it; after that they would only say that it is over.
fn expiry(conn: &mut Conn, action: LinkAction, about: About, now: Instant) -> Result<Instant> {
    let usual = now.plus_hours(action.hours());
    let run = match (action, about) {
        (action, Some((signup, _))) if is_about_a_signup(action) || is_said_after(action) => {
            signups::find(conn, signup)?.map(|signup| signup.run_id)
        }
        (action, Some((run, _))) if is_about_leading(action) => Some(run),
        _ => None,
    };
    let run = run.map(|id| runs::find(conn, id)).transpose()?.flatten();
    let end = |run: runs::Run| if is_said_after(action) { answer_until(run.ends_at) } else { run.ends_at };
    Ok(run.map_or(usual, end))
}

/// The link, while it works.
///
/// # Errors
/// [`Code::LinkInvalid`] when there is none, it is for another act, was used or has expired; [`Code::LinkOutdated`] where
/// the run it says yes to has been moved since.
pub fn find_working(conn: &mut Conn, id: Id, action: LinkAction, now: Instant) -> Result<Link> {
    let link = find_any_working(conn, id, now)?;
    if link.action != action {
        return Err(Code::LinkInvalid.into());
    }
    is_still_asked(conn, &link)?;
    Ok(link)
}

/// The link, whatever it does, while it works.
///
/// # Errors
/// [`Code::LinkInvalid`] when there is none, or it was used or has expired.
pub fn find_any_working(conn: &mut Conn, id: Id, now: Instant) -> Result<Link> {
    let link = sessions::find_link(conn, id)?.filter(|link| link.works(now));
    Ok(link.ok_or(Code::LinkInvalid)?)
}

/// Refuses a yes by a link whose mail asked about another start, place or partner than the run has now.
///
/// # Errors
/// [`Code::LinkOutdated`], also for a link that was made when links did not say what they were for.
pub fn is_still_asked(conn: &mut Conn, link: &Link) -> Result<()> {
    if !link.action.says_yes_to_a_run() {
        return Ok(());
    }
    let about = link.about_id.ok_or(Code::LinkInvalid)?;
    let run = if is_about_a_signup(link.action) { signups::get(conn, about)?.run_id } else { about };
    let run = runs::get(conn, run)?;
    if matches!(run.status, RunStatus::Cancelled | RunStatus::Completed) {
        // There is a better answer than that it was moved.
        return Ok(());
    }
    let holds = link.terms().is_some_and(|terms| terms.hold_for(&run.terms(terms.with), &run.time_zone));
    if holds { Ok(()) } else { Err(Code::LinkOutdated.into()) }
}

/// Uses a link up whose act is done, where it works once.
pub fn done_with(tx: &mut Tx<'_>, link: &Link, now: Instant) -> Result<()> {
    if link.action.works_once() { use_up(tx, link, now) } else { Ok(()) }
}

/// Uses a link up.
///
/// # Errors
/// [`Code::LinkInvalid`] when somebody was faster.
pub fn use_up(tx: &mut Tx<'_>, link: &Link, now: Instant) -> Result<()> {
    if sessions::use_link(tx, link.id, now)? { Ok(()) } else { Err(Code::LinkInvalid.into()) }
}

/// The address that stands in the mail.
pub fn url(base_url: &str, keyring: &Keyring, link: &Link) -> String {
    format!("{base_url}/e/{}/{}", link.action, keyring.link_token(link.id))
}
