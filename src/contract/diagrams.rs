//! The providers' transitions as a page with diagrams.

use std::fmt::Write;

use crate::domain::provider::Provider;
use crate::domain::status::{Phase, Status};
use crate::domain::transitions::Transitions;

const INTRODUCTION: &str = include_str!("text/transitions.md");

/// The page `docs/transitions.md`.
pub(super) fn page(providers: &[&dyn Provider]) -> String {
    let sections = providers.iter().map(|provider| section(*provider));
    INTRODUCTION.to_owned() + &sections.collect::<String>()
}

fn section(provider: &dyn Provider) -> String {
    let transitions = provider.transitions();
    let mut text = format!("\n## {}\n\n```mermaid\nstateDiagram-v2\n", provider.id());
    for (from, to) in drawn(transitions) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {from} --> {to}");
    }
    text.push_str("```\n\n| from | may be followed by |\n|---|---|\n");
    for from in Status::ALL {
        let next = followers(transitions, from).join(", ");
        if !next.is_empty() {
            let _ = writeln!(text, "| {} | {next} |", from.as_str());
        }
    }
    text
}

/// The arrows: what the data lists, of its steps only those to the next, and what may end an open delivery from one
/// place. Drawn one by one they would hide everything else.
fn drawn(transitions: &Transitions) -> Vec<(&'static str, &'static str)> {
    let listed = transitions.table.iter().flat_map(|(from, next)| next.iter().map(|to| (*from, *to)));
    let steps = transitions.steps.windows(2).map(|pair| (pair[0], pair[1]));
    let mut arrows: Vec<_> = listed.chain(steps).map(|(from, to)| (from.as_str(), to.as_str())).collect();
    arrows.extend(transitions.ends.iter().map(|end| ("any_open_status", end.as_str())));
    let is_last = |status: &Status| {
        status.phase() == Phase::Closed
            && followers(transitions, *status).is_empty()
            && arrows.iter().any(|(_, to)| *to == status.as_str())
    };
    let last: Vec<_> = Status::ALL.into_iter().filter(is_last).map(|last| (last.as_str(), "[*]")).collect();
    arrows.extend(last);
    arrows
}

fn followers(transitions: &Transitions, from: Status) -> Vec<&'static str> {
    transitions.iter().filter(|(status, _)| *status == from).map(|(_, to)| to.as_str()).collect()
}
