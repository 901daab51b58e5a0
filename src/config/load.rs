//! Reads the sources as one and checks what they say.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::error::{ConfigError, Problem};
use super::findings::Findings;
use super::settings::Config;
use super::{check, layers, structure};
use crate::domain::provider::Provider;

/// Where a configuration comes from. Each layer wins over the ones before it.
// Not `Debug`: variables hold secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// A role's own defaults, as TOML.
    pub base: String,
    /// The file named by `--config`; without it `MILEPOST_CONFIG` names one, or there is none.
    pub file: Option<PathBuf>,
    /// Environment variables. Of one name the last wins.
    pub variables: Vec<(OsString, OsString)>,
    /// What the command line sets.
    pub flags: Vec<Flag>,
}

/// A key that the command line sets.
// Not `Debug`: its text may hold a secret.
#[derive(Clone)]
pub struct Flag {
    /// As it is typed, such as `--amqp`, for errors.
    pub name: &'static str,
    /// The key that it sets.
    pub key: &'static str,
    pub text: String,
}

impl Sources {
    #[must_use]
    pub fn from_env() -> Self {
        Self { variables: std::env::vars_os().collect(), ..Self::default() }
    }
}

/// Who uses the operator's commands, for the audit log: `MILEPOST_OPERATOR`, or the system's user.
#[must_use]
pub fn operator_name() -> String {
    let names = ["MILEPOST_OPERATOR", "SUDO_USER", "USER", "LOGNAME"];
    #[allow(clippy::disallowed_methods)] // This is the room that reads the environment.
    let name = names.into_iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    let uid =
        || std::fs::metadata("/proc/self").map_or("unknown".to_owned(), |of| format!("uid {}", of.uid()));
    name.unwrap_or_else(uid)
}

/// What [`load`] returns.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// What it can be used with and is worth saying once logs are on.
    pub warnings: Vec<Problem>,
}

/// Reads the configuration.
///
/// # Errors
/// All that does not make sense, at once: unknown keys, values of the wrong type, and values that cannot be. Only a file
/// that cannot be read, or is not TOML, is reported alone.
pub fn load(sources: &Sources, providers: &[&dyn Provider]) -> Result<Loaded, ConfigError> {
    let mut findings = Findings::default();
    let figment = layers::merge(sources, &mut findings)?;
    let sections = structure::read(&figment, &sources.flags, &mut findings);
    let config = check::check(&sections, providers, &mut findings);
    let Findings { mut problems, mut warnings, .. } = findings;
    for problem in problems.iter_mut().chain(&mut warnings) {
        problem.origin = layers::origin(&figment, &problem.key);
    }
    match config {
        Some(config) => Ok(Loaded { config, warnings }),
        None => Err(ConfigError::Invalid { problems, warnings }),
    }
}
