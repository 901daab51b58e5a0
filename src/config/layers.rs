//! The sources, one over the other, with a name for each that errors can give.

use std::fs;
use std::path::PathBuf;

use figment::providers::{Format as _, Toml};
use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::alike;
use super::error::ConfigError;
use super::findings::Findings;
use super::load::{Flag, Sources};

/// Names the file, unless `--config` does.
pub(super) const FILE_VARIABLE: &str = "MILEPOST_CONFIG";
/// The variables with a name of their own. Their text is taken as it is.
pub(super) const SHORT_VARIABLES: [(&str, &str); 5] = [
    ("MILEPOST_AMQP_URL", "amqp.url"),
    ("MILEPOST_AMQP_MANAGEMENT_URL", "amqp.management_url"),
    ("MILEPOST_REDIS_URL", "redis.url"),
    ("MILEPOST_HTTP_ADDR", "http.addr"),
    ("MILEPOST_ADMIN_ADDR", "admin.addr"),
];
/// `MILEPOST__SECTION__KEY` sets any other key. Kubernetes injects `MILEPOST_…_PORT` and the like for
/// services, with one underscore; those are none of ours.
pub(super) const GENERAL_PREFIX: &str = "MILEPOST__";

/// The layer that set a key. An element of a list came with its list.
pub(super) fn origin(figment: &Figment, key: &str) -> Option<String> {
    let list = key.trim_end_matches(|c: char| c == '.' || c.is_ascii_digit());
    let layer = figment.find_metadata(key).or_else(|| figment.find_metadata(list))?;
    Some(layer.name.to_string())
}

/// Layers the sources. A variable that cannot be used is a problem, and sets nothing.
pub(super) fn merge(sources: &Sources, findings: &mut Findings) -> Result<Figment, ConfigError> {
    let mut figment = Figment::from(toml("built in", &sources.base)?);
    let variables = variables(sources, findings);
    let named = || variables.iter().rev().find(|(name, _)| *name == FILE_VARIABLE);
    let file = sources.file.clone().or_else(|| named().map(|(_, path)| PathBuf::from(path)));
    if let Some(path) = file {
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable { path, source })?;
        figment = figment.merge(toml(&name, &text)?);
    }
    for (name, text) in &variables {
        if let Some(path) = name.strip_prefix(GENERAL_PREFIX) {
            match general(name, path, text) {
                Some(layer) => figment = figment.merge(layer),
                None => findings.problem(name, "names no key: it must be MILEPOST__SECTION__KEY"),
            }
        }
    }
    for (name, text) in &variables {
        if let Some((_, key)) = SHORT_VARIABLES.iter().find(|(short, _)| short == name) {
            figment = figment.merge(Layer::new(name, nest(key, Value::from(*text))));
        }
    }
    for Flag { name, key, text } in &sources.flags {
        figment = figment.merge(Layer::new(name, nest(key, Value::from(text.as_str()))));
    }
    Ok(figment)
}

/// The variables that are ours. Those that seem to be meant for ours are worth a warning.
fn variables<'a>(sources: &'a Sources, findings: &mut Findings) -> Vec<(&'a str, &'a str)> {
    let ours = |name: &str| {
        name == FILE_VARIABLE
            || name.starts_with(GENERAL_PREFIX)
            || SHORT_VARIABLES.iter().any(|(short, _)| *short == name)
    };
    let mut variables = Vec::new();
    for (name, text) in &sources.variables {
        let Some(name) = name.to_str() else { continue };
        match text.to_str() {
            Some(text) if ours(name) => variables.push((name, text)),
            None if ours(name) => findings.problem(name, "is not UTF-8"),
            _ => {
                if let Some(meant) = alike::variable(name) {
                    findings.warning(name, format_args!("sets nothing, did you mean {meant}?"));
                }
            }
        }
    }
    variables
}

/// `MILEPOST__A__B_C` sets `a.b_c`, to what its text reads as: a number, `["a list"]`, or else a string.
/// `None` when it names no key.
fn general(name: &str, path: &str, text: &str) -> Option<Layer> {
    let key = path.to_ascii_lowercase().replace("__", ".");
    if key.split('.').any(str::is_empty) {
        return None;
    }
    // Unwrap safety: the error type has no values.
    let value: Value = text.parse().expect("infallible");
    Some(Layer::new(name, nest(&key, value)))
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

impl Provider for Layer {
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
