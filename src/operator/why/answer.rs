//! What everybody knows, put together: one row for each event, by its first receipt.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::MOST_REFERRED;
use super::hubrise::AtHubrise;
use super::publications::{Publication, Searched};
use super::row::{AskedSystems, Row};
use super::sought::Sought;
use crate::adapters::redis::{DeliveryName, RememberedDelivery, Repeat};
use crate::domain::identity::ReceiptId;
use crate::operator::parked::entry::Entry;

/// What is known about one id.
pub struct Explanation {
    pub id: String,
    /// Of a delivery, what happened between is asked.
    between: (Option<Timestamp>, Option<Timestamp>),
    /// The deliveries that have the id as a reference: first those with parked messages, the one that was parked last before
    /// the others, then those that were published last.
    referring: Vec<DeliveryName>,
    pub parked: Vec<Entry>,
    /// The deliveries that the ledger remembers.
    pub remembered: Vec<RememberedDelivery>,
    /// What the HubRise sink knows.
    pub hubrise: Vec<AtHubrise>,
    pub asked: AskedSystems,
    /// Who could not be asked, and why.
    pub unknown: Vec<(&'static str, String)>,
    /// Queues with webhooks that wait to be taken up, if nothing else is known.
    pub waiting: Option<Vec<(String, u32)>>,
}

impl Explanation {
    pub(super) fn new(id: String, between: (Option<Timestamp>, Option<Timestamp>)) -> Self {
        Self {
            id,
            between,
            referring: Vec::new(),
            parked: Vec::new(),
            remembered: Vec::new(),
            hubrise: Vec::new(),
            asked: AskedSystems::default(),
            unknown: Vec::new(),
            waiting: None,
        }
    }

    pub(super) fn searched(&mut self, searched: Searched) {
        self.refers_to(searched.referred.iter().cloned());
        self.asked.searched = Some(searched);
    }

    /// Takes what was found in the parked queues: of what says the id as a reference, that of the deliveries shown.
    pub(super) fn parked(&mut self, mut found: Vec<Entry>) {
        let known = Sought::new(&self.id, &self.referring);
        let mut latest: Vec<_> = found.iter().rev().collect();
        latest.sort_by_key(|entry| Reverse(entry.since()));
        let parked = latest.into_iter().filter_map(|entry| match known.delivery_of(entry) {
            Some(delivery) => Some(delivery.clone()),
            None if known.names_parked(entry) => None,
            None => delivery_of(entry),
        });
        let others = std::mem::take(&mut self.referring);
        self.refers_to(parked.chain(others));
        let sought = Sought::new(&self.id, self.referred());
        found.retain(|entry| sought.names_parked(entry));
        self.parked = found;
        self.asked.parked = true;
    }

    /// Takes note of deliveries that have the id as a reference, behind those that are known.
    fn refers_to(&mut self, deliveries: impl IntoIterator<Item = DeliveryName>) {
        let mut known: HashSet<_> = self.referring.iter().cloned().collect();
        self.referring.extend(deliveries.into_iter().filter(|delivery| known.insert(delivery.clone())));
    }

    /// All deliveries that are known to have the id as a reference.
    pub(super) fn referring(&self) -> &[DeliveryName] {
        &self.referring
    }

    /// Those of them that are shown.
    #[must_use]
    pub fn referred(&self) -> &[DeliveryName] {
        &self.referring[..self.referring.len().min(MOST_REFERRED)]
    }

    /// How many of them are left out.
    #[must_use]
    pub fn referred_beyond(&self) -> usize {
        self.referring.len() - self.referred().len()
    }

    pub(super) fn remembered(&mut self, deliveries: Vec<RememberedDelivery>) {
        self.remembered = deliveries;
        self.asked.ledger = true;
    }

    pub(super) fn hubrise(&mut self, known: Vec<AtHubrise>) {
        self.hubrise = known;
    }

    pub(super) fn unknown(&mut self, whom: &'static str, why: &dyn Display) {
        if self.unknown.iter().all(|(known, _)| *known != whom) {
            self.unknown.push((whom, why.to_string()));
        }
    }

    pub(super) fn waiting(&mut self, waiting: Option<Vec<(String, u32)>>) {
        self.waiting = waiting;
    }

    #[must_use]
    pub fn published(&self) -> &[Publication] {
        self.asked.searched.as_ref().map_or(&[], |searched| &searched.found)
    }

    /// The event that the id repeats, if it is the receipt of a repeat.
    #[must_use]
    pub fn repeated(&self) -> Option<Repeat> {
        let mut repeats = self.remembered.iter().flat_map(|delivery| &delivery.repeats);
        repeats.find(|repeat| repeat.receipt.to_string() == self.id).copied()
    }

    /// The first receipt of the one event that the id names, as far as the ledger knows it.
    #[must_use]
    pub fn first_receipt(&self) -> Option<ReceiptId> {
        Some(self.repeated()?.of)
    }

    /// What is to be looked for among the updates.
    #[must_use]
    pub fn published_as(&self) -> String {
        self.first_receipt().map_or_else(|| self.id.clone(), |first| first.to_string())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        let remembered =
            self.remembered.iter().any(|known| known.sequence.is_some() || !known.events.is_empty());
        self.published().is_empty() && self.parked.is_empty() && !remembered
    }

    /// The deliveries of what is published or parked.
    #[must_use]
    pub fn deliveries(&self) -> Vec<DeliveryName> {
        let published = self.published().iter().map(Publication::delivery);
        let parked = self.parked.iter().filter_map(delivery_of);
        let remembered = self.remembered.iter().map(|delivery| delivery.name.clone());
        published.chain(parked).chain(remembered).collect()
    }

    /// The events by their receipts: those that the id names, or else all of its delivery. And how many of the delivery are
    /// left out, as nothing of theirs happened when it is asked.
    #[must_use]
    pub fn rows(&self) -> (BTreeMap<String, Row<'_>>, usize) {
        let mut rows: BTreeMap<String, Row<'_>> = BTreeMap::new();
        for delivery in &self.remembered {
            for event in &delivery.events {
                let row = rows.entry(event.receipt.to_string()).or_default();
                row.record = Some(event);
                row.delivery_id = Some(&delivery.name.delivery_id);
            }
        }
        for publication in self.published() {
            let row = rows.entry(publication.data.receipt_id.clone()).or_default();
            row.delivery_id = Some(&publication.subject);
            row.published.push(publication);
        }
        for entry in &self.parked {
            let row = rows.entry(entry.about.id.clone()).or_default();
            row.delivery_id = row.delivery_id.or(entry.content.delivery_id.as_deref());
            row.parked.push(entry);
        }
        for Repeat { receipt, of } in self.remembered.iter().flat_map(|delivery| &delivery.repeats) {
            rows.entry(of.to_string()).or_default().repeats.push(*receipt);
        }
        let of_the_delivery = !self.referring.is_empty()
            || self.remembered.iter().any(|known| known.name.delivery_id == self.id);
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

    #[must_use]
    pub fn as_json(&self, now: Timestamp) -> Value {
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
        let reference_of = self.referred().iter().map(|DeliveryName { provider, account, delivery_id }| {
            json!({"provider": provider, "account": account, "delivery_id": delivery_id})
        });
        json!({
            "id": self.id, "reference_of": reference_of.collect::<Vec<_>>(),
            "reference_of_more": self.referred_beyond(), "deliveries": deliveries.collect::<Vec<_>>(), "events": events, "left_out": left_out,
            "repeats": self.first_receipt().map(|first| first.to_string()),
            "hubrise": self.hubrise.iter().map(AtHubrise::as_json).collect::<Vec<_>>(),
            "searched": searched, "not_asked": unknown.collect::<Vec<_>>(),
        })
    }
}

/// Whose delivery a parked message is about; a sink's does not say which provider's.
fn delivery_of(entry: &Entry) -> Option<DeliveryName> {
    Some(DeliveryName {
        provider: entry.about.provider.to_string(),
        account: entry.about.account.as_ref()?.to_string(),
        delivery_id: entry.content.delivery_id.clone()?,
    })
}
