//! What everybody knows, put together: one row for each event, by its first receipt.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::hubrise::AtHubrise;
use super::publications::Publication;
use crate::adapters::redis::{DeliveryName, EventRecord, RememberedDelivery, State};
use crate::cli::line::printable;
use crate::cli::parked::entry::Entry;
use crate::cli::table::{Align, Table};
use crate::cli::waiting::until;

/// What is known about one id.
pub(super) struct Answer {
    id: String,
    published: Vec<Publication>,
    parked: Vec<Entry>,
    remembered: Vec<RememberedDelivery>,
    hubrise: Vec<AtHubrise>,
    asked: Asked,
    /// Who could not be asked, and why.
    unknown: Vec<(&'static str, String)>,
}

/// Who answered.
#[derive(Default)]
struct Asked {
    updates: bool,
    parked: bool,
    ledger: bool,
}

/// One event.
#[derive(Default)]
struct Row<'a> {
    record: Option<&'a EventRecord>,
    published: Vec<&'a Publication>,
    parked: Vec<&'a Entry>,
}

impl Answer {
    pub(super) fn new(id: String) -> Self {
        let (published, parked, remembered, unknown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { id, published, parked, remembered, hubrise: Vec::new(), asked: Asked::default(), unknown }
    }

    pub(super) fn published(&mut self, found: Vec<Publication>) {
        self.published = found;
        self.asked.updates = true;
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

    /// Whether nobody knows anything.
    pub(super) fn is_empty(&self) -> bool {
        let remembered =
            self.remembered.iter().any(|known| known.sequence.is_some() || !known.events.is_empty());
        self.published.is_empty() && self.parked.is_empty() && !remembered
    }

    /// The deliveries of what is published or parked.
    pub(super) fn deliveries(&self) -> Vec<DeliveryName> {
        let published = self.published.iter().map(|one| DeliveryName {
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

    /// The events by their receipts: those that the id names, or else all of its delivery.
    fn rows(&self) -> BTreeMap<String, Row<'_>> {
        let mut rows: BTreeMap<String, Row<'_>> = BTreeMap::new();
        for event in self.remembered.iter().flat_map(|delivery| &delivery.events) {
            rows.entry(event.receipt.to_string()).or_default().record = Some(event);
        }
        for publication in &self.published {
            rows.entry(publication.data.receipt_id.clone()).or_default().published.push(publication);
        }
        for entry in &self.parked {
            rows.entry(entry.about.id.clone()).or_default().parked.push(entry);
        }
        let of_the_delivery = self.remembered.iter().any(|known| known.name.delivery_id == self.id);
        let named = |receipt: &str, row: &Row<'_>| {
            receipt == self.id || !row.published.is_empty() || !row.parked.is_empty()
        };
        if !of_the_delivery && rows.iter().any(|(receipt, row)| named(receipt, row)) {
            rows.retain(|receipt, row| named(receipt, row));
        }
        rows
    }

    pub(super) fn for_a_person(&self, now: Timestamp) -> String {
        let mut text = String::new();
        for (whom, why) in &self.unknown {
            let _ = writeln!(text, "warning: nothing is known of {whom}: {}", printable(why));
        }
        if self.is_empty() {
            let _ = writeln!(text, "nobody knows {}", printable(&self.id));
            return text;
        }
        for delivery in &self.remembered {
            let DeliveryName { provider, account, delivery_id } = &delivery.name;
            let _ = writeln!(text, "delivery {provider}/{account} {}", printable(delivery_id));
            for (leg, state) in &delivery.legs {
                let courier = if leg.is_empty() { String::new() } else { format!(" (courier {leg})") };
                let _ = writeln!(text, "  stands at {}{courier}", state.status().as_str());
            }
            if let Some(sequence) = delivery.sequence {
                let _ = writeln!(text, "  last sequence number {sequence}");
            }
        }
        for known in &self.hubrise {
            let _ = writeln!(text, "hubrise: {}", printable(&known.in_words(now)));
        }
        let _ = write!(text, "{}", self.table(now));
        text
    }

    fn table(&self, now: Timestamp) -> Table {
        let mut table = Table::new(&[
            ("RECEIPT", Align::Left),
            ("RECEIVED", Align::Right),
            ("EVENT", Align::Left),
            ("LEDGER", Align::Left),
            ("FAILED", Align::Right),
            ("REASON", Align::Left),
            ("PUBLISHED", Align::Left),
            ("PARKED", Align::Left),
        ]);
        for (receipt, row) in self.rows() {
            table.row(&row.cells(&receipt, &self.asked, now));
        }
        table
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
        let events =
            self.rows().into_iter().map(|(receipt, row)| row.as_json(&receipt, now)).collect::<Vec<_>>();
        let unknown = self.unknown.iter().map(|(whom, why)| json!({"of": whom, "because": why}));
        json!({
            "id": self.id, "deliveries": deliveries.collect::<Vec<_>>(), "events": events,
            "hubrise": self.hubrise.iter().map(AtHubrise::as_json).collect::<Vec<_>>(),
            "not_asked": unknown.collect::<Vec<_>>(),
        })
    }
}

impl Row<'_> {
    fn received_at(&self) -> Option<Timestamp> {
        let published = self.published.first().map(|one| one.data.received_at);
        let parked = self.parked.first().and_then(|entry| entry.about.received_at);
        self.record.map(|record| record.receipt.received_at()).or(published).or(parked)
    }

    fn event_id(&self) -> Option<&str> {
        let published = self.published.first().map(|one| one.id.as_str());
        published.or_else(|| self.parked.first()?.content.event_id.as_deref())
    }

    fn reason(&self) -> Option<&str> {
        self.record.and_then(|record| record.reason.as_deref())
    }

    /// What nobody could be asked about is `?`, not "no".
    fn cells(&self, receipt: &str, asked: &Asked, now: Timestamp) -> [String; 8] {
        let ago = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| until(time, now));
        let none = |asked: bool, none: &str| if asked { none.to_owned() } else { "?".to_owned() };
        let published = self.published.first().map_or_else(
            || none(asked.updates, "no"),
            |first| match self.published.len() {
                1 => format!("{} ({})", first.data.status, first.data.raw_status),
                times => format!("{} ({}), {times} times", first.data.status, first.data.raw_status),
            },
        );
        let parked = self.parked.first().map_or_else(
            || none(asked.parked, "no"),
            |entry| format!("{}, {}", entry.about.reason, ago(entry.about.parked_at)),
        );
        [
            receipt.to_owned(),
            ago(self.received_at()),
            self.event_id().unwrap_or("-").to_owned(),
            self.record.map_or_else(|| none(asked.ledger, "forgotten"), |record| ledger(record, now)),
            self.record.map_or_else(|| "-".to_owned(), |record| record.attempt.to_string()),
            self.reason().unwrap_or("-").to_owned(),
            published,
            parked,
        ]
    }

    fn as_json(&self, receipt: &str, now: Timestamp) -> Value {
        let published = self.published.iter().map(|one| {
            json!({
                "event_id": one.id, "time": one.time, "status": one.data.status, "raw_status": one.data.raw_status,
                "order": one.data.order, "sequence": one.data.sequence,
                "provider_event_id": one.data.provider_event_id,
            })
        });
        let ledger = self.record.map(|record| {
            json!({
                "state": record.state.as_str(), "claimed_at": record.claimed_at(), "done_at": record.done_at,
                "status": record.status, "attempt": record.attempt,
                "crashes": record.crashes, "reason": record.reason, "sequence": record.sequence,
                "deadline": record.deadline,
                "deadline_in_seconds": record.deadline.map(|then| then.duration_since(now).as_secs_f64()),
            })
        });
        json!({
            "receipt": receipt, "received_at": self.received_at(), "event_id": self.event_id(), "ledger": ledger,
            "published": published.collect::<Vec<_>>(),
            "parked": self.parked.iter().map(|entry| entry.json()).collect::<Vec<_>>(),
        })
    }
}

/// What the ledger says, in a few words.
fn ledger(record: &EventRecord, now: Timestamp) -> String {
    let since = record.done_at.map_or_else(String::new, |time| format!(", {}", until(time, now)));
    match (record.state, record.deadline) {
        (State::Retrying, Some(due)) => format!("comes back {}", until(due, now)),
        (State::Claimed, Some(lease)) => format!("claimed, lease over {}", until(lease, now)),
        (State::Claimed, None) => "let go".to_owned(),
        (state, _) => format!("{}{since}", state.as_str()),
    }
}
