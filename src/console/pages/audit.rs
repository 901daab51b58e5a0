//! Audit: what operators did, on the pages and on the command line.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::adapters::clock::SystemClock;
use crate::console::Console;
use crate::console::page::{self, TableColumn, Tone, badge, notice, number, pager, skip, time};
use crate::console::web::{PageRequest, Refusal};
use crate::operator::audit::{ActPhase, AuditEntry};
use crate::operator::printable::printable;
use crate::ports::Clock as _;

const PAGE: usize = 100;

pub(in crate::console) async fn page(
    State(console): State<Arc<Console>>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    let skipped = skip(&asked.fields)?;
    let who = asked.fields.get("who").map(str::to_owned);
    let (entries, trouble) = console.trail.latest(|entry| who.as_ref().is_none_or(|who| entry.who == *who));
    let content = html! {
        @if let Some(trouble) = trouble { (notice(Tone::Bad, &trouble)) }
        form method="get" action="/audit" class="filter" {
            label { "Who " input name="who" value=[who.as_deref()]; }
            button type="submit" { "Show" }
        }
        @if entries.is_empty() { p { "Nothing was done yet." } } @else {
            (table(&entries[skipped.min(entries.len())..(skipped + PAGE).min(entries.len())]))
            (pager("/audit", &asked.fields, skipped, PAGE, entries.len()))
        }
        p class="hint" { "The latest 2000 entries; " code { "milepost audit" } " shows all that are kept." }
    };
    Ok(page::page(&asked.visitor, "/audit", "Audit", &content))
}

pub(super) fn table(entries: &[AuditEntry]) -> Markup {
    let now = SystemClock.now();
    let [when, who, by, what, which, result] =
        ["When", "Who", "By", "What", "Which", "Result"].map(TableColumn::Text);
    let columns = [when, who, by, what, which, TableColumn::Number("Count"), result];
    page::table(
        "What was done",
        &columns,
        &html! { @for entry in entries { tr {
                td { (time(entry.at, now)) }
                td { (printable(&entry.who)) }
                td { (entry.by.as_str()) }
                td { (entry.act.as_str()) }
                td class="wrap" { (printable(&entry.which)) }
                td class="num" { (entry.count.map_or_else(|| "–".to_owned(), number)) }
                td class="wrap" { @match (&entry.result, entry.phase) { (Some(result), _) => { (printable(result)) }, (None, ActPhase::Begun) => { (badge(Tone::Plain, "begun")) }, (None, ActPhase::Ended) => { "–" } } }
        } } },
    )
}
