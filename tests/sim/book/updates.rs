//! What is written down of updates, and judged as they are published.

use bytes::Bytes;
use milepost::domain::event::UpdateEvent;
use milepost::domain::identity::ReceiptId;
use milepost::ports::PublishError;

use super::{Book, Form, Held, Name, Published, Seen, Send, Update};
use crate::process::Process;

impl Book {
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
        let leaseless = self.leaseless.contains(&(process.id, id.clone()));
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
            && !(forced || lost || leaseless)
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
    pub fn published(&mut self, send: usize, body: Bytes) {
        self.acted += 1;
        let Send { id, event, update, forced, .. } = &self.sends[send];
        self.trace.note(Some(*event), || format!("updates <- {id}"));
        let (id, event, update, forced) = (id.clone(), *event, update.clone(), *forced);
        if self.plan.sink.is_some() {
            self.fed(&id, event, body);
        }
        let receipt: Option<ReceiptId> = update.receipt_id.parse().ok();
        let first = receipt.and_then(|receipt| self.receipts.get(&receipt.spooled()));
        let (pulled, form) = first.map_or((false, Form::Webhook), |first| (first.pulled, first.form));
        self.seen.push(Seen { id, event, update, forced, pulled, form });
    }

    pub fn refused(&mut self, send: usize) {
        let event = self.sends[send].event;
        *self.refusals.entry(self.plan.events[event].content).or_default() += 1;
    }
}
