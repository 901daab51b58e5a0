//! Parked: what failed alike, and the messages of a group.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use super::selecting::{FILTER, filter, hidden};
use crate::adapters::clock::SystemClock;
use crate::config::Right;
use crate::console::Console;
use crate::console::page::{
    self, TableColumn, Tone, badge, code, maybe_code, maybe_time, notice, number, pager, skip, time,
};
use crate::console::parked_index::{GroupTrend, IndexedMessage, TREND_HOURS};
use crate::console::web::{FormFields, PageRequest, Refusal};
use crate::operator::parked::filter::Filter;
use crate::operator::printable::printable;
use crate::ports::Clock as _;

const PAGE: usize = 50;

/// The page: groups, or with a fingerprint, or on request, messages.
pub(in crate::console) async fn page(
    State(console): State<Arc<Console>>,
    asked: PageRequest,
) -> Result<Response, Refusal> {
    let PageRequest { visitor, fields } = &asked;
    let (filter, skipped, now) = (filter(fields)?, skip(fields)?, SystemClock.now());
    let may_act = visitor.may(Right::Act);
    let (all, shown) = if fields.get("view") == Some("messages") {
        let (passed, messages) = console.index.page(&filter, skipped, PAGE);
        let list = list(fields, &messages, may_act, passed, now);
        (passed as u64, html! { (list) (pager("/parked", fields, skipped, PAGE, passed)) })
    } else {
        let groups = console.index.groups(&filter);
        let one_by_one = format!("/parked?view=messages&{}", fields.query_without(&["view", "skip"]));
        let all = groups.iter().map(|group| group.group.count).sum();
        (
            all,
            html! { (table(&groups, may_act, now)) p { a href=(one_by_one) { "Show the messages one by one" } } },
        )
    };
    let content = html! {
        (states(&console, now))
        (form(fields))
        p { strong { (number(all)) } " parked" @if !filter.is_empty() { " that pass the filter" } "." }
        @if all > 0 { (shown) }
    };
    Ok(page::page(visitor, "/parked", "Parked", &content))
}

/// How well the queues are known.
fn states(console: &Console, now: Timestamp) -> Markup {
    html! { @for (provider, state) in console.index.states() {
        @if let Some(trouble) = &state.trouble { (notice(Tone::Warn, &format!("{provider}: {trouble}"))) }
        @match state.read_at {
            None if state.trouble.is_none() => p class="notice plain" role="status" { (provider) ": its parked messages are being read for the first time." },
            Some(at) if state.trouble.is_some() => p class="hint" { (provider) ": shown as of " (time(at, now)) ", and what was parked since." },
            _ => {}
        }
        @if state.beyond > 0 { (notice(Tone::Warn, &format!("{provider}: {} messages more than are shown here", state.beyond))) }
    } }
}

fn form(fields: &FormFields) -> Markup {
    let value = |name| fields.get(name);
    let filtered = FILTER.iter().any(|name| value(name).is_some());
    html! { details open[filtered] { summary { "Filter" } form method="get" action="/parked" class="filter" {
        @if let Some(view) = value("view") { input type="hidden" name="view" value=(view); }
        label { "Provider " select name="provider" {
            option value="" { "all" }
            @for provider in Filter::default().providers() {
                option value=(provider) selected[value("provider") == Some(provider.as_str())] { (provider) }
            }
        } }
        @for (name, words) in [("account", "Account"), ("reason", "Reason"), ("fingerprint", "Fingerprint"), ("delivery", "Delivery"), ("event", "Event"), ("error", "Text in the reason"), ("since", "Parked since"), ("until", "Until")] {
            label { (words) " " input name=(name) value=[value(name)]; }
        }
        button type="submit" { "Filter" }
        @if filtered { a href="/parked" { "Clear" } }
    } } }
}

fn table(groups: &[GroupTrend], may_act: bool, now: Timestamp) -> Markup {
    let mut columns = ["Provider", "Reason", "Account", "Fingerprint"].map(TableColumn::Text).to_vec();
    columns.push(TableColumn::Number("Parked"));
    columns.extend(may_act.then_some(TableColumn::Text("Act")));
    columns.extend(["Last 24 hours", "Oldest", "Newest"].map(TableColumn::Text));
    page::table(
        "Groups",
        &columns,
        &html! { @for group in groups {
            @let key = &group.key;
            @let query = of_group(group);
            tr {
                th scope="row" { (key.provider) }
                td { (badge(Tone::Warn, &printable(&key.reason))) @if !key.detail.is_empty() { " " (printable(&key.detail)) } }
                td { (code(&key.account)) }
                td { a href={ "/parked?view=messages&" (query) } { (code(&key.fingerprint)) } }
                td class="num" { a href={ "/parked?view=messages&" (query) } { (number(group.group.count)) } }
                @if may_act { td { a href={ "/parked/replay?" (query) } { "Replay" span class="hidden" { " this group" } } } }
                td { (trend(group)) }
                td { (maybe_time(group.group.oldest, now)) }
                td { (maybe_time(group.group.newest, now)) }
            }
        } },
    )
}

/// The query that means a group.
fn of_group(group: &GroupTrend) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("provider", &group.key.provider).append_pair("fingerprint", &group.key.fingerprint);
    if group.key.account != "-" {
        query.append_pair("account", &group.key.account);
    }
    query.finish()
}

/// Bars, one an hour; in words for who cannot see them.
fn trend(group: &GroupTrend) -> Markup {
    let most = group.hours.iter().copied().max().unwrap_or_default().max(1);
    let height =
        |count: u32| if count == 0 { 0 } else { (u64::from(count) * 23 / u64::from(most)).max(1) + 1 };
    let (last, day): (u32, u32) = (group.hours[TREND_HOURS - 1], group.hours.iter().sum());
    let words = format!("{last} in the last hour, {day} in the last 24");
    html! { svg class="trend" role="img" aria-label=(words) viewBox="0 0 96 24" width="96" height="24" {
        title { (words) }
        @for (hour, count) in group.hours.iter().enumerate() {
            rect x=(hour * 4) y=(24 - height(*count)) width="3" height=(height(*count)) {}
        }
    } }
}

fn list(
    fields: &FormFields,
    messages: &[IndexedMessage],
    may_act: bool,
    passed: usize,
    now: Timestamp,
) -> Markup {
    let one_provider = messages.first().map(|first| first.entry.about.provider);
    let one_provider =
        one_provider.filter(|one| messages.iter().all(|message| message.entry.about.provider == *one));
    let selects = may_act && one_provider.is_some();
    let mut columns = Vec::from_iter(selects.then_some(TableColumn::Unnamed("Select")));
    columns.extend(["Message", "Delivery", "Status", "Reason", "Parked"].map(TableColumn::Text));
    columns.push(TableColumn::Number("Tries"));
    columns.extend(["Provider", "Account"].map(TableColumn::Text));
    html! { form method="get" action="/parked/replay" {
        @match one_provider {
            Some(provider) if may_act => {
                @if fields.get("provider").is_none() { input type="hidden" name="provider" value=(provider); }
                div class="acts" {
                    button type="submit" { "Replay the selected" }
                    button type="submit" formaction="/parked/discard" class="quiet" { "Discard the selected" }
                    a href={ "/parked/replay?all=1&" (fields.query_without(&["view", "skip", "id"])) } { "Replay all " (number(passed as u64)) }
                    a href={ "/parked/discard?all=1&" (fields.query_without(&["view", "skip", "id"])) } { "Discard all " (number(passed as u64)) }
                }
            }
            None if may_act => p class="hint" { "Choose one provider to act on its messages." },
            _ => {}
        }
        (hidden(fields))
        (page::table("Messages", &columns, &html! { @for message in messages {
            @let about = &message.entry.about;
            tr {
                    @if selects { td { input type="checkbox" name="id" value=(about.id) aria-label={ "Select " (about.id) }; } }
                    th scope="row" { a href=(super::message::link(about.provider, &about.id)) { (code(&about.id)) } }
                    td { @match &message.entry.content.delivery_id { None => { "–" }, Some(id) => a href=(super::delivery::link(id)) { (code(id)) } } }
                    td { (maybe_code(message.entry.content.raw_status.as_deref())) }
                    td { (printable(&about.reason)) @if let Some(detail) = &about.detail { " " span class="hint" { (printable(detail)) } } }
                    td { (maybe_time(about.parked_at, now)) }
                    td class="num" { (number(u64::from(about.attempt) + 1)) }
                    td { (about.provider) }
                    td { (code(message.entry.account())) }
            }
        } }))
    } }
}
