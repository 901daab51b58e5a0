//! One event, as everybody knows it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::publications::{Publication, Searched};
use crate::adapters::redis::{EventRecord, EventState};
use crate::domain::identity::{ReceiptId, Way};
use crate::operator::parked::entry::Entry;
use crate::operator::printable::shortened;
use crate::operator::waiting::until;
use crate::operator::when::clock;

/// In a table a delivery's id is shown as far as this.
const LONGEST_ID: usize = 32;

#[derive(Default)]
pub struct Row<'a> {
    /// The delivery it is about.
    pub delivery_id: Option<&'a str>,
    /// What the ledger remembers of it.
    pub record: Option<&'a EventRecord>,
    pub published: Vec<&'a Publication>,
    pub parked: Vec<&'a Entry>,
    pub repeats: Vec<ReceiptId>,
}

#[derive(Default)]
pub struct AskedSystems {
    /// What the search of the updates came to.
    pub searched: Option<Searched>,
    /// Whether the parked queues did.
    pub parked: bool,
    pub ledger: bool,
}

impl Row<'_> {
    /// Whether anything of it that is known to have a time happened within.
    #[must_use]
    pub fn happened(&self, from: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        let record = self.record;
        let times =
            [self.received_at(), record.and_then(EventRecord::claimed_at), record.and_then(|it| it.done_at)];
        let repeats = self.repeats.iter().map(|receipt| Some(receipt.received_at()));
        let parked = self.parked.iter().map(|entry| entry.about.parked_at);
        let within =
            |time: Timestamp| from.is_none_or(|from| from <= time) && until.is_none_or(|until| time <= until);
        times.into_iter().chain(repeats).chain(parked).flatten().any(within)
    }

    /// When its first webhook was received.
    #[must_use]
    pub fn received_at(&self) -> Option<Timestamp> {
        let published = self.published.first().map(|one| one.data.received_at);
        let parked = self.parked.first().and_then(|entry| entry.about.received_at);
        self.record.map(|record| record.receipt.received_at()).or(published).or(parked)
    }

    /// The id that its update has or would have.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        let published = self.published.first().map(|one| one.id.as_str());
        published.or_else(|| self.parked.first()?.content.event_id.as_deref())
    }

    /// Why its last try failed.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.record.and_then(|record| record.reason.as_deref())
    }

    /// Whether its update is published, as far as that is known, and in a few words. The ledger marks an event done once its
    /// update was confirmed; that none was found says something only of what was searched.
    #[must_use]
    pub fn publication(&self, searched: Option<&Searched>, now: Timestamp) -> (Option<bool>, String) {
        if let Some(Publication { data, .. }) = self.published.first() {
            let order = data.order.as_deref().filter(|order| *order != "in_order");
            let order = order.map_or_else(String::new, |order| format!(", {order}"));
            let said = format!("{} ({}){order}", data.status, data.raw_status);
            return match self.published.len() {
                1 => (Some(true), said),
                times => (Some(true), format!("{said}, {times} times")),
            };
        }
        if let Some(record) = self.record.filter(|record| record.state == EventState::Done) {
            let seen = |done| searched.is_some_and(|searched| searched.reaches(done));
            if record.receipt.is_pulled() && record.done_at.is_some_and(seen) {
                return (Some(false), "no: nothing new".to_owned());
            }
            return (Some(true), format!("yes: {}", unseen(record.done_at, searched)));
        }
        let Some(searched) = searched else { return (None, "?".to_owned()) };
        let all =
            self.received_at().is_some_and(|received| searched.reaches(received)) && searched.reaches(now);
        if all { (Some(false), "no".to_owned()) } else { (None, "not searched so far".to_owned()) }
    }

    /// What could not be asked is `?`, not "no".
    #[must_use]
    pub fn cells(&self, receipt: &str, asked: &AskedSystems, now: Timestamp) -> [String; 10] {
        let at = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| clock(time, now));
        let none = |asked: bool, none: &str| if asked { none.to_owned() } else { "?".to_owned() };
        let parked = self.parked.first().map_or_else(
            || none(asked.parked, "no"),
            |entry| format!("{}, {}", entry.about.reason, at(entry.about.parked_at)),
        );
        [
            receipt.to_owned(),
            at(self.received_at()) + ", " + way(receipt).as_str(),
            self.event_id().unwrap_or("-").to_owned(),
            self.record
                .map_or_else(|| none(asked.ledger, self.without_record()), |record| ledger(record, now)),
            self.record.map_or_else(|| "-".to_owned(), |record| record.attempt.to_string()),
            self.reason().unwrap_or("-").to_owned(),
            self.publication(asked.searched.as_ref(), now).1,
            parked,
            repeats(&self.repeats),
            self.delivery_id.map_or_else(|| "-".to_owned(), |id| shortened(id, LONGEST_ID)),
        ]
    }

    /// A webhook that no event could be read from was never entered. Of what is parked and can be read, it is not known: the
    /// ledger may have forgotten it, or the broker parked it before any worker asked.
    fn without_record(&self) -> &'static str {
        match self.parked.first() {
            Some(entry) if self.published.is_empty() && entry.content.delivery_id.is_none() => {
                "never entered"
            }
            Some(_) if self.published.is_empty() => "nothing",
            _ => "forgotten",
        }
    }

    #[must_use]
    pub fn as_json(&self, receipt: &str, asked: &AskedSystems, now: Timestamp) -> Value {
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
            "receipt": receipt, "delivery_id": self.delivery_id, "received_at": self.received_at(), "way": way(receipt).as_str(), "event_id": self.event_id(), "ledger": ledger,
            "is_published": self.publication(asked.searched.as_ref(), now).0,
            "published": published.collect::<Vec<_>>(),
            "parked": self.parked.iter().map(|entry| entry.json()).collect::<Vec<_>>(),
            "repeats": self.repeats.iter().map(|receipt| json!({ "receipt": receipt.to_string(), "way": receipt.way().as_str() }))
                .collect::<Vec<_>>(),
        })
    }
}

/// Which way the webhook came that began the event. A receipt that is none, of a message that no receiver made, was pushed.
#[must_use]
pub fn way(receipt: &str) -> Way {
    receipt.parse().map_or(Way::Push, ReceiptId::way)
}

/// How many there were, and which of them came another way than by push.
fn repeats(receipts: &[ReceiptId]) -> String {
    if receipts.is_empty() {
        return "-".to_owned();
    }
    let by = |way: Way| receipts.iter().filter(|receipt| receipt.way() == way).count();
    let others =
        [Way::Spool, Way::Pull].map(|way| (way, by(way))).into_iter().filter(|(_, times)| *times > 0);
    let others: Vec<_> = others.map(|(way, times)| format!("{times} {}", way.as_str())).collect();
    let times = receipts.len();
    if others.is_empty() { times.to_string() } else { format!("{times}: {}", others.join(", ")) }
}

/// Why an update that is published was not found.
fn unseen(done_at: Option<Timestamp>, searched: Option<&Searched>) -> &'static str {
    match (searched, done_at) {
        (None, _) => "the ledger says so",
        (Some(searched), Some(done)) if searched.kept_since.is_some_and(|kept| done < kept) => {
            "no longer kept"
        }
        (Some(searched), Some(done)) if !searched.reaches(done) => "not searched so far",
        _ => "not in the log",
    }
}

/// What the ledger says, in a few words.
fn ledger(record: &EventRecord, now: Timestamp) -> String {
    let since = record.done_at.map_or_else(String::new, |time| format!(", {}", clock(time, now)));
    match (record.state, record.deadline) {
        (EventState::Retrying, Some(due)) => format!("retried {}, {}", clock(due, now), until(due, now)),
        (EventState::Claimed, Some(lease)) => {
            format!("claimed, lease over {}, {}", clock(lease, now), until(lease, now))
        }
        (EventState::Claimed, None) => "released".to_owned(),
        (state, _) => format!("{}{since}", state.as_str()),
    }
}
