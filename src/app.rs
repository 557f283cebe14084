//! Everything a running process holds, built once from the settings.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::Context;
use tokio::sync::Notify;

use crate::{
    auth::{
        keys::{AddressHasher, Keyring},
        passwords::Passwords,
        tokens::Verifier,
    },
    clock::Clock,
    config::Config,
    http::pages::{PageHouse, Pages},
    index::{self, RunIndex, WishIndex},
    mail::{House, RefusalLog, Templates, Transport},
    service::{addresses as address_hashes, letters::Desk},
    store::{Db, accounts, installation, migrations},
};

/// The state that every request and every worker shares.
pub struct App {
    pub config: Config,
    pub clock: Clock,
    pub db: Db,
    /// All published runs to come, once [`follow_runs`](Self::follow_runs) was called.
    pub runs: Arc<RunIndex>,
    /// All standing match requests, as far as the worker has looked.
    pub wishes: WishIndex,
    pub keyring: Arc<Keyring>,
    pub tokens: Verifier,
    pub passwords: Passwords,
    pub pages: Pages,
    pub desk: Desk,
    pub transport: Transport,
    /// Refusals of this installation by mail servers that were logged.
    pub refusals: RefusalLog,
    /// Hashes addresses that are banned; its key is fixed at first start and never rotated.
    pub addresses: AddressHasher,
    /// H3 resolution of home cells, fixed at first start.
    pub cell_resolution: u8,
    /// Rung when something was promised, so that the worker need not wait for its next look.
    pub mail_waits: Notify,
    ready: AtomicBool,
}

impl App {
    /// Opens the database, migrates it, reads what is fixed for this installation and loads the templates.
    ///
    /// # Errors
    /// With the reason and what to do about it.
    pub fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let db = Db::open(config.database.clone());
        let done = migrations::run(&db)?;
        if !done.is_empty() {
            tracing::info!(count = done.len(), newest = done.last().map(String::as_str), "database migrated");
        }
        let (resolution, address_key) = fix_installation(&db, &config)?;
        let addresses = AddressHasher::new(address_key);
        address_hashes::fill_all_missing(&db, &addresses)?;
        let keyring = Arc::new(Keyring::new(&config.secret_keys));
        check_secret(&db, &keyring, config.new_secret)?;
        let templates = Templates::new(config.templates_dir.clone())?;
        let help_url = format!("{}/v1/help", config.base_url);
        let contact = config.contact.clone().unwrap_or_else(|| config.org_name.clone());
        let pages = Pages::new(PageHouse {
            org_name: config.org_name.clone(),
            contact: contact.clone(),
            help_url: help_url.clone(),
        })?;
        let house = House {
            org_name: config.org_name.clone(),
            contact,
            safeguarding_contact: config.safeguarding_contact.clone(),
            help_url,
            base_url: config.base_url.clone(),
        };
        let smtp_url = config.smtp_url();
        let transport = Transport::from_url(smtp_url.as_deref(), config.smtp_ehlo_name.as_deref(), &config.mail_dir)?;
        Ok(Self {
            desk: Desk {
                keyring: keyring.clone(),
                templates,
                house,
                policy: config.policy.clone(),
                help: config.help.lines.clone(),
            },
            passwords: Passwords::default(),
            addresses,
            cell_resolution: resolution,
            mail_waits: Notify::new(),
            ready: AtomicBool::new(false),
            runs: Arc::new(RunIndex::new(config.policy.clone())),
            wishes: WishIndex::new(config.policy.clone()),
            config,
            clock,
            db,
            tokens: Verifier::new(keyring.clone()),
            keyring,
            pages,
            transport,
            refusals: RefusalLog::default(),
        })
    }

    /// Reads all runs to come into memory and follows what changes, on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn follow_runs(&self) -> anyhow::Result<()> {
        index::follow(&self.runs, self.db.clone(), self.clock.clone()).context("a thread for the run index")
    }

    /// Whether requests are really served now.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && self.runs.is_ready()
    }

    /// Says that requests are served from now on, or no more.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }
}

fn fix_installation(db: &Db, config: &Config) -> anyhow::Result<(u8, [u8; 32])> {
    let wanted = config.policy.cell_resolution.to_string();
    let fresh_key = hex::encode(crate::id::random_bytes::<32>());
    let (resolution, key) = db.write_here(|tx| {
        Ok((installation::fix(tx, "cell_resolution", &wanted)?, installation::fix(tx, "address_key", &fresh_key)?))
    })?;
    if resolution != wanted {
        tracing::warn!(fixed = %resolution, %wanted, "the resolution of home cells is fixed at first start; the setting is not used");
    }
    let key = hex::decode(key)?.try_into().ok().context("the stored address key has a wrong length")?;
    Ok((resolution.parse().context("the stored cell resolution is not a number")?, key))
}

/// The fingerprints of the secrets that were used with this database, with commas between them; the one that signed at the
/// last start first.
const SECRETS: &str = "secret_fingerprints";
/// Fingerprints that are kept: more rotations than anybody has under way.
const SECRETS_LIMIT: usize = 20;

/// Refuses a secret with which nothing was signed here before, where there are people whose sessions and links would end
/// without a word. A rotation lists the old secret after the new one, so one of both is known; several processes may be
/// started one after the other meanwhile.
fn check_secret(db: &Db, keyring: &Keyring, new_secret: bool) -> anyhow::Result<()> {
    let ours = keyring.fingerprints();
    let known = db.write_here(|tx| {
        let known: Vec<String> =
            installation::find(tx, SECRETS)?.map_or_else(Vec::new, |all| all.split(',').map(str::to_owned).collect());
        let is_known = known.is_empty() || ours.iter().any(|print| known.contains(print));
        if !is_known && !new_secret && accounts::count(tx)? > 0 {
            return Ok(None);
        }
        let mut kept = ours.clone();
        if is_known {
            kept.extend(known.iter().filter(|print| !ours.contains(print)).cloned());
        }
        kept.truncate(SECRETS_LIMIT);
        if kept != known {
            installation::put(tx, SECRETS, &kept.join(","))?;
        }
        Ok(Some((known, is_known)))
    })?;
    let Some((known, is_known)) = known else {
        anyhow::bail!(
            "SECRET_KEY (or secret.key in the data folder) is another one than this database was used with: all log-ins and \
             links in mails would end. Put the old one back, or list it after the new one (SECRET_KEY=new,old), or go on \
             with `sidebyside serve --new-secret`"
        );
    };
    match (is_known, new_secret) {
        (false, _) => tracing::warn!("SECRET_KEY is a new one: log-ins and links in mails from before have ended"),
        (true, true) if !known.is_empty() => {
            tracing::info!("--new-secret is not needed: the database knows this secret");
        }
        _ if known.first().is_some_and(|signed_last| !ours.contains(signed_last)) => tracing::warn!(
            "the secret that signed at the last start is not in SECRET_KEY: what it signed no longer works"
        ),
        _ => {}
    }
    Ok(())
}
