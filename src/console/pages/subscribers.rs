//! Subscribers: who takes which updates, and who would refuse them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::health::findings;
use crate::adapters::rabbit::management::Management;
use crate::adapters::rabbit::subscriptions::{self, BoundQueue};
use crate::app::doctor::Finding;
use crate::console::Console;
use crate::console::page::{self, TableColumn, Tone, badge, code, number};
use crate::console::web::{PageRequest, Refusal};

pub(in crate::console) async fn page(
    State(console): State<Arc<Console>>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    let amqp = &console.config.amqp;
    let Some(url) = &amqp.management_url else {
        let content = html! { p class="notice plain" { "Only RabbitMQ's management API knows who is bound to updates: set amqp.management_url." } };
        return Ok(page::page(&asked.visitor, "/subscribers", "Subscribers", &content));
    };
    let away = |error: anyhow::Error| Refusal::away(&error);
    let management = Management::new(url.expose(), amqp.url.expose()).map_err(|error| away(error.into()))?;
    let found = subscriptions::list(&management).await.map_err(|error| away(error.into()))?;
    let said = findings(&console.config).await.map_err(away)?;
    let of_subscribers: Vec<_> = said.iter().filter(|finding| finding.check == "subscribers").collect();
    let content = html! {
        @if found.is_empty() { p { "No queue is bound to updates. " code { "milepost subscribe" } " makes one." } } @else { (table(&found)) }
        h2 { "Who would refuse" }
        @if of_subscribers.is_empty() { p { "No subscriber's queue would refuse updates." } }
        (super::health::list(&of_subscribers.into_iter().collect::<Vec<&Finding>>()))
    };
    Ok(page::page(&asked.visitor, "/subscribers", "Subscribers", &content))
}

fn table(found: &[BoundQueue]) -> Markup {
    let count = |count: Option<u64>| count.map_or_else(|| "not counted yet".to_owned(), number);
    let columns = [
        TableColumn::Text("Queue"),
        TableColumn::Text("Takes"),
        TableColumn::Number("Messages"),
        TableColumn::Number("Consumers"),
        TableColumn::Text("Bounded"),
        TableColumn::Number("Rejected and kept"),
    ];
    page::table(
        "Subscribers",
        &columns,
        &html! { @for subscription in found { tr {
                th scope="row" { (code(&subscription.queue)) }
                td { @for pattern in &subscription.patterns { (code(pattern)) " " } }
                td class="num" { (count(subscription.messages)) }
                td class="num" { @if subscription.consumers == Some(0) { (badge(Tone::Warn, "0")) } @else { (count(subscription.consumers)) } }
                td { @if subscription.grows() { (badge(Tone::Bad, "grows for ever")) } @else if subscription.bounded { "yes" } @else { "no" } }
                td class="num" { @match &subscription.parked_queue { None => { "–" }, Some(queue) => { (count(subscription.parked)) " in " (code(queue)) } } }
        } } },
    )
}
