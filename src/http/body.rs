//! The one reader of request bodies: bounded in size, in time and in memory, with gzip undone up to the limit only.
//!
//! Neither what was sent nor what it inflates to may pass the limit of the route. The extractors of actix would inflate
//! a body before they look at its size, so no handler may use them; `tests/architecture.rs` holds that.

use std::{io::Read, time::Duration};

use actix_web::{HttpRequest, error::PayloadError, http::header};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connections;
use crate::error::{Error, Result, Unreadable};

/// The largest body, in bytes, except where a route says more. The longest texts that the schemas allow fit in it.
pub const LIMIT: usize = 64 * 1024;
/// How long a whole body may take to arrive, from the moment at which somebody reads it.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Memory for bodies beyond [`LIMIT`], in MiB, for all requests together: eight of the largest at once.
const LARGE_BODIES_MIB: usize = 64;
/// How long a large body waits for its share of [`LARGE_BODIES_MIB`]; after that the request is answered with 503.
const LARGE_BODY_WAIT: Duration = Duration::from_secs(2);
/// Bodies above this size, in bytes, are inflated and checked on a blocking thread: below it both take under a
/// millisecond, so that a hop to another thread would cost more.
pub const INLINE_LIMIT: usize = 4 * 1024;

/// Reads a whole body of at most `limit` bytes and undoes `Content-Encoding: gzip`.
///
/// # Errors
/// `Unreadable`: 413 when what was sent or what it inflates to is larger, 415 for another encoding, 408 when it takes
/// longer than [`TIMEOUT`], 400 when it is cut off or is no gzip. `Unavailable` when too many large bodies are being read.
pub async fn read<S>(request: &HttpRequest, payload: S, limit: usize) -> Result<Bytes>
where
    S: Stream<Item = std::result::Result<Bytes, PayloadError>> + Unpin,
{
    let encoding = Encoding::of(request)?;
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large(limit));
    }
    let slow = || {
        let words = format!("The body must arrive within {} seconds.", TIMEOUT.as_secs());
        Error::Unreadable(Unreadable::TooSlow, words)
    };
    // While it waits for its client, a connection can lose its place to another.
    let connection = connections::of(request);
    if let Some(connection) = connection {
        connection.waits_for_body();
    }
    let collected = tokio::time::timeout(TIMEOUT, collect(payload, limit)).await;
    if connection.is_some_and(|connection| !connection.works()) {
        return Err(Error::Unavailable("this connection has lost its place to another"));
    }
    let (sent, share) = collected.map_err(|_| slow())??;
    // A small body of a route with a large limit may still become a large one: by gzip, here or in the handler.
    let share = match share {
        None if limit > LIMIT => Some(large_share(limit).await?),
        share => share,
    };
    match encoding {
        Encoding::Identity => Ok(with_share(sent.into(), share)),
        Encoding::Gzip if sent.is_empty() => Ok(Bytes::new()),
        Encoding::Gzip if sent.len() <= INLINE_LIMIT && limit <= LIMIT => inflate(&sent, limit),
        Encoding::Gzip => {
            let inflated = actix_web::web::block(move || inflate(&sent, limit)).await;
            Ok(with_share(inflated.map_err(|fault| Error::Internal(anyhow::Error::new(fault)))??, share))
        }
    }
}

/// The encodings of a body that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// The encoding that the header names; several in a row are refused, since each would multiply the size.
    fn of(request: &HttpRequest) -> Result<Self> {
        let refuse = |named: &str| {
            let named: String = named.chars().take(40).collect();
            let words = format!("Content-Encoding {named:?} is not taken: send the body as it is, or gzip it once.");
            Error::Unreadable(Unreadable::WrongEncoding, words)
        };
        let mut found = Self::Identity;
        for value in request.headers().get_all(header::CONTENT_ENCODING) {
            let value = value.to_str().map_err(|_| refuse("?"))?;
            for token in value.split(',').map(str::trim).filter(|token| !token.is_empty()) {
                match token.to_ascii_lowercase().as_str() {
                    "identity" => {}
                    "gzip" | "x-gzip" if found == Self::Identity => found = Self::Gzip,
                    _ => return Err(refuse(value)),
                }
            }
        }
        Ok(found)
    }
}

/// The bytes as they were sent, with a share of the memory for large bodies once they pass [`LIMIT`].
async fn collect<S>(mut payload: S, limit: usize) -> Result<(BytesMut, Option<OwnedSemaphorePermit>)>
where
    S: Stream<Item = std::result::Result<Bytes, PayloadError>> + Unpin,
{
    let cut_off = |_| Error::Unreadable(Unreadable::NotJson, "The body was cut off or is malformed.".to_owned());
    let (mut sent, mut share) = (BytesMut::new(), None);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(cut_off)?;
        let size = sent.len() + chunk.len();
        if size > limit {
            return Err(too_large(limit));
        }
        if size > LIMIT && share.is_none() {
            share = Some(large_share(limit).await?);
        }
        sent.extend_from_slice(&chunk);
    }
    Ok((sent, share))
}

/// A share of the memory for large bodies, as large as the body may become.
async fn large_share(limit: usize) -> Result<OwnedSemaphorePermit> {
    use std::sync::{Arc, LazyLock};
    static MIB: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LARGE_BODIES_MIB)));
    let mib = limit.div_ceil(1024 * 1024).min(LARGE_BODIES_MIB);
    let wanted = MIB.clone().acquire_many_owned(u32::try_from(mib).unwrap_or(u32::MAX));
    let share = tokio::time::timeout(LARGE_BODY_WAIT, wanted).await;
    share.ok().and_then(std::result::Result::ok).ok_or(Error::Unavailable("too many large bodies are being read"))
}

/// Bytes that give their share of the memory back when the last of them is dropped.
fn with_share(bytes: Bytes, share: Option<OwnedSemaphorePermit>) -> Bytes {
    struct Shared(Bytes, #[allow(dead_code, reason = "it is held, not read")] OwnedSemaphorePermit);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    match share {
        Some(share) => Bytes::from_owner(Shared(bytes, share)),
        None => bytes,
    }
}

/// Undoes gzip up to `limit` bytes and no further; for large input on a blocking thread.
///
/// # Errors
/// `Unreadable`: 413 when there is more, 400 when it is no whole gzip.
pub fn inflate(sent: &[u8], limit: usize) -> Result<Bytes> {
    let mut inflated = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let no_gzip = |_| {
        let words = "The body is packed with gzip, but cut off or damaged.";
        Error::Unreadable(Unreadable::NotJson, words.to_owned())
    };
    MultiGzDecoder::new(sent).take(most).read_to_end(&mut inflated).map_err(no_gzip)?;
    if inflated.len() > limit { Err(too_large(limit)) } else { Ok(inflated.into()) }
}

fn too_large(limit: usize) -> Error {
    Error::Unreadable(Unreadable::TooLarge, format!("This body may have {limit} bytes, before and after gzip."))
}
