//! `milepost config`: the configuration, before anything runs on it.

use clap::Subcommand;

use super::{Exit, Global};
use crate::config::{ConfigError, Loaded, Sources};
use crate::providers;

/// What `milepost config` is asked.
#[derive(Subcommand)]
pub enum Command {
    /// Read the configuration as a role would, and say all that is wrong with it
    Check,
}

/// Checks it: exit code 78 and every problem, or 0.
///
/// # Errors
/// When the configuration cannot be used.
pub fn run(command: &Command, global: Global) -> anyhow::Result<Exit> {
    let Command::Check = command;
    let loaded = load(global)?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    println!("the configuration is sound; warnings: {}", loaded.warnings.len());
    Ok(Exit::Done)
}

/// The configuration as a role would read it.
///
/// # Errors
/// When it cannot be used.
pub fn load(global: Global) -> Result<Loaded, ConfigError> {
    load_with(global, &[])
}

/// The same, but what a flag says counts as said by the variable named with it.
///
/// # Errors
/// When it cannot be used.
pub fn load_with(global: Global, flags: &[(&str, &Option<String>)]) -> Result<Loaded, ConfigError> {
    let mut sources = Sources { file: global.config, ..Sources::from_env() };
    for (variable, said) in flags {
        sources.variables.extend(said.iter().map(|value| (variable.into(), value.into())));
    }
    crate::config::load(&sources, providers::ALL)
}
