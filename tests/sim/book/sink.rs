//! What is written down of a sink: its messages, its requests, and what HubRise did.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use bytes::Bytes;
use milepost::domain::envelope::Envelope;
use milepost::domain::verdict::ParkReason;
use milepost::sinks::hubrise::core::request::Request;
use milepost::sinks::hubrise::core::windows::Limit;
use milepost::sinks::{HUBRISE, HUBRISE_LINKS, SinkOutcome, Verdict, WaitReason};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Book, copy};
use crate::hubrise::Answered;
use crate::log;
use crate::plan::{Order, OrderKind, Trouble};
use crate::process::Process;

/// A lease that was lost, or ended early, is over after this time at the latest.
const LEASES_END: Duration = Duration::from_secs(60);
/// Between the admission of a request and its way to HubRise passes half a lease at most, and the time that its process
/// is stopped meanwhile.
const ADMITTED_BEFORE: Duration = Duration::from_secs(56);

/// What is known of an update that the sink's queue took.
pub struct Fed {
    pub event: usize,
    /// How it ended, each time that it did.
    pub outcomes: Vec<SinkOutcome>,
    retries: u32,
    waits_since: Option<Instant>,
}

/// What is known of an order.
#[derive(Default)]
pub struct OrderBook {
    last_post: Option<usize>,
    /// The newest look that was answered.
    last_look: Option<usize>,
    /// The newest write that took effect.
    last_write: Option<usize>,
    /// Answers that there is no such order.
    absences: u32,
    /// Answers that something of it is not taken.
    refusals: u32,
    /// Requests without an answer of HubRise's.
    failures: u32,
    /// A write took effect after a newer one: what HubRise shows then is not the sink's doing.
    pub overtaken: bool,
}

/// A request of a sink's.
struct Asked {
    order: String,
    process: u32,
    request: &'static str,
    sent: Instant,
    under_way: bool,
}

#[derive(Default)]
pub struct SinkBook {
    /// By the event's id.
    pub fed: BTreeMap<String, Fed>,
    /// Each update as it was published.
    pub updates: Vec<(usize, Bytes)>,
    /// By process: messages that may be acknowledged.
    settled: HashSet<(u32, String)>,
    asked: Vec<Asked>,
    pub orders: BTreeMap<String, OrderBook>,
    /// Deliveries that a service linked, and when that was taken in.
    pub linked: BTreeMap<usize, Instant>,
    /// Deliveries of which the operator discarded an update.
    pub discarded: BTreeSet<usize>,
    /// When Redis last lost something, or its clock jumped.
    redis_disturbed: Option<Instant>,
    pub redis_lost: bool,
    /// Redis lost its last writes, and goes on with what was true before them.
    pub rolled_back: bool,
    /// Processes that were ever stopped for a while.
    stalled: HashSet<u32>,
    /// When HubRise last answered anyone.
    answered: Option<Instant>,
}

#[derive(Deserialize)]
struct Named<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct Link<'a> {
    provider: &'a str,
    delivery_id: &'a str,
}

/// Whether a message is a sink's.
pub fn is_of_sink(envelope: &Envelope) -> bool {
    [HUBRISE, HUBRISE_LINKS].contains(&envelope.provider)
}

/// What tells a sink's message from others: the event's id, or what a service said.
pub fn named(body: &[u8]) -> String {
    let named: Option<Named<'_>> = serde_json::from_slice(body).ok();
    named.map_or_else(|| String::from_utf8_lossy(body).into_owned(), |named| named.id.to_owned())
}

impl SinkBook {
    fn disturbed_since(&self, since: Instant) -> bool {
        self.redis_disturbed.is_some_and(|at| at + LEASES_END >= since)
    }
}

impl Book {
    fn order_of(&self, event: usize) -> Option<&Order> {
        self.plan.sink.as_ref()?.orders.get(self.plan.events[event].delivery)
    }

    /// The event of the plan's that a sink's message is about.
    pub(super) fn about_message(&self, envelope: &Envelope) -> Option<usize> {
        self.sink.fed.get(&named(&envelope.body)).map(|fed| fed.event)
    }

    /// The sink's queue has an update.
    pub(super) fn fed(&mut self, id: &str, event: usize, body: Bytes) {
        self.outstanding += 1;
        self.sink.updates.push((event, body));
        let new = || Fed { event, outcomes: Vec::new(), retries: 0, waits_since: None };
        self.sink.fed.entry(id.to_owned()).or_insert_with(new);
    }

    /// A sink's message is taken care of, as far as this process goes.
    pub(super) fn settle_message(&mut self, process: &Process, envelope: &Envelope) {
        self.sink.settled.insert((process.id, named(&envelope.body)));
    }

    pub(super) fn message_acknowledged(&mut self, process: &Process, envelope: &Envelope) {
        if !self.sink.settled.contains(&(process.id, named(&envelope.body))) {
            let (event, says) = (self.about_message(envelope), format!("p{} {}", process.id, copy(envelope)));
            self.violation("a message is acknowledged and not taken care of", event, says);
        }
    }

    /// A copy that spent more attempts than its sink said.
    pub(super) fn message_delayed(&mut self, envelope: &Envelope) {
        let Some(fed) = self.sink.fed.get(&named(&envelope.body)) else { return };
        if envelope.attempt > fed.retries {
            let (event, says) = (fed.event, format!("attempt {} after {}", envelope.attempt, fed.retries));
            self.violation("an attempt is spent without a refusal", Some(event), says);
        }
    }

    /// What the sink says of a message, upon which HubRise `shows` its delivery or does not.
    pub fn verdict(
        &mut self,
        process: &Process,
        body: &[u8],
        began: Instant,
        verdict: &Verdict,
        shows: bool,
    ) {
        self.acted += 1;
        let id = named(body);
        if let Verdict::Done(_) = verdict {
            self.sink.settled.insert((process.id, id.clone()));
        }
        let Some(fed) = self.sink.fed.get_mut(&id) else {
            self.trace.note(None, || format!("p{} says of {id}: {verdict:?}", process.id));
            if let Verdict::Park(reason, detail) = verdict {
                let says = format!("{} ({detail}): {id}", reason.as_str());
                self.violation("a message is parked without a cause", None, says);
            }
            return;
        };
        let event = fed.event;
        match verdict {
            Verdict::Done(outcome) => fed.outcomes.push(*outcome),
            Verdict::Later { why: WaitReason::Away, .. } => {
                fed.waits_since.get_or_insert_with(Instant::now);
            }
            Verdict::Retry(_) => fed.retries += 1,
            _ => {}
        }
        let waits_since = fed.waits_since;
        if !matches!(verdict, Verdict::Later { why: WaitReason::Away, .. }) {
            fed.waits_since = None;
        }
        self.trace.note(Some(event), || format!("p{} says of {id}: {verdict:?}", process.id));
        let Some(order) = self.order_of(event).cloned() else { return };
        let known = self.sink.orders.get(&order.id);
        let (absences, refusals, failures) =
            known.map_or((0, 0, 0), |known| (known.absences, known.refusals, known.failures));
        let said = std::str::from_utf8(body).unwrap_or_default();
        match verdict {
            Verdict::Done(SinkOutcome::Shown) if !shows && refusals == 0 => {
                self.violation("an update counts as shown and is not", Some(event), id);
            }
            Verdict::Done(SinkOutcome::Late) if !said.contains(r#""order":"late""#) => {
                self.violation("an update counts as late and is not", Some(event), id);
            }
            Verdict::Done(SinkOutcome::Unlinked) => {
                let linked = self.sink.linked.get(&self.plan.events[event].delivery);
                let in_time = linked.is_some_and(|at| *at < began) && !self.sink.redis_lost;
                if order.by_rule || in_time {
                    self.violation("an update is dropped that is linked", Some(event), id);
                }
            }
            Verdict::Retry(reason) => {
                let answered = self
                    .sink
                    .answered
                    .is_some_and(|at| waits_since.is_none_or(|since| at + LEASES_END >= since));
                let caused = match reason {
                    WaitReason::Absent => absences > 0,
                    WaitReason::Occupied => order.shared,
                    // A desk that was lost does not know that HubRise was away before.
                    WaitReason::Away => failures > 0 && (answered || self.sink.redis_lost),
                    _ => false,
                };
                if !caused {
                    let says = format!("{id}: {}", reason.as_str());
                    self.violation("an attempt is spent without a refusal", Some(event), says);
                }
            }
            Verdict::Park(reason, detail) => {
                let caused = match reason {
                    ParkReason::SinkRefused => refusals > 0 || order.kind == OrderKind::Collection,
                    ParkReason::ForeignDelivery => order.kind == OrderKind::Foreign || order.shared,
                    _ => false,
                };
                if !caused {
                    let says = format!("{id}: {} ({detail})", reason.as_str());
                    self.violation("a message is parked without a cause", Some(event), says);
                }
                if log::tells(detail) {
                    self.violation(
                        "a secret is kept",
                        Some(event),
                        format!("why a message is parked: {detail}"),
                    );
                }
            }
            _ => {}
        }
    }

    /// A sink begins to send a request. Returns its number.
    pub fn asking(&mut self, process: &Process, order: &str, request: &Request) -> usize {
        self.acted += 1;
        let (number, now) = (self.sink.asked.len(), Instant::now());
        let event = self.event_at(order);
        self.trace.note(event, || {
            let body = request.body().map(|body| body.to_string()).unwrap_or_default();
            format!("p{} asks HubRise, {number}: {} of order {order} {body}", process.id, request.as_str())
        });
        let limits = self.plan.sink.as_ref().map(|sink| sink.limits.clone()).unwrap_or_default();
        for Limit { per, requests: most, .. } in limits {
            let Some(first) = number.checked_sub(most as usize).map(|first| self.sink.asked[first].sent)
            else {
                continue;
            };
            if first + per.saturating_sub(ADMITTED_BEFORE) > now && !self.sink.disturbed_since(first) {
                let says = format!("{} in {:?}, and {most} may be in {per:?}", most + 1, now - first);
                self.violation("more requests are made than may be", event, says);
            }
        }
        let is_of_order = !matches!(request, Request::GetLocation | Request::GetThatLocation);
        let stalled = |asked: &Asked, book: &Self| {
            let stalled = &book.sink.stalled;
            stalled.contains(&process.id)
                || stalled.contains(&asked.process)
                || book.sink.disturbed_since(asked.sent)
        };
        if is_of_order {
            let other = self.sink.asked.iter().rposition(|asked| asked.under_way && asked.order == order);
            if let Some(other) = other.filter(|other| !stalled(&self.sink.asked[*other], self)) {
                let says = format!("{number} of p{} while {other} is under way", process.id);
                self.violation("two requests of an order are under way", event, says);
            }
        }
        let known = self.sink.orders.entry(order.to_owned()).or_default();
        if let Request::Post(_) = request {
            let before = known
                .last_post
                .replace(number)
                .filter(|post| known.last_look.is_none_or(|look| look < *post));
            if let Some(before) = before.filter(|before| !stalled(&self.sink.asked[*before], self)) {
                let says = format!("{number} of p{}, after {before}", process.id);
                self.violation("a delivery is made again without a look", event, says);
            }
        }
        self.sink.asked.push(Asked {
            order: if is_of_order { order.to_owned() } else { String::new() },
            process: process.id,
            request: request.as_str(),
            sent: now,
            under_way: true,
        });
        number
    }

    /// HubRise answers; the answer may still be lost on its way.
    pub fn answered_by_hubrise(&mut self, number: usize, answered: &Answered) {
        self.acted += 1;
        let Asked { order, request, .. } = &self.sink.asked[number];
        let (order, request) = (order.clone(), *request);
        let event = self.event_at(&order);
        self.trace.note(event, || {
            let Answered { raw, code, trouble } = answered;
            let body = raw.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            format!("HubRise answers {number} with {} ({code}, {trouble:?}) {body}", raw.code)
        });
        let known = self.sink.orders.entry(order).or_default();
        let writes = matches!(request, "post_delivery" | "patch_delivery");
        if writes && answered.code == 200 {
            known.overtaken |= known.last_write.is_some_and(|newer| newer > number);
            known.last_write = known.last_write.max(Some(number));
        }
        known.absences += u32::from(answered.raw.code == 404);
        known.refusals +=
            u32::from(matches!(answered.trouble, Some(Trouble::RefusesPhones | Trouble::RefusesStatuses)));
    }

    /// The sink has the answer, or gives up.
    pub fn asked(&mut self, number: usize, answer: Option<&Answered>) {
        let asked = &mut self.sink.asked[number];
        asked.under_way = false;
        let (order, is_look) = (asked.order.clone(), matches!(asked.request, "get_order" | "get_delivery"));
        let is_answer = |answered: &Answered| {
            matches!(answered.raw.code, 200..=499) && answered.trouble != Some(Trouble::Page)
        };
        if !answer.is_some_and(is_answer) {
            self.sink.orders.entry(order.clone()).or_default().failures += 1;
        }
        let Some(answered) = answer else {
            let event = self.event_at(&order);
            self.trace.note(event, || format!("request {number} has no answer"));
            return;
        };
        if is_answer(answered) {
            self.sink.answered = Some(Instant::now());
        }
        if is_look && answered.raw.code == 200 && answered.code == 200 {
            let known = self.sink.orders.entry(order).or_default();
            known.last_look = known.last_look.max(Some(number));
        }
    }

    fn event_at(&self, order: &str) -> Option<usize> {
        let orders = &self.plan.sink.as_ref()?.orders;
        let delivery = orders.iter().position(|known| known.id == order)?;
        self.plan.events.iter().position(|event| event.delivery == delivery)
    }

    /// A service says which order a delivery belongs to.
    pub fn announced(&mut self, says: &str) {
        self.outstanding += 1;
        self.trace.note(None, || format!("a service says {says}"));
    }

    /// A link is kept.
    pub fn linked(&mut self, body: &[u8]) {
        let (Some(sink), Ok(link)) = (&self.plan.sink, serde_json::from_slice::<Link<'_>>(body)) else {
            return;
        };
        for (delivery, order) in sink.orders.iter().enumerate() {
            if (order.delivery.0, order.delivery.1.as_str()) == (link.provider, link.delivery_id) {
                self.sink.linked.entry(delivery).or_insert_with(Instant::now);
            }
        }
    }

    /// The order that an update is about.
    pub fn order_of_message(&self, body: &[u8]) -> Option<String> {
        let fed = self.sink.fed.get(&named(body))?;
        self.order_of(fed.event).filter(|order| order.is_written()).map(|order| order.id.clone())
    }

    /// A cell's value is to be this.
    pub fn kept(&mut self, key: &str, value: &str) {
        if self.trace.is_kept() {
            let of_order = |order: &&Order| key.ends_with(&format!(":{}}}:order", order.id));
            let orders = self.plan.sink.iter().flat_map(|sink| &sink.orders);
            let event = orders.clone().find(of_order).and_then(|order| self.event_at(&order.id));
            self.trace.note(event, || format!("{key} <- {value}"));
        }
        self.no_secret(None, "a cell", value.as_bytes());
    }

    /// Redis lost something, or its clock jumped.
    pub(super) fn sink_disturbed(&mut self) {
        self.sink.redis_disturbed = Some(Instant::now());
    }

    /// The process is stopped for a while.
    pub fn stopped_for_a_while(&mut self, process: u32) {
        self.sink.stalled.insert(process);
    }
}
