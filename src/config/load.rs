//! Reads the sources as one and checks what they say.

use std::ffi::OsString;
use std::path::PathBuf;

use figment::error::{Actual, Kind};

use super::error::{ConfigError, Problem};
use super::findings::Findings;
use super::sections::Sections;
use super::settings::Config;
use super::{check, layers};
use crate::domain::provider::Provider;

/// Where a configuration comes from. Each layer wins over the ones before it.
// Not `Debug`: variables hold secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// A role's own defaults, as TOML.
    pub base: String,
    /// The file named by `--config`; without it `MILEPOST_CONFIG` names one, or there is none.
    pub file: Option<PathBuf>,
    /// Environment variables. Of one name the last wins, so a flag that overrides one is appended.
    pub variables: Vec<(OsString, OsString)>,
}

impl Sources {
    /// The environment alone.
    #[must_use]
    pub fn from_env() -> Self {
        Self { variables: std::env::vars_os().collect(), ..Self::default() }
    }
}

/// What [`load`] returns.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What it can be used with and is worth saying once logs are on.
    pub warnings: Vec<Problem>,
}

/// Reads the configuration.
///
/// # Errors
/// All that does not make sense, at once. What cannot be read as TOML, or has an unknown key or a value of
/// the wrong type, is reported first and alone.
pub fn load(sources: &Sources, providers: &[&dyn Provider]) -> Result<Loaded, ConfigError> {
    let figment = layers::merge(sources)?;
    let mut findings = Findings::default();
    let config = match figment.extract::<Sections>() {
        Ok(sections) => check::check(&sections, providers, &mut findings),
        Err(error) => {
            findings.problem(&error.path.join("."), describe(&error.kind));
            None
        }
    };
    let Findings { mut problems, mut warnings } = findings;
    for problem in problems.iter_mut().chain(&mut warnings) {
        problem.origin = layers::origin(&figment, &problem.key);
    }
    config.map(|config| Loaded { config, warnings }).ok_or(ConfigError::Invalid(problems))
}

/// A type error in words, without the value.
fn describe(kind: &Kind) -> String {
    match kind {
        Kind::UnknownField(..) => "no such key".to_owned(),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("must be {}, not {}", expected_type(expected), actual_type(actual))
        }
        _ => "cannot be read".to_owned(),
    }
}

fn expected_type(expected: &str) -> &str {
    match expected {
        "u64" => "a whole number from 0",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "a table",
        "a sequence" => "a list",
        other => other,
    }
}

fn actual_type(actual: &Actual) -> &'static str {
    match actual {
        Actual::Bool(_) => "true or false",
        Actual::Signed(number) if *number < 0 => "a negative number",
        Actual::Signed(_) | Actual::Unsigned(_) => "a number",
        Actual::Float(_) => "a fraction",
        Actual::Str(_) | Actual::Char(_) => "a string",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "that",
    }
}
