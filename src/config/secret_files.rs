//! Secrets mounted as files, read again while the process lives.
//!
//! Kubernetes mounts a Secret as a directory with a file for each key, and swaps all of them at once through the link
//! `..data`. We read file by file, so a reading may be half of before and half of after, and a file that somebody writes
//! in place may be half written: a change is taken only when two readings in a row say the same.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::domain::secret::Secret;

/// A larger secret file is some other file, named by mistake.
const LARGEST_SECRET: u64 = 64 * 1024;
/// A directory with more in it is some other directory, named by mistake.
const MOST_SECRETS: usize = 64;

/// Whether bytes will do as a secret; the words never quote them.
pub(super) type Check = fn(&[u8]) -> Result<(), &'static str>;

/// What one file said: its secret, or why there is none.
type FileSecret = (PathBuf, Result<Secret, NoSecret>);

/// Why a file gives no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NoSecret {
    why: String,
    /// Whether there is no such file.
    gone: bool,
}

/// Files of one secret each, and directories of such files, with the secrets in force.
#[derive(Debug, Clone)]
pub struct SecretFiles {
    files: Vec<PathBuf>,
    directory: Option<PathBuf>,
    check: Check,
    in_force: Vec<(PathBuf, Secret)>,
    /// The reading that is in force.
    taken: Vec<FileSecret>,
    seen: Vec<FileSecret>,
}

/// A file that gave no secret, and why. It never quotes the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The file, or the directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl SecretFiles {
    /// Reads for the first time.
    pub(super) fn read(files: &[impl AsRef<Path>], directory: Option<&Path>, check: Check) -> Self {
        let files = files.iter().map(|file| file.as_ref().to_owned()).collect();
        let directory = directory.map(Path::to_owned);
        let (in_force, taken, seen) = (Vec::new(), Vec::new(), Vec::new());
        let mut this = Self { files, directory, check, in_force, taken, seen };
        this.seen = this.reading();
        this.take();
        this
    }

    /// Whether there is anything to read again.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directory.is_none()
    }

    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.in_force.iter().map(|(_, secret)| secret)
    }

    /// What could not be used when it was last read.
    #[must_use]
    pub fn unusable(&self) -> Vec<Unusable> {
        let why = |(path, said): &FileSecret| {
            Some(Unusable { path: path.clone(), why: said.as_ref().err()?.why.clone() })
        };
        self.taken.iter().filter_map(why).collect()
    }

    /// Whether a file was deleted on purpose: another one in its directory can be used, so that the directory is as it
    /// should be.
    fn is_taken_back(&self, said: &FileSecret) -> bool {
        let beside = |(path, other): &FileSecret| other.is_ok() && path.parent() == said.0.parent();
        said.1.as_ref().is_err_and(|no_secret| no_secret.gone) && self.seen.iter().any(beside)
    }

    /// Reads again. Once a change has been seen twice it is in force, and what could not be used of it is returned: for
    /// that, the secrets of before stay. Blocks on the file system.
    pub fn look(&mut self) -> Option<Vec<Unusable>> {
        let now = self.reading();
        let settled = now == self.seen;
        self.seen = now;
        if !settled || self.seen == self.taken {
            return None;
        }
        self.take();
        let wrong = |said: &&FileSecret| !self.is_taken_back(said);
        let why = |(path, said): &FileSecret| {
            Some(Unusable { path: path.clone(), why: said.as_ref().err()?.why.clone() })
        };
        Some(self.taken.iter().filter(wrong).filter_map(why).collect())
    }

    /// Puts what was seen in force. A file that is gone while another one in its directory can be used is a secret that was
    /// taken back, but while anything is wrong nothing is: the secret that works may be the one that is gone.
    fn take(&mut self) {
        let good = |(path, said): &FileSecret| Some((path.clone(), said.as_ref().ok()?.clone()));
        let mut in_force: Vec<_> = self.seen.iter().filter_map(good).collect();
        if self.seen.iter().any(|said| said.1.is_err() && !self.is_taken_back(said)) {
            let read = in_force.len();
            for kept in self.in_force.drain(..) {
                if in_force[..read].iter().all(|(path, _)| *path != kept.0) {
                    in_force.push(kept);
                }
            }
        }
        self.in_force = in_force;
        self.taken.clone_from(&self.seen);
    }

    fn reading(&self) -> Vec<FileSecret> {
        let said = |path: PathBuf| {
            let secret = self.secret(&path);
            (path, secret)
        };
        let mut reading: Vec<_> = self.files.iter().cloned().map(said).collect();
        if let Some(directory) = &self.directory {
            match list(directory) {
                Ok(paths) => reading.extend(paths.into_iter().map(said)),
                Err(error) => reading.push((directory.clone(), Err(no_secret(error)))),
            }
        }
        reading
    }

    fn secret(&self, path: &Path) -> Result<Secret, NoSecret> {
        let bytes = read(path).map_err(|error| NoSecret {
            gone: error.kind() == io::ErrorKind::NotFound,
            why: error.to_string(),
        })?;
        (self.check)(&bytes).map_err(no_secret)?;
        Secret::new(&bytes).ok_or_else(|| no_secret("must not be empty"))
    }
}

fn no_secret(why: impl Display) -> NoSecret {
    NoSecret { why: why.to_string(), gone: false }
}

/// The files of a directory, in the order of their names. Kubernetes's own, `..data` and what it points at, begin with
/// two dots.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b"..") || path.is_dir() {
            continue;
        }
        paths.push(path);
        if paths.len() > MOST_SECRETS {
            return Err(io::Error::other("too many files to be secrets"));
        }
    }
    if paths.is_empty() {
        return Err(io::Error::other("no file in it"));
    }
    paths.sort();
    Ok(paths)
}

/// A secret file's bytes, without the newline that editors and `echo` put at the end.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_SECRET + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_SECRET {
        return Err(io::Error::other("too large to be a secret"));
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    Ok(bytes)
}
