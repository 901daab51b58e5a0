//! How commands print a list: one JSON object a line for a program, or text.

use std::fmt::Display;
use std::io::{BufWriter, Write as _};

use serde::Serialize;

use super::Exit;

/// Prints one or the other to standard output.
///
/// # Errors
/// When it cannot be written.
pub(super) fn print<T: Display>(
    json: bool,
    objects: impl IntoIterator<Item = impl Serialize>,
    text: impl FnOnce() -> T,
) -> anyhow::Result<Exit> {
    let mut out = BufWriter::new(anstream::stdout());
    if json {
        for object in objects {
            writeln!(out, "{}", serde_json::to_string(&object)?)?;
        }
    } else {
        write!(out, "{}", text())?;
    }
    out.flush()?;
    Ok(Exit::Done)
}
