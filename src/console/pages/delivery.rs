//! Delivery: one search box for any id, and what is known of it, in the order in which it happened.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use crate::adapters::clock::SystemClock;
use crate::adapters::redis::{DeliveryName, EventState};
use crate::console::Console;
use crate::console::page::{self, Tone, badge, code, maybe_code, notice, time};
use crate::console::web::{PageRequest, Refusal};
use crate::domain::identity::ReceiptId;
use crate::operator::printable::printable;
use crate::operator::when::duration;
use crate::operator::why::{
    AskedSystems, Explanation, ParkedOf, Publication, Question, Row, Searched, Sought, ask, way,
};
use crate::ports::Clock as _;

/// How far back the updates are searched, unless another span is chosen: the stream may hold millions.
const SINCE: &str = "1d";
const SPANS: [(&str, &str); 5] =
    [("1h", "an hour"), ("6h", "6 hours"), ("1d", "a day"), ("7d", "7 days"), ("all", "all that are kept")];

/// The address of what is known of an id.
pub(super) fn link(id: &str) -> String {
    format!("/delivery?{}", Serializer::new(String::new()).append_pair("id", id).finish())
}

pub(in crate::console) async fn page(
    State(console): State<Arc<Console>>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    let fields = &asked.fields;
    let since = fields.get("since").unwrap_or(SINCE);
    let now = SystemClock.now();
    let content = match fields.get("id") {
        None => html! {
            (form(None, since))
            p class="hint" { "A delivery's id, an event's id (the published one or the provider's own), or a receipt's (" code { "Milepost-Receipt" } "), or a reference of the merchant's, such as the order's number." }
            p class="hint" { "A reference is found in what was published in the time that is searched, and in what is parked." }
        },
        Some(id) => {
            let span: Option<Duration> = match since {
                "all" => None,
                span => Some(duration(span).map_err(|hint| Refusal::bad(format!("since: {hint}.")))?),
            };
            let question = Question { id: id.to_owned(), since: span, ..Question::default() };
            let parked = |sought: &Sought| console.index.found(sought);
            let answer = ask(&question, &console.config, now, ParkedOf::Index(&parked)).await;
            let answer = answer.map_err(|error| Refusal::away(&error))?;
            html! { (form(Some(id), since)) (known(&console, &answer, now)) }
        }
    };
    Ok(page::page(&asked.visitor, "/delivery", "Delivery", &content))
}

fn form(id: Option<&str>, since: &str) -> Markup {
    html! { form method="get" action="/delivery" class="filter" {
        label { "Any id or reference " input name="id" value=[id] required size="40" spellcheck="false" autocomplete="off"; }
        label { "Search the updates of " select name="since" { @for (value, words) in SPANS {
            option value=(value) selected[value == since] { (words) }
        } } }
        button type="submit" { "Find" }
    } }
}

fn known(console: &Console, answer: &Explanation, now: Timestamp) -> Markup {
    html! {
        @for (whom, why) in &answer.unknown { (notice(Tone::Bad, &format!("Nothing is known of {whom}: {why}"))) }
        @if answer.is_empty() { (nothing(answer, now)) } @else {
            @if let Some(repeat) = answer.repeated() {
                p class="notice plain" { "Receipt " (code(&repeat.receipt.to_string())) ", of " (time(repeat.receipt.received_at(), now)) ", repeats an event that was known. It is published once." }
            }
            @if !answer.referred().is_empty() {
                p class="notice plain" { (code(&answer.id)) " is a reference of " @for (place, name) in answer.referred().iter().enumerate() { @if place > 0 { ", " } a href=(link(&name.delivery_id)) { (code(&name.delivery_id)) } }
                    @if answer.referred_beyond() > 0 { ", and of " (answer.referred_beyond()) " deliveries more that are not shown" } "." }
            }
            @for delivery in &answer.remembered { section class="card" {
                @let DeliveryName { provider, account, delivery_id } = &delivery.name;
                h2 { (code(delivery_id)) }
                dl class="facts" {
                    dt { "Provider" } dd { (provider) " / " (code(account)) }
                    @for (leg, state) in &delivery.legs {
                        dt { "Status" @if !leg.is_empty() { " (courier " (leg) ")" } } dd { (badge(Tone::Plain, state.status().as_str())) }
                    }
                    @if let Some(sequence) = delivery.sequence { dt { "Last sequence number" } dd { (sequence) } }
                }
            } }
            @for known in &answer.hubrise { p { "HubRise: " (printable(&known.in_words(now))) } }
            @let (rows, left_out) = answer.rows();
            @if rows.is_empty() { p { "No event of it is known." } }
            @for (receipt, row) in &rows { (event(console, receipt, row, &answer.asked, now)) }
            @if left_out > 0 { p class="hint" { "Events of which nothing happened in that time, not shown: " (left_out) } }
        }
        (acts(console, answer))
        @if let Some(since) = answer.asked.searched.as_ref().and_then(Searched::since) {
            p class="hint" { "Updates were searched since " (time(since, now)) "." }
        }
    }
}

/// What operators did with it, by its receipts and its own id.
fn acts(console: &Console, answer: &Explanation) -> Markup {
    let receipts: Vec<_> = answer.rows().0.into_keys().collect();
    let (entries, _) = console.trail.latest(|entry| {
        entry.ids.iter().any(|id| *id == answer.id || receipts.contains(id))
            || entry.which.split_whitespace().any(|word| {
                word == answer.id || answer.referred().iter().any(|name| word == name.delivery_id)
            })
    });
    html! { @if !entries.is_empty() { h2 { "What operators did" } (super::audit::table(&entries)) } }
}

fn nothing(answer: &Explanation, now: Timestamp) -> Markup {
    html! {
        p class="notice plain" role="status" { (code(&answer.id)) " was not found: not in the ledger, not among the parked messages, and not in the updates searched." }
        @if let Some(given) = ReceiptId::given_at(&answer.id) {
            p { "It is a receipt, given " (time(given, now)) ". Then one of these is true:" }
            ul {
                li { "It was refused, and so never stored: the receiver's log has the reason under this receipt.id." }
                li { "It is about no delivery and was ignored: the worker's log says so under it." }
                li { "It still waits to be taken up" @match answer.waiting.as_deref() {
                    None => ", which cannot be seen now.",
                    Some([]) => ", though none is seen to wait now.",
                    Some(queues) => { ": " @for (queue, messages) in queues { (messages) " in " (code(queue)) " " } }
                } }
                li { "It was published before the updates that were searched: search further back, or by the delivery's id." }
            }
        }
    }
}

/// One event: how it ended, and what happened when.
fn event(console: &Console, receipt: &str, row: &Row<'_>, asked: &AskedSystems, now: Timestamp) -> Markup {
    let (published, words) = row.publication(asked.searched.as_ref(), now);
    let tone = match published {
        Some(true) => Tone::Good,
        Some(false) => Tone::Bad,
        None => Tone::Plain,
    };
    let status = row.parked.first().and_then(|entry| entry.content.raw_status.as_deref());
    let trace = row.published.iter().find_map(|one| trace(console, one));
    html! { section class="card" {
        h3 { (badge(tone, match published { Some(true) => "published", Some(false) => "not published", None => "not known" })) " " @if published != Some(false) || words != "no" { (printable(&words)) } @if published != Some(true) { @if let Some(status) = status { " " (code(status)) } } }
        ol class="timeline" { @for (at, said) in timeline(receipt, row, now) { li { (time(at, now)) " " (said) } } }
        @for entry in &row.parked { p {
            (badge(Tone::Warn, "parked")) " " (printable(&entry.about.reason)) @if let Some(detail) = &entry.about.detail { ", " (printable(detail)) } ". "
            a href=(super::message::link(entry.about.provider, &entry.about.id)) { "Look at the webhook" }
        } }
        dl class="facts" {
            @if let Some(delivery) = row.delivery_id { dt { "Delivery" } dd { (code(delivery)) } }
            dt { "Receipt" } dd { (code(receipt)) }
            dt { "Event" } dd { (maybe_code(row.event_id())) }
            @if let Some(one) = row.published.first() {
                @if let Some(theirs) = &one.data.provider_event_id { dt { "Provider's event" } dd { (code(theirs)) } }
                @if let Some(order) = one.data.order.as_deref().filter(|order| *order != "in_order") { dt { "Order" } dd { (badge(Tone::Warn, &printable(order))) } }
                @if let Some(sequence) = one.data.sequence { dt { "Sequence" } dd { (sequence) } }
            }
            @if let Some(trace) = trace { dt { "Trace" } dd { a href=(trace) rel="noreferrer" { "Open the trace" } } }
        }
    } }
}

/// What happened to an event, in order.
fn timeline(receipt: &str, row: &Row<'_>, now: Timestamp) -> Vec<(Timestamp, Markup)> {
    let mut happened = Vec::new();
    happened.extend(row.received_at().map(|at| (at, html! { "received: " (way(receipt).as_str()) })));
    for repeat in &row.repeats {
        happened.push((
            repeat.received_at(),
            html! { "it came again: " (repeat.way().as_str()) ", receipt " (code(&repeat.to_string())) },
        ));
    }
    for entry in &row.parked {
        happened.extend(
            entry.about.parked_at.map(|at| (at, html! { "parked: " (printable(&entry.about.reason)) })),
        );
    }
    if let Some(record) = row.record {
        happened.extend(record.claimed_at().map(|at| (at, html! { "first claimed by a worker" })));
        happened.extend(record.done_at.map(|at| (at, html! { "published" })));
        if record.attempt > 0 {
            let reason = record.reason.as_deref().unwrap_or("unknown");
            let at = record.deadline.or(record.claimed_at()).unwrap_or(now);
            let said = html! { "failed " (record.attempt) " times: " (printable(reason)) };
            happened.extend((record.state != EventState::Retrying).then_some((at, said)));
        }
        if let (EventState::Retrying, Some(due)) = (record.state, record.deadline) {
            let reason = record.reason.as_deref().unwrap_or("unknown");
            happened.push((due, html! { strong { "retry " (record.attempt) } ": the attempt before failed with " (printable(reason)) }));
        }
        if let (EventState::Claimed, Some(lease)) = (record.state, record.deadline) {
            happened.push((lease, html! { "the lease of the worker that has it is over" }));
        }
    }
    if happened.is_empty() {
        happened.extend(
            receipt.parse::<ReceiptId>().ok().map(|receipt| (receipt.received_at(), html! { "received" })),
        );
    }
    happened.sort_by_key(|(at, _)| *at);
    happened
}

/// Where its trace can be seen.
fn trace(console: &Console, one: &Publication) -> Option<String> {
    let template = console.settings.trace_url.as_ref()?;
    let id = one.traceparent.as_ref()?.split('-').nth(1)?;
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| template.replace("{trace}", id))
}
