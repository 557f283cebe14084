//! People for tests and benches, where nothing about them matters but that they are there.

use sidebyside::{clock::Instant, domain::account::AccountStatus, id::Id, store::accounts::Account};

/// A verified adult without a password.
pub fn account(name: &str, email: &str, now: Instant) -> Account {
    Account {
        id: Id::random(),
        email: email.to_owned(),
        password_hash: None,
        display_name: name.to_owned(),
        status: AccountStatus::Active,
        terms_version: Some("1".to_owned()),
        terms_accepted_at: Some(now),
        locale: "en".to_owned(),
        time_zone: None,
        external_id: None,
        reminders: true,
        created_at: now,
        updated_at: now,
        verified_at: Some(now),
    }
}
