//! The oracle's book: all that happens is written down here as it happens, and judged. It knows what no process knows: what
//! took effect, and which webhooks tell of one event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use milepost::domain::claim::{Claim, ClaimRequest, EventRef, Mark, Token};
use milepost::domain::envelope::Envelope;
use milepost::domain::event::UpdateEvent;
use milepost::domain::identity::{EventId, ReceiptId};
use milepost::domain::verdict::ParkReason;
use milepost::ports::PublishError;
use serde::Deserialize;
use tokio::time::Instant;

use crate::plan::{Kind, Plan};
use crate::process::Process;
use crate::trace::Trace;

/// What every secret begins with.
pub const SECRET: &[u8] = b"simulated-secret-";

/// A promise that was broken.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which: a short name, the same for every schedule that breaks it.
    pub rule: &'static str,
    pub says: String,
    /// The plan's event that it is about.
    pub event: Option<usize>,
}

/// A request of a provider's.
#[derive(Debug, Clone)]
pub struct Received {
    pub event: usize,
    /// By the receiver's clock.
    pub at: Timestamp,
    pub truly_at: Timestamp,
    /// Whether that clock was right.
    pub certain: bool,
    pub accepted: bool,
    pub stored: bool,
}

/// One publish of an update.
struct Send {
    id: String,
    process: u32,
    event: usize,
    /// The result that the worker has.
    result: Option<Result<(), PublishError>>,
    forced: bool,
    /// Something happened that excuses another one: README names what.
    disturbed: bool,
    marked: bool,
    update: Update,
}

/// What a subscriber reads of an update.
#[derive(Debug, Clone, Deserialize)]
pub struct Update {
    pub sequence: u64,
    pub order: String,
    pub raw_status: String,
    pub receipt_id: String,
}

/// An update that reached the subscribers.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: String,
    pub event: usize,
    pub update: Update,
    pub forced: bool,
}

#[derive(Deserialize)]
struct Published {
    data: Update,
}

/// What is known of an id.
#[derive(Default)]
struct Known {
    sends: Vec<usize>,
    body: Option<bytes::Bytes>,
    done: bool,
}

/// A claim that was given.
struct Held {
    id: String,
    token: Token,
    process: u32,
    ends: Timestamp,
    live: bool,
    forced: bool,
    disturbed: bool,
}

/// A delivery and the ledger's name of an event of it.
type Name = (usize, String);

pub struct Book {
    plan: Arc<Plan>,
    pub trace: Trace,
    pub violations: Vec<Violation>,
    pub receipts: HashMap<ReceiptId, Received>,
    sends: Vec<Send>,
    ids: BTreeMap<String, Known>,
    pub seen: Vec<Seen>,
    held: BTreeMap<Name, Held>,
    /// Every event that was ever claimed: about which event of the plan, and its id.
    pub begun: BTreeMap<Name, (usize, String)>,
    /// The ids that were marked done.
    pub ended: BTreeSet<String>,
    /// By process: receipts of messages that may be acknowledged.
    settled: HashSet<(u32, ReceiptId)>,
    /// Answers "refused" to updates, by content.
    refusals: HashMap<usize, u32>,
    /// Deliveries of which the ledger lost something.
    pub lost: BTreeSet<usize>,
    /// Contents of which an operator discarded a copy.
    pub discarded: BTreeSet<usize>,
    pub forced: BTreeSet<usize>,
    /// Messages on the work queues and between the delay levels, also those in a worker's hands.
    pub outstanding: i64,
    due: BinaryHeap<Reverse<Instant>>,
    pub acted: u32,
}

impl Book {
    pub fn new(plan: Arc<Plan>, trace: Trace) -> Self {
        Self {
            plan,
            trace,
            violations: Vec::new(),
            receipts: HashMap::new(),
            sends: Vec::new(),
            ids: BTreeMap::new(),
            seen: Vec::new(),
            held: BTreeMap::new(),
            begun: BTreeMap::new(),
            ended: BTreeSet::new(),
            settled: HashSet::new(),
            refusals: HashMap::new(),
            lost: BTreeSet::new(),
            discarded: BTreeSet::new(),
            forced: BTreeSet::new(),
            outstanding: 0,
            due: BinaryHeap::new(),
            acted: 0,
        }
    }

    pub fn violation(&mut self, rule: &'static str, event: Option<usize>, says: String) {
        self.trace.note(event, || format!("!! {rule}: {says}"));
        self.violations.push(Violation { rule, says, event });
    }

    /// When the next delayed message is due, if nothing else is under way in the fleet.
    pub fn idle_until(&mut self, now: Instant) -> Option<Option<Instant>> {
        while self.due.peek().is_some_and(|Reverse(due)| *due <= now) {
            self.due.pop();
        }
        let delayed = i64::try_from(self.due.len()).unwrap_or(i64::MAX);
        (self.outstanding == delayed).then(|| self.due.peek().map(|Reverse(due)| *due))
    }

    fn event_of(&self, receipt: ReceiptId) -> Option<usize> {
        self.receipts.get(&receipt).map(|received| received.event)
    }

    fn no_secret(&mut self, event: Option<usize>, what: &'static str, bytes: &[u8]) {
        // All secrets begin alike; and most bytes do not begin one.
        let shows = |window: &[u8]| window[0] == SECRET[0] && window == SECRET;
        if bytes.windows(SECRET.len()).any(shows) {
            self.violation("a secret is kept", event, format!("in {what}"));
        }
    }

    // What receivers do.

    pub fn received(&mut self, receipt: ReceiptId, received: Received) {
        self.acted += 1;
        let event = received.event;
        self.trace.note(Some(event), || format!("received as {receipt}, by the clock at {}", received.at));
        self.receipts.insert(receipt, received);
    }

    pub fn answered(&mut self, receipt: ReceiptId, stored: bool, code: u16, reaches: bool) {
        let Some(received) = self.receipts.get_mut(&receipt) else { return };
        received.accepted |= stored;
        let (event, accepted) = (received.event, received.accepted);
        self.trace.note(Some(event), || {
            let lost = if reaches { "" } else { ", and the answer is lost" };
            format!("{receipt} is answered {code}{lost}")
        });
        if accepted && self.plan.events[event].kind == Kind::Forged {
            self.violation("what is not authentic is accepted", Some(event), receipt.to_string());
        }
    }

    pub fn stored(&mut self, process: &Process, envelope: &Envelope) {
        self.acted += 1;
        self.outstanding += 1;
        let event = self.event_of(envelope.receipt);
        self.trace.note(event, || format!("p{} work queue <- {}", process.id, copy(envelope)));
        if let Some(received) = self.receipts.get_mut(&envelope.receipt) {
            received.stored = true;
        }
        self.no_secret(event, "a stored webhook", &envelope.body);
    }

    // What workers do.

    pub fn taken(&mut self, process: &Process, envelope: &Envelope) {
        self.acted += 1;
        let event = self.event_of(envelope.receipt);
        let kind = event.map(|event| self.plan.events[event].kind);
        if kind == Some(Kind::Ignored) {
            self.settled.insert((process.id, envelope.receipt));
        }
        self.trace.note(event, || format!("p{} takes {}", process.id, copy(envelope)));
    }

    /// The worker says that a message may go.
    pub fn acknowledged(&mut self, process: &Process, envelope: &Envelope) {
        let event = self.event_of(envelope.receipt);
        self.trace.note(event, || format!("p{} acknowledges {}", process.id, copy(envelope)));
        if !self.settled.contains(&(process.id, envelope.receipt)) {
            let says = format!("p{} {}", process.id, copy(envelope));
            self.violation("a message is acknowledged and not taken care of", event, says);
        }
    }

    /// The broker has the acknowledgement.
    pub fn gone(&mut self, process: &Process, envelope: &Envelope) {
        self.outstanding -= 1;
        let event = self.event_of(envelope.receipt);
        self.trace.note(event, || format!("p{} work queue -> {}", process.id, copy(envelope)));
    }

    pub fn claimed(&mut self, process: &Process, request: &ClaimRequest, claim: &Claim, now: Timestamp) {
        self.acted += 1;
        let receipt = request.copy.receipt;
        let Some(event) = self.event_of(receipt) else { return };
        self.trace.note(Some(event), || {
            let answer = match claim {
                Claim::Granted(grant) => format!(
                    "{} (attempt {}, crashes {}, sequence {}{})",
                    grant.event.name,
                    grant.attempt,
                    grant.crashes,
                    grant.place.sequence,
                    if grant.place.overtaken { ", overtaken" } else { "" }
                ),
                other => format!("{other:?}"),
            };
            format!("p{} claims {receipt} attempt {}: {answer}", process.id, request.copy.attempt)
        });
        match claim {
            Claim::Done | Claim::Stale => {
                self.settled.insert((process.id, receipt));
            }
            Claim::Busy(_) | Claim::Behind(_) => {}
            Claim::Granted(grant) => {
                let name = (self.plan.events[event].delivery, grant.event.name.clone());
                let id = EventId::new(&request.delivery, &request.identity, grant.origin.receipt);
                let forced = grant.event.name.contains('!');
                self.begun.entry(name.clone()).or_insert_with(|| (event, id.as_str().to_owned()));
                let held = Held {
                    id: id.as_str().to_owned(),
                    token: grant.event.token,
                    process: process.id,
                    ends: now + request.copy.lease,
                    live: true,
                    forced,
                    disturbed: process.is_dead() || process.is_stalled(),
                };
                self.held.insert(name, held);
            }
        }
    }

    pub fn marked(&mut self, process: &Process, event: &EventRef, mark: Mark, changed: bool) {
        self.acted += 1;
        let Some(about) = self.event_of(event.receipt) else { return };
        self.trace.note(Some(about), || {
            let word = match mark {
                Mark::Published(_) => "published".to_owned(),
                Mark::Retrying { attempt, .. } => format!("retrying {attempt}"),
                Mark::Parked(reason) => format!("parked ({})", reason.as_str()),
                Mark::Released => "released".to_owned(),
            };
            let vain = if changed { "" } else { ", which changes nothing" };
            format!("p{} marks {} {word}{vain}", process.id, event.name)
        });
        let name = (self.plan.events[about].delivery, event.name.clone());
        if let Mark::Published(_) = mark {
            self.settled.insert((process.id, event.receipt));
            if let Some((_, id)) = self.begun.get(&name) {
                self.ended.insert(id.clone());
            }
        }
        let Some(held) = self.held.get_mut(&name) else { return };
        if matches!(mark, Mark::Published(_)) || (held.token == event.token && changed) {
            held.live = false;
        }
        if let Mark::Published(_) = mark {
            let id = held.id.clone();
            if let Some(known) = self.ids.get_mut(&id) {
                known.done = true;
                for send in &known.sends {
                    self.sends[*send].marked = true;
                }
            }
        }
    }

    pub fn mark_failed(&mut self, process: &Process, event: &EventRef) {
        let Some(about) = self.event_of(event.receipt) else { return };
        self.trace
            .note(Some(about), || format!("p{} does not know whether {} is marked", process.id, event.name));
        let name = (self.plan.events[about].delivery, event.name.clone());
        if let Some(held) = self.held.get_mut(&name).filter(|held| held.token == event.token) {
            held.disturbed = true;
            let id = held.id.clone();
            self.disturb(|send| send.id == id && send.process == process.id);
        }
    }

    fn disturb(&mut self, which: impl Fn(&Send) -> bool) {
        for send in self.sends.iter_mut().filter(|send| !send.marked && which(send)) {
            send.disturbed = true;
        }
    }

    /// The process crashed, drains, or does not get on: what it has in hand may be done again by another.
    pub fn disturbed(&mut self, process: u32) {
        self.disturb(|send| send.process == process);
        for held in self.held.values_mut().filter(|held| held.process == process) {
            held.disturbed = true;
        }
    }

    /// No lease is worth anything.
    pub fn leases_disturbed(&mut self) {
        self.disturb(|_| true);
        for held in self.held.values_mut() {
            (held.live, held.disturbed) = (false, true);
        }
    }

    /// Redis lost what it had written for these receipts.
    pub fn ledger_lost(&mut self, receipts: &[ReceiptId]) {
        for receipt in receipts {
            if let Some(event) = self.event_of(*receipt) {
                self.lost.insert(self.plan.events[event].delivery);
            }
        }
        self.leases_disturbed();
    }

    /// A worker begins to publish an update.
    pub fn sending(&mut self, process: &Process, event: &UpdateEvent) -> usize {
        self.acted += 1;
        let number = self.sends.len();
        let parsed = serde_json::from_slice::<Published>(&event.body).expect("an event").data;
        let receipt: Option<ReceiptId> = parsed.receipt_id.parse().ok();
        let about = receipt.and_then(|receipt| self.event_of(receipt)).unwrap_or_default();
        let delivery = self.plan.events[about].delivery;
        let id = event.id.as_str().to_owned();
        self.trace.note(Some(about), || {
            let Update { sequence, order, raw_status, .. } = &parsed;
            format!("p{} publishes {id} ({raw_status}, {sequence}, {order})", process.id)
        });
        self.no_secret(Some(about), "an update", &event.body);
        let now = self.trace.redis_now();
        let own = |(name, held): (&Name, &Held)| {
            (name.0 == delivery && held.id == id && held.process == process.id)
                .then(|| (name.clone(), held.forced, held.disturbed, held.live && held.ends > now))
        };
        let own: Vec<_> = self.held.iter().filter_map(own).collect();
        let forced = own.iter().any(|(_, forced, ..)| *forced);
        let disturbed = own.iter().any(|(_, _, disturbed, _)| *disturbed) || own.is_empty();
        let lost = self.lost.contains(&delivery);
        // Invariant 8: one update of a delivery at a time.
        let other = self.held.iter().find(|(name, held)| {
            name.0 == delivery && held.live && held.ends > now && own.iter().all(|(own, ..)| own != *name)
        });
        if let Some((name, held)) = other
            && !disturbed
            && !lost
        {
            let says = format!("p{} publishes {id} while p{} has {}", process.id, held.process, name.1);
            self.violation("two updates of a delivery are in hand", Some(about), says);
        }
        // Invariant 3: a repeat has a cause.
        let known = self.ids.entry(id.clone()).or_default();
        let uncaused = known.sends.iter().map(|send| &self.sends[*send]).find(|send| {
            let failed = matches!(send.result, Some(Err(_)));
            !(failed || send.disturbed || send.forced)
        });
        let mut says = None;
        if let Some(send) = uncaused
            && !(forced || lost)
        {
            let so_far = if known.done { "is marked done" } else { "is not in doubt" };
            says = Some(format!("p{} publishes {id} again; p{}'s {so_far}", process.id, send.process));
        }
        let changed = known.body.as_ref().is_some_and(|body| *body != event.body);
        known.body.get_or_insert_with(|| event.body.clone());
        let any_forced = forced || known.sends.iter().any(|send| self.sends[*send].forced);
        known.sends.push(number);
        if let Some(says) = says {
            self.violation("an update is repeated without a cause", Some(about), says);
        }
        if changed && !(any_forced || lost) {
            self.violation("a repeat says something else", Some(about), id.clone());
        }
        self.sends.push(Send {
            id,
            process: process.id,
            event: about,
            result: None,
            forced,
            disturbed,
            marked: false,
            update: parsed,
        });
        number
    }

    /// What a send is about.
    pub fn about(&self, send: usize) -> usize {
        self.sends[send].event
    }

    /// The worker has this result.
    pub fn sent(&mut self, send: usize, result: Result<(), PublishError>) {
        let Send { id, process, event, .. } = &self.sends[send];
        self.trace.note(Some(*event), || {
            let word = result.map_or_else(PublishError::as_str, |()| "confirmed");
            format!("p{process} knows of {id}: {word}")
        });
        self.sends[send].result = Some(result);
    }

    /// The subscribers have it.
    pub fn published(&mut self, send: usize) {
        self.acted += 1;
        let Send { id, event, update, forced, .. } = &self.sends[send];
        self.trace.note(Some(*event), || format!("updates <- {id}"));
        let (id, event, update, forced) = (id.clone(), *event, update.clone(), *forced);
        self.seen.push(Seen { id, event, update, forced });
    }

    pub fn refused(&mut self, send: usize) {
        let event = self.sends[send].event;
        *self.refusals.entry(self.plan.events[event].content).or_default() += 1;
    }

    pub fn delayed(&mut self, process: &Process, envelope: &Envelope, due: Instant) {
        self.acted += 1;
        self.outstanding += 1;
        self.due.push(Reverse(due));
        self.settled.insert((process.id, envelope.receipt));
        let event = self.event_of(envelope.receipt);
        self.trace.note(event, || {
            let wait = due.saturating_duration_since(Instant::now());
            format!("p{} delay queue <- {}, for {:.1} s", process.id, copy(envelope), wait.as_secs_f64())
        });
        let Some(event) = event else { return };
        let refusals = self.refusals.get(&self.plan.events[event].content).copied().unwrap_or(0);
        if envelope.attempt > refusals {
            let says = format!("attempt {} after {refusals} refusals", envelope.attempt);
            self.violation("an attempt is spent without a refusal", Some(event), says);
        }
    }

    pub fn parked(&mut self, process: &Process, envelope: &Envelope, reason: ParkReason) {
        self.acted += 1;
        let event = self.event_of(envelope.receipt);
        self.settled.insert((process.id, envelope.receipt));
        self.trace
            .note(event, || format!("p{} parked <- {} ({})", process.id, copy(envelope), reason.as_str()));
        if let Some(history) = envelope.history.to_text() {
            self.no_secret(event, "a parked message's history", history.as_bytes());
        }
    }

    // What the operator does.

    pub fn discarded(&mut self, envelope: &Envelope) {
        let Some(event) = self.event_of(envelope.receipt) else { return };
        self.trace.note(Some(event), || format!("the operator discards {}", copy(envelope)));
        self.discarded.insert(self.plan.events[event].content);
    }

    pub fn forced(&mut self, envelope: &Envelope) {
        let Some(event) = self.event_of(envelope.receipt) else { return };
        self.forced.insert(self.plan.events[event].delivery);
    }
}

fn copy(envelope: &Envelope) -> String {
    let replay = if envelope.replay.is_some() { ", replayed" } else { "" };
    format!("{} (attempt {}{replay})", envelope.receipt, envelope.attempt)
}
