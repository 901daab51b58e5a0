//! What is written down of claims and marks.

use jiff::Timestamp;
use milepost::domain::claim::{Claim, ClaimRequest, EventRef, Mark};
use milepost::domain::identity::{EventId, ReceiptId};

use super::{Book, Form, Held, Send};
use crate::process::Process;

impl Book {
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
                if *claim == Claim::Done {
                    self.duplicates.insert(receipt);
                }
            }
            Claim::Busy(_) | Claim::Behind(_) => {}
            Claim::Granted(grant) => {
                let name = (self.plan.events[event].delivery, grant.event.name.clone());
                let id = EventId::new(&request.delivery, &request.identity, grant.origin.receipt);
                let forced = grant.event.name.contains('!');
                // A request that Redis carried out long after the worker had asked again begins nothing: its message ended
                // as a duplicate, and a state that was pulled is an event of its own once the delivery has moved on.
                if forced || !self.duplicates.contains(&receipt) {
                    self.begun.entry(name.clone()).or_insert_with(|| (event, id.as_str().to_owned()));
                }
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
        let received = self.receipts.get(&event.receipt.spooled());
        let is_answer = received.is_some_and(|received| received.pulled && received.form != Form::Webhook);
        if mark == Mark::Published(None) && is_answer {
            self.pulls.no_news.insert(self.plan.events[about].content);
        }
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
        self.sink_disturbed();
        self.disturb(|_| true);
        for held in self.held.values_mut() {
            (held.live, held.disturbed) = (false, true);
            self.leaseless.insert((held.process, held.id.clone()));
        }
    }

    /// Redis lost what it had written for these receipts.
    pub fn ledger_lost(&mut self, receipts: &[ReceiptId]) {
        self.sink.redis_lost = true;
        for receipt in receipts {
            if let Some(event) = self.event_of(*receipt) {
                self.lost.insert(self.plan.events[event].delivery);
            }
        }
        self.leases_disturbed();
    }
}
