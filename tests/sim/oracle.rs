//! What must hold when everything has ended.

use std::collections::{BTreeMap, BTreeSet};

use milepost::domain::samples::SampleSource;

use crate::book::{Book, Form, Received, Seen, Update, is_of_sink};
use crate::hubrise::Hubrise;
use crate::plan::{Kind, Plan};
use crate::servers::ParkedCopy;

pub mod recovery;
mod sink;

/// By how much two clocks that are right may differ, and a little more.
const CLOCKS: std::time::Duration = std::time::Duration::from_secs(1);

/// Judges what is in the book.
pub fn judge(plan: &Plan, parked: &[ParkedCopy], hubrise: &Hubrise, book: &mut Book) {
    sink::judge(plan, hubrise, parked, book);
    let parked: BTreeSet<usize> = parked
        .iter()
        .filter(|parked| !is_of_sink(&parked.envelope))
        .filter_map(|parked| {
            book.receipts.get(&parked.envelope.receipt.spooled()).map(|received| received.event)
        })
        .collect();
    each_webhook_ends(plan, &parked, book);
    each_event_ends(plan, book);
    one_event_has_one_id(plan, book);
    sequences_are_unique(plan, book);
    subscribers_end_with_the_truth(plan, book);
    recovery::each_pull_ends(plan, book);
    recovery::only_news_is_pulled(plan, book);
    book.trace.note(None, || "the end".to_owned());
}

/// By event: what its requests became.
struct Account {
    accepted: bool,
    stored: bool,
    certain: bool,
    received: Vec<jiff::Timestamp>,
    /// When the first and the last of them was, by a clock that is right.
    truly: Option<(jiff::Timestamp, jiff::Timestamp)>,
}

/// Whether a provider's webhooks have no id of their own: then equal content is one event, however it came.
fn by_content(provider: &dyn SampleSource) -> bool {
    matches!(provider.id().as_str(), "deliverect" | "dash")
}

/// What a receipt is of, as far as that makes it another event.
fn form(plan: &Plan, event: usize, form: Form) -> Form {
    if by_content(plan.events[event].provider) { Form::Webhook } else { form }
}

/// Of the receipts that are of this form.
fn accounts(plan: &Plan, book: &Book, of: Form) -> BTreeMap<usize, Account> {
    let mut accounts = BTreeMap::new();
    let is_of = |received: &&Received| form(plan, received.event, received.form) == of;
    for received in book.receipts.values().filter(is_of) {
        let account = accounts.entry(received.event).or_insert(Account {
            accepted: false,
            stored: false,
            certain: true,
            received: Vec::new(),
            truly: None,
        });
        account.accepted |= received.accepted;
        account.stored |= received.stored;
        account.certain &= received.certain;
        if received.stored {
            account.received.push(received.at);
            let at = received.truly_at;
            let (first, last) = account.truly.unwrap_or((at, at));
            account.truly = Some((first.min(at), last.max(at)));
        }
    }
    accounts
}

/// Whether a receipt of the one may belong to the same occurrence as a receipt of the other.
fn may_be_one(plan: &Plan, one: (usize, &Account), other: (usize, &Account)) -> bool {
    let (event, known) = (&plan.events[one.0], &plan.events[other.0]);
    let horizon = event.provider.resend_horizon();
    let near =
        |at: &jiff::Timestamp, other: &jiff::Timestamp| at.duration_since(*other).unsigned_abs() <= horizon;
    event.content == known.content
        && one.1.received.iter().any(|at| other.1.received.iter().any(|other| near(at, other)))
}

/// Each accepted webhook ends as exactly one of published, duplicate, ignored, parked.
fn each_webhook_ends(plan: &Plan, parked: &BTreeSet<usize>, book: &mut Book) {
    let webhooks = book.seen.iter().filter(|seen| form(plan, seen.event, seen.form) == Form::Webhook);
    let published: BTreeSet<usize> = webhooks.map(|seen| seen.event).collect();
    let accounts = accounts(plan, book, Form::Webhook);
    for (event, account) in &accounts {
        let known = &plan.events[*event];
        let ended = match known.kind {
            Kind::Forged => !account.stored,
            Kind::Ignored => !published.contains(event) && !parked.contains(event),
            Kind::Unreadable => parked.contains(event) || !account.accepted,
            Kind::Update => {
                let merged = || {
                    published.iter().any(|other| {
                        accounts
                            .get(other)
                            .is_some_and(|others| may_be_one(plan, (*event, account), (*other, others)))
                    })
                };
                let no_news = by_content(known.provider) && book.pulls.no_news.contains(&known.content);
                !account.accepted || published.contains(event) || no_news || merged()
            }
        };
        let discarded = book.discarded.contains(&known.content);
        if !ended && !discarded {
            let says = format!("{:?} of {}", known.kind, known.provider.id());
            book.violation("an accepted webhook is lost", Some(*event), says);
        }
    }
}

/// Every event that a worker ever claimed is published in the end.
fn each_event_ends(plan: &Plan, book: &mut Book) {
    let unended: Vec<_> = book
        .begun
        .iter()
        .filter(|((delivery, _), (event, id))| {
            let excused =
                book.lost.contains(delivery) || book.discarded.contains(&plan.events[*event].content);
            // A forced replay has a name of its own, and the same id.
            !book.ended.contains(id) && !excused
        })
        .map(|((_, name), (event, _))| (name.clone(), *event))
        .collect();
    for (name, event) in unended {
        book.violation("an event that was begun is lost", Some(event), name);
    }
}

/// Nothing is published twice under two ids.
fn one_event_has_one_id(plan: &Plan, book: &mut Book) {
    let mut ids: BTreeMap<(usize, Form), BTreeSet<&str>> = BTreeMap::new();
    for seen in &book.seen {
        ids.entry((seen.event, form(plan, seen.event, seen.form))).or_default().insert(&seen.id);
    }
    let accounts = [Form::Webhook, Form::State, Form::Step].map(|form| accounts(plan, book, form));
    let twice: Vec<_> = ids
        .into_iter()
        .filter(|((event, form), ids)| {
            let account = accounts[*form as usize].get(event).filter(|account| account.certain);
            let Some(account) = account else { return false };
            let known = &plan.events[*event];
            // Without an id, what is received beyond the horizon is another occurrence.
            let apart = account.truly.map(|(first, last)| last.duration_since(first).unsigned_abs());
            let by_content = by_content(known.provider) || *form != Form::Webhook;
            let beyond = apart.is_some_and(|apart| apart + CLOCKS >= known.provider.resend_horizon());
            let excused = by_content && beyond || *form == Form::State && is_returned_to(plan, book, *event);
            ids.len() > 1 && !excused && !book.lost.contains(&known.delivery)
        })
        .map(|((event, _), ids)| (event, format!("{ids:?}")))
        .collect();
    for (event, says) in twice {
        book.violation("one event has two ids", Some(event), says);
    }
}

/// Whether a pulled state was published again after another status of its delivery: then it says what stands.
fn is_returned_to(plan: &Plan, book: &Book, event: usize) -> bool {
    let known = &plan.events[event];
    let of_delivery = book.seen.iter().filter(|seen| plan.events[seen.event].delivery == known.delivery);
    let mut ids = BTreeSet::new();
    let mut has_another = true;
    for seen in of_delivery {
        if seen.event != event || seen.form != Form::State {
            has_another |= plan.events[seen.event].raw_status != known.raw_status;
        } else if ids.insert(&seen.id) && !std::mem::take(&mut has_another) {
            return false;
        }
    }
    true
}

/// Two updates of a delivery never have one sequence number.
fn sequences_are_unique(plan: &Plan, book: &mut Book) {
    let mut given: BTreeMap<(usize, u64), &str> = BTreeMap::new();
    let mut twice = Vec::new();
    for Seen { id, event, update, .. } in &book.seen {
        let delivery = plan.events[*event].delivery;
        let first = *given.entry((delivery, update.sequence)).or_insert(id);
        if first != id && !book.lost.contains(&delivery) {
            twice.push((*event, format!("{} of {first} and {id}", update.sequence)));
        }
    }
    for (event, says) in twice {
        book.violation("two updates have one sequence number", Some(event), says);
    }
}

/// A subscriber that follows the rule of docs/subscribe.md ends with the last status that was published, in any order of the updates.
fn subscribers_end_with_the_truth(plan: &Plan, book: &mut Book) {
    let uncertain: BTreeSet<usize> = book
        .receipts
        .values()
        .filter(|received| !received.certain)
        .map(|received| plan.events[received.event].delivery)
        .collect();
    let deliveries: BTreeSet<usize> = plan.events.iter().map(|event| event.delivery).collect();
    for delivery in deliveries {
        let discarded = plan
            .events
            .iter()
            .any(|event| event.delivery == delivery && book.discarded.contains(&event.content));
        if discarded || uncertain.contains(&delivery) || book.lost.contains(&delivery) {
            continue;
        }
        let seen = || book.seen.iter().filter(|seen| plan.events[seen.event].delivery == delivery);
        let Some(last) = seen().map(|seen| seen.event).max_by_key(|event| plan.events[*event].order) else {
            continue;
        };
        if !seen().all(|seen| plan.events[seen.event].ordered) {
            continue;
        }
        let status = |shown: Option<&Update>| shown.map(|update| update.raw_status.clone());
        let forwards = status(follow(seen()));
        let backwards = status(follow(seen().collect::<Vec<_>>().into_iter().rev()));
        let truth = &plan.events[last].raw_status;
        for (how, state) in [("as published", forwards), ("backwards", backwards)] {
            if state.as_ref() != Some(truth) {
                let says = format!("{how}: {state:?}, and the last is {truth}");
                book.violation("a subscriber ends with another status", Some(last), says);
                break;
            }
        }
    }
}

/// The state of a subscriber: what has the highest sequence, and is not late.
fn follow<'a>(seen: impl Iterator<Item = &'a Seen>) -> Option<&'a Update> {
    let mut state: Option<&Update> = None;
    for Seen { update, .. } in seen {
        let newer = state.is_none_or(|last| update.sequence > last.sequence);
        if newer && update.order != "late" {
            state = Some(update);
        }
    }
    state
}
