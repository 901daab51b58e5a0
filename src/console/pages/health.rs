//! Health: the doctor, with its remedies.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::app::doctor::{Finding, Level, Probe, diagnose};
use crate::config::Config;
use crate::console::Console;
use crate::console::page::{self, Tone, badge, number};
use crate::console::web::{PageRequest, Refusal};
use crate::operator::printable::printable;
use crate::providers;

pub(in crate::console) async fn page(
    State(console): State<Arc<Console>>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    let findings = findings(&console.config).await.map_err(|error| Refusal::away(&error))?;
    let of = |levels: &[Level]| findings.iter().filter(|it| levels.contains(&it.level)).collect::<Vec<_>>();
    let (failing, warnings) = (of(&[Level::Fail]), of(&[Level::Warn]));
    let (ok, skipped) = (of(&[Level::Ok]), of(&[Level::Skipped]));
    let content = html! {
        @if failing.is_empty() {
            p class="notice good" { "Nothing fails: no message can be lost, repeated or held up by how the servers are set up." }
        } @else {
            p class="notice bad" role="status" { (number(failing.len() as u64)) " checks fail: messages can be lost, repeated or held up." }
        }
        (list(&[failing, warnings].concat()))
        details { summary { (number(skipped.len() as u64)) " could not be told" } (list(&skipped)) }
        details { summary { (number(ok.len() as u64)) " are as they should be" } (list(&ok)) }
    };
    Ok(page::page(&asked.visitor, "/health", "Health", &content))
}

/// What the doctor says, as `milepost topology check` does.
pub(super) async fn findings(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let everyone: Vec<_> = providers::ALL.iter().map(|provider| provider.id()).collect();
    let probe = Probe::fleet(config, &everyone)?;
    Ok(diagnose(&probe.facts().await))
}

/// Findings, one below the other.
pub(super) fn list(findings: &[&Finding]) -> Markup {
    html! { @if !findings.is_empty() { ul class="findings" { @for finding in findings { li {
        (badge(tone(finding.level), &finding.level.to_string())) " "
        strong { (printable(&finding.subject)) } " " (printable(&finding.says))
        @if let Some(remedy) = &finding.remedy { p class="remedy" { "Remedy: " (printable(remedy)) } }
    } } } } }
}

fn tone(level: Level) -> Tone {
    match level {
        Level::Ok => Tone::Good,
        Level::Skipped => Tone::Plain,
        Level::Warn => Tone::Warn,
        Level::Fail => Tone::Bad,
    }
}
