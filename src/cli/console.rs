//! `milepost console`: the operator's pages as a role of their own.

use std::io::{self, BufRead as _};

use anyhow::{Context as _, bail};
use clap::Subcommand;

use super::{Exit, Global};
use crate::app::process::Process;
use crate::config::Loaded;
use crate::console::access::hash_password;
use crate::console::{WatchedFleet, add};
use crate::telemetry::recorder::Role;

/// What `milepost console` is asked.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What there is beside serving.
#[derive(Subcommand)]
pub enum Command {
    /// Make the hash of a password, read from standard input, for the users' file
    Hash,
}

/// Serves until a signal, or makes a hash.
///
/// # Errors
/// When the configuration cannot be used, the console is not configured, or a port is taken.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    if let Some(Command::Hash) = args.command {
        return hash();
    }
    let Loaded { config, warnings } = super::config::load(global)?;
    if config.console.is_none() {
        bail!("console.addr says where to listen, and is not set");
    }
    let mut process = Process::start(Role::Console, &[], &config, &warnings).await?;
    add(&mut process, &config, WatchedFleet::Servers).await?;
    let well = process.run(&config).await?;
    Ok(if well { Exit::Done } else { Exit::Failed })
}

/// Shown by a terminal as it is typed, as any input is: `read -rs` of a shell hides it.
fn hash() -> anyhow::Result<Exit> {
    let mut password = String::new();
    io::stdin().lock().read_line(&mut password).context("cannot read the password")?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("there is no password on standard input");
    }
    println!("{}", hash_password(password));
    Ok(Exit::Done)
}
