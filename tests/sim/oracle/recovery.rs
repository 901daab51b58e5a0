//! What must hold of what was pulled.

use std::collections::BTreeSet;

use super::{by_content, follow};
use crate::api::{Api, address};
use crate::book::{Book, Form, Received, Seen};
use crate::plan::{Event, Plan};

/// A delivery that is shown otherwise than its provider has it, though asking would tell.
pub struct Wrong {
    pub delivery: usize,
    pub address: String,
    /// The event that tells how it stands.
    pub truth: usize,
    pub says: String,
}

/// Deliveries of which nothing can be told for sure: the ledger lost some of them, the operator discarded, or a receiver's
/// clock was wrong.
fn excused(plan: &Plan, book: &Book) -> BTreeSet<usize> {
    let unordered = plan.events.iter().filter(|event| !event.ordered).map(|event| event.delivery);
    let discarded = plan.events.iter().filter(|event| book.discarded.contains(&event.content));
    let uncertain = book.receipts.values().filter(|received| !received.certain);
    let uncertain = uncertain.map(|received| book.delivery_of(received.event));
    let forced = book.forced.iter().copied();
    let lost = book.lost.iter().copied();
    unordered
        .chain(discarded.map(|event| event.delivery))
        .chain(uncertain)
        .chain(forced)
        .chain(lost)
        .collect()
}

/// Deliveries of which something was published, that are open for all that subscribers know, and that the provider has in
/// another state.
pub fn wrong(plan: &Plan, api: &Api, book: &Book) -> Vec<Wrong> {
    let Some(recovery) = &plan.recovery else { return Vec::new() };
    let excused = excused(plan, book);
    let deliveries: BTreeSet<usize> = book.seen.iter().map(|seen| plan.events[seen.event].delivery).collect();
    let asked = deliveries
        .into_iter()
        .filter(|delivery| !excused.contains(delivery) && !recovery.unknown.contains(delivery));
    asked
        .filter_map(|delivery| {
            let truth = api.truth(delivery)?;
            let event = &plan.events[truth];
            if event.provider.id() != recovery.asked {
                return None;
            }
            let of_delivery = || book.seen.iter().filter(|seen| plan.events[seen.event].delivery == delivery);
            // What closes a delivery is the last that is asked for.
            let shown = follow(of_delivery())?;
            if shown.terminal || shown.raw_status == event.raw_status {
                return None;
            }
            let says = format!("it is shown as {}, and is {}", shown.raw_status, event.raw_status);
            let address = address(event)?;
            Some(Wrong { delivery, address, truth, says })
        })
        .collect()
}

/// Each webhook that was pulled and confirmed ends: it, its status, or something of its delivery that is further on, is published.
/// That a delivery does not stay wrong is looked at while it recovers.
pub fn each_pull_ends(plan: &Plan, book: &mut Book) {
    let excused = excused(plan, book);
    let published = |event: usize| {
        let pulled = &plan.events[event];
        let mut seen = book.seen.iter().map(|seen| &plan.events[seen.event]);
        // The same status as one before, whose end was never told, is no news.
        let ends_it = |seen: &Event| seen.order >= pulled.order || seen.raw_status == pulled.raw_status;
        seen.any(|seen| seen.delivery == pulled.delivery && ends_it(seen))
    };
    let pulled = book.pulls.confirmed.iter().filter_map(|receipt| book.receipts.get(&receipt.spooled()));
    let lost: BTreeSet<usize> = pulled
        .map(|received| received.event)
        .filter(|event| !excused.contains(&plan.events[*event].delivery) && !published(*event))
        .collect();
    for event in lost {
        book.violation("a pulled webhook is lost", Some(event), plan.events[event].raw_status.clone());
    }
}

/// What was pulled and is no news is not published.
pub fn only_news_is_pulled(plan: &Plan, book: &mut Book) {
    let no_news = |seen: &&Seen| {
        // The same content, sent as a webhook, is the same event.
        let told_otherwise = || {
            let event = &plan.events[seen.event];
            let of_content = |received: &Received| {
                !received.pulled && plan.events[received.event].content == event.content
            };
            by_content(event.provider) && book.receipts.values().any(of_content)
        };
        let update = &seen.update;
        let old = update.order == "late" || update.changes == ["none"];
        let excused = seen.forced || book.lost.contains(&plan.events[seen.event].delivery);
        seen.pulled && seen.form != Form::Webhook && old && !excused && !told_otherwise()
    };
    let broken: Vec<_> = book.seen.iter().filter(no_news).map(|seen| (seen.event, seen.id.clone())).collect();
    for (event, id) in broken {
        book.violation("what was pulled is published and is no news", Some(event), id);
    }
}
