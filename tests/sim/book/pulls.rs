//! What is written down of the reconcilers: what the provider's API told, and what of it was put into the intake.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::Timestamp;
use milepost::domain::envelope::Envelope;
use milepost::domain::identity::ReceiptId;
use tokio::time::Instant;

use super::{Book, Received};
use crate::process::Process;

/// What a receipt is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A webhook, word for word, whether it was sent or pulled.
    Webhook,
    /// A delivery's present state.
    State,
    /// A step of a timeline.
    Step,
}

#[derive(Default)]
pub struct PullBook {
    /// By the body that an answer amounts to: the event that it tells.
    told: BTreeMap<Bytes, (usize, Form)>,
    /// Receipts of what was put into the intake and confirmed.
    pub confirmed: BTreeSet<ReceiptId>,
    /// Contents that were pulled, and were no news: what is sent of them later is a duplicate.
    pub no_news: BTreeSet<usize>,
    /// By process and delivery: the state that it put into the intake last, and was confirmed.
    knows: BTreeMap<(u32, usize), usize>,
    /// By process: what it asked for and was told nothing of.
    told_nothing: BTreeSet<(u32, String)>,
    /// By what a delivery is asked for by: when it last was.
    asked: BTreeMap<String, Instant>,
}

impl PullBook {
    /// When a delivery was last asked for.
    pub fn last_asked(&self, address: &str) -> Option<Instant> {
        self.asked.get(address).copied()
    }

    /// Whether this process has reason to ask for a delivery no more for a while: its state was another when it asked, or
    /// the answer told none.
    pub fn has_reason_to_wait(&self, process: u32, delivery: usize, address: &str, truth: usize) -> bool {
        let older = self.knows.get(&(process, delivery)).is_some_and(|known| *known != truth);
        older || self.told_nothing.contains(&(process, address.to_owned()))
    }
}

impl Book {
    /// The API answered.
    pub fn asked_for(
        &mut self,
        process: &Process,
        about: &str,
        tells: Vec<(Bytes, usize, Form)>,
        own_fault: bool,
    ) {
        self.acted += 1;
        self.pulls.asked.insert(about.to_owned(), Instant::now());
        if own_fault {
            self.pulls.told_nothing.insert((process.id, about.to_owned()));
        }
        for (body, event, form) in tells {
            self.pulls.told.insert(body, (event, form));
        }
    }

    /// A reconciler begins to put a webhook into the intake.
    pub fn pulling(&mut self, process: &Process, envelope: &Envelope, truly_at: Timestamp, certain: bool) {
        let receipt = envelope.receipt;
        if self.receipts.contains_key(&receipt.spooled()) {
            return;
        }
        let Some((event, form)) = self.pulls.told.get(&envelope.body).copied() else {
            let says = format!("p{} {}", process.id, String::from_utf8_lossy(&envelope.body));
            return self.violation("something is pulled that the provider did not say", None, says);
        };
        self.acted += 1;
        self.trace.note(Some(event), || format!("p{} pulled {form:?} as {receipt}", process.id));
        let at = receipt.received_at();
        let received =
            Received { event, at, truly_at, certain, accepted: false, stored: false, pulled: true, form };
        self.receipts.insert(receipt.spooled(), received);
    }

    /// It is confirmed.
    pub fn pulled(&mut self, process: &Process, receipt: ReceiptId) {
        let Some(Received { event, form, .. }) = self.receipts.get(&receipt.spooled()) else { return };
        let (event, form) = (*event, *form);
        self.trace.note(Some(event), || format!("p{} knows of {receipt}: confirmed", process.id));
        self.pulls.confirmed.insert(receipt);
        if form == Form::State {
            self.pulls.knows.insert((process.id, self.plan.events[event].delivery), event);
        }
    }
}
