//! Acts: asked for, confirmed, under way, and over.

use std::path::{Component, Path as FilePath};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::selecting::{hidden, selection};
use crate::adapters::clock::SystemClock;
use crate::config::Right;
use crate::console::Console;
use crate::console::page::{self, Tone, badge, notice, number, time};
use crate::console::running::{ActState, Job, RunningAct};
use crate::console::web::{FormFields, PageRequest, Posted, Refusal, needs, see_other, token};
use crate::operator::audit::{Act, AuditEntry, Surface, words};
use crate::operator::parked::filter::Selection;
use crate::operator::parked::replay::Options;
use crate::operator::printable::printable;
use crate::ports::Clock as _;

/// Of a batch this share may fail again, unless another is asked for.
const MAX_FAILURES: f64 = 0.2;
/// An export that is larger is taken from the disk.
const LARGEST_EXPORT: u64 = 256 * 1024 * 1024;

/// Asks whether this replay is meant.
pub(in crate::console) async fn confirm_replay(
    State(console): State<Arc<Console>>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    needs(&asked.visitor, Right::Act)?;
    let (_, selection) = selection(&asked.fields)?;
    let count = count(&console, &selection);
    let content = html! {
        p { "Replay " strong { (number(count)) } " messages: " code { (printable(&words(&selection))) } "." }
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

/// Begins a replay.
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
    let act = console.acts.begin(&posted.visitor.name, provider, Job::Replay(options));
    let act = act.map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(see_other(&format!("/acts/{}", act.id)))
}

/// Asks whether this discard is meant.
pub(in crate::console) async fn confirm_discard(
    State(console): State<Arc<Console>>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    needs(&asked.visitor, Right::Act)?;
    let (_, selection) = selection(&asked.fields)?;
    let count = count(&console, &selection);
    let content = html! {
        p { "Discard " strong { (number(count)) } " messages: " code { (printable(&words(&selection))) } "." }
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

/// Begins a discard.
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
    let act = console.acts.begin(&posted.visitor.name, provider, Job::Discard(selection, directory));
    let act = act.map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(see_other(&format!("/acts/{}", act.id)))
}

fn positive(fields: &FormFields, name: &str) -> Result<Option<f64>, Refusal> {
    let Some(text) = fields.get(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.map(Some).ok_or_else(|| Refusal::bad(format!("{name} must be a number from 0.")))
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

/// All acts of this console since it began.
pub(in crate::console) async fn list(State(console): State<Arc<Console>>, asked: PageRequest) -> Response {
    let (acts, now) = (console.acts.all(), SystemClock.now());
    let content = html! {
        @if acts.is_empty() { p { "Nothing was done on this console since it began. The " a href="/audit" { "audit log" } " has what was done before, and by commands." } } @else {
            div class="scroll" tabindex="0" role="region" aria-label="Acts" { table {
                thead { tr { th scope="col" { "PageRequest for" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "Which" } th scope="col" { "How far" } } }
                tbody { @for act in &acts { tr {
                    td { a href={ "/acts/" (act.id) } { (time(act.asked_at, now)) } }
                    td { (printable(&act.who)) }
                    td { (act.act.as_str()) }
                    td class="wrap" { (printable(&act.which)) }
                    td { (state_of(&act.state().borrow())) }
                } } }
            } }
        }
    };
    page::page(&asked.visitor, "/acts", "Acts", &content)
}

fn state_of(state: &ActState) -> Markup {
    match &state.ended {
        Some(ended) if ended.well => badge(Tone::Good, "done"),
        Some(_) => badge(Tone::Bad, "not all done"),
        None if state.begun => badge(Tone::Plain, "under way"),
        None => badge(Tone::Plain, "waits for its turn"),
    }
}

fn find(console: &Console, id: &str) -> Result<Arc<RunningAct>, Refusal> {
    let found = id.parse::<Uuid>().ok().and_then(|id| console.acts.find(id));
    found.ok_or_else(|| {
        Refusal::gone("This console does not know that act. The audit log has what was done before.")
    })
}

/// One act, live while it is under way.
pub(in crate::console) async fn page(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    let act = find(&console, &id)?;
    let state = act.state().borrow().clone();
    let under_way = state.ended.is_none();
    let content = html! {
        p { (printable(&act.who)) " asked for it " (time(act.asked_at, SystemClock.now())) ": " code { (printable(&act.which)) } }
        div data-live=[under_way.then(|| format!("/acts/{id}/live"))] aria-live="polite" { (piece(&state)) }
        @if under_way {
            p class="hint live-state" data-live-state { "Open the page again to see how far it is." }
            @if asked.visitor.may(Right::Act) && act.act != Act::Discard {
                form action={ "/acts/" (id) "/stop" } method="post" { (token(&asked.visitor)) button type="submit" class="danger" { "Stop" } }
            }
        }
    };
    Ok(page::page(&asked.visitor, "/acts", title(act.act), &content))
}

fn title(act: Act) -> &'static str {
    match act {
        Act::EditAndReplay => "Replay of an edited message",
        Act::Discard => "Discard",
        _ => "Replay",
    }
}

fn piece(state: &ActState) -> Markup {
    let (progress, tally) = (state.progress, state.progress.tally);
    html! {
        p { (state_of(state)) @if let Some(ended) = &state.ended { " " (printable(&ended.says)) } }
        @if progress.of > 0 {
            label { "Looked at " (number(progress.looked_at)) " of " (number(progress.of)) " parked messages "
                progress max=(progress.of) value=(progress.looked_at) {} }
            dl class="facts" {
                dt { "Replayed" } dd { (number(tally.replayed)) }
                dt { "Seen published" } dd { (number(tally.published)) }
                dt { "Failed again" } dd { @if tally.failed > 0 { (badge(Tone::Bad, &number(tally.failed))) } @else { "0" } }
                dt { "No outcome heard" } dd { (number(tally.replayed.saturating_sub(tally.published + tally.failed))) span class="hint" { " duplicates and ignored events make none" } }
            }
        }
        @if let Some(file) = state.ended.as_ref().and_then(|ended| ended.file.as_ref()) {
            p { a href={ "/exports/" (file) } { "The file with what was discarded" } span class="hint" { " It has personal data." } }
        }
    }
}

/// The act's progress, made again as it goes.
pub(in crate::console) async fn live(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    _asked: PageRequest,
) -> Result<Response, Refusal> {
    let act = find(&console, &id)?;
    Ok(console.live.follow(act.state(), |state| (piece(state), state.ended.is_some())))
}

/// Stops it.
pub(in crate::console) async fn stop(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Refusal> {
    needs(&posted.visitor, Right::Act)?;
    find(&console, &id)?.stop();
    Ok(see_other(&format!("/acts/{id}")))
}

/// A file that a discard wrote: personal data, and so a right of its own.
pub(in crate::console) async fn export(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    needs(&asked.visitor, Right::Personal)?;
    let gone = || Refusal::gone("There is no such file any more.");
    let directory = console.settings.exports_dir.as_ref().ok_or_else(gone)?;
    let is_ours = name.starts_with("milepost-discarded-")
        && FilePath::new(&name).extension().is_some_and(|of| of == "jsonl");
    let mut parts = FilePath::new(&name).components();
    let is_plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    if !is_ours || !is_plain {
        return Err(gone());
    }
    let path = directory.join(&name);
    let shown = path.display().to_string();
    let read = spawn_blocking(move || {
        let length = std::fs::metadata(&path)?.len();
        if length > LARGEST_EXPORT { Ok(None) } else { std::fs::read(&path).map(Some) }
    });
    let Some(bytes) = read.await.ok().and_then(std::io::Result::ok).ok_or_else(gone)? else {
        return Err(Refusal::bad(format!("The file is large: take it from {shown}.")));
    };
    let begun = AuditEntry::begun(&asked.visitor.name, Surface::Console, Act::Reveal, name.clone(), &[]);
    let noted = console.acts.note(&begun.ended(1, "downloaded".to_owned())).await;
    noted.map_err(|error| Refusal::away(&error))?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}
