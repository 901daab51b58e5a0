//! A directory of accounts: each file is one, its name the account's and each of its lines a secret. It is read again while
//! the process lives, so that merchants come and go without a restart.
//!
//! There may be thousands, so a file is read only when its metadata has changed, and then until two readings in a row say
//! the same: a write that leaves the metadata as they were, within one tick of the file system's clock, is seen by the second.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::secret_files::{Check, Unusable, read};
use crate::domain::authentication::{Authentication, Credentials};
use crate::domain::identity::Account;
use crate::domain::secret::Secret;

/// A directory with more in it is some other directory, named by mistake.
const MOST_ACCOUNTS: usize = 100_000;
/// A file with more lines is some other file.
const MOST_SECRETS: usize = 64;

/// The accounts of a directory, with the credentials in force.
#[derive(Debug, Clone)]
pub struct AccountsDir {
    directory: PathBuf,
    authentication: Authentication,
    check: Check,
    /// Accounts that have a section of their own, which counts.
    written: BTreeSet<Account>,
    files: BTreeMap<String, ReadFile>,
    in_force: BTreeMap<Account, Arc<Credentials>>,
    /// Why the directory itself could not be listed.
    unlisted: Option<String>,
    /// Whether everything in it was read once.
    complete: bool,
}

#[derive(Debug, Clone)]
struct ReadFile {
    stamp: Option<Stamp>,
    said: FileContent,
    /// Whether two readings in a row said the same.
    agreed: bool,
    /// Why it cannot be used, as of the last reading that counted.
    wrong: Option<String>,
}

/// What tells that a file is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    changed: (i64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum FileContent {
    Secrets(Vec<Secret>),
    Wrong(String),
    Gone,
}

impl FileContent {
    fn wrong(&self) -> Option<String> {
        match self {
            Self::Wrong(why) => Some(why.clone()),
            Self::Secrets(_) | Self::Gone => None,
        }
    }
}

/// What became of a directory's accounts since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Accounts that are new, or have other secrets.
    pub put: Vec<Account>,
    /// Accounts that are no more.
    pub removed: Vec<Account>,
    /// Files that cannot be used any more, or the directory: what was there before stays.
    pub unusable: Vec<Unusable>,
    /// How many files were read for it.
    pub read: usize,
}

impl AccountsDir {
    /// Reads for the first time. Without a secret, an account's webhooks are refused so that they are sent again.
    pub(super) fn read(
        directory: &Path,
        authentication: Authentication,
        check: Check,
        written: BTreeSet<Account>,
    ) -> Self {
        let mut this = Self {
            directory: directory.to_owned(),
            authentication,
            check,
            written,
            files: BTreeMap::new(),
            in_force: BTreeMap::new(),
            unlisted: None,
            complete: false,
        };
        match list(&this.directory) {
            Ok(listed) => {
                for (name, stamp) in listed {
                    let said = this.said(&name);
                    this.take(&name, &said);
                    let (stamp, wrong) = (Some(stamp), said.wrong());
                    this.files.insert(name, ReadFile { stamp, said, agreed: false, wrong });
                }
                this.complete = true;
            }
            Err(why) => this.unlisted = Some(why.to_string()),
        }
        this
    }

    /// The accounts and their credentials in force.
    #[must_use]
    pub fn accounts(&self) -> &BTreeMap<Account, Arc<Credentials>> {
        &self.in_force
    }

    /// Whether it was read. Until then, who is not known may have an account all the same.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What could not be used when it was last read.
    pub fn unusable(&self) -> impl Iterator<Item = Unusable> {
        let directory =
            self.unlisted.iter().map(|why| Unusable { path: self.directory.clone(), why: why.clone() });
        let file = |(name, entry): (&String, &ReadFile)| {
            Some(Unusable { path: self.directory.join(name), why: entry.wrong.clone()? })
        };
        directory.chain(self.files.iter().filter_map(file))
    }

    /// Looks again. What was seen twice is in force. Blocks on the file system.
    pub fn look(&mut self) -> Changes {
        let mut changes = Changes::default();
        let listed = match list(&self.directory) {
            Ok(listed) => listed,
            Err(why) => {
                let why = why.to_string();
                if self.unlisted.as_ref() != Some(&why) {
                    self.unlisted = Some(why.clone());
                    changes.unusable.push(Unusable { path: self.directory.clone(), why });
                }
                return changes;
            }
        };
        self.unlisted = None;
        let gone = self.files.keys().filter(|name| !listed.contains_key(*name)).cloned();
        let gone: Vec<_> = gone.map(|name| (name, None)).collect();
        for (name, stamp) in listed.into_iter().map(|(name, stamp)| (name, Some(stamp))).chain(gone) {
            self.look_at(name, stamp, &mut changes);
        }
        if !self.complete {
            self.complete = self.files.values().all(|entry| entry.agreed);
        }
        changes
    }

    fn look_at(&mut self, name: String, stamp: Option<Stamp>, changes: &mut Changes) {
        let before = self.files.get(&name);
        if before.is_some_and(|before| before.agreed && before.stamp == stamp) {
            return;
        }
        let said = match &stamp {
            Some(_) => {
                changes.read += 1;
                self.said(&name)
            }
            None => FileContent::Gone,
        };
        let agreed = before.is_some_and(|before| before.said == said);
        let mut wrong = before.and_then(|before| before.wrong.clone());
        if agreed {
            match self.take(&name, &said) {
                Some(Became::Put(account)) => changes.put.push(account),
                Some(Became::Removed(account)) => changes.removed.push(account),
                None => {}
            }
            let before = std::mem::replace(&mut wrong, said.wrong());
            if let Some(why) = wrong.clone().filter(|_| wrong != before) {
                changes.unusable.push(Unusable { path: self.directory.join(&name), why });
            }
        }
        if agreed && said == FileContent::Gone {
            self.files.remove(&name);
        } else {
            self.files.insert(name, ReadFile { stamp, said, agreed, wrong });
        }
    }

    /// Puts what a file said in force. One that cannot be used leaves its account as it was, without a secret at first.
    fn take(&mut self, name: &str, said: &FileContent) -> Option<Became> {
        let account: Account = name.parse().ok()?;
        let secrets = match said {
            FileContent::Gone => {
                return self.in_force.remove(&account).map(|_| Became::Removed(account));
            }
            FileContent::Wrong(_)
                if self.written.contains(&account) || self.in_force.contains_key(&account) =>
            {
                return None;
            }
            FileContent::Wrong(_) => Vec::new(),
            FileContent::Secrets(secrets) => secrets.clone(),
        };
        if self.in_force.get(&account).is_some_and(|in_force| in_force.secrets == secrets) {
            return None;
        }
        let credentials = Credentials { authentication: self.authentication.clone(), secrets };
        self.in_force.insert(account.clone(), Arc::new(credentials));
        Some(Became::Put(account))
    }

    fn said(&self, name: &str) -> FileContent {
        match self.secrets(name) {
            Ok(secrets) => FileContent::Secrets(secrets),
            Err(error) if error.kind() == io::ErrorKind::NotFound => FileContent::Gone,
            Err(error) => FileContent::Wrong(error.to_string()),
        }
    }

    fn secrets(&self, name: &str) -> io::Result<Vec<Secret>> {
        let account: Account = name.parse().map_err(io::Error::other)?;
        if self.written.contains(&account) {
            return Err(io::Error::other("the account has a section in the configuration, which counts"));
        }
        let bytes = read(&self.directory.join(name))?;
        let mut secrets = Vec::new();
        for line in bytes.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(secret) = Secret::new(line) else { continue };
            (self.check)(line).map_err(io::Error::other)?;
            secrets.push(secret);
        }
        match secrets.len() {
            0 => Err(io::Error::other("must not be empty")),
            1..=MOST_SECRETS => Ok(secrets),
            _ => Err(io::Error::other("too many lines to be secrets")),
        }
    }
}

/// What a reading did to an account.
enum Became {
    Put(Account),
    Removed(Account),
}

/// The files of a directory that are not hidden, with their stamps. Kubernetes's own, `..data` and what it points at, are.
/// None at all is a directory that is not mounted yet, or not any more.
fn list(directory: &Path) -> io::Result<BTreeMap<String, Stamp>> {
    let mut listed = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Through the link: it is what a mounted Secret's files are. One that leads nowhere is gone.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if name.starts_with('.') || metadata.is_dir() {
            continue;
        }
        listed.insert(name, Stamp::of(&metadata));
        if listed.len() > MOST_ACCOUNTS {
            return Err(io::Error::other("too many files to be accounts"));
        }
    }
    if listed.is_empty() {
        return Err(io::Error::other("no file in it"));
    }
    Ok(listed)
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
