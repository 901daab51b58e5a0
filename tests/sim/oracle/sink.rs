//! What must hold of HubRise when everything has ended: docs/hubrise.md, "What is shown".

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use milepost::sinks::{HUBRISE, SinkOutcome};
use serde::Deserialize;
use serde_json::Value;

use crate::book::{Book, named};
use crate::hubrise::{Hubrise, foreign};
use crate::plan::{Order, OrderKind, Plan};
use crate::servers::ParkedCopy;

/// HubRise's statuses, from the first to the last.
const STAGES: [&str; 9] = [
    "pending",
    "pickup_enroute",
    "pickup_approaching",
    "pickup_waiting",
    "dropoff_enroute",
    "dropoff_approaching",
    "dropoff_waiting",
    "delivered",
    "cancelled",
];
/// From here on a delivery is over.
const CLOSED: usize = 7;
/// Those that begin with the courier's way to the pickup, or before it, may start a delivery over.
const EN_ROUTE: usize = 1;

/// An update, as a reader of docs/events.md has it.
#[derive(Deserialize)]
struct Update {
    time: Timestamp,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    status: String,
    previous_status: Option<String>,
    order: String,
    sequence: u64,
}

/// What an update makes of the status: the table of docs/hubrise.md.
#[derive(PartialEq)]
enum Effect {
    Show(usize),
    /// `pending`, if there is nothing further yet.
    Begin,
    Keep,
}

fn effect(status: &str) -> Effect {
    match status {
        "scheduled" | "created" | "preparing" | "verified" | "allocating" | "staged_for_delivery" => {
            Effect::Begin
        }
        "assigned" | "pickup_en_route" => Effect::Show(1),
        "pickup_approaching" => Effect::Show(2),
        "pickup_arrived" => Effect::Show(3),
        "picked_up" | "hub_arrived" | "hub_departed" | "in_transit" | "dropoff_en_route" => Effect::Show(4),
        "dropoff_approaching" => Effect::Show(5),
        "dropoff_arrived" => Effect::Show(6),
        "delivered" => Effect::Show(7),
        "returned" | "failed" | "cancelled" | "lost" | "confiscated" => Effect::Show(8),
        _ => Effect::Keep,
    }
}

fn stage(status: &str) -> Option<usize> {
    match effect(status) {
        Effect::Show(stage) => Some(stage),
        Effect::Begin => Some(0),
        Effect::Keep => None,
    }
}

/// Judges what is in the book, and what HubRise shows.
pub fn judge(plan: &Plan, hubrise: &Hubrise, parked: &[ParkedCopy], book: &mut Book) {
    let Some(sink) = &plan.sink else { return };
    let parked: BTreeSet<String> = parked
        .iter()
        .filter(|parked| parked.envelope.provider == HUBRISE)
        .map(|parked| named(&parked.envelope.body))
        .collect();
    each_update_ends(plan, hubrise, &parked, book);
    for (delivery, order) in sink.orders.iter().enumerate() {
        let shown = hubrise.shows(&order.id);
        let event = plan.events.iter().position(|event| event.delivery == delivery);
        match order.kind {
            _ if !hubrise.knows(&order.id) => {}
            OrderKind::Foreign if shown.as_ref() != Some(&foreign()) => {
                book.violation("somebody else's delivery is changed", event, order.id.clone());
            }
            OrderKind::Collection if shown.is_some() => {
                book.violation("an order that is fetched has a delivery", event, order.id.clone());
            }
            OrderKind::ToDeliver => shows_the_truth(delivery, order, shown.as_ref(), book),
            OrderKind::Foreign | OrderKind::Collection => {}
        }
    }
}

/// Each update that concerns an order ends: shown, ignored as it changes no status, or parked for good.
fn each_update_ends(plan: &Plan, hubrise: &Hubrise, parked: &BTreeSet<String>, book: &mut Book) {
    let mut broken = Vec::new();
    for (event, body) in &book.sink.updates {
        let Some(order) = plan.sink.as_ref().and_then(|sink| sink.orders.get(plan.events[*event].delivery))
        else {
            continue;
        };
        let id = named(body);
        let Some(fed) = book.sink.fed.get(&id) else { continue };
        let update: Update = serde_json::from_slice(body).expect("an update");
        let hopeless = order.kind != OrderKind::ToDeliver || order.shared || !hubrise.knows(&order.id);
        let discarded = book.sink.discarded.contains(&plan.events[*event].delivery);
        let changes = stage(&update.data.status).is_some();
        let rule = if !order.is_written() {
            fed.outcomes
                .iter()
                .any(|outcome| *outcome != SinkOutcome::Ignored)
                .then_some("an update from HubRise is sent back to HubRise")
        } else if parked.contains(&id) {
            (!hopeless).then_some("a message is parked without a cause")
        } else if fed.outcomes.is_empty() {
            (!discarded).then_some("an update is lost on its way to HubRise")
        } else {
            let ignored = fed.outcomes.contains(&SinkOutcome::Ignored);
            (ignored && changes && !hopeless).then_some("an update is ignored that an order is to show")
        };
        broken.extend(rule.map(|rule| (rule, *event, id)));
    }
    for (rule, event, id) in broken {
        book.violation(rule, Some(event), id);
    }
}

/// What HubRise shows in the end is what the updates add up to that it was to show.
fn shows_the_truth(
    delivery: usize,
    order: &Order,
    shown: Option<&serde_json::Map<String, Value>>,
    book: &mut Book,
) {
    let overtaken = book.sink.orders.get(&order.id).is_some_and(|order| order.overtaken);
    // What the ledger forgot may be said again as new, to a record that is of before, too.
    let taken_back = book.sink.rolled_back && book.lost.contains(&delivery);
    if order.shared
        || !order.is_written()
        || overtaken
        || taken_back
        || book.sink.discarded.contains(&delivery)
    {
        return;
    }
    let mut updates: BTreeMap<u64, (usize, Update)> = BTreeMap::new();
    for (event, body) in &book.sink.updates {
        let of_delivery = book.delivery_of(*event) == delivery;
        if !of_delivery {
            continue;
        }
        let outcomes = book.sink.fed.get(&named(body)).map(|fed| fed.outcomes.as_slice()).unwrap_or_default();
        if book.sink.redis_lost && outcomes.contains(&SinkOutcome::Unlinked) {
            // It may have been taken in before its link was lost.
            return;
        }
        // A body that is late ends so, and another of the same id may say otherwise.
        if outcomes.iter().all(|outcome| matches!(outcome, SinkOutcome::Unlinked | SinkOutcome::Late)) {
            continue;
        }
        let update: Update = serde_json::from_slice(body).expect("an update");
        if update.data.order == "late" {
            continue;
        }
        let other = updates.get(&update.data.sequence);
        if other.is_some_and(|(_, other)| other.data.status != update.data.status) {
            // The ledger was lost, and its numbers with it.
            return;
        }
        updates.insert(update.data.sequence, (*event, update));
    }
    let last = updates.values().next_back().map(|(event, _)| *event);
    let expected = adds_up(updates.values().map(|(_, update)| update));
    let says = |name: &str| shown.and_then(|shown| shown.get(name)).and_then(Value::as_str);
    let status = expected.map(|(stage, _)| STAGES[stage]);
    // Without its record an old update that an operator replays may be shown after a newer one that had nothing to show.
    if says("status") != status && !book.sink.redis_lost {
        let says = format!("{:?}, and the updates add up to {status:?}", says("status"));
        book.violation("HubRise shows another status", last, says);
        return;
    }
    let dated = expected.and_then(|(stage, at)| {
        let field = match stage {
            1 => "assigned_at",
            4 => "pickup_at",
            7 => "delivered_at",
            8 => "cancelled_at",
            _ => return None,
        };
        Some((field, at))
    });
    let second = |at: Timestamp| at.as_second();
    // A repeat after Redis was lost may be the first of its status that is remembered.
    if let Some((field, at)) = dated.filter(|_| !book.sink.redis_lost)
        && says(field).and_then(|text| text.parse().ok()).map(second) != Some(second(at))
    {
        let says = format!("{field} {:?}, and it was at {at}", says(field));
        book.violation("HubRise shows another time", last, says);
    }
}

/// The status, and since when, by a walk along the updates: the furthest; of two that close it the later one; and what
/// starts it over takes it back.
fn adds_up<'a>(updates: impl Iterator<Item = &'a Update>) -> Option<(usize, Timestamp)> {
    let mut shown: Option<(usize, Timestamp)> = None;
    for Update { time, data } in updates {
        let Some(to) = stage(&data.status) else { continue };
        let before = data.previous_status.as_deref().and_then(stage);
        let back = data.order == "in_order" && to <= EN_ROUTE && before.is_some_and(|before| before > to);
        // Goods that wait for their last leg did not go back.
        let staged = data.status == "staged_for_delivery" && before.is_some_and(|before| before < CLOSED);
        let goes_on = match shown {
            None => true,
            Some(_) if back && !staged => true,
            Some((now, _)) if to >= CLOSED => now != to,
            Some((now, _)) => now < CLOSED && to > now,
        };
        if goes_on {
            shown = Some((to, *time));
        }
    }
    shown
}
