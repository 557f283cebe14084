//! The operator's commands.

use std::io::Read;

use anyhow::{Context, Result, bail};
use secrecy::SecretString;

use crate::{
    app::App,
    auth::passwords,
    config::Config,
    domain::{
        outbox::{OutboxStatus, Setback},
        refusal::Fault,
    },
    error::Error,
    id::Id,
    service::{
        accounts::{self, NewAdmin},
        addresses,
    },
    store::{Db, migrations, outbox, outbox::Parcel},
};

/// `migrate`
pub fn migrate(config: &Config) -> Result<bool> {
    let done = migrations::run(&Db::open(config.database.clone()))?;
    if done.is_empty() {
        println!("The database is up to date.");
    }
    for name in done {
        println!("migrated {name}");
    }
    Ok(true)
}

/// `create-admin`
pub fn create_admin(app: &App, email: &str, display_name: &str) -> Result<bool> {
    let password = read_password(std::io::stdin().lock())?;
    let weak = accounts::new_password_faults(&password, email, display_name, "/password");
    if !weak.0.is_empty() {
        return Ok(tell(&weak.0));
    }
    let admin = NewAdmin {
        email: email.to_owned(),
        display_name: display_name.to_owned(),
        password_hash: passwords::hash_here(&SecretString::from(password))?,
        terms_version: app.config.policy.terms_version.clone(),
        address_hashes: addresses::hashes(&app.addresses, email),
    };
    let now = app.clock.now();
    match app.db.write_here(|tx| accounts::make_admin(tx, &admin, now)) {
        Ok((account, true)) => println!("{} can log in and grant roles.", account.email),
        Ok((account, false)) => println!("{} is an admin already; nothing was changed.", account.email),
        Err(Error::Invalid(faults)) => return Ok(tell(&faults)),
        Err(Error::Refused(refusal)) => bail!("{}", refusal.detail.as_deref().unwrap_or(refusal.code.words())),
        Err(other) => return Err(other.into()),
    }
    Ok(true)
}

/// The first bytes of standard input that can be a password; more is none.
const PASSWORD_BYTES_MAX: u64 = 16 * 1024;

/// The password as it was meant: without the line ends that shells and editors add, and the mark with which some begin a
/// text.
fn read_password(input: impl Read) -> Result<String> {
    let mut password = String::new();
    input.take(PASSWORD_BYTES_MAX).read_to_string(&mut password).context("reading the password from standard input")?;
    Ok(password.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']).to_owned())
}

/// Prints every fault; the command did not work.
fn tell(faults: &[Fault]) -> bool {
    for fault in faults {
        println!("{}: {}", fault.pointer.trim_start_matches('/'), fault.detail);
    }
    false
}

/// `outbox list`
pub fn outbox_list(app: &App) -> Result<bool> {
    let open = [OutboxStatus::Queued, OutboxStatus::Dead];
    let parcels = app.db.read_here(|conn| outbox::list(conn, &open, 1000))?;
    println!("{} mail(s) wait or are dead", parcels.len());
    let refused = parcels.iter().filter(|parcel| parcel.setback == Some(Setback::RefusedUs)).count();
    if refused > 0 {
        println!("{refused} of them because the mail server refuses this installation; `outbox retry` tries them now:");
    }
    for parcel in parcels {
        println!("{}", outbox_line(&parcel));
    }
    Ok(true)
}

/// One mail on one line: its id, what became of it, why, and when it is tried next.
fn outbox_line(parcel: &Parcel) -> String {
    let next = match parcel.status {
        OutboxStatus::Queued => format!(" next={}", parcel.not_before),
        _ => String::new(),
    };
    let setback = parcel.setback.map(|setback| format!(" {setback}")).unwrap_or_default();
    let reason = parcel.last_error.as_deref().unwrap_or_default();
    format!("{} {}{setback} {} tries={}{next} {reason}", parcel.id, parcel.status, parcel.kind, parcel.attempts)
}

/// `outbox retry`
pub fn outbox_retry(app: &App, id: Option<Id>) -> Result<bool> {
    let now = app.clock.now();
    let count = app.db.write_here(|tx| outbox::retry(tx, id, now))?;
    println!("{count} mail(s) will be tried again");
    Ok(id.is_none() || count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_from_shell_has_no_line_end_or_mark() {
        for typed in ["wide meadow", "wide meadow\n", "wide meadow\r\n", "\u{feff}wide meadow\r\n", "wide meadow\n\n"] {
            assert_eq!(read_password(typed.as_bytes()).unwrap(), "wide meadow", "{typed:?}");
        }
        assert_eq!(read_password(" wide\nmeadow \n".as_bytes()).unwrap(), " wide\nmeadow ", "what is inside stays");
        assert!(read_password(&b"w\xffde"[..]).is_err());
    }
}
