//! `milepost contract`: what subscribers are promised, as files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Exit, misuse};
use crate::contract;

/// What `milepost contract` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Print this file; without it, the files' names
    #[arg(value_name = "FILE")]
    pub file: Option<String>,
    /// Write all of them under this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    pub write: Option<PathBuf>,
}

/// Lists, prints or writes them.
///
/// # Errors
/// When there is no such file, or what was asked for cannot be written.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let files = contract::files();
    match (args.write, args.file) {
        (Some(directory), _) => {
            for (name, text) in &files {
                write(&directory.join(name), text)?;
            }
        }
        (None, Some(name)) => {
            let text = files.get(&name).ok_or_else(|| misuse(format!("there is no file {name:?}")))?;
            io::stdout().write_all(text.as_bytes())?;
        }
        (None, None) => files.keys().try_for_each(|name| writeln!(io::stdout(), "{name}"))?,
    }
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let show = || path.display().to_string();
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(show)?;
    }
    fs::write(path, text).with_context(show)
}
