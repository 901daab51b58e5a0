//! Configuration: the shipped file, the layers, every error's words, and that no value is ever in them.

mod accounts;
mod accounts_dir;
mod console;
mod defaults;
mod layers;
mod problems;
mod recovery;
mod secrecy;
mod secret_files;
mod shipped;
mod sinks;
mod url_files;

use std::fs;
use std::path::PathBuf;

use milepost::config::{ConfigError, Loaded, Sources, load};

use crate::fake::PROVIDERS;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/milepost.toml");

/// A file of this test's own.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("a writable directory");
    path
}

fn with_variables(base: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let variables = variables.iter().map(|(name, text)| (name.into(), text.into())).collect();
    load(&Sources { base: base.to_owned(), variables, ..Sources::default() }, PROVIDERS)
}

fn from_toml(toml: &str) -> Result<Loaded, ConfigError> {
    with_variables(toml, &[])
}

/// The error's text for a configuration that must not load.
fn refusal(toml: &str) -> String {
    from_toml(toml).expect_err("it makes no sense").to_string()
}

/// Each of these lines, made a configuration, with what its error says below the first line.
fn report(lines: &[&str], configuration: impl Fn(&str) -> String) -> String {
    let problems = |lines: &&str| {
        let refusal = refusal(&configuration(lines));
        let problems = refusal.strip_prefix("the configuration is not valid:\n").expect("the first line");
        format!("{lines}\n{problems}\n")
    };
    lines.iter().map(problems).collect::<Vec<_>>().join("\n")
}
