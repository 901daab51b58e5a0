//! `milepost reference`: every command's help as one Markdown page, from which `docs/cli.md` is made.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::{Command, CommandFactory as _};

use super::{Cli, Exit};

const INTRODUCTION: &str = "# The operator's commands

Made from the commands themselves by `make docs`; a test fails when it is not current. Every command that shows something takes
`--json` where a script may want it; what a person reads is coloured only on a terminal, and never with `NO_COLOR` set. `milepost
completions bash` (or `zsh`, `fish`, …) prints what a shell needs to complete them.
";

/// Prints it.
///
/// # Errors
/// When the output cannot be written.
pub fn run() -> anyhow::Result<Exit> {
    io::stdout().write_all(page().as_bytes())?;
    Ok(Exit::Done)
}

/// The page.
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
