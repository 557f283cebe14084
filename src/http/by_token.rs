//! Acts that a link in a mail does as well: logged in, or with the link's token in the body.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    extract::{MaybeCaller, Request},
};
use crate::{
    auth::Keyring,
    clock::Instant,
    domain::{link::LinkAction, refusal::Code},
    error::Result as Outcome,
    id::Id,
    service::{callers, links},
    store::{Tx, sessions::Link},
};

/// A body that may hold the token of a link, instead of logging in.
pub trait WithToken {
    /// The token, if there is one.
    fn token(&self) -> Option<&str>;
}

/// The body of an act that a link in a mail can do as well.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ByToken {
    /// The token of the link, instead of logging in.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub token: Option<String>,
}

impl WithToken for ByToken {
    fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

/// A link that does this, about that.
pub fn link_to(action: LinkAction, about: Id) -> impl Fn(&mut Tx<'_>, &Link) -> Outcome<bool> + Send + 'static {
    move |tx, link| {
        let fits = link.action == action && link.about_id == Some(about);
        if fits {
            links::is_still_asked(tx, link)?;
        }
        Ok(fits)
    }
}

/// The link behind a token in the body, where there is one.
///
/// # Errors
/// [`Code::LinkInvalid`] when it does not work.
pub fn link_of(tx: &mut Tx<'_>, keyring: &Keyring, body: &impl WithToken, now: Instant) -> Outcome<Option<Link>> {
    let Some(token) = body.token() else { return Ok(None) };
    let id = keyring.read_link_token(token).ok_or(Code::LinkInvalid)?;
    links::find_any_working(tx, id, now).map(Some)
}

/// Does what a link in a mail does, logged in or with its token; `fits` says which links do it. `work` looks at the body,
/// after what may not be there.
pub async fn act_or_link<T>(
    app: &AppData,
    caller: MaybeCaller,
    request: &Request<T>,
    fits: impl Fn(&mut Tx<'_>, &Link) -> Outcome<bool> + Send + 'static,
    work: impl Fn(&mut Tx<'_>, Id, Instant) -> Outcome<Reply> + Send + 'static,
) -> Result<Reply, Problem>
where
    T: WithToken + Send + 'static,
{
    let Some(token) = request.readable().and_then(WithToken::token) else {
        let caller = caller.0.ok_or(Code::NotLoggedIn)?;
        callers::not_kept_out(caller.kept_out.as_ref())?;
        let me = caller.id();
        return app.act_of(me, request, move |tx, now| work(tx, me, now)).await;
    };
    let (now, token) = (app.clock.now(), app.keyring.read_link_token(token).ok_or(Code::LinkInvalid)?);
    let reply = app.db.write(move |tx| {
        let link = links::find_any_working(tx, token, now)?;
        if !fits(tx, &link)? {
            return Err(Code::LinkInvalid.into());
        }
        callers::ensure_active(tx, link.account_id, now)?;
        let reply = work(tx, link.account_id, now)?;
        links::done_with(tx, &link, now)?;
        Ok(reply)
    });
    let reply = reply.await?;
    app.mail_waits.notify_one();
    Ok(reply)
}
