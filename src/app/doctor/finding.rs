//! What the doctor says.

use std::fmt;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// It could not be told.
    Skipped,
    /// Worth a look; nothing is lost by it.
    Warn,
    /// Messages can be lost, duplicated or held up.
    Fail,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check it is of: the same for ever, for scripts.
    pub check: &'static str,
    pub level: Level,
    pub subject: String,
    pub says: String,
    /// What to do about it; a finding that is ok has none.
    pub remedy: Option<String>,
}

/// The checks of what is wrong with the cluster as it is just now, and not with how it is set up.
const OF_THE_CLUSTER: [&str; 4] = ["management", "hosts", "nodes", "members"];

impl Finding {
    /// Whether it is of how the cluster is just now.
    #[must_use]
    pub fn is_of_the_cluster(&self) -> bool {
        OF_THE_CLUSTER.contains(&self.check)
    }

    pub(super) fn ok(check: &'static str, subject: impl Into<String>, says: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, subject: subject.into(), says: says.into(), remedy: None }
    }

    /// Not as it should be, or not to be told.
    pub(super) fn new(
        level: Level,
        check: &'static str,
        subject: impl Into<String>,
        says: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { check, level, subject: subject.into(), says: says.into(), remedy: Some(remedy.into()) }
    }

    /// Not to be told without the management API.
    pub(super) fn needs_management(check: &'static str, subject: &str) -> Self {
        Self::new(Level::Skipped, check, subject, "needs the management API", "set amqp.management_url")
    }
}
