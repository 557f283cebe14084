//! The master secrets: from `SECRET_KEY`, or from a file that is made at the first start on SQLite.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{NEW_SECRET, Reader};
use crate::store::{accounts, db::Target};

/// The shortest secret, in characters.
const SHORTEST: usize = 32;

/// One or more master secrets. The first one signs; the others still verify, until nothing they signed counts any more.
#[derive(Clone, Debug)]
pub struct SecretKeys {
    current: SecretString,
    older: Vec<SecretString>,
}

impl SecretKeys {
    /// Reads secrets with commas between them.
    ///
    /// # Errors
    /// Words that do not hold the secrets.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut secrets = Vec::new();
        for (position, secret) in text.split(',').map(str::trim).enumerate() {
            if secret.chars().count() < SHORTEST {
                let which =
                    if text.contains(',') { format!("secret {} has", position + 1) } else { "it has".to_owned() };
                return Err(format!(
                    "{which} fewer than {SHORTEST} characters; `openssl rand -hex 32` makes a good one"
                ));
            }
            secrets.push(SecretString::from(secret));
        }
        let current = secrets.remove(0);
        Ok(Self { current, older: secrets })
    }

    /// The one that signs.
    pub fn current(&self) -> &SecretString {
        &self.current
    }

    /// Those that only verify.
    pub fn older(&self) -> &[SecretString] {
        &self.older
    }

    /// Stands in where there is a fault, so that the other settings can be read to the end; it never leaves the module
    /// above, which then gives the faults and no settings.
    fn none() -> Self {
        Self { current: SecretString::from(""), older: Vec::new() }
    }
}

/// The secrets of `SECRET_KEY`, or on SQLite those of `data_dir/secret.key`, which is made only if nothing is wrong yet.
/// Beside a database that has people, one that is missing was lost, and a new one is made only where that is asked for.
pub(super) fn find(reader: &mut Reader<'_>, data_dir: &Path, database: &Target, notes: &mut Vec<String>) -> SecretKeys {
    if reader.text("SECRET_KEY").is_some() {
        return reader.read("SECRET_KEY", SecretKeys::parse).unwrap_or_else(SecretKeys::none);
    }
    // By its scheme, so that this is told even when something else is wrong with the URL.
    if reader.text("DATABASE_URL").is_some_and(|url| url.starts_with("postgres")) {
        reader.fault(
            "SECRET_KEY",
            format!("required with PostgreSQL: {SHORTEST} characters or more, the same for every process; `openssl rand -hex 32` makes one"),
        );
        return SecretKeys::none();
    }
    let path = data_dir.join("secret.key");
    if !path.exists() {
        if !reader.faults.is_empty() {
            return SecretKeys::none();
        }
        if !reader.values.contains_key(NEW_SECRET)
            && let Err(problem) = nobody_needs_the_old_one(database, &path)
        {
            reader.fault("SECRET_KEY", problem);
            return SecretKeys::none();
        }
    }
    from_file(&path, notes).unwrap_or_else(|problem| {
        reader.fault("SECRET_KEY", format!("{}: {problem}", path.display()));
        SecretKeys::none()
    })
}

/// Whether a secret may be made because there is nothing yet that hangs on an older one.
fn nobody_needs_the_old_one(database: &Target, path: &Path) -> Result<(), String> {
    match accounts::has_any(database) {
        Ok(false) => Ok(()),
        Ok(true) => Err(format!(
            "{} is missing, and the database has people, whose log-ins and links in mails hang on it: put it back from a \
             backup. If it is lost, `sidebyside serve --new-secret` makes a new one: everybody has to log in again, and \
             links in mails that were sent no longer work",
            path.display()
        )),
        Err(fault) => {
            Err(format!("{} is missing, and the database cannot be asked for people: {fault}", path.display()))
        }
    }
}

fn from_file(path: &Path, notes: &mut Vec<String>) -> Result<SecretKeys, String> {
    let text = match fs::read_to_string(path) {
        Err(fault) if fault.kind() == ErrorKind::NotFound => {
            if make(path).map_err(|fault| format!("it cannot be made: {fault}"))? {
                notes.push(format!("made {}: keep a copy, all log-ins and links in mails hang on it", path.display()));
            }
            fs::read_to_string(path)
        }
        read => read,
    };
    let text = Zeroizing::new(text.map_err(|fault| format!("it cannot be read: {fault}"))?);
    let mode = fs::metadata(path).map_or(0, |about| about.permissions().mode());
    if mode & 0o077 != 0 {
        notes.push(format!("{} can be read by others: chmod 600 {0}", path.display()));
    }
    SecretKeys::parse(text.trim())
}

/// Makes a secret file and says whether it was us: of several processes that start at once the first one makes it and
/// the rest read it, whole. It is written under another name first, so that nobody reads half of it, not even after a
/// crash.
fn make(path: &Path) -> std::io::Result<bool> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let draft = path.with_extension(format!("key.{}", hex::encode(crate::id::random_bytes::<8>())));
    let secret = Zeroizing::new(hex::encode(crate::id::random_bytes::<32>()));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        file.write_all(secret.as_bytes())?;
        file.sync_all()?;
        fs::hard_link(&draft, path)
    });
    let removed = fs::remove_file(&draft);
    match made {
        Err(fault) if fault.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(fault) => Err(fault),
        Ok(()) => removed.and_then(|()| File::open(folder)?.sync_all()).map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn secrets_are_parted_by_commas_and_the_first_one_signs() {
        let (one, two) = ("1".repeat(32), "2".repeat(40));
        let keys = SecretKeys::parse(&format!(" {one} , {two} ")).unwrap();
        assert_eq!(keys.current().expose_secret(), one);
        assert_eq!(keys.older().iter().map(|key| key.expose_secret().to_owned()).collect::<Vec<_>>(), [two]);
        assert!(!format!("{keys:?}").contains("11"));
    }

    #[test]
    fn short_and_missing_secrets_are_refused_without_being_shown() {
        let long = "1".repeat(32);
        for wrong in ["", "hunter2", &format!("{long},"), &format!("{long},hunter2"), &"1".repeat(31)] {
            let problem = SecretKeys::parse(wrong).unwrap_err();
            assert!(problem.contains("fewer than 32") && !problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn the_first_start_makes_a_file_that_nobody_else_reads_and_the_next_one_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/secret.key");
        let mut notes = Vec::new();
        let first = from_file(&path, &mut notes).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(first.current().expose_secret().len(), 64);
        assert_eq!(notes.len(), 1);
        assert_eq!(from_file(&path, &mut notes).unwrap().current().expose_secret(), first.current().expose_secret());
        assert_eq!((notes.len(), fs::read_dir(path.parent().unwrap()).unwrap().count()), (1, 1));
    }

    #[test]
    fn of_many_that_start_at_once_all_have_the_same_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.key");
        let start = || from_file(&path, &mut Vec::new()).unwrap().current().expose_secret().to_owned();
        let all: std::collections::HashSet<String> = std::thread::scope(|scope| {
            let starters: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
            starters.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_is_noted_and_a_short_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.key");
        fs::write(&path, format!("{}\n", "1".repeat(64))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut notes = Vec::new();
        assert_eq!(from_file(&path, &mut notes).unwrap().current().expose_secret().len(), 64);
        assert!(notes[0].contains("chmod 600"), "{notes:?}");
        fs::write(&path, "").unwrap();
        assert!(from_file(&path, &mut notes).is_err());
    }
}
