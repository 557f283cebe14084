//! Passwords: argon2id with 19 MiB, two passes, one lane (OWASP's first choice), in a bounded pool of their own.
//!
//! A flood of log-ins waits here, and beyond a bound is turned away, while everything else goes on. An unknown address
//! takes the same time as a known one. Passwords are hashed and checked in one Unicode form ([`normalise`]); hashes that
//! an older release made of what was typed go on working.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{Error as HashError, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, oneshot};
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// Memory of one hash in KiB: 19 MiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
/// Most hashes at a time where nothing else is asked for: more would take the memory of a small server.
const MOST_PERMITS: usize = 4;
/// How many may wait for their turn; with 50 ms a hash and two at a time the last waits some seconds.
const WAITING: usize = 256;
/// A hash with the same cost as all others that no password is known for: what an unknown address is checked against.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGtub3dzIGl0IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password in the form in which it is measured, hashed and checked: NFKC, as NIST SP 800-63B-4 (3.1.1.2) asks, and
/// every space character as a plain space, as the OpaqueString profile of RFC 8265 has it. So a password is the same
/// from a keyboard that composes "ü" and from one that does not.
pub fn normalise(password: &str) -> String {
    // All of Unicode's category Zs.
    let is_space =
        |c: char| matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}');
    password.chars().map(|c| if is_space(c) { ' ' } else { c }).nfkc().collect()
}

/// Whether a password belongs to a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It does not.
    Wrong,
    /// It does, in the form of [`normalise`].
    Right,
    /// Only as it was typed: the hash is an older release's and should be made anew.
    RightAsTyped,
}

impl Fit {
    /// Whether it belongs to the hash in either form.
    pub fn is_right(self) -> bool {
        self != Self::Wrong
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The bounded pool: threads of its own, since on the many threads of a shared pool the allocator would keep 19 MiB for
/// each that ever hashed. Clones share it.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// Those who hash and those who wait.
    inside: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
}

impl Default for Passwords {
    /// As many at a time as there are cores, at most four.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_PERMITS)))
    }
}

impl Passwords {
    /// A pool that hashes `permits` passwords at a time (at least one).
    pub fn new(permits: usize) -> Self {
        let permits = permits.max(1);
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..permits {
            let queue = queue.clone();
            std::thread::spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = next else { return };
                    // A job that panics drops its answer's sender, which its caller sees; the thread goes on.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            });
        }
        Self { inside: Arc::new(Semaphore::new(permits + WAITING)), jobs }
    }

    /// Hashes a password with a new salt, into a PHC string.
    ///
    /// # Errors
    /// `Unavailable` when too many wait already.
    pub async fn hash(&self, password: SecretString) -> Result<String> {
        self.run(move || hash_here(&password)).await
    }

    /// Whether the password belongs to the hash. Without a hash (nobody has that address) it does not, after the same
    /// time.
    ///
    /// # Errors
    /// `Unavailable` when too many wait already, `Internal` when the hash is not one.
    pub async fn verify(&self, password: SecretString, phc: Option<String>) -> Result<Fit> {
        self.run(move || {
            let fit = verify_here(&password, phc.as_deref().unwrap_or(NOBODY))?;
            Ok(if phc.is_some() { fit } else { Fit::Wrong })
        })
        .await
    }

    /// The permit goes with the job: a caller who hangs up frees nothing before the work is done.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let permit = Arc::clone(&self.inside).try_acquire_owned().map_err(|_| too_busy())?;
        let (answer, answered) = oneshot::channel();
        let job = move || {
            let done = work();
            drop(permit);
            // Nobody listens any more when the caller hung up.
            let _ = answer.send(done);
        };
        self.jobs.send(Box::new(job)).map_err(|_| too_busy())?;
        answered.await.unwrap_or_else(|_| Err(Error::Internal(anyhow::anyhow!("password work panicked"))))
    }
}

fn too_busy() -> Error {
    Error::Unavailable("too many log-ins at once")
}

/// Hashes a password on this thread, for the command line; servers go through [`Passwords`].
///
/// # Errors
/// Only when hashing itself fails.
pub fn hash_here(password: &SecretString) -> Result<String> {
    let salt = crate::id::random_bytes::<16>();
    let password = normalised(password);
    let hash: PasswordHash =
        argon2()?.hash_password_with_salt(password.expose_secret().as_bytes(), &salt).map_err(internal)?;
    Ok(hash.to_string())
}

/// Whether a hash was made with another cost than today's, so that the next log-in should make a new one.
pub fn needs_rehash(phc: &str) -> bool {
    let Ok(hash) = PasswordHash::new(phc) else { return true };
    let today = hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(Version::V0x13.into());
    let same_cost = Params::try_from(&hash)
        .is_ok_and(|params| (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES));
    !(today && same_cost)
}

fn normalised(password: &SecretString) -> SecretString {
    SecretString::from(normalise(password.expose_secret()))
}

/// A password that normalising changes is looked at in both forms. How often it is hashed depends on what was typed alone,
/// and never on whether there is an account or which form its hash is of.
fn verify_here(password: &SecretString, phc: &str) -> Result<Fit> {
    let normalised = normalised(password);
    let right = fits(&normalised, phc)?;
    let as_typed = normalised.expose_secret() != password.expose_secret() && fits(password, phc)?;
    Ok(match (right, as_typed) {
        (true, _) => Fit::Right,
        (false, true) => Fit::RightAsTyped,
        (false, false) => Fit::Wrong,
    })
}

/// The cost is the one that the hash names, not today's.
fn fits(password: &SecretString, phc: &str) -> Result<bool> {
    match argon2()?.verify_password(password.expose_secret().as_bytes(), phc) {
        Ok(()) => Ok(true),
        Err(HashError::PasswordInvalid) => Ok(false),
        Err(fault) => Err(internal(fault)),
    }
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|fault| Error::Internal(anyhow::anyhow!("argon2 parameters: {fault}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn internal(fault: HashError) -> Error {
    Error::Internal(anyhow::anyhow!("password hash: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let pool = Passwords::new(2);
        let hash = pool.hash(secret("a long walk in the rain")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(pool.verify(secret("a long walk in the rain"), Some(hash.clone())).await.unwrap(), Fit::Right);
        assert_eq!(pool.verify(secret("a long walk in the sun"), Some(hash.clone())).await.unwrap(), Fit::Wrong);
        assert_ne!(hash, hash_here(&secret("a long walk in the rain")).unwrap());
        assert!(!needs_rehash(&hash));
    }

    #[tokio::test]
    async fn nobody_is_checked_at_the_same_cost_and_never_fits() {
        assert!(!needs_rehash(NOBODY));
        assert_eq!(verify_here(&secret("whatever it may be"), NOBODY).unwrap(), Fit::Wrong);
        assert_eq!(Passwords::new(1).verify(secret("whatever it may be"), None).await.unwrap(), Fit::Wrong);
    }

    #[test]
    fn password_is_same_however_keyboard_composes_it() {
        for (one, other) in [
            ("gr\u{fc}ne Wiese am Fluss", "gru\u{308}ne Wiese am Fluss"),
            ("wide meadow lantern", "wide\u{a0}meadow\u{2003}lantern"),
            ("wide meadow lantern", "wide\u{3000}meadow\u{1680}lantern"),
            ("wide meadow lantern", "\u{ff57}ide meadow lantern"),
            ("\u{1e9b}\u{323} and the rest of it", "\u{1e69} and the rest of it"),
            ("\u{ac00} and the rest of it", "\u{1100}\u{1161} and the rest of it"),
            ("file of all the days", "\u{fb01}le of all the days"),
            ("\u{212b}ngstr\u{f6}m on the wall", "A\u{30a}ngstro\u{308}m on the wall"),
        ] {
            assert_eq!(normalise(one), normalise(other), "{one}");
            assert_eq!(normalise(&normalise(one)), normalise(one));
            let hash = hash_here(&secret(other)).unwrap();
            assert_eq!(verify_here(&secret(one), &hash).unwrap(), Fit::Right, "{one}");
        }
        for (one, other) in
            [("Wide meadow", "wide meadow"), ("wide meadow", "wide  meadow"), ("wide meadow", " wide meadow")]
        {
            assert_ne!(normalise(one), normalise(other), "{one}");
        }
    }

    #[test]
    fn hash_of_what_was_typed_goes_on_working() {
        let typed = secret("gru\u{308}ne Wiese\u{a0}am Fluss");
        let salt = crate::id::random_bytes::<16>();
        let older: PasswordHash =
            argon2().unwrap().hash_password_with_salt(typed.expose_secret().as_bytes(), &salt).unwrap();
        assert_eq!(verify_here(&typed, &older.to_string()).unwrap(), Fit::RightAsTyped);
        assert_eq!(verify_here(&secret("gr\u{fc}ne Wiese am Fluss"), &older.to_string()).unwrap(), Fit::Wrong);
    }

    #[tokio::test]
    async fn a_broken_hash_is_our_fault_and_not_a_wrong_password() {
        let answer = Passwords::new(1).verify(secret("whatever it may be"), Some("plain text".to_owned())).await;
        assert!(matches!(answer, Err(Error::Internal(_))), "{answer:?}");
    }

    #[test]
    fn hashes_of_another_cost_or_kind_are_made_anew() {
        assert!(needs_rehash(
            "$argon2id$v=19$m=4096,t=2,p=1$bm9ib2R5IGtub3dzIGl0IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        ));
        assert!(needs_rehash(
            "$argon2i$v=19$m=19456,t=2,p=1$bm9ib2R5IGtub3dzIGl0IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        ));
        assert!(needs_rehash("plain text"));
    }

    #[tokio::test]
    async fn a_flood_is_turned_away_and_the_pool_recovers() {
        let pool = Passwords::new(1);
        // The first holds the only place until the rest have come.
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let mut gate = Some(gate);
        let mut work = |_| {
            let (pool, gate) = (pool.clone(), gate.take());
            tokio::spawn(async move {
                pool.run(move || {
                    if let Some(gate) = gate {
                        let _ = gate.recv();
                    }
                    Ok(())
                })
                .await
            })
        };
        let flood: Vec<_> = (0..WAITING + 20).map(&mut work).collect();
        while !flood.iter().any(tokio::task::JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        drop(open);
        let (mut served, mut turned_away) = (0, 0);
        for one in flood {
            match one.await.unwrap() {
                Ok(()) => served += 1,
                Err(Error::Unavailable(_)) => turned_away += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(served > WAITING && turned_away > 0, "{served} served, {turned_away} turned away");
        assert!(pool.run(|| Ok(())).await.is_ok());
    }

    #[tokio::test]
    async fn a_caller_who_hangs_up_frees_nothing_before_the_work_is_done() {
        let pool = Passwords::new(1);
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let first = {
            let pool = pool.clone();
            tokio::spawn(async move {
                pool.run(move || {
                    let _ = told.recv();
                    Ok(())
                })
                .await
            })
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), async {
            while pool.inside.available_permits() > WAITING {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        first.abort();
        assert!(first.await.is_err());
        assert_eq!(pool.inside.available_permits(), WAITING);
        tell.send(()).unwrap();
        assert!(pool.run(|| Ok(())).await.is_ok());
    }
}
