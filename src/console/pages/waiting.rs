//! Waiting: what waits for a retry, and when that is.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;

use crate::adapters::clock::SystemClock;
use crate::adapters::redis::LedgerReader;
use crate::app::backends::redis_connection;
use crate::console::Console;
use crate::console::page::{self, TableColumn, code, maybe_time, number, pager, skip, table};
use crate::console::web::{PageRequest, Refusal};
use crate::operator::waiting::{groups, reason};
use crate::ports::Clock as _;

const PAGE: usize = 100;
const SUMMARY: [TableColumn; 5] = [
    TableColumn::Text("Provider"),
    TableColumn::Text("Reason"),
    TableColumn::Number("Waiting"),
    TableColumn::Text("First retry"),
    TableColumn::Text("Last retry"),
];
const RETRIES: [TableColumn; 6] = [
    TableColumn::Text("Retry at"),
    TableColumn::Text("Provider"),
    TableColumn::Text("Account"),
    TableColumn::Text("Delivery"),
    TableColumn::Number("Failed"),
    TableColumn::Text("Reason"),
];

pub(in crate::console) async fn page(
    State(console): State<Arc<Console>>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    let skipped = skip(&asked.fields)?;
    let connection = redis_connection(&console.config).map_err(|error| Refusal::away(&error))?;
    let waiting = LedgerReader::new(connection).waiting().await;
    let mut waiting = waiting.map_err(|error| Refusal::away(&error.into()))?;
    if let Some(provider) = asked.fields.get("provider") {
        waiting.retain(|event| event.delivery.provider == provider);
    }
    let now = SystemClock.now();
    let content = html! {
        @if waiting.is_empty() { p { "Nothing waits for a retry." } } @else {
            h2 { "By provider and reason" }
            (table("By provider and reason", &SUMMARY, &html! { @for group in groups(&waiting) { tr {
                th scope="row" { (group.provider) }
                td { (group.reason) }
                td class="num" { (number(group.count as u64)) }
                td { (maybe_time(group.first, now)) }
                td { (maybe_time(group.last, now)) }
            } } }))
            h2 { "Next retries" }
            @let shown = waiting.iter().skip(skipped).take(PAGE);
            (table("Next retries", &RETRIES, &html! { @for event in shown { tr {
                td { (maybe_time(event.record.deadline, now)) }
                td { (event.delivery.provider) }
                td { (code(&event.delivery.account)) }
                td { a href=(super::delivery::link(&event.delivery.delivery_id)) { (code(&event.delivery.delivery_id)) } }
                td class="num" { (event.record.attempt) }
                td { (reason(event)) }
            } } }))
            (pager("/waiting", &asked.fields, skipped, PAGE, waiting.len()))
        }
    };
    Ok(page::page(&asked.visitor, "/waiting", "Waiting", &content))
}
