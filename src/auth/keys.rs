//! Keys derived from `SECRET_KEY`, and what is signed with them outside access tokens: links, cursors, order of ties.
//!
//! Every secret gives one key for each [`Purpose`] (HKDF-SHA256), so that nothing made for one purpose passes for
//! another. The first secret signs, all verify: that is how a secret is rotated. A [`KeyId`] tells nothing of its key.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde_json::Value;
use sha2::{Digest, Sha256};
use strum::{IntoStaticStr, VariantArray};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::{config::SecretKeys, id::Id};

/// Which of the keys that were derived from one secret.
pub type KeyId = [u8; 4];

/// What a derived key is for; the name is the HKDF `info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Purpose {
    /// Signing access tokens.
    AccessToken,
    /// Signing the links in mails.
    Link,
    /// Signing cursors of lists.
    Cursor,
    /// Telling a repeated request from another one with the same Idempotency-Key.
    Idempotency,
    /// Ordering equal matches.
    Tie,
    /// Deriving the refresh token that follows another.
    RefreshToken,
    /// Signing what a client shows at log-in to be known again.
    Device,
    /// Recognising the secret itself.
    Fingerprint,
}

/// A link's signature: 160 of the 256 bits, so that the address stays on one line of a mail.
const LINK_MAC: usize = 20;
/// Bytes of a link token before it is written as text: key id, link id, signature.
const LINK_BYTES: usize = 4 + 16 + LINK_MAC;
/// Bytes of a cursor before its payload: key id, signature, hash of the filters.
const CURSOR_HEAD: usize = 4 + 32 + 8;
/// Longest cursor that is looked at, in characters; ours have about 150.
const CURSOR_MAX: usize = 2048;

/// The keys of all secrets, the signing one first.
pub struct Keyring {
    current: Keys,
    older: Vec<Keys>,
}

struct Keys {
    id: KeyId,
    /// In the order of [`Purpose`].
    derived: Vec<Zeroizing<[u8; 32]>>,
}

/// Why a cursor is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorFault {
    /// Not one of ours, or cut off.
    #[error("the cursor was not made here")]
    Invalid,
    /// Ours, but for a list with other filters.
    #[error("the cursor belongs to other filters")]
    OtherFilters,
}

impl Keyring {
    /// Derives the keys.
    pub fn new(secrets: &SecretKeys) -> Self {
        let older = secrets.older().iter().map(|secret| Keys::derive(secret.expose_secret())).collect();
        Self { current: Keys::derive(secrets.current().expose_secret()), older }
    }

    /// The key that signs.
    pub fn current_id(&self) -> KeyId {
        self.current.id
    }

    /// Fingerprints that tell the secrets apart and disclose nothing about them, 32 hex digits each; the signing one first.
    pub fn fingerprints(&self) -> Vec<String> {
        let print = |keys: &Keys| hex::encode(&keys.mac(Purpose::Fingerprint, b"secret")[..16]);
        std::iter::once(&self.current).chain(&self.older).map(print).collect()
    }

    /// Signs `data` with the current key (HMAC-SHA256).
    pub fn mac(&self, purpose: Purpose, data: &[u8]) -> [u8; 32] {
        self.current.mac(purpose, data)
    }

    /// The signatures of `data` by all keys, the current one first.
    pub fn macs(&self, purpose: Purpose, data: &[u8]) -> impl Iterator<Item = [u8; 32]> {
        self.all().map(move |keys| keys.mac(purpose, data))
    }

    /// Whether `mac` is the signature of `data` by the key with this id. It may be cut to its first bytes, never to
    /// fewer than 16. The time depends on the number of keys only.
    pub fn verify(&self, purpose: Purpose, key_id: KeyId, data: &[u8], mac: &[u8]) -> bool {
        if !(16..=32).contains(&mac.len()) {
            return false;
        }
        let one = |keys: &Keys| keys.id.ct_eq(&key_id) & keys.mac(purpose, data)[..mac.len()].ct_eq(mac);
        self.all().map(one).fold(Choice::from(0), |any, this| any | this).into()
    }

    /// The token in the address of a link; the same for the same link until the secret is rotated.
    pub fn link_token(&self, link: Id) -> String {
        let mac = self.mac(Purpose::Link, link.as_bytes());
        let mut bytes = Vec::with_capacity(LINK_BYTES);
        bytes.extend_from_slice(&self.current.id);
        bytes.extend_from_slice(link.as_bytes());
        bytes.extend_from_slice(&mac[..LINK_MAC]);
        BASE64.encode(bytes)
    }

    /// The link that a token stands for, if we signed it. Whether the link still works is the database's to say.
    pub fn read_link_token(&self, token: &str) -> Option<Id> {
        if token.len() > LINK_BYTES * 2 {
            return None;
        }
        let bytes = BASE64.decode(token).ok().filter(|bytes| bytes.len() == LINK_BYTES)?;
        let (key_id, rest) = bytes.split_first_chunk::<4>()?;
        let (link, mac) = rest.split_first_chunk::<16>()?;
        self.verify(Purpose::Link, *key_id, link, mac).then(|| Id(uuid::Uuid::from_bytes(*link)))
    }

    /// A cursor that holds `payload` and only goes on with a list of the same `filters` (any text that is the same for
    /// the same filters). It is signed, not secret: put nothing in that the caller may not see.
    pub fn sign_cursor(&self, payload: &Value, filters: &str) -> String {
        let mut signed = short_hash(filters).to_vec();
        signed.extend_from_slice(payload.to_string().as_bytes());
        let mut bytes = self.current.id.to_vec();
        bytes.extend_from_slice(&self.mac(Purpose::Cursor, &signed));
        bytes.extend_from_slice(&signed);
        BASE64.encode(bytes)
    }

    /// What a cursor holds.
    ///
    /// # Errors
    /// Whether it is none of ours or belongs to other filters.
    pub fn read_cursor(&self, text: &str, filters: &str) -> Result<Value, CursorFault> {
        if text.len() > CURSOR_MAX {
            return Err(CursorFault::Invalid);
        }
        let bytes = BASE64.decode(text).ok().filter(|bytes| bytes.len() >= CURSOR_HEAD).ok_or(CursorFault::Invalid)?;
        let (key_id, rest) = bytes.split_first_chunk::<4>().ok_or(CursorFault::Invalid)?;
        let (mac, signed) = rest.split_first_chunk::<32>().ok_or(CursorFault::Invalid)?;
        if !self.verify(Purpose::Cursor, *key_id, signed, mac) {
            return Err(CursorFault::Invalid);
        }
        let (hash, payload) = signed.split_first_chunk::<8>().ok_or(CursorFault::Invalid)?;
        if *hash != short_hash(filters) {
            return Err(CursorFault::OtherFilters);
        }
        serde_json::from_slice(payload).map_err(|_| CursorFault::Invalid)
    }

    /// A number that puts runs which fit `person` equally well in an order of that person's own, always the same.
    pub fn tie(&self, person: Id, run: &[u8; 16]) -> u64 {
        let mut data = [0; 32];
        data[..16].copy_from_slice(person.as_bytes());
        data[16..].copy_from_slice(run);
        let mac = self.mac(Purpose::Tie, &data);
        mac.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// The current key of one purpose, with its id.
    pub(super) fn current_key(&self, purpose: Purpose) -> (KeyId, &[u8; 32]) {
        (self.current.id, self.current.key(purpose))
    }

    /// The key of one purpose with this id.
    pub(super) fn find_key(&self, purpose: Purpose, id: KeyId) -> Option<&[u8; 32]> {
        self.all().find(|keys| keys.id == id).map(|keys| keys.key(purpose))
    }

    fn all(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<String> = self.all().map(|keys| hex::encode(keys.id)).collect();
        f.debug_struct("Keyring").field("ids", &ids).finish_non_exhaustive()
    }
}

impl Keys {
    fn derive(secret: &str) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, secret.as_bytes());
        let output = |info: &str| {
            let mut key = Zeroizing::new([0; 32]);
            #[allow(clippy::expect_used, reason = "HKDF fails only for more than 8160 bytes")]
            hkdf.expand(info.as_bytes(), key.as_mut_slice()).expect("32 bytes are never too many");
            key
        };
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(output("id").as_slice()));
        Self { id: [a, b, c, d], derived: Purpose::VARIANTS.iter().map(|purpose| output(purpose.into())).collect() }
    }

    fn key(&self, purpose: Purpose) -> &[u8; 32] {
        &self.derived[purpose as usize]
    }

    fn mac(&self, purpose: Purpose, data: &[u8]) -> [u8; 32] {
        hmac(self.key(purpose), data)
    }
}

/// Hashes e-mail addresses that are banned or blocked, so that they are recognised but cannot be read. Its key is
/// separate from `SECRET_KEY` and never rotated: a new key would let everybody in again.
pub struct AddressHasher(Zeroizing<[u8; 32]>);

impl AddressHasher {
    /// A hasher with the key that the installation has kept since its first start.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// 64 hex digits for an address that has been normalised (`domain::account`).
    pub fn hash(&self, normalised_email: &str) -> String {
        hex::encode(hmac(&self.0, normalised_email.as_bytes()))
    }
}

impl std::fmt::Debug for AddressHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressHasher").finish_non_exhaustive()
    }
}

/// SHA-256 as 64 hex digits. For what is random or public; anything that could be guessed needs a keyed hash.
pub fn fingerprint(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn short_hash(text: &str) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(text));
    [a, b, c, d, e, f, g, h]
}

fn hmac(key: &[u8; 32], data: &[u8]) -> [u8; 32] {
    #[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: &str = "an old secret with more than 32 characters";
    const NEW: &str = "a new secret with more than 32 characters!";

    fn keyring(secrets: &str) -> Keyring {
        Keyring::new(&SecretKeys::parse(secrets).unwrap())
    }

    #[test]
    fn what_an_older_secret_signed_still_counts_after_rotation_and_not_after_its_end() {
        let link = Id::random();
        let (before, during, after) = (keyring(OLD), keyring(&format!("{NEW},{OLD}")), keyring(NEW));
        let token = before.link_token(link);
        assert_eq!(during.read_link_token(&token), Some(link));
        assert_eq!(after.read_link_token(&token), None);
        assert_eq!(after.read_link_token(&during.link_token(link)), Some(link));
        assert_eq!(during.current_id(), after.current_id());
    }

    #[test]
    fn a_link_token_is_54_characters_and_no_changed_one_is_read() {
        let (keys, link) = (keyring(OLD), Id::random());
        let token = keys.link_token(link);
        assert_eq!(token.len(), 54);
        assert_eq!(keys.read_link_token(&token), Some(link));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(keys.read_link_token(std::str::from_utf8(&changed).unwrap()), None, "position {at}");
        }
        for wrong in ["", "A", &token[..53], &format!("{token}A"), &"A".repeat(10_000), "ä b/c"] {
            assert_eq!(keys.read_link_token(wrong), None);
        }
    }

    #[test]
    fn every_purpose_has_its_own_key() {
        let keys = keyring(OLD);
        let macs: std::collections::HashSet<_> = Purpose::VARIANTS.iter().map(|one| keys.mac(*one, b"data")).collect();
        assert_eq!(macs.len(), Purpose::VARIANTS.len());
        let mac = keys.mac(Purpose::Link, b"data");
        assert!(keys.verify(Purpose::Link, keys.current_id(), b"data", &mac));
        assert!(!keys.verify(Purpose::Cursor, keys.current_id(), b"data", &mac));
        assert!(!keys.verify(Purpose::Link, [0; 4], b"data", &mac));
        assert!(!keys.verify(Purpose::Link, keys.current_id(), b"data", &[]));
        assert!(!keys.verify(Purpose::Link, keys.current_id(), b"data", &mac[..15]));
    }

    #[test]
    fn the_derived_keys_never_change_from_release_to_release() {
        let keys = keyring(OLD);
        assert_eq!(hex::encode(keys.current_id()), "af10b723");
        assert_eq!(
            hex::encode(keys.mac(Purpose::AccessToken, b"data")),
            "1d6e437a8c60aef050dffd0361594d62be01ca7e2117e70953320fb1634c4dab"
        );
    }

    #[test]
    fn a_cursor_goes_on_with_the_same_filters_only() {
        let keys = keyring(OLD);
        let payload = json!({"starts_at": "2026-11-30T18:00:00Z", "id": Id::random()});
        let cursor = keys.sign_cursor(&payload, "activity=walk");
        assert_eq!(keys.read_cursor(&cursor, "activity=walk"), Ok(payload));
        assert_eq!(keys.read_cursor(&cursor, "activity=run"), Err(CursorFault::OtherFilters));
        assert_eq!(keyring(NEW).read_cursor(&cursor, "activity=walk"), Err(CursorFault::Invalid));
        for wrong in ["", "AAAA", &cursor[1..], &cursor[..cursor.len() - 4], &"A".repeat(100_000), "not base64 at all"]
        {
            assert_eq!(keys.read_cursor(wrong, "activity=walk"), Err(CursorFault::Invalid));
        }
    }

    #[test]
    fn ties_differ_from_person_to_person_and_stay_the_same() {
        let (keys, one, other) = (keyring(OLD), Id::random(), Id::random());
        assert_eq!(keys.tie(one, &[7; 16]), keys.tie(one, &[7; 16]));
        assert_ne!(keys.tie(one, &[7; 16]), keys.tie(other, &[7; 16]));
        assert_ne!(keys.tie(one, &[7; 16]), keys.tie(one, &[8; 16]));
    }

    #[test]
    fn addresses_are_hashed_with_a_key() {
        let hash = AddressHasher::new([1; 32]).hash("ana@example.org");
        assert_eq!(hash.len(), 64);
        assert_eq!(hash, AddressHasher::new([1; 32]).hash("ana@example.org"));
        assert_ne!(hash, AddressHasher::new([2; 32]).hash("ana@example.org"));
        assert_ne!(hash, fingerprint(b"ana@example.org"));
    }

    #[test]
    fn debug_tells_no_key() {
        let keys = keyring(OLD);
        let shown = format!("{keys:?} {:?}", AddressHasher::new([0xab; 32]));
        assert!(!shown.contains(&hex::encode(keys.current_key(Purpose::Link).1)) && !shown.contains("171"), "{shown}");
    }
}
