//! `milepost config`: the configuration, before anything runs on it.

use clap::Subcommand;

use super::{Exit, Global};
use crate::config::{ConfigError, Flag, Loaded, Sources};
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

/// The flags that set a key, and which.
const FLAGS: [(&str, &str); 5] = [
    ("--amqp", "amqp.url"),
    ("--management", "amqp.management_url"),
    ("--redis", "redis.url"),
    ("--http", "http.addr"),
    ("--admin", "admin.addr"),
];

/// The same, with what the flags of [`FLAGS`] say over it.
///
/// # Errors
/// When it cannot be used.
pub fn load_with(global: Global, flags: &[(&str, &Option<String>)]) -> Result<Loaded, ConfigError> {
    let sources = Sources { file: global.config, flags: set(flags), ..Sources::from_env() };
    crate::config::load(&sources, providers::ALL)
}

/// Of the flags, those that were given.
pub(super) fn set(flags: &[(&str, &Option<String>)]) -> Vec<Flag> {
    let set = flags.iter().filter_map(|(given, text)| {
        let &(name, key) = FLAGS.iter().find(|(name, _)| name == given)?;
        Some(Flag { name, key, text: (*text).clone()? })
    });
    set.collect()
}
