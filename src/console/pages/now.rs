//! Now: each provider's state, live.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::adapters::clock::SystemClock;
use crate::console::Console;
use crate::console::fleet::{FleetView, LossClock, ProviderView, parked_tone, share_tone};
use crate::console::page::{self, TableColumn, Tone, badge, length, notice, number, time};
use crate::console::web::PageRequest;
use crate::ports::Clock as _;

pub(in crate::console) async fn page(State(console): State<Arc<Console>>, asked: PageRequest) -> Response {
    let view = Arc::clone(&console.fleet.borrow());
    let content = html! {
        div data-live="/live" { (piece(&view, SystemClock.now())) }
        p class="hint live-state" data-live-state { "Shown as of when the page was opened." }
        details {
            summary { "What the columns say" }
            dl class="facts" {
                dt { "Accepting" } dd { "The share of the provider's webhooks in the last minute that we take, or refuse for a fault of theirs. Below 100 % we turn away what we should take." }
                dt { "Publishing" } dd { "What ended well (published, duplicate, nothing to publish) of what came in. Below 100 % messages wait, or are parked; they are not lost." }
                dt { "Behind" } dd { "Messages that wait for a worker." }
                dt { "Waiting" } dd { "Events that wait for a retry." }
                dt { "Parked" } dd { "Messages that no retry can help, or that ran out of retries. They are kept whole until an operator replays them." }
                dt { "Loss clock" } dd { "\"Loses data in\": we refuse this provider's webhooks; the time until the first refused webhook is lost. \"Tolerates\": how long an outage can last before a webhook is lost." }
            }
        }
    };
    page::page(&asked.visitor, "/", "Now", &content)
}

/// Its table, made again whenever the fleet was looked at.
pub(in crate::console) async fn live(State(console): State<Arc<Console>>, _asked: PageRequest) -> Response {
    console.live.follow(console.fleet.clone(), |view| (piece(view, SystemClock.now()), false))
}

fn piece(view: &FleetView, now: Timestamp) -> Markup {
    html! {
        @match view.at {
            None => p { "The servers are being asked; this takes a moment." },
            Some(at) => p class="hint" { "As of " (time(at, now)) ", from " (number(view.processes as u64)) " processes of the fleet." },
        }
        @for trouble in &view.troubles { (notice(Tone::Bad, trouble)) }
        @if view.at.is_some() && view.processes == 0 && view.troubles.is_empty() {
            (notice(Tone::Plain, "Whether we accept and publish, and the loss clock, only the fleet's processes can say: console.metrics names none."))
        }
        @if view.at.is_some() { (table(view)) }
    }
}

fn table(view: &FleetView) -> Markup {
    let columns = [
        TableColumn::Text("Provider"),
        TableColumn::Text("Accepting"),
        TableColumn::Text("Publishing"),
        TableColumn::Number("Webhooks"),
        TableColumn::Number("Behind"),
        TableColumn::Number("Waiting"),
        TableColumn::Number("Parked"),
        TableColumn::Text("Loss clock"),
    ];
    page::table("Providers", &columns, &html! { @for provider in &view.providers { (row(provider)) } })
}

fn row(view: &ProviderView) -> Markup {
    let name = view.provider.as_str();
    let share = |share: Option<f64>, amber, green, none: &str| {
        let words = share
            .map_or_else(|| none.to_owned(), |share| format!("{:.1} %", (share * 1000.0).floor() / 10.0));
        badge(share_tone(share, amber, green), &words)
    };
    let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), number);
    // Nothing came, or it is not known.
    let none = if view.clock == LossClock::Unknown { "?" } else { "nothing came" };
    html! { tr {
        th scope="row" { (name) }
        td { (share(view.accepting, 0.99, 0.999, none)) }
        td { (share(view.publishing, 0.5, 0.95, none)) }
        td class="num" { (view.rate.map_or_else(|| "?".to_owned(), |rate| format!("{rate:.1}/s"))) }
        td class="num" { (count(view.behind.map(u64::from))) }
        td class="num" { a href={ "/waiting?provider=" (name) } { (count(view.waiting.map(|waiting| waiting as u64))) } }
        td class="num" { a href={ "/parked?provider=" (name) } { (badge(parked_tone(view.parked), &count(view.parked.map(u64::from)))) } }
        td { (badge(view.clock.tone(), &clock(view.clock))) }
    } }
}

fn clock(clock: LossClock) -> String {
    match clock {
        LossClock::Unknown => "?".to_owned(),
        LossClock::LosesDataIn(left) if left.is_negative() => {
            format!("losing data for {}", length(left.abs()))
        }
        LossClock::LosesDataIn(left) => format!("loses data in {}", length(left)),
        LossClock::Tolerates(left) => format!("tolerates {}", length(left)),
    }
}
