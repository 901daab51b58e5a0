//! What everybody knows, put together: one row for each event, by its first receipt.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::hubrise::AtHubrise;
use super::publications::{Publication, Searched};
use super::row::{Asked, Row};
use crate::adapters::redis::{DeliveryName, RememberedDelivery, Repeat};
use crate::cli::line::printable;
use crate::cli::nobody_there;
use crate::cli::parked::entry::Entry;
use crate::cli::table::{Align, Table};
use crate::cli::when::clock;
use crate::domain::identity::ReceiptId;

/// What is known about one id.
pub(super) struct Answer {
    id: String,
    /// Of a delivery, what happened between is asked.
    between: (Option<Timestamp>, Option<Timestamp>),
    parked: Vec<Entry>,
    remembered: Vec<RememberedDelivery>,
    hubrise: Vec<AtHubrise>,
    asked: Asked,
    /// Who could not be asked, and why.
    unknown: Vec<(&'static str, String)>,
    /// Queues with webhooks that wait to be taken up, if nothing else is known.
    waiting: Option<Vec<(String, u32)>>,
}

impl Answer {
    pub(super) fn new(id: String, between: (Option<Timestamp>, Option<Timestamp>)) -> Self {
        let (parked, remembered, hubrise, unknown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { id, between, parked, remembered, hubrise, asked: Asked::default(), unknown, waiting: None }
    }

    pub(super) fn searched(&mut self, searched: Searched) {
        self.asked.searched = Some(searched);
    }

    pub(super) fn parked(&mut self, found: Vec<Entry>) {
        self.parked = found;
        self.asked.parked = true;
    }

    pub(super) fn remembered(&mut self, deliveries: Vec<RememberedDelivery>) {
        self.remembered = deliveries;
        self.asked.ledger = true;
    }

    pub(super) fn hubrise(&mut self, known: Vec<AtHubrise>) {
        self.hubrise = known;
    }

    pub(super) fn unknown(&mut self, whom: &'static str, why: &dyn Display) {
        self.unknown.push((whom, why.to_string()));
    }

    pub(super) fn waiting(&mut self, waiting: Option<Vec<(String, u32)>>) {
        self.waiting = waiting;
    }

    fn published(&self) -> &[Publication] {
        self.asked.searched.as_ref().map_or(&[], |searched| &searched.found)
    }

    /// The event that the id repeats, if it is the receipt of a repeat.
    fn repeated(&self) -> Option<Repeat> {
        let mut repeats = self.remembered.iter().flat_map(|delivery| &delivery.repeats);
        repeats.find(|repeat| repeat.receipt.to_string() == self.id).copied()
    }

    /// The first receipt of the one event that the id names, as far as the ledger knows it.
    pub(super) fn first_receipt(&self) -> Option<ReceiptId> {
        Some(self.repeated()?.of)
    }

    /// What is to be looked for among the updates.
    pub(super) fn published_as(&self) -> String {
        self.first_receipt().map_or_else(|| self.id.clone(), |first| first.to_string())
    }

    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        let remembered =
            self.remembered.iter().any(|known| known.sequence.is_some() || !known.events.is_empty());
        self.published().is_empty() && self.parked.is_empty() && !remembered
    }

    /// The deliveries of what is published or parked.
    pub(super) fn deliveries(&self) -> Vec<DeliveryName> {
        let published = self.published().iter().map(|one| DeliveryName {
            provider: one.data.provider.clone(),
            account: one.data.account.clone(),
            delivery_id: one.subject.clone(),
        });
        let parked = self.parked.iter().filter_map(|entry| {
            Some(DeliveryName {
                provider: entry.about.provider.to_string(),
                account: entry.about.account.as_ref()?.to_string(),
                delivery_id: entry.content.delivery_id.clone()?,
            })
        });
        let remembered = self.remembered.iter().map(|delivery| delivery.name.clone());
        published.chain(parked).chain(remembered).collect()
    }

    /// The events by their receipts: those that the id names, or else all of its delivery. And how many of the delivery are
    /// left out, as nothing of theirs happened when it is asked.
    fn rows(&self) -> (BTreeMap<String, Row<'_>>, usize) {
        let mut rows: BTreeMap<String, Row<'_>> = BTreeMap::new();
        for event in self.remembered.iter().flat_map(|delivery| &delivery.events) {
            rows.entry(event.receipt.to_string()).or_default().record = Some(event);
        }
        for publication in self.published() {
            rows.entry(publication.data.receipt_id.clone()).or_default().published.push(publication);
        }
        for entry in &self.parked {
            rows.entry(entry.about.id.clone()).or_default().parked.push(entry);
        }
        for Repeat { receipt, of } in self.remembered.iter().flat_map(|delivery| &delivery.repeats) {
            rows.entry(of.to_string()).or_default().repeats.push(*receipt);
        }
        let of_the_delivery = self.remembered.iter().any(|known| known.name.delivery_id == self.id);
        let asked_for = self.published_as();
        let named = |receipt: &str, row: &Row<'_>| {
            receipt == asked_for || !row.published.is_empty() || !row.parked.is_empty()
        };
        if !of_the_delivery && rows.iter().any(|(receipt, row)| named(receipt, row)) {
            rows.retain(|receipt, row| named(receipt, row));
            return (rows, 0);
        }
        let (all, (from, until)) = (rows.len(), self.between);
        rows.retain(|_, row| row.happened(from, until));
        let left_out = all - rows.len();
        (rows, left_out)
    }

    pub(super) fn for_a_person(&self, now: Timestamp) -> String {
        let mut text = String::new();
        for (whom, why) in &self.unknown {
            let _ = writeln!(text, "warning: nothing is known of {whom}: {}", printable(why));
        }
        if let Some(hint) = self.unknown.iter().find_map(|(_, why)| nobody_there(why)) {
            let _ = writeln!(text, "warning: {hint}");
        }
        if self.is_empty() {
            return text + &self.nobody_knows(now);
        }
        if let Some(Repeat { receipt, of }) = self.repeated() {
            let at = clock(receipt.received_at(), now);
            let _ = writeln!(
                text,
                "receipt {receipt}, of {at}, repeats {of}: its event was known, and is published once"
            );
        }
        for delivery in &self.remembered {
            let DeliveryName { provider, account, delivery_id } = &delivery.name;
            let _ = writeln!(text, "delivery {provider}/{account} {}", printable(delivery_id));
            for (leg, state) in &delivery.legs {
                let courier = if leg.is_empty() { String::new() } else { format!(" (courier {leg})") };
                let _ = writeln!(text, "  status {}{courier}", state.status().as_str());
            }
            if let Some(sequence) = delivery.sequence {
                let _ = writeln!(text, "  last sequence number {sequence}");
            }
        }
        if let Some(since) = self.asked.searched.as_ref().and_then(Searched::since) {
            let _ = writeln!(text, "updates searched: those published since {}", clock(since, now));
        }
        for known in &self.hubrise {
            let _ = writeln!(text, "hubrise: {}", printable(&known.in_words(now)));
        }
        let (rows, left_out) = self.rows();
        if !rows.is_empty() {
            let _ = write!(text, "{}", table(rows, &self.asked, now));
        }
        if left_out > 0 {
            let _ = writeln!(text, "events of which nothing happened in that time, not shown: {left_out}");
        }
        text
    }

    /// Of a receipt, what there is to look at next.
    fn nobody_knows(&self, now: Timestamp) -> String {
        let mut text = format!("{} was not found\n", printable(&self.id));
        let Some(given) = ReceiptId::given_at(&self.id) else { return text };
        let _ = write!(text, "It is a receipt, given at {}", clock(given, now));
        let kept_since = self.asked.searched.as_ref().and_then(|searched| searched.kept_since);
        let _ = match kept_since.filter(|kept| given < *kept) {
            Some(kept) => writeln!(
                text,
                ", before the oldest update that the stream still has, of {}. If it was published, only the ledger knows it,\n\
                 by its delivery: ask `why` with the delivery's id. Else one of these is true:",
                clock(kept, now)
            ),
            None => writeln!(text, ". Then one of these is true:"),
        };
        let _ = writeln!(
            text,
            "  it was refused, and so never stored: the receiver's log has the reason under this receipt.id"
        );
        let _ =
            writeln!(text, "  it is about no delivery and was ignored: the worker's log says so under it");
        let waiting = match self.waiting.as_deref() {
            None => "which cannot be seen now".to_owned(),
            Some([]) => "though none is seen to wait now".to_owned(),
            Some(queues) => {
                let queues: Vec<_> =
                    queues.iter().map(|(queue, messages)| format!("{messages} in {queue}")).collect();
                queues.join(", ")
            }
        };
        let _ = writeln!(text, "  it still waits to be taken up, {waiting}");
        text
    }

    pub(super) fn as_json(&self, now: Timestamp) -> Value {
        let deliveries = self.remembered.iter().map(|delivery| {
            let DeliveryName { provider, account, delivery_id } = &delivery.name;
            let legs = delivery.legs.iter().map(|(leg, state)| json!({"leg": leg, "status": state.status()}));
            json!({
                "provider": provider, "account": account, "delivery_id": delivery_id,
                "sequence": delivery.sequence, "stands_at": legs.collect::<Vec<_>>(),
            })
        });
        let (rows, left_out) = self.rows();
        let events: Vec<_> =
            rows.into_iter().map(|(receipt, row)| row.as_json(&receipt, &self.asked, now)).collect();
        let unknown = self.unknown.iter().map(|(whom, why)| json!({"of": whom, "because": why}));
        let searched = self.asked.searched.as_ref().map(
            |searched| json!({"since": searched.since(), "until": searched.range.until, "kept_since": searched.kept_since}),
        );
        json!({
            "id": self.id, "deliveries": deliveries.collect::<Vec<_>>(), "events": events, "left_out": left_out,
            "repeats": self.first_receipt().map(|first| first.to_string()),
            "hubrise": self.hubrise.iter().map(AtHubrise::as_json).collect::<Vec<_>>(),
            "searched": searched, "not_asked": unknown.collect::<Vec<_>>(),
        })
    }
}

fn table(rows: BTreeMap<String, Row<'_>>, asked: &Asked, now: Timestamp) -> Table {
    let mut table = Table::new(&[
        ("RECEIPT", Align::Left),
        ("RECEIVED", Align::Right),
        ("EVENT", Align::Left),
        ("LEDGER", Align::Left),
        ("FAILED", Align::Right),
        ("REASON", Align::Left),
        ("PUBLISHED", Align::Left),
        ("PARKED", Align::Left),
        ("REPEATS", Align::Right),
    ]);
    for (receipt, row) in rows {
        table.row(&row.cells(&receipt, asked, now));
    }
    table
}
