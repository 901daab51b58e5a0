//! What is printed, and put into a document in place of what was measured before.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// Replaces the text between the lines `<!-- name: begin -->` and `<!-- name: end -->` of a file.
pub fn replace(file: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let old = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->\n"));
    let (before, rest) = old.split_once(&begin).with_context(|| format!("there is no {begin}"))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("there is no {end}"))?;
    Ok(fs::write(file, format!("{before}{begin}\n{text}\n{end}{after}"))?)
}
