//! Links between pages lead somewhere: the file exists, and has the heading.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every page: those at the top, and those in `docs`.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_directory = |directory: PathBuf| {
        let entries = fs::read_dir(directory).expect("a directory");
        entries.map(|entry| entry.expect("readable").path())
    };
    let markdown = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    in_directory(root.to_owned()).chain(in_directory(root.join("docs"))).filter(markdown).collect()
}

/// The page without its blocks of code.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    text.split("\n```").step_by(2).collect()
}

/// The anchors that a page's headings have on a code host: lower case, punctuation gone, spaces as hyphens.
fn anchors(page: &Path) -> BTreeSet<String> {
    let headings = prose(page);
    let headings = headings.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    headings
        .map(|heading| {
            let kept =
                heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
        .collect()
}

/// The targets of links: what is between `](` and `)`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

#[test]
fn every_link_between_pages_leads_to_a_file_and_a_heading() {
    let pages = pages();
    assert!(pages.len() > 15, "{pages:?}");
    let mut wrong = Vec::new();
    for page in &pages {
        let text = prose(page);
        for target in targets(&text).filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let directory = page.parent().expect("in a directory");
            let file = if file.is_empty() { page.clone() } else { directory.join(file) };
            let is_page = file.extension().is_some_and(|extension| extension == "md");
            if !file.exists() || (is_page && !anchor.is_empty() && !anchors(&file).contains(anchor)) {
                wrong.push(format!("{}: {target}", page.file_name().expect("a name").display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere: {wrong:#?}");
}
