//! Access tokens (signed, short-lived, HS256 since we alone verify them) and refresh tokens (random, only their hash is
//! kept). A token says who asks, never what they may do: account and session are read afresh at every request.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, LazyLock};

use super::keys::{Keyring, Purpose, fingerprint};
use crate::{clock::Instant, error::Result, id::Id};

/// Who makes the tokens.
const ISSUER: &str = "sidebyside";
/// Whom they are for.
const AUDIENCE: &str = "sidebyside-api";
/// Longest token that is looked at, in characters; ours have about 400.
const TOKEN_MAX: usize = 2048;

/// What a session is good for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Scope {
    /// Everything the account may do.
    Full,
    /// Somebody kept out by a decision: may read the decisions about them and object, nothing else.
    Appeal,
}

impl Scope {
    /// The word in tokens and answers.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What an access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: whose it is.
    pub account: Id,
    /// `sid`: the session it belongs to, which may have ended since.
    pub session: Id,
    /// What the session is good for.
    pub scope: Scope,
    /// `iat`, rounded down to the second.
    pub issued_at: Instant,
    /// `exp`, rounded down to the second: from this moment on it counts no more.
    pub expires_at: Instant,
}

impl Claims {
    /// Claims that count from `now` for so many minutes.
    pub fn new(account: Id, session: Id, scope: Scope, now: Instant, minutes: i64) -> Self {
        let issued_at = from_seconds(now.timestamp().as_second()).unwrap_or(now);
        Self { account, session, scope, issued_at, expires_at: issued_at.plus_minutes(minutes) }
    }

    /// Seconds until it counts no more (`expires_in`).
    pub fn seconds_left(&self, now: Instant) -> i64 {
        self.expires_at.seconds_since(now).max(0)
    }
}

/// Why an access token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Not made here.
    #[error("the access token was not made here")]
    Invalid,
    /// Made here, but too long ago.
    #[error("the access token has expired")]
    Expired,
}

/// The claims as they stand in the token.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    sub: Id,
    sid: Id,
    scope: Scope,
    iat: i64,
    exp: i64,
    iss: &'a str,
    aud: &'a str,
}

#[derive(Deserialize)]
struct Read {
    sub: Id,
    sid: Id,
    scope: Scope,
    iat: i64,
    exp: i64,
    /// Ours have none; one that is there is kept to.
    #[serde(default)]
    nbf: i64,
}

/// The header as we write it. A token with anything else in it was not made here, even when its signature fits: a `crit`
/// names rules that we do not know (RFC 7515, 4.1.11), a `jwk` or `jku` brings a key of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// The type of our tokens, as `typ` says it.
const TYPE: &str = "JWT";

/// The contents of a token that we signed.
#[derive(Clone, Copy)]
struct Signed {
    claims: Claims,
    /// `nbf`: before this moment it does not count.
    not_before: Instant,
}

/// Chooses the cryptography of all tokens. Call it at start; again does no harm.
pub fn install_crypto_provider() {
    // It says no only when there is one already, and there is no other than this one in the binary.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// Makes an access token, signed with the current key, whose id stands in the header.
///
/// # Errors
/// Only when signing itself fails.
pub fn issue(keys: &Keyring, claims: &Claims) -> Result<String> {
    let (id, key) = keys.current_key(Purpose::AccessToken);
    let header = Header { kid: Some(hex::encode(id)), ..Header::new(Algorithm::HS256) };
    let wire = Wire {
        sub: claims.account,
        sid: claims.session,
        scope: claims.scope,
        iat: claims.issued_at.timestamp().as_second(),
        exp: claims.expires_at.timestamp().as_second(),
        iss: ISSUER,
        aud: AUDIENCE,
    };
    let signed = jsonwebtoken::encode(&header, &wire, &EncodingKey::from_secret(key));
    Ok(signed.map_err(|fault| anyhow::Error::new(fault).context("signing an access token"))?)
}

/// Tokens that are remembered: some megabytes.
const REMEMBERED: usize = 4_096;

/// Verifies access tokens and remembers what those say that were found to be ours: to check them was a tenth of finding
/// somebody's matches. Whether a token still counts is looked at each time.
pub struct Verifier {
    keys: Arc<Keyring>,
    read: Cache<Box<str>, Signed>,
}

impl Verifier {
    /// A verifier that remembers nothing yet.
    pub fn new(keys: Arc<Keyring>) -> Self {
        Self { keys, read: Cache::new(REMEMBERED) }
    }

    /// Reads an access token.
    ///
    /// # Errors
    /// When it was not made here or counts no more at `now`.
    pub fn verify(&self, token: &str, now: Instant) -> Result<Claims, TokenFault> {
        let Signed { claims, not_before } = match self.read.get(token) {
            Some(signed) => signed,
            None => {
                let signed = read(&self.keys, token).ok_or(TokenFault::Invalid)?;
                self.read.insert(token.into(), signed);
                signed
            }
        };
        match () {
            () if not_before > now => Err(TokenFault::Invalid),
            () if claims.expires_at <= now => Err(TokenFault::Expired),
            () => Ok(claims),
        }
    }
}

/// The claims of a token that we signed, whether or not it has expired. The key is always one of ours and the algorithm
/// always HS256: the header only chooses among our keys, and says nothing that ours do not say.
fn read(keys: &Keyring, token: &str) -> Option<Signed> {
    if token.len() > TOKEN_MAX {
        return None;
    }
    let (header, _) = token.split_once('.')?;
    let ReadHeader { alg, typ, kid } = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
    if alg != "HS256" || !typ.eq_ignore_ascii_case(TYPE) {
        return None;
    }
    let mut id = [0; 4];
    hex::decode_to_slice(kid, &mut id).ok()?;
    let key = DecodingKey::from_secret(keys.find_key(Purpose::AccessToken, id)?);
    let Read { sub, sid, scope, iat, exp, nbf } = jsonwebtoken::decode(token, &key, &RULES).ok()?.claims;
    let (issued_at, expires_at) = (from_seconds(iat)?, from_seconds(exp)?);
    let claims = Claims { account: sub, session: sid, scope, issued_at, expires_at };
    Some(Signed { claims, not_before: from_seconds(nbf)? })
}

/// What the library checks. It would take the system's clock for `exp`, so we compare that with `now` ourselves.
static RULES: LazyLock<Validation> = LazyLock::new(|| {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_required_spec_claims(&["exp", "sub", "iss", "aud"]);
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[AUDIENCE]);
    rules.leeway = 0;
    rules.validate_exp = false;
    rules
});

fn from_seconds(seconds: i64) -> Option<Instant> {
    Instant::from_micros(seconds.checked_mul(1_000_000)?)
}

/// A new refresh token (256 random bits as base64url) and the hash under which it is kept.
pub fn new_refresh_token() -> (String, String) {
    let token = BASE64.encode(crate::id::random_bytes::<32>());
    let hash = hash_token(&token);
    (token, hash)
}

/// The refresh token that follows another, with its hash: derived, so that an answer that was lost can be given again
/// although no token is kept. The token of each key that may have derived it, the current one first.
pub fn refresh_successors(keys: &Keyring, token: &str) -> impl Iterator<Item = (String, String)> {
    keys.macs(Purpose::RefreshToken, token.as_bytes()).map(|mac| {
        let token = BASE64.encode(mac);
        let hash = hash_token(&token);
        (token, hash)
    })
}

/// Bytes of a device token before it is written as text: key id, random bytes, signature.
const DEVICE_BYTES: usize = 4 + 16 + DEVICE_MAC;
/// A device token's signature: 160 of the 256 bits.
const DEVICE_MAC: usize = 20;

/// The token by which a device is known at the next log-in. It opens nothing: it only tells tries on this device from
/// tries elsewhere, for one address.
pub fn new_device_token(keys: &Keyring, address_hash: &str) -> String {
    let device = crate::id::random_bytes::<16>();
    let mac = keys.mac(Purpose::Device, &device_data(&device, address_hash));
    BASE64.encode([keys.current_id().as_slice(), &device, &mac[..DEVICE_MAC]].concat())
}

/// The device that shows this token, if we made it for this address.
pub fn read_device_token(keys: &Keyring, token: &str, address_hash: &str) -> Option<String> {
    if token.len() > DEVICE_BYTES * 2 {
        return None;
    }
    let bytes = BASE64.decode(token).ok().filter(|bytes| bytes.len() == DEVICE_BYTES)?;
    let (key_id, rest) = bytes.split_first_chunk::<4>()?;
    let (device, mac) = rest.split_first_chunk::<16>()?;
    keys.verify(Purpose::Device, *key_id, &device_data(device, address_hash), mac).then(|| hex::encode(device))
}

fn device_data(device: &[u8; 16], address_hash: &str) -> Vec<u8> {
    [device.as_slice(), address_hash.as_bytes()].concat()
}

/// The hash under which a refresh token is kept: SHA-256 as hex; a random token needs no slow hash.
pub fn hash_token(token: &str) -> String {
    fingerprint(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::SecretKeys;

    const OLD: &str = "an old secret with more than 32 characters";
    const NEW: &str = "a new secret with more than 32 characters!";

    /// Twice: the second time it is remembered.
    fn verify(keys: &Arc<Keyring>, token: &str, now: Instant) -> Result<Claims, TokenFault> {
        let verifier = Verifier::new(keys.clone());
        let once = verifier.verify(token, now);
        assert_eq!(verifier.verify(token, now), once);
        once
    }

    fn keyring(secrets: &str) -> Arc<Keyring> {
        install_crypto_provider();
        Arc::new(Keyring::new(&SecretKeys::parse(secrets).unwrap()))
    }

    fn now() -> Instant {
        "2026-11-30T18:00:00.5Z".parse().unwrap()
    }

    fn claims() -> Claims {
        Claims::new(Id::random(), Id::random(), Scope::Appeal, now(), 15)
    }

    fn wire() -> Value {
        let exp = now().plus_hours(1).timestamp().as_second();
        json!({"sub": Id::random(), "sid": Id::random(), "scope": "full", "iat": 0, "exp": exp, "iss": ISSUER, "aud": AUDIENCE})
    }

    /// A token with our own key but any header and claims.
    fn forged(keys: &Keyring, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = keys.mac(Purpose::AccessToken, text.as_bytes());
        format!("{text}.{}", BASE64.encode(signature))
    }

    #[test]
    fn a_token_is_read_back_until_the_second_it_expires() {
        let (keys, claims) = (keyring(OLD), claims());
        let token = issue(&keys, &claims).unwrap();
        assert_eq!(verify(&keys, &token, now()), Ok(claims));
        assert_eq!(claims.seconds_left(claims.issued_at), 900);
        let verifier = Verifier::new(keys.clone());
        assert_eq!(verifier.verify(&token, now()), Ok(claims));
        assert_eq!(verifier.verify(&token, claims.expires_at), Err(TokenFault::Expired), "though it is remembered");
        assert_eq!(verify(&keys, &token, claims.expires_at.plus_seconds(-1)), Ok(claims));
        assert_eq!(verify(&keys, &token, claims.expires_at), Err(TokenFault::Expired));
    }

    #[test]
    fn tokens_of_an_older_secret_count_while_it_is_listed() {
        let claims = claims();
        let token = issue(&keyring(OLD), &claims).unwrap();
        assert_eq!(verify(&keyring(&format!("{NEW},{OLD}")), &token, now()), Ok(claims));
        assert_eq!(verify(&keyring(NEW), &token, now()), Err(TokenFault::Invalid));
    }

    #[test]
    fn the_header_cannot_choose_another_algorithm_or_a_foreign_key() {
        let keys = keyring(OLD);
        let kid = hex::encode(keys.current_id());
        let good = forged(&keys, &json!({"alg": "HS256", "typ": "JWT", "kid": kid}), &wire());
        assert!(verify(&keys, &good, now()).is_ok());
        for header in [
            json!({"alg": "none", "typ": "JWT", "kid": kid}),
            json!({"alg": "HS512", "typ": "JWT", "kid": kid}),
            json!({"alg": "RS256", "typ": "JWT", "kid": kid}),
            json!({"alg": "hs256", "typ": "JWT", "kid": kid}),
            json!({"alg": "HS256", "typ": "JWT", "kid": "00000000"}),
            json!({"alg": "HS256", "typ": "JWT", "kid": "zz"}),
            json!({"alg": "HS256", "typ": "JWT"}),
            json!({"typ": "JWT", "kid": kid}),
        ] {
            assert_eq!(verify(&keys, &forged(&keys, &header, &wire()), now()), Err(TokenFault::Invalid), "{header}");
        }
    }

    #[test]
    fn header_that_says_more_than_ours_is_refused() {
        let keys = keyring(OLD);
        let kid = hex::encode(keys.current_id());
        let ours = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
        for (name, value) in [
            ("typ", json!("at+jwt")),
            ("typ", json!("refresh+jwt")),
            ("typ", json!("")),
            ("typ", Value::Null),
            ("typ", json!(["JWT"])),
            ("crit", json!(["exp"])),
            ("crit", json!(["b64"])),
            ("crit", json!(["urn:example:unknown"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("cty", json!("JWT")),
            ("jwk", json!({"kty": "oct", "k": "AAAA"})),
            ("jku", json!("https://evil.example/keys")),
            ("x5u", json!("https://evil.example/keys")),
            ("zip", json!("DEF")),
            ("unknown", json!(1)),
        ] {
            let mut header = ours.clone();
            header[name] = value;
            assert_eq!(verify(&keys, &forged(&keys, &header, &wire()), now()), Err(TokenFault::Invalid), "{header}");
        }
        let untyped = json!({"alg": "HS256", "kid": kid});
        assert_eq!(verify(&keys, &forged(&keys, &untyped, &wire()), now()), Err(TokenFault::Invalid));
    }

    #[test]
    fn token_counts_from_its_nbf_on() {
        let keys = keyring(OLD);
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": hex::encode(keys.current_id())});
        let second = now().timestamp().as_second();
        let with = |nbf: Value| {
            let mut claims = wire();
            claims["nbf"] = nbf;
            forged(&keys, &header, &claims)
        };
        assert!(verify(&keys, &with(json!(second)), now()).is_ok());
        let early = with(json!(second + 60));
        assert_eq!(verify(&keys, &early, now()), Err(TokenFault::Invalid));
        let verifier = Verifier::new(keys.clone());
        assert_eq!(verifier.verify(&early, now()), Err(TokenFault::Invalid));
        assert!(verifier.verify(&early, now().plus_seconds(60)).is_ok(), "though it is remembered as one of ours");
        for wrong in [json!("soon"), json!(1.5e300), Value::Null, json!(i64::MAX)] {
            assert_eq!(verify(&keys, &with(wrong.clone()), now()), Err(TokenFault::Invalid), "{wrong}");
        }
    }

    #[test]
    fn every_claim_is_required_and_must_be_ours() {
        let keys = keyring(OLD);
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": hex::encode(keys.current_id())});
        for name in ["sub", "sid", "scope", "iat", "exp", "iss", "aud"] {
            for wrong in [None, Some(json!("somebody else"))] {
                let mut claims = wire();
                match wrong {
                    None => drop(claims.as_object_mut().unwrap().remove(name)),
                    Some(value) => claims[name] = value,
                }
                assert_eq!(
                    verify(&keys, &forged(&keys, &header, &claims), now()),
                    Err(TokenFault::Invalid),
                    "{claims}"
                );
            }
        }
    }

    #[test]
    fn broken_and_endless_tokens_are_invalid() {
        let keys = keyring(OLD);
        let token = issue(&keys, &claims()).unwrap();
        let unsigned = token.rsplit_once('.').unwrap().0;
        for wrong in
            ["", ".", "..", "a.b.c", unsigned, &format!("{unsigned}."), &token[..token.len() - 1], &"a".repeat(100_000)]
        {
            assert_eq!(verify(&keys, wrong, now()), Err(TokenFault::Invalid));
        }
    }

    #[test]
    fn refresh_tokens_are_random_and_known_by_their_hash() {
        let ((one, hash), (other, _)) = (new_refresh_token(), new_refresh_token());
        assert_ne!(one, other);
        assert_eq!((one.len(), hash.len()), (43, 64));
        assert_eq!(hash, hash_token(&one));
    }

    #[test]
    fn refresh_token_has_one_successor_for_each_key() {
        let (old, both, new) = (keyring(OLD), keyring(&format!("{NEW},{OLD}")), keyring(NEW));
        let (token, _) = new_refresh_token();
        let next = |keys: &Keyring| refresh_successors(keys, &token).collect::<Vec<_>>();
        assert_eq!(next(&old), next(&old));
        assert_eq!(next(&both), [next(&new), next(&old)].concat());
        let (successor, hash) = next(&old).remove(0);
        assert_eq!((successor.len(), hash), (43, hash_token(&successor)));
        assert!(successor != token && refresh_successors(&old, &successor).all(|(other, _)| other != successor));
    }

    #[test]
    fn device_token_counts_for_its_address_alone() {
        let keys = keyring(OLD);
        let token = new_device_token(&keys, "hash of ana");
        let device = read_device_token(&keys, &token, "hash of ana").unwrap();
        assert_eq!((token.len(), device.len()), (54, 32));
        assert_eq!(read_device_token(&keyring(&format!("{NEW},{OLD}")), &token, "hash of ana"), Some(device));
        assert_eq!(read_device_token(&keyring(NEW), &token, "hash of ana"), None);
        assert_eq!(read_device_token(&keys, &token, "hash of ben"), None);
        for wrong in ["", "A", &token[..53], &format!("{token}A"), &"A".repeat(54), &"A".repeat(10_000)] {
            assert_eq!(read_device_token(&keys, wrong, "hash of ana"), None);
        }
    }

    #[test]
    fn scopes_are_words_in_snake_case() {
        assert_eq!((Scope::Full.as_str(), Scope::Appeal.as_str()), ("full", "appeal"));
        assert_eq!("appeal".parse(), Ok(Scope::Appeal));
    }
}
