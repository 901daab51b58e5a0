//! Replays and discards: asked for, confirmed, begun.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::selecting::{hidden, selection};
use crate::config::Right;
use crate::console::Console;
use crate::console::access::Visitor;
use crate::console::page::{self, Tone, notice, number};
use crate::console::running::Job;
use crate::console::web::{FormFields, PageRequest, Posted, Refusal, needs, see_other, token};
use crate::domain::provider::ProviderId;
use crate::operator::audit::words;
use crate::operator::parked::filter::Selection;
use crate::operator::parked::replay::Options;
use crate::operator::printable::printable;

/// Of a batch this share may fail again, unless another is asked for.
const MAX_FAILURES: f64 = 0.2;

/// Asks whether this replay is meant.
pub(in crate::console) async fn confirm_replay(
    State(console): State<Arc<Console>>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    needs(&asked.visitor, Right::Act)?;
    let (count, meant) = meant(&console, &asked.fields, "Replay")?;
    let content = html! {
        (meant)
        p class="hint" { "They are given to the workers once more; what was published before is not published again. Batches of 1, 2, 5, 20 and 100 are waited for, so that it stops early if the cause is still there. Messages parked from now on are not among them." }
        form action="/parked/replay" method="post" class="confirm" {
            (token(&asked.visitor)) (hidden(&asked.fields))
            label { "At most so many a second " input name="rate" inputmode="decimal" placeholder="no limit"; }
            label { "Stop when more than this share of a batch fails again, from 0 to 1 " input name="max_failures" inputmode="decimal" value=(MAX_FAILURES); }
            label class="check" { input type="checkbox" name="force" value="1"; " Publish even what was published before, once more" }
            button type="submit" disabled[count == 0] { "Replay " (number(count)) }
            " " a href="/parked" { "Cancel" }
        }
    };
    Ok(page::page(&asked.visitor, "/parked", "Replay", &content))
}

pub(in crate::console) async fn replay(
    State(console): State<Arc<Console>>,
    posted: Posted,
) -> Result<Response, Refusal> {
    needs(&posted.visitor, Right::Act)?;
    let (provider, selection) = selection(&posted.fields)?;
    let max_failures = positive(&posted.fields, "max_failures")?.unwrap_or(MAX_FAILURES);
    if max_failures > 1.0 {
        return Err(Refusal::bad("The share of failures is from 0 to 1."));
    }
    let options = Options {
        rate: positive(&posted.fields, "rate")?.filter(|rate| *rate > 0.0),
        max_failures: Some(max_failures),
        force: posted.fields.get("force").is_some(),
        selection,
        edited: None,
    };
    begin(&console, &posted.visitor, provider, Job::Replay(options))
}

/// Asks whether this discard is meant.
pub(in crate::console) async fn confirm_discard(
    State(console): State<Arc<Console>>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    needs(&asked.visitor, Right::Act)?;
    let (count, meant) = meant(&console, &asked.fields, "Discard")?;
    let content = html! {
        (meant)
        @match &console.settings.exports_dir {
            None => (notice(Tone::Warn, "Nothing can be discarded here: console.exports_dir does not say where it would be written first. `milepost parked discard` writes beside you.")),
            Some(_) => {
                p { "They are written to a file first, whole, and then taken off the queue for good. " code { "milepost parked import" } " puts back what the file has." }
                form action="/parked/discard" method="post" class="confirm" {
                    (token(&asked.visitor)) (hidden(&asked.fields))
                    label class="check" { input type="checkbox" name="yes" value="1" required; " Yes, for good" }
                    button type="submit" class="danger" disabled[count == 0] { "Discard " (number(count)) }
                    " " a href="/parked" { "Cancel" }
                }
            }
        }
    };
    Ok(page::page(&asked.visitor, "/parked", "Discard", &content))
}

pub(in crate::console) async fn discard(
    State(console): State<Arc<Console>>,
    posted: Posted,
) -> Result<Response, Refusal> {
    needs(&posted.visitor, Right::Act)?;
    let (provider, selection) = selection(&posted.fields)?;
    let directory = console.settings.exports_dir.clone();
    let directory = directory.ok_or_else(|| Refusal::bad("console.exports_dir is not set."))?;
    if posted.fields.get("yes").is_none() {
        return Err(Refusal::bad("It was not confirmed."));
    }
    begin(&console, &posted.visitor, provider, Job::Discard(selection, directory))
}

fn positive(fields: &FormFields, name: &str) -> Result<Option<f64>, Refusal> {
    let Some(text) = fields.get(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.map(Some).ok_or_else(|| Refusal::bad(format!("{name} must be a number from 0.")))
}

/// Begins an act, and leads to its page.
pub(super) fn begin(
    console: &Console,
    visitor: &Visitor,
    provider: ProviderId,
    wanted: Job,
) -> Result<Response, Refusal> {
    let act = console.acts.begin(&visitor.name, provider, wanted);
    let act = act.map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(see_other(&format!("/acts/{}", act.id)))
}

/// Which messages an act would be about, and how many.
fn meant(console: &Console, fields: &FormFields, act: &str) -> Result<(u64, Markup), Refusal> {
    let (_, selection) = selection(fields)?;
    let count = count(console, &selection);
    let which = printable(&words(&selection));
    Ok((count, html! { p { (act) " " strong { (number(count)) } " messages: " code { (which) } "." } }))
}

/// How many are meant, as far as is known now.
fn count(console: &Console, selection: &Selection) -> u64 {
    if selection.ids.is_empty() {
        return console.index.groups(&selection.filter).iter().map(|group| group.group.count).sum();
    }
    let providers = &selection.filter.provider;
    let is_there = |id: &&String| providers.iter().any(|of| console.index.message(*of, id).is_some());
    selection.ids.iter().filter(is_there).count() as u64
}
