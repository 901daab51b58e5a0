//! `milepost contract`: what subscribers are promised, as files.

use std::fs;
use std::path::PathBuf;

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
/// When there is no such file, or one cannot be written.
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
            print!("{text}");
        }
        (None, None) => files.keys().for_each(|name| println!("{name}")),
    }
    Ok(Exit::Done)
}

fn write(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    let show = || path.display().to_string();
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(show)?;
    }
    fs::write(path, text).with_context(show)
}
