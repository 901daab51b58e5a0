//! Acts: under way, and over.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use uuid::Uuid;

use crate::adapters::clock::SystemClock;
use crate::config::Right;
use crate::console::Console;
use crate::console::page::{self, TableColumn, Tone, badge, number, table, time};
use crate::console::running::{ActState, RunningAct};
use crate::console::web::{PageRequest, Posted, Refusal, needs, see_other, token};
use crate::operator::audit::Act;
use crate::operator::printable::printable;
use crate::ports::Clock as _;

/// All acts of this console since it began.
pub(in crate::console) async fn list(State(console): State<Arc<Console>>, asked: PageRequest) -> Response {
    let (acts, now) = (console.acts.all(), SystemClock.now());
    let content = html! {
        @if acts.is_empty() { p { "Nothing was done on this console since it began. The " a href="/audit" { "audit log" } " has what was done before, and by commands." } } @else {
            @let columns = ["Asked for", "Who", "What", "Which", "How far"].map(TableColumn::Text);
            (table("Acts", &columns, &html! { @for act in &acts { tr {
                td { a href={ "/acts/" (act.id) } { (time(act.asked_at, now)) } }
                td { (printable(&act.who)) }
                td { (act.act.as_str()) }
                td class="wrap" { (printable(&act.which)) }
                td { (state_of(&act.state().borrow())) }
            } } }))
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
                dt { "Without a result" } dd { (number(tally.replayed.saturating_sub(tally.published + tally.failed))) span class="hint" { " duplicates and ignored events have none" } }
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

pub(in crate::console) async fn stop(
    State(console): State<Arc<Console>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Refusal> {
    needs(&posted.visitor, Right::Act)?;
    find(&console, &id)?.stop();
    Ok(see_other(&format!("/acts/{id}")))
}
