//! Pages of lists: `limit`, `{items, next_cursor}`, and cursors that are signed and know their filters.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use crate::{
    auth::keys::{CursorFault, Keyring},
    domain::refusal::Fault,
    error::Result,
    id::Id,
    store::Conn,
};

/// A page of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// For the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<i64>,
    #[schema(max_length = 2000)]
    pub cursor: Option<String>,
}

/// Items on a page when nothing is said.
pub const DEFAULT_LIMIT: i64 = 20;

/// The cursor's place and filters of one list request.
pub struct Paging<'k> {
    keyring: &'k Keyring,
    filters: String,
    limit: i64,
    cursor: Option<String>,
}

impl<'k> Paging<'k> {
    /// `filters` is whatever selects the list: its name, its owner, its query without `limit` and `cursor`.
    pub fn new(keyring: &'k Keyring, filters: &[&str], limit: Option<i64>, cursor: Option<String>) -> Self {
        // A separator that no filter contains keeps ["a b"] and ["a", "b"] apart.
        let filters = filters.join("\u{1f}");
        Self { keyring, filters, limit: limit.unwrap_or(DEFAULT_LIMIT).clamp(1, 100), cursor }
    }

    /// One more than the page holds, to know whether there is a next one.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// Where to go on from.
    ///
    /// # Errors
    /// A fault at `?cursor` when it was not made here or for other filters.
    pub fn after<P: DeserializeOwned>(&self) -> Result<Option<P>> {
        let Some(text) = &self.cursor else { return Ok(None) };
        let fault = |code, words| Fault::at("?cursor", code, words);
        let payload = self.keyring.read_cursor(text, &self.filters).map_err(|why| match why {
            CursorFault::Invalid => fault("invalid", "this cursor was not made here"),
            CursorFault::OtherFilters => fault("other_filters", "this cursor belongs to other filters; start again"),
        })?;
        Ok(serde_json::from_value(payload).map_err(|_| fault("invalid", "this cursor was not made here"))?)
    }

    /// A cursor that goes on after this place.
    pub fn cursor_after(&self, place: &impl Serialize) -> Result<String> {
        Ok(self.keyring.sign_cursor(&serde_json::to_value(place)?, &self.filters))
    }

    /// Makes a page of a short list that was read as a whole.
    pub fn cut<T>(&self, all: Vec<T>, id: impl Fn(&T) -> Id) -> Result<(Vec<T>, Option<String>)> {
        let after: Option<(Id, usize)> = self.after()?;
        // Where the last one that was shown is gone, the next stands in its place.
        let from = after.map_or(0, |(last, at)| all.iter().position(|item| id(item) == last).map_or(at, |at| at + 1));
        let fetch = usize::try_from(self.fetch()).unwrap_or(usize::MAX);
        let rest = all.into_iter().enumerate().skip(from).take(fetch).collect();
        let (rest, next) = self.page(rest, |(at, item): &(usize, T)| (id(item), *at))?;
        Ok((rest.into_iter().map(|(_, item)| item).collect(), next))
    }

    /// Makes a page of what its reader may see of a list: fetched until it is full, so that neither its length nor its cursor
    /// tells of what is left out.
    pub fn seen<T, P: Serialize + DeserializeOwned>(
        &self,
        conn: &mut Conn,
        fetch: impl Fn(&mut Conn, Option<P>, i64) -> Result<Vec<T>>,
        place: impl Fn(&T) -> P,
        is_seen: impl Fn(&mut Conn, &T) -> Result<bool>,
    ) -> Result<(Vec<T>, Option<String>)> {
        let wanted = usize::try_from(self.fetch()).unwrap_or(usize::MAX);
        let (mut after, mut kept) = (self.after()?, Vec::new());
        loop {
            let batch = fetch(conn, after.take(), self.fetch())?;
            let is_last = batch.len() < wanted;
            after = batch.last().map(&place);
            for item in batch {
                if kept.len() < wanted && is_seen(conn, &item)? {
                    kept.push(item);
                }
            }
            if is_last || kept.len() == wanted {
                return self.page(kept, place);
            }
        }
    }

    /// Makes a page of what was fetched; `place` says where the next one goes on.
    pub fn page<T, P: Serialize>(
        &self,
        mut fetched: Vec<T>,
        place: impl Fn(&T) -> P,
    ) -> Result<(Vec<T>, Option<String>)> {
        let size = usize::try_from(self.limit).unwrap_or(1);
        let more = fetched.len() > size;
        fetched.truncate(size);
        let next = fetched.last().filter(|_| more).map(|last| self.cursor_after(&place(last))).transpose()?;
        Ok((fetched, next))
    }
}
