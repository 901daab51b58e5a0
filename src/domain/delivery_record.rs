//! All that the ledger remembers of one delivery, and how claims and marks change it.
//!
//! The ledger in memory is a map of these. On Redis the same is one hash a delivery (`adapters/redis/claim.lua`).

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::claim::{
    Claim, ClaimRequest, CopyInHand, Decision, EventRef, Grant, Mark, Progress, decide, left,
};
use super::event_name::{EventName, leg_name};
use super::identity::{Origin, ReceiptId};
use super::order::{Moment, Precedence};
use super::state::{DeliveryState, Place};

/// What a record may hold before the oldest is forgotten: names and legs together.
pub const MOST_FIELDS: usize = 1024;
/// Done events that are kept then: the newest.
pub const KEPT_EVENTS: usize = 256;
/// Legs that are kept then: those claimed last.
pub const KEPT_LEGS: usize = 32;

/// A copy that waits asks again within this share of a lease, or is not waited for.
const WAITING_SHARE: u32 = 16;
/// Occurrences that are remembered of one content.
const MOST_ANCHORS: usize = 64;

#[derive(Debug, Clone, Default)]
pub struct DeliveryRecord {
    /// The last sequence number given.
    sequence: u64,
    /// The event claimed last and when its lease ends, until it is marked.
    in_hand: Option<(String, Timestamp)>,
    /// Of the copies that wait behind it, the one received first, and until when it is waited for.
    first_waiting: Option<(ReceiptId, Timestamp)>,
    legs: HashMap<String, Leg>,
    events: HashMap<String, TrackedEvent>,
    /// By the provider's id, the content first seen under it.
    first_contents: HashMap<String, String>,
    /// By content without an id, the receipts that each began an event ("anchors"), oldest first.
    anchors: HashMap<String, Vec<ReceiptId>>,
}

/// Where a leg of the delivery is.
#[derive(Debug, Clone, Default)]
struct Leg {
    /// The furthest that was ever claimed: it may not be published yet.
    claimed: Option<Moment>,
    state: Option<DeliveryState>,
}

#[derive(Debug, Clone)]
struct TrackedEvent {
    origin: Origin,
    place: Place,
    before: Option<DeliveryState>,
    progress: Progress,
}

impl DeliveryRecord {
    /// Claims an event for the copy in hand, or says why not.
    pub fn claim(&mut self, request: &ClaimRequest, now: Timestamp) -> Claim {
        let copy = &request.copy;
        let identity = EventName::new(&request.identity);
        let anchor = self.anchor(&identity, request);
        let name = identity.of_occurrence(anchor, copy.replay);
        let progress = self.events.get(&name).map(|event| event.progress);
        let (attempt, crashes) = match decide(progress, copy, now) {
            Decision::Take { attempt, crashes } => (attempt, crashes),
            Decision::Busy(left) => return Claim::Busy(left),
            Decision::Done => return Claim::Done,
            Decision::Stale => return Claim::Stale,
        };
        if let Some(left) = self.wait(&name, copy, now) {
            return Claim::Behind(left);
        }
        let leg = leg_name(request.leg.as_deref());
        // A repeat is published with the event's first receipt, and says of its delivery what the first said.
        let known = self.events.get(&name);
        let known = known.map(|event| (event.origin.clone(), event.place, event.before));
        let (origin, place, before) = known.unwrap_or_else(|| {
            let traceparent = request.traceparent.clone().filter(|_| anchor == copy.receipt);
            let place = self.place(&leg, request.moment, request.precedence, now);
            (Origin { receipt: anchor, traceparent }, place, self.legs.get(&leg).and_then(|leg| leg.state))
        });
        let id_reused = self.note_identity(&identity, anchor);
        let deadline = now + copy.lease;
        let progress = Progress::Claimed { attempt, crashes, token: copy.token, deadline: Some(deadline) };
        self.events.insert(name.clone(), TrackedEvent { origin: origin.clone(), place, before, progress });
        self.in_hand = Some((name.clone(), deadline));
        self.forget_surplus();
        let event = EventRef {
            delivery: request.delivery.clone(),
            name,
            token: copy.token,
            first_receipt: origin.receipt,
            receipt: copy.receipt,
            sequence: place.sequence,
            status: request.moment.status,
            precedence: request.precedence,
            leg,
            address: request.address.clone(),
            ttl: request.ttl,
        };
        Claim::Granted(Box::new(Grant { event, origin, attempt, crashes, id_reused, place, before }))
    }

    /// Marks what became of a claimed event. Returns whether that changed anything.
    pub fn mark(&mut self, event: &EventRef, mark: Mark) -> bool {
        let progress = self.events.get(&event.name).map(|known| known.progress);
        let current = match progress {
            Some(Progress::Claimed { token, .. }) => token == event.token,
            _ => false,
        };
        let published = matches!(mark, Mark::Published(_));
        if progress == Some(Progress::Done) || !(current || published) {
            return false;
        }
        let origin = Origin { receipt: event.first_receipt, traceparent: None };
        // What was lost meanwhile is remembered from what the claim said.
        let known = self.events.entry(event.name.clone()).or_insert(TrackedEvent {
            origin,
            place: Place::at(event.sequence),
            before: None,
            progress: Progress::Done,
        });
        known.progress = match (mark, progress) {
            (Mark::Retrying { attempt, .. }, Some(Progress::Claimed { crashes, .. })) => {
                Progress::Retrying { attempt, crashes }
            }
            (Mark::Released, Some(Progress::Claimed { attempt, crashes, token, .. })) => {
                Progress::Claimed { attempt, crashes, token, deadline: None }
            }
            (Mark::Parked(_), _) => Progress::Parked { holder: event.receipt },
            _ => Progress::Done,
        };
        if let Mark::Published(Some(after)) = mark {
            let leg = self.legs.entry(event.leg.clone()).or_default();
            let behind =
                |state: &DeliveryState| after.moment().compare(state.moment(), event.precedence).is_lt();
            if !leg.state.as_ref().is_some_and(behind) {
                leg.state = Some(after);
            }
        }
        self.in_hand.take_if(|(name, _)| *name == event.name);
        true
    }

    /// The receipt that began the event which the copy belongs to.
    ///
    /// With an id of the provider's that is the copy's own, should the event be new. Without one, equal content is one
    /// event within the resend horizon of the first receipt ("anchor") of the event, and an event of its own beyond. A
    /// receipt that is an anchor belongs to itself. Another belongs to the first anchor there was, not to the nearest:
    /// a later one could be nearer, and a copy that alone carries an event on would be taken for another's.
    ///
    /// A state that the provider was asked for and that has no time is no resend of one that was published, once the
    /// delivery has another: it has returned to it.
    fn anchor(&self, identity: &EventName, request: &ClaimRequest) -> ReceiptId {
        let ClaimRequest { copy: CopyInHand { receipt, replay, .. }, moment, .. } = *request;
        let EventName::ByContent { content } = identity else { return receipt };
        let anchors = self.anchors.get(content).map_or(&[][..], Vec::as_slice);
        let near = |anchor: &&ReceiptId| {
            let apart = anchor.received_at().duration_since(receipt.received_at()).unsigned_abs();
            apart <= request.horizon
        };
        let state = self.legs.get(&leg_name(request.leg.as_deref())).and_then(|leg| leg.state);
        let has_another =
            moment.is_of_request() && state.is_some_and(|state| state.status() != moment.status);
        let is_past = |anchor: &ReceiptId| {
            let event = self.events.get(&identity.of_occurrence(*anchor, replay));
            has_another && event.is_some_and(|event| event.progress == Progress::Done)
        };
        let own = anchors.contains(&receipt).then_some(receipt);
        let begun = || anchors.iter().filter(near).find(|anchor| !is_past(anchor)).copied();
        own.or_else(begun).unwrap_or(receipt)
    }

    /// Remembers the copy's id or anchor. Returns whether the provider used the id before, with other content.
    fn note_identity(&mut self, identity: &EventName, anchor: ReceiptId) -> bool {
        match identity {
            EventName::ById { id, content } => {
                self.first_contents.entry(id.clone()).or_insert_with(|| content.clone()) != content
            }
            EventName::ByContent { content } => {
                let anchors = self.anchors.entry(content.clone()).or_default();
                if !anchors.contains(&anchor) {
                    anchors.push(anchor);
                }
                // Bounded: the oldest go first.
                anchors.drain(..anchors.len().saturating_sub(MOST_ANCHORS));
                false
            }
        }
    }

    /// How long to wait at most for another event of the delivery: the one in hand, or one that waits for its end and was
    /// received earlier. Its update is published first.
    fn wait(&mut self, name: &str, copy: &CopyInHand, now: Timestamp) -> Option<Duration> {
        let patience = copy.lease / WAITING_SHARE;
        let first = self.first_waiting.and_then(|(first, until)| Some((first, left(until, patience, now)?)));
        let other_in_hand = self.in_hand.as_ref().filter(|(held, _)| held != name);
        if let Some(left) = other_in_hand.and_then(|(_, deadline)| left(*deadline, copy.lease, now)) {
            if first.is_none_or(|(first, _)| copy.receipt <= first) {
                self.first_waiting = Some((copy.receipt, now + patience));
            }
            return Some(left);
        }
        let is_in_hand = self.in_hand.as_ref().is_some_and(|(held, _)| held == name);
        match first {
            Some((first, left)) if first < copy.receipt && !is_in_hand => Some(left),
            Some((first, _)) if first == copy.receipt => {
                self.first_waiting = None;
                None
            }
            _ => None,
        }
    }

    /// Gives a new event its place.
    fn place(&mut self, leg: &str, moment: Moment, precedence: Precedence, now: Timestamp) -> Place {
        // Never below the time in ms: were the record lost, numbers would still only grow.
        self.sequence = (self.sequence + 1).max(now.as_millisecond().unsigned_abs());
        let claimed = &mut self.legs.entry(leg.to_owned()).or_default().claimed;
        // A claim that ran out may yet be published: what comes after it and is less far on is late.
        let overtaken = claimed.is_some_and(|claimed| moment.compare(&claimed, precedence).is_lt());
        if !overtaken {
            // With its own receipt, which receivers' clocks may put before the last one's: claimed again, by an operator's
            // forced replay, it has not overtaken itself.
            *claimed = Some(claimed.map_or(moment, |claimed| moment.with_time_of(&claimed)));
        }
        Place { sequence: self.sequence, overtaken }
    }

    /// Bounds the record: a delivery may tell its position thousands of times.
    fn forget_surplus(&mut self) {
        let names = self.events.len() + self.first_contents.len() + self.anchors.len();
        if names + 2 * self.legs.len() <= MOST_FIELDS {
            return;
        }
        let mut done: Vec<_> =
            self.events.iter().filter(|(_, event)| event.progress == Progress::Done).collect();
        done.sort_by_key(|(_, event)| std::cmp::Reverse(event.place.sequence));
        let surplus: Vec<_> = done.into_iter().skip(KEPT_EVENTS).map(|(name, _)| name.clone()).collect();
        for name in &surplus {
            self.events.remove(name);
        }
        let events = &self.events;
        self.first_contents.retain(|id, _| events.keys().any(|name| name.starts_with(id.as_str())));
        self.anchors.retain(|content, _| events.keys().any(|name| name.starts_with(content.as_str())));
        let mut legs: Vec<_> = self.legs.iter().collect();
        legs.sort_by_key(|(_, leg)| std::cmp::Reverse(leg.claimed.map(|claimed| claimed.received_at)));
        let surplus: Vec<_> = legs.into_iter().skip(KEPT_LEGS).map(|(name, _)| name.clone()).collect();
        for name in &surplus {
            self.legs.remove(name);
        }
    }
}
