//! Layers the sources and reads them as one.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use figment::error::{Actual, Kind};
use figment::providers::{Format as _, Toml};
use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider as Source};

use super::check;
use super::error::{ConfigError, Problem};
use super::findings::Findings;
use super::sections::Sections;
use super::settings::Config;
use crate::domain::provider::Provider;

/// Names the file, unless `--config` does.
const FILE_VARIABLE: &str = "MILEPOST_CONFIG";
/// The variables with a name of their own. Their text is taken as it is.
const SHORT_VARIABLES: [(&str, &str); 4] = [
    ("MILEPOST_AMQP_URL", "amqp.url"),
    ("MILEPOST_REDIS_URL", "redis.url"),
    ("MILEPOST_HTTP_ADDR", "http.addr"),
    ("MILEPOST_ADMIN_ADDR", "admin.addr"),
];
/// `MILEPOST__SECTION__KEY` sets any other key. Kubernetes injects `MILEPOST_…_PORT` and the like for services, with
/// one underscore; those are none of ours.
const GENERAL_PREFIX: &str = "MILEPOST__";

/// Where a configuration comes from. Each layer wins over the ones before it.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A role's own defaults, as TOML.
    pub base: &'static str,
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
/// All that does not make sense, at once. What cannot be read as TOML, or has an unknown key or a value of the wrong
/// type, is reported first and alone.
pub fn load(sources: &Sources, providers: &[&dyn Provider]) -> Result<Loaded, ConfigError> {
    let figment = layers(sources)?;
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
        problem.origin = origin(&figment, &problem.key);
    }
    config.map(|config| Loaded { config, warnings }).ok_or(ConfigError::Invalid(problems))
}

/// The layer that set a key. An element of a list came with its list.
fn origin(figment: &Figment, key: &str) -> Option<String> {
    let list = key.trim_end_matches(|c: char| c == '.' || c.is_ascii_digit());
    let layer = figment.find_metadata(key).or_else(|| figment.find_metadata(list))?;
    Some(layer.name.to_string())
}

fn layers(sources: &Sources) -> Result<Figment, ConfigError> {
    let mut figment = Figment::from(toml("built in", sources.base)?);
    let variables = variables(sources)?;
    let named = || variables.iter().rev().find(|(name, _)| *name == FILE_VARIABLE);
    let file = sources.file.clone().or_else(|| named().map(|(_, path)| PathBuf::from(path)));
    if let Some(path) = file {
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable { path, source })?;
        figment = figment.merge(toml(&name, &text)?);
    }
    for (name, text) in &variables {
        if let Some(path) = name.strip_prefix(GENERAL_PREFIX) {
            figment = figment.merge(general(name, path, text)?);
        }
    }
    for (name, text) in &variables {
        if let Some((_, key)) = SHORT_VARIABLES.iter().find(|(short, _)| short == name) {
            figment = figment.merge(Layer::new(name, nest(key, Value::from(*text))));
        }
    }
    Ok(figment)
}

/// The variables that are ours.
fn variables(sources: &Sources) -> Result<Vec<(&str, &str)>, ConfigError> {
    let ours = |name: &str| {
        name == FILE_VARIABLE
            || name.starts_with(GENERAL_PREFIX)
            || SHORT_VARIABLES.iter().any(|(short, _)| *short == name)
    };
    let named = sources.variables.iter().filter_map(|(name, text)| Some((name.to_str()?, text)));
    let variables = named.filter(|(name, _)| ours(name)).map(|(name, text)| {
        let text = text.to_str().ok_or_else(|| invalid(name, "is not UTF-8"))?;
        Ok((name, text))
    });
    variables.collect()
}

/// `MILEPOST__A__B_C` sets `a.b_c`, to whatever its text reads as: a number, `["a list"]`, or else a string.
fn general(name: &str, path: &str, text: &str) -> Result<Layer, ConfigError> {
    let key = path.to_ascii_lowercase().replace("__", ".");
    if key.split('.').any(str::is_empty) {
        return Err(invalid(name, "names no key: it must be MILEPOST__SECTION__KEY"));
    }
    // Unwrap safety: the error type has no values.
    let value: Value = text.parse().expect("infallible");
    Ok(Layer::new(name, nest(&key, value)))
}

fn invalid(name: &str, message: &str) -> ConfigError {
    ConfigError::Invalid(vec![Problem { key: name.to_owned(), message: message.to_owned(), origin: None }])
}

/// One source, under the name that errors give it.
struct Layer {
    name: String,
    dict: Dict,
}

impl Layer {
    fn new(name: &str, value: Value) -> Self {
        Self { name: name.to_owned(), dict: value.into_dict().unwrap_or_default() }
    }
}

impl Source for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// Reads TOML. The parser's own error shows the line it stumbled over, which may hold a secret; this one only
/// says where it is.
fn toml(name: &str, text: &str) -> Result<Layer, ConfigError> {
    let dict = Toml::from_str::<Dict>(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ConfigError::Syntax {
            file: name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: error.message().replace('\n', ", "),
        }
    })?;
    Ok(Layer { name: name.to_owned(), dict })
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
