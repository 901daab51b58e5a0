//! The ledger in memory: the rules of `redis/claim.lua` and `redis/settle.lua`, in Rust.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::adapters::ledger_key::{LedgerKeys, leg_name};
use crate::domain::age::Age;
use crate::domain::envelope::Replay;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::identity::{Origin, ReceiptId};
use crate::domain::state::{DeliveryState, Place};
use crate::ports::{
    Claim, ClaimRequest, Clock, EventRef, Grant, Ledger, LedgerError, MOST_LEGS, Settlement, StateRef, Token,
};

/// Occurrences remembered of one content; the oldest go first.
const MOST_ANCHORS: usize = 64;
/// Expired values are swept out each time this many steps were done.
const SWEEP_EVERY: u64 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Claimed,
    Retrying,
    Done,
    Parked,
}

#[derive(Debug, Clone)]
struct Record {
    state: State,
    attempt: u32,
    /// `None`: let go.
    deadline: Option<Timestamp>,
    crashes: u32,
    token: Option<Token>,
    origin: Option<Origin>,
    holder: Option<ReceiptId>,
    /// Its place in its delivery, and where the delivery stood before; `None` when the claim was lost.
    place: Option<(Place, Option<DeliveryState>)>,
}

/// Where a delivery stands, each leg of it by name; the newest ever claimed of each; and the last sequence number given.
#[derive(Debug, Clone, Default)]
struct Course {
    sequence: u64,
    legs: HashMap<String, DeliveryState>,
    claimed: HashMap<String, Age>,
}

impl Course {
    /// Whether there is no room for another leg.
    fn is_full(&self) -> bool {
        self.legs.len() + self.claimed.len() >= 2 * MOST_LEGS
    }
}

#[derive(Debug)]
struct Expiring<T> {
    value: T,
    expires_at: Timestamp,
}

#[derive(Default)]
struct Events {
    records: HashMap<String, Expiring<Record>>,
    first_contents: HashMap<String, Expiring<Fingerprint>>,
    anchors: HashMap<String, Expiring<Vec<(ReceiptId, Timestamp)>>>,
    courses: HashMap<String, Expiring<Course>>,
    steps: u64,
}

/// The ledger in memory.
pub struct MemoryLedger {
    clock: Arc<dyn Clock>,
    events: Mutex<Events>,
}

impl MemoryLedger {
    /// An empty ledger whose deadlines are on `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, events: Mutex::default() }
    }

    fn events(&self, now: Timestamp) -> MutexGuard<'_, Events> {
        // Each step leaves the maps whole, so one that panicked elsewhere does no harm.
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.steps += 1;
        if events.steps.is_multiple_of(SWEEP_EVERY) {
            events.records.retain(|_, kept| kept.expires_at > now);
            events.first_contents.retain(|_, kept| kept.expires_at > now);
            events.anchors.retain(|_, kept| kept.expires_at > now);
            events.courses.retain(|_, kept| kept.expires_at > now);
        }
        events
    }
}

fn live<'a, T>(map: &'a HashMap<String, Expiring<T>>, key: &str, now: Timestamp) -> Option<&'a T> {
    map.get(key).filter(|kept| kept.expires_at > now).map(|kept| &kept.value)
}

fn keep<T>(value: T, ttl: Duration, now: Timestamp) -> Expiring<T> {
    Expiring { value, expires_at: now + ttl }
}

impl Events {
    /// Finds the occurrence a receipt belongs to, or makes it one. Returns what it is published with.
    fn anchor(&mut self, key: &str, request: &ClaimRequest, now: Timestamp) -> Origin {
        let mine = &request.origin;
        let mut anchors = live(&self.anchors, key, now).cloned().unwrap_or_default();
        if anchors.iter().any(|(receipt, _)| *receipt == mine.receipt) {
            return mine.clone();
        }
        let apart = |at: &Timestamp| at.duration_since(mine.received_at).unsigned_abs();
        // The first there was, not the nearest: what came later must not change whose copy this is.
        let first = anchors.iter().find(|(_, at)| apart(at) <= request.horizon);
        if let Some(&(receipt, received_at)) = first {
            return Origin { receipt, received_at, traceparent: None };
        }
        anchors.push((mine.receipt, mine.received_at));
        let surplus = anchors.len().saturating_sub(MOST_ANCHORS);
        anchors.drain(..surplus);
        self.anchors.insert(key.to_owned(), keep(anchors, request.ttl, now));
        mine.clone()
    }

    /// Notes the first content under a provider's id; says whether this is another.
    fn id_reused(&mut self, key: &str, request: &ClaimRequest, now: Timestamp) -> bool {
        let content = request.identity.fingerprint;
        if let Some(first) = live(&self.first_contents, key, now) {
            return *first != content;
        }
        self.first_contents.insert(key.to_owned(), keep(content, request.ttl, now));
        false
    }

    /// Gives an event of this age its place in its delivery.
    fn place(&mut self, state: &StateRef, age: Age, now: Timestamp) -> (Place, Option<DeliveryState>) {
        let mut course = live(&self.courses, &state.key, now).cloned().unwrap_or_default();
        // Never below the time in ms: were the state lost, numbers would still only grow.
        course.sequence = (course.sequence + 1).max(now.as_millisecond().unsigned_abs());
        let newest = course.claimed.get(&state.leg).copied();
        // Another worker may be about to publish what it claimed: whatever is claimed later and is older comes late.
        let overtaken = newest.is_some_and(|newest| newest.is_newer_than(age));
        if !overtaken && (newest.is_some() || !course.is_full()) {
            course.claimed.insert(state.leg.clone(), newest.map_or(age, |newest| newest.max(age)));
        }
        let place = Place { sequence: course.sequence, overtaken };
        let before = course.legs.get(&state.leg).copied();
        self.courses.insert(state.key.clone(), keep(course, state.ttl, now));
        (place, before)
    }

    /// Where the delivery stands now, unless something newer was published meanwhile.
    fn stand(&mut self, state: &StateRef, after: DeliveryState, now: Timestamp) {
        let mut course = live(&self.courses, &state.key, now).cloned().unwrap_or_default();
        let stands = course.legs.get(&state.leg);
        let newer = stands.is_some_and(|stands| stands.supersedes(&after));
        if (stands.is_some() || !course.is_full()) && !newer {
            course.legs.insert(state.leg.clone(), after);
            self.courses.insert(state.key.clone(), keep(course, state.ttl, now));
        }
    }
}

/// What a claim on a known event comes to.
enum Next {
    /// It is refused, with this answer.
    Refuse(Claim),
    /// It is granted, and goes on with these counts.
    GoOn { attempt: u32, crashes: u32 },
}

fn next(old: &Record, request: &ClaimRequest, now: Timestamp) -> Next {
    let replay = request.replay.is_some();
    let ours = old.token == Some(request.token);
    match old.state {
        State::Done => Next::Refuse(Claim::Done),
        State::Claimed => {
            let deadline = old.deadline.filter(|_| !ours);
            if let Some(remaining) = deadline
                .map(|deadline| deadline.duration_since(now))
                .filter(jiff::SignedDuration::is_positive)
            {
                return Next::Refuse(Claim::Busy(remaining.unsigned_abs()));
            }
            // Ours (the reply was lost), or let go: no crash. Else its holder did not come back.
            let crashes = if replay { request.crashes } else { request.crashes.max(old.crashes) };
            let crashes = crashes + u32::from(deadline.is_some());
            let attempt = if replay { request.attempt } else { request.attempt.max(old.attempt) };
            Next::GoOn { attempt, crashes }
        }
        State::Retrying if !replay && request.attempt < old.attempt => Next::Refuse(Claim::Stale),
        State::Parked if !replay && old.holder == Some(request.origin.receipt) => Next::Refuse(Claim::Stale),
        State::Retrying | State::Parked => Next::GoOn { attempt: request.attempt, crashes: request.crashes },
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, LedgerError> {
        let now = self.clock.now();
        let mut events = self.events(now);
        let keys = LedgerKeys::new(&request.delivery, &request.identity);
        let (mut key, mut origin, mut id_reused) = (keys.event, request.origin.clone(), false);
        if keys.by_id {
            id_reused = events.id_reused(&keys.companion, request, now);
        } else {
            origin = events.anchor(&keys.companion, request, now);
            key = format!("{key}:{}", origin.receipt);
        }
        if let Some(Replay::Force(id)) = request.replay {
            key = format!("{key}:force:{id}");
        }
        let state =
            StateRef { key: keys.state, leg: leg_name(request.leg.as_deref()), ttl: request.state_ttl };
        let (mut attempt, mut crashes, mut place) = (request.attempt, request.crashes, None);
        if let Some(old) = live(&events.records, &key, now) {
            match next(old, request, now) {
                Next::GoOn { attempt: on, crashes: so_far } => (attempt, crashes) = (on, so_far),
                Next::Refuse(answer) => return Ok(answer),
            }
            // Every repeat is published with the event's first receipt.
            origin = old.origin.clone().unwrap_or(origin);
            // And says of its delivery's course what the first said.
            place = old.place;
        }
        let age = Age { event_time: request.event_time, received_at: origin.received_at };
        let (place, before) = place.unwrap_or_else(|| events.place(&state, age, now));
        let record = Record {
            state: State::Claimed,
            attempt,
            deadline: Some(now + request.lease),
            crashes,
            token: Some(request.token),
            origin: Some(origin.clone()),
            holder: Some(request.origin.receipt),
            place: Some((place, before)),
        };
        events.records.insert(key.clone(), keep(record, request.ttl, now));
        let event = EventRef { key, token: request.token, ttl: request.ttl, state };
        Ok(Claim::Granted(Box::new(Grant { event, origin, attempt, crashes, id_reused, place, before })))
    }

    async fn settle(&self, event: &EventRef, settlement: Settlement) -> Result<bool, LedgerError> {
        let now = self.clock.now();
        let mut events = self.events(now);
        let mut record = live(&events.records, &event.key, now).cloned().unwrap_or(Record {
            state: State::Parked,
            attempt: 0,
            deadline: None,
            crashes: 0,
            token: None,
            origin: None,
            holder: None,
            place: None,
        });
        let current = record.state == State::Claimed && record.token == Some(event.token);
        if record.state == State::Done || (!matches!(settlement, Settlement::Done(_)) && !current) {
            return Ok(false);
        }
        match settlement {
            Settlement::Done(after) => {
                record.state = State::Done;
                if let Some(after) = after {
                    events.stand(&event.state, after, now);
                }
            }
            Settlement::Parked(_) => record.state = State::Parked,
            Settlement::Released => record.deadline = None,
            Settlement::Retrying { attempt, .. } => {
                record.state = State::Retrying;
                record.attempt = attempt;
            }
        }
        events.records.insert(event.key.clone(), keep(record, event.ttl, now));
        Ok(true)
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}
