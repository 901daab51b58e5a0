//! What can be wrong with a configuration.

use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// One thing that is wrong, or merely worth a warning, at one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key's path, such as `worker.prefetch`.
    pub key: String,
    /// What is wrong. Never the value itself.
    pub message: String,
    /// The file, the variable or the flag that set the key, when one did.
    pub origin: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)?;
        self.origin.as_ref().map_or(Ok(()), |origin| write!(f, " (from {origin})"))
    }
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The named file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The file is not TOML.
    #[error("{file}:{line}:{column}: not TOML: {message}")]
    Syntax {
        file: String,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
        message: String,
    },
    /// Keys are unknown, or their values make no sense: one line each, and one for each warning.
    #[error("the configuration is not valid:{}{}", lines("", problems), lines("warning: ", warnings))]
    Invalid {
        problems: Vec<Problem>,
        /// What may be the reason, such as a variable with a name that is not quite one of ours.
        warnings: Vec<Problem>,
    },
}

fn lines(prefix: &str, problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |mut lines, problem| {
        let _ = write!(lines, "\n  {prefix}{problem}");
        lines
    })
}
