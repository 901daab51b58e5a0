//! One parked message: masked, revealed, and edited.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use maud::{Markup, html};
use serde_json::Value;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::adapters::clock::SystemClock;
use crate::config::Right;
use crate::console::Console;
use crate::console::access::Visitor;
use crate::console::page::{self, Tone, badge, code, maybe_code, maybe_time, notice, number, time};
use crate::console::parked_index::{HeldContent, IndexedMessage};
use crate::console::running::Job;
use crate::console::web::{PageRequest, Posted, Refusal, needs, token};
use crate::domain::document::without_mark;
use crate::domain::provider::ProviderId;
use crate::operator::audit::{Act, AuditEntry, Surface};
use crate::operator::parked::body::ShownBody;
use crate::operator::parked::filter::{Filter, Selection};
use crate::operator::parked::replay::Options;
use crate::operator::parked_of;
use crate::operator::printable::printable;
use crate::ports::Clock as _;
use crate::providers;
use crate::telemetry::metrics as m;

/// The address of a message.
pub(super) fn link(provider: ProviderId, id: &str) -> String {
    let id: String = byte_serialize(id.as_bytes()).collect();
    format!("/parked/{provider}/{id}")
}

pub(in crate::console) async fn page(
    State(console): State<Arc<Console>>,
    Path((provider, id)): Path<(String, String)>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    let (message, content) = find(&console, &provider, &id).await?;
    let body = ShownBody::read(&content.body, false);
    Ok(shown(&asked.visitor, &message, &content, &body, None))
}

/// The page with personal data: a right of its own, and written to the audit log before it is shown.
pub(in crate::console) async fn reveal(
    State(console): State<Arc<Console>>,
    Path((provider, id)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Refusal> {
    needs(&posted.visitor, Right::Personal)?;
    let (message, content) = find(&console, &provider, &id).await?;
    note_reveal(&console, &posted.visitor, &message).await?;
    let body = ShownBody::read(&content.body, true);
    Ok(shown(&posted.visitor, &message, &content, &body, editable(&message, &content).as_deref()))
}

async fn note_reveal(console: &Console, visitor: &Visitor, message: &IndexedMessage) -> Result<(), Refusal> {
    let about = &message.entry.about;
    let which = format!("--provider {} {}", about.provider, about.id);
    let ids = std::slice::from_ref(&about.id);
    let begun = AuditEntry::begun(&visitor.name, Surface::Console, Act::Reveal, which, ids);
    let noted = console.acts.note(&begun.ended(1, "shown".to_owned())).await;
    metrics::counter!(m::CONSOLE_ACTS, "act" => Act::Reveal.as_str()).increment(1);
    noted.map_err(|error| Refusal::away(&error))
}

/// Replays one message with another body.
pub(in crate::console) async fn edit(
    State(console): State<Arc<Console>>,
    Path((provider, id)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Refusal> {
    needs(&posted.visitor, Right::Act)?;
    needs(&posted.visitor, Right::Personal)?;
    let (message, content) = find(&console, &provider, &id).await?;
    if editable(&message, &content).is_none() {
        return Err(Refusal::bad("This message's body cannot be edited here."));
    }
    let about = &message.entry.about;
    let text = posted.fields.exact("body").unwrap_or_default().to_owned();
    let decodes =
        providers::by_name(about.provider.as_str()).map(|provider| provider.decode(text.as_bytes()).is_ok());
    if decodes != Some(true) {
        // It is shown again with what was typed, so it counts as another look.
        note_reveal(&console, &posted.visitor, &message).await?;
        let body = ShownBody::read(&content.body, true);
        let page = shown(&posted.visitor, &message, &content, &body, Some(&text));
        return Ok((axum::http::StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    let filter = Filter { provider: vec![about.provider], ..Filter::default() };
    let selection = Selection { ids: vec![about.id.clone()], all: false, filter };
    let options =
        Options { max_failures: Some(0.0), selection, edited: Some(Bytes::from(text)), ..Options::default() };
    super::confirming::begin(&console, &posted.visitor, about.provider, Job::Replay(options))
}

async fn find(
    console: &Console,
    provider: &str,
    id: &str,
) -> Result<(IndexedMessage, Arc<HeldContent>), Refusal> {
    let gone = || {
        Refusal::gone(format!(
            "No parked message of {provider} has the id {}. It may have been replayed.",
            printable(id)
        ))
    };
    let provider = parked_of(provider).map_err(|_| Refusal::gone("There is no such provider."))?;
    let message = console.index.message(provider, id).ok_or_else(gone)?;
    let content = console.index.content(&message).await.map_err(|error| Refusal::away(&error))?;
    Ok((message, content.ok_or_else(gone)?))
}

/// The body as it can be edited: JSON of a provider's in which no credential would have to be shown.
fn editable(message: &IndexedMessage, content: &HeldContent) -> Option<String> {
    providers::by_name(message.entry.about.provider.as_str()).filter(|_| message.entry.defect.is_none())?;
    let body = without_mark(&content.body);
    let ShownBody::Json(shown) = ShownBody::read(body, true) else { return None };
    let whole: Value = serde_json::from_slice(body).ok()?;
    (shown == whole).then(|| String::from_utf8_lossy(body).into_owned())
}

fn shown(
    visitor: &Visitor,
    message: &IndexedMessage,
    content: &HeldContent,
    body: &ShownBody,
    edited: Option<&str>,
) -> Response {
    let about = &message.entry.about;
    let here = link(about.provider, &about.id);
    let query = Serializer::new(String::new())
        .append_pair("provider", about.provider.as_str())
        .append_pair("id", &about.id)
        .finish();
    let content = html! {
        p { a href={ "/parked?view=messages&provider=" (about.provider) "&fingerprint=" (message.group.fingerprint) } { "All that failed alike" } }
        (facts(message))
        @if visitor.may(Right::Act) { div class="acts" {
            a class="button" href={ "/parked/replay?" (query) } { "Replay" }
            a href={ "/parked/discard?" (query) } { "Discard" }
        } }
        (history(content))
        h2 { "Body" }
        (self::body(visitor, &here, message, body))
        @if let Some(text) = edited.filter(|_| visitor.may(Right::Act)) { (editor(visitor, &here, message, text)) }
    };
    page::page(visitor, "/parked", "Parked message", &content)
}

fn facts(message: &IndexedMessage) -> Markup {
    let (entry, now) = (&message.entry, SystemClock.now());
    let (about, content) = (&entry.about, &entry.content);
    html! { dl class="facts" {
        dt { "Message" } dd { (code(&about.id)) }
        dt { "Provider" } dd { (about.provider) " / " (code(entry.account())) }
        dt { "Reason" } dd { (badge(Tone::Warn, &printable(&about.reason))) @if let Some(detail) = &about.detail { " " (printable(detail)) } }
        dt { "Fingerprint" } dd { (code(&message.group.fingerprint)) }
        dt { "Received" } dd { (maybe_time(about.received_at, now)) }
        dt { "Parked" } dd { (maybe_time(about.parked_at, now)) }
        dt { "Tries" } dd { (number(u64::from(about.attempt) + 1)) @if about.crashes > 0 { ", " (about.crashes) " crashes" } }
        dt { "Delivery" } dd { @match &content.delivery_id { None => { "–" }, Some(id) => a href=(super::delivery::link(id)) { (code(id)) } } }
        dt { "Status" } dd { (maybe_code(content.raw_status.as_deref())) }
        dt { "Event" } dd { (maybe_code(content.event_id.as_deref())) }
        dt { "Provider's event" } dd { (maybe_code(content.provider_event_id.as_deref())) }
        dt { "Envelope" } dd { (entry.defect.unwrap_or("sound")) }
    } }
}

fn history(content: &HeldContent) -> Markup {
    let now = SystemClock.now();
    html! { @if !content.history.failures().is_empty() {
        h2 { "History" }
        ol class="timeline" { @for failure in content.history.failures() { li {
            (time(failure.at, now)) " try " (number(u64::from(failure.attempt) + 1)) ": " (printable(&failure.reason))
            @if let Some(detail) = &failure.detail { ", " (printable(detail)) }
        } } }
    } }
}

fn body(visitor: &Visitor, here: &str, message: &IndexedMessage, body: &ShownBody) -> Markup {
    html! {
        @match body {
            ShownBody::Json(value) => pre tabindex="0" role="region" aria-label="Body" { (pretty(value)) },
            ShownBody::Text(text) => pre tabindex="0" role="region" aria-label="Body" { (text) },
            ShownBody::Hidden => p { "It is not JSON, and what cannot be read cannot be masked." },
        }
        p class="hint" { (number(message.entry.bytes as u64)) " bytes. What is not known to be harmless is masked; credentials always are." }
        @if visitor.may(Right::Personal) {
            form action={ (here) "/reveal" } method="post" {
                (token(visitor))
                button type="submit" class="quiet" { "Show personal data" }
                span class="hint" { " It is written to the audit log that you looked." }
            }
        }
    }
}

fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

fn editor(visitor: &Visitor, here: &str, message: &IndexedMessage, text: &str) -> Markup {
    let provider = providers::by_name(message.entry.about.provider.as_str());
    let readable = provider.is_some_and(|provider| provider.decode(text.as_bytes()).is_ok());
    html! {
        h2 { "Edit and replay" }
        @if !readable { (notice(Tone::Warn, "As it is here, the provider's webhook cannot be read: a worker would park it again.")) }
        p class="hint" { "The body is then no longer what the provider signed. The message's history says that it was edited, and the audit log says by whom." }
        form action={ (here) "/edit" } method="post" {
            (token(visitor))
            label for="body" { "Body" }
            textarea id="body" name="body" rows="12" spellcheck="false" { (text) }
            button type="submit" { "Replay with this body" }
        }
    }
}
