//! Parked messages as JSON lines in a file, whole and exact.
//!
//! A file holds the webhooks as they were sent, personal data included: only its owner may read it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::adapters::rabbit::parked::{ParkedMessage, Record};

pub struct Writer {
    path: Option<PathBuf>,
    file: Option<BufWriter<File>>,
}

impl Writer {
    /// Into a file that is not there yet. It is made for the first record.
    #[must_use]
    pub const fn into(path: PathBuf) -> Self {
        Self { path: Some(path), file: None }
    }

    #[must_use]
    pub const fn stdout() -> Self {
        Self { path: None, file: None }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, message: &ParkedMessage) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(&Record::from(message))?;
        line.push(b'\n');
        let Some(path) = &self.path else { return Ok(io::stdout().write_all(&line)?) };
        let file = match self.file.take() {
            Some(file) => file,
            None => BufWriter::new(create(path)?),
        };
        Ok(self.file.insert(file).write_all(&line)?)
    }

    /// Until it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sync(&mut self) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            file.flush()?;
            file.get_ref().sync_all()?;
        }
        Ok(())
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot create {}", path.display()))
}
