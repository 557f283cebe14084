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
    store::{Db, installation, migrations},
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
