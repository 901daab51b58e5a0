//! The oracle's book: all that happens is written down here as it happens, and judged. It knows what no process knows: what
//! took effect, and which webhooks tell of one event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use milepost::domain::claim::Token;
use milepost::domain::envelope::Envelope;
use milepost::domain::identity::ReceiptId;
use milepost::domain::verdict::ParkReason;
use milepost::ports::PublishError;
use serde::Deserialize;
use tokio::time::Instant;

use crate::plan::{Kind, Plan};
use crate::process::Process;
use crate::trace::Trace;

mod claims;
mod pulls;
mod sink;
mod updates;

pub use self::pulls::Form;
use self::pulls::PullBook;
use self::sink::SinkBook;
pub use self::sink::{is_of_sink, named};

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

/// A request of a provider's, or what was pulled.
#[derive(Debug, Clone)]
pub struct Received {
    pub event: usize,
    /// By the receiver's clock.
    pub at: Timestamp,
    pub truly_at: Timestamp,
    /// Whether that clock was right.
    pub certain: bool,
    /// The provider was told so, if it sent it.
    pub accepted: bool,
    pub stored: bool,
    pub pulled: bool,
    pub form: Form,
}

/// One publish of an update.
struct Send {
    id: String,
    process: u32,
    event: usize,
    /// The result that the worker has.
    result: Option<Result<(), PublishError>>,
    forced: bool,
    /// Something happened that excuses another one: docs/subscribe.md names what.
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
    pub terminal: bool,
    pub changes: Vec<String>,
    pub receipt_id: String,
}

/// An update that reached the subscribers.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: String,
    pub event: usize,
    pub update: Update,
    pub forced: bool,
    /// Whether its first receipt was pulled, and what it is of.
    pub pulled: bool,
    pub form: Form,
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
    /// By the receipt as it is if the webhook is spooled: which way it goes shows only after it was received.
    pub receipts: HashMap<ReceiptId, Received>,
    sends: Vec<Send>,
    ids: BTreeMap<String, Known>,
    pub seen: Vec<Seen>,
    held: BTreeMap<Name, Held>,
    /// Receipts of messages that were found to be duplicates.
    duplicates: HashSet<ReceiptId>,
    /// Every event that was ever claimed: about which event of the plan, and its id.
    pub begun: BTreeMap<Name, (usize, String)>,
    /// The ids that were marked done.
    pub ended: BTreeSet<String>,
    /// By process: ids that it claimed before Redis's clock jumped. Another may have claimed and published them since.
    leaseless: HashSet<(u32, String)>,
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
    pub sink: SinkBook,
    pub pulls: PullBook,
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
            duplicates: HashSet::new(),
            begun: BTreeMap::new(),
            ended: BTreeSet::new(),
            leaseless: HashSet::new(),
            settled: HashSet::new(),
            refusals: HashMap::new(),
            lost: BTreeSet::new(),
            discarded: BTreeSet::new(),
            forced: BTreeSet::new(),
            outstanding: 0,
            due: BinaryHeap::new(),
            acted: 0,
            sink: SinkBook::default(),
            pulls: PullBook::default(),
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
        self.receipts.get(&receipt.spooled()).map(|received| received.event)
    }

    pub fn delivery_of(&self, event: usize) -> usize {
        self.plan.events[event].delivery
    }

    /// What a message is about.
    fn about_envelope(&self, envelope: &Envelope) -> Option<usize> {
        if is_of_sink(envelope) { self.about_message(envelope) } else { self.event_of(envelope.receipt) }
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
        self.receipts.insert(receipt.spooled(), received);
    }

    pub fn answered(&mut self, receipt: ReceiptId, stored: bool, code: u16, reaches: bool) {
        let Some(received) = self.receipts.get_mut(&receipt.spooled()) else { return };
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
        let event = self.about_envelope(envelope);
        self.trace.note(event, || format!("p{} work queue <- {}", process.id, copy(envelope)));
        if is_of_sink(envelope) {
            return;
        }
        if let Some(received) = self.receipts.get_mut(&envelope.receipt.spooled()) {
            received.stored = true;
        }
        self.no_secret(event, "a stored webhook", &envelope.body);
    }

    // What workers do.

    pub fn taken(&mut self, process: &Process, envelope: &Envelope) {
        self.acted += 1;
        let event = self.about_envelope(envelope);
        let kind = event.map(|event| self.plan.events[event].kind);
        if kind == Some(Kind::Ignored) {
            self.settled.insert((process.id, envelope.receipt));
        }
        self.trace.note(event, || format!("p{} takes {}", process.id, copy(envelope)));
    }

    /// The worker says that a message may go.
    pub fn acknowledged(&mut self, process: &Process, envelope: &Envelope) {
        let event = self.about_envelope(envelope);
        self.trace.note(event, || format!("p{} acknowledges {}", process.id, copy(envelope)));
        if is_of_sink(envelope) {
            return self.message_acknowledged(process, envelope);
        }
        if !self.settled.contains(&(process.id, envelope.receipt)) {
            let says = format!("p{} {}", process.id, copy(envelope));
            self.violation("a message is acknowledged and not taken care of", event, says);
        }
    }

    /// The broker has the acknowledgement.
    pub fn gone(&mut self, process: &Process, envelope: &Envelope) {
        self.outstanding -= 1;
        let event = self.about_envelope(envelope);
        self.trace.note(event, || format!("p{} work queue -> {}", process.id, copy(envelope)));
    }

    pub fn delayed(&mut self, process: &Process, envelope: &Envelope, due: Instant) {
        self.acted += 1;
        self.outstanding += 1;
        self.due.push(Reverse(due));
        let event = self.about_envelope(envelope);
        self.trace.note(event, || {
            let wait = due.saturating_duration_since(Instant::now());
            format!("p{} delay queue <- {}, for {:.1} s", process.id, copy(envelope), wait.as_secs_f64())
        });
        if is_of_sink(envelope) {
            self.settle_message(process, envelope);
            return self.message_delayed(envelope);
        }
        self.settled.insert((process.id, envelope.receipt));
        let Some(event) = event else { return };
        let refusals = self.refusals.get(&self.plan.events[event].content).copied().unwrap_or(0);
        if envelope.attempt > refusals {
            let says = format!("attempt {} after {refusals} refusals", envelope.attempt);
            self.violation("an attempt is spent without a refusal", Some(event), says);
        }
    }

    pub fn parked(&mut self, process: &Process, envelope: &Envelope, reason: ParkReason) {
        self.acted += 1;
        let event = self.about_envelope(envelope);
        if is_of_sink(envelope) {
            self.settle_message(process, envelope);
        } else {
            self.settled.insert((process.id, envelope.receipt));
        }
        self.trace
            .note(event, || format!("p{} parked <- {} ({})", process.id, copy(envelope), reason.as_str()));
        if let Some(history) = envelope.history.to_text() {
            self.no_secret(event, "a parked message's history", history.as_bytes());
        }
    }

    // What the operator does.

    pub fn discarded(&mut self, envelope: &Envelope) {
        let Some(event) = self.about_envelope(envelope) else { return };
        self.trace.note(Some(event), || format!("the operator discards {}", copy(envelope)));
        if is_of_sink(envelope) {
            self.sink.discarded.insert(self.plan.events[event].delivery);
            return;
        }
        self.discarded.insert(self.plan.events[event].content);
    }

    pub fn forced(&mut self, envelope: &Envelope) {
        if is_of_sink(envelope) {
            return;
        }
        let Some(event) = self.event_of(envelope.receipt) else { return };
        self.forced.insert(self.plan.events[event].delivery);
    }
}

fn copy(envelope: &Envelope) -> String {
    let replay = if envelope.replay.is_some() { ", replayed" } else { "" };
    format!("{} (attempt {}{replay})", envelope.receipt, envelope.attempt)
}
