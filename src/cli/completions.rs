//! `milepost completions`: what a shell needs to complete our commands.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::{Cli, Exit};

/// What `milepost completions` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// For which shell
    pub shell: Shell,
}

/// Prints it, for that shell to read.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "milepost", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Done)
}
