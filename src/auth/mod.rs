//! Passwords, tokens and the keys behind them. Nothing here knows an account's state or talks to the database.
//!
//! All keys come from `SECRET_KEY` by [`keys::Keyring`], one for each purpose, except the key that hashes banned and
//! blocked addresses, which is never rotated and so is handed in from outside.

pub mod keys;
pub mod passwords;
pub mod tokens;

pub use keys::{AddressHasher, CursorFault, KeyId, Keyring, Purpose, fingerprint};
pub use passwords::Passwords;
pub use tokens::{Claims, Scope, TokenFault};
