//! `milepost reference`: what the code says of its commands and its metrics, each as one Markdown page. `docs/cli.md` and
//! `docs/metrics.md` are made from it.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::{Command, CommandFactory as _, ValueEnum};

use super::{Cli, Exit};
use crate::providers;
use crate::telemetry::reference as metrics;

const INTRODUCTION: &str = "# The operator's commands

Made from the commands themselves by `make docs`; a test fails when it is not current. Every command that shows something takes
`--json` where a script may want it; what a person reads is coloured only on a terminal, and never with `NO_COLOR` set. `milepost
completions bash` (or `zsh`, `fish`, …) prints what a shell needs to complete them.
";

/// What `milepost reference` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Which page
    pub page: Page,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Page {
    /// The help of every command
    Commands,
    /// Every metric
    Metrics,
}

/// Prints it.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let page = match args.page {
        Page::Commands => page(),
        Page::Metrics => metrics::page(providers::ALL),
    };
    io::stdout().write_all(page.as_bytes())?;
    Ok(Exit::Done)
}

/// The page of the commands.
#[must_use]
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut root = Cli::command().term_width(100);
    root.build();
    add(&mut page, &mut root);
    page
}

fn add(page: &mut String, command: &mut Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<_> = help.lines().map(str::trim_end).collect();
    // Writing to a text cannot fail.
    let _ = write!(page, "\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        add(page, sub);
    }
}
