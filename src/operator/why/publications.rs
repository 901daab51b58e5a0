//! What the stream of updates has about an id.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::timeout;

use super::CLOCK_SKEW;
use super::sought::Sought;
use crate::adapters::rabbit::updates_log::{LogEvent, LogOutage, Start, UpdatesLog};
use crate::adapters::redis::DeliveryName;
use crate::domain::identity::ReceiptId;

/// A stream that sends nothing for so long has been read to its end. One that is published to all the time ends where a second
/// reader, which began with what was published next, has its first update: AMQP tells no other way where that is.
const IDLE: Duration = Duration::from_secs(2);
/// Its first chunk may take longer to come, from a broker that is busy.
const FIRST: Duration = Duration::from_secs(6);
/// The reader gives a connection up before that.
const CONNECTING: Duration = Duration::from_secs(20);

/// An update that was published, as far as it is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Publication {
    pub id: String,
    pub subject: String,
    /// When the provider says that it happened.
    pub time: String,
    /// What it says of the delivery.
    pub data: PublicationData,
    /// The trace it belongs to, if that was sampled.
    #[serde(default)]
    pub traceparent: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PublicationData {
    pub provider: String,
    pub account: String,
    /// The status, in our word.
    pub status: String,
    /// The status, in the provider's.
    pub raw_status: String,
    /// `late`, `unexpected` or in order.
    pub order: Option<String>,
    /// Its place among the delivery's updates.
    pub sequence: Option<u64>,
    /// The provider's id of the event.
    pub provider_event_id: Option<String>,
    pub receipt_id: String,
    pub received_at: Timestamp,
    /// Other names of the delivery or of its order.
    #[serde(default)]
    pub references: PublicationReferences,
}

/// The names by which an order may be looked for. The location's is none: it is the same of all its orders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct PublicationReferences {
    /// The merchant's own order number.
    pub merchant_order: Option<String>,
    /// A further reference of the merchant's.
    pub merchant_reference: Option<String>,
    /// The provider's id of the order.
    pub order: Option<String>,
    /// The id the provider used before it gave the final one.
    pub temporary: Option<String>,
}

impl PublicationReferences {
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let Self { merchant_order, merchant_reference, order, temporary } = self;
        [merchant_order, merchant_reference, order, temporary].into_iter().flatten()
    }
}

/// Which part of the log is searched: all of it that is kept, where there is no bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// What the search came to.
#[derive(Debug, Default)]
pub struct Searched {
    /// Every publication of what is looked for in the range, in order, repeats included.
    pub found: Vec<Publication>,
    /// The other deliveries that have the id as a reference, the one that was published last first.
    pub referred: Vec<DeliveryName>,
    /// What was to be searched.
    pub range: Range,
    /// The log has lost what was published before; `None`: it has all that was ever published.
    pub kept_since: Option<Timestamp>,
}

impl Searched {
    /// Since when what was published would have been found.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.range.from.max(self.kept_since)
    }

    /// Whether what was published at `time` would have been found.
    #[must_use]
    pub fn reaches(&self, time: Timestamp) -> bool {
        self.since().is_none_or(|since| since <= time) && self.range.until.is_none_or(|until| time <= until)
    }
}

pub(super) async fn of(url: &str, range: Range, now: Timestamp, sought: &Sought) -> anyhow::Result<Searched> {
    let start = range.from.map_or(Start::First, Start::At);
    let mut log = UpdatesLog::new(url, start, now)?;
    let until = range.until.and_then(|until| until.checked_add(CLOCK_SKEW).ok());
    let (mut referred, mut place) = (HashMap::new(), 0_u64);
    let found = read(&mut log, Box::pin(next_offset(url, now)), until, |body| {
        let publication: Publication =
            sought.may_be_in(body).then(|| serde_json::from_slice(body).ok()).flatten()?;
        if sought.names_update(&publication) {
            return Some(publication);
        }
        if sought.is_among(publication.data.references.names()) {
            place += 1;
            referred.insert(publication.delivery(), place);
        }
        None
    });
    // Of a stream that has nothing to send each of them takes seconds.
    let (found, kept_since) = tokio::join!(found, oldest(url, now));
    log.close().await;
    let (found, kept_since) = (found?, kept_since?);
    let mut referred: Vec<_> = referred.into_iter().collect();
    referred.sort_by_key(|(_, place)| Reverse(*place));
    let referred = referred.into_iter().map(|(delivery, _)| delivery).collect();
    Ok(Searched { found, referred, range, kept_since })
}

/// When the oldest update kept was published, as near as it says; `None` if none was ever dropped.
async fn oldest(url: &str, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
    let mut log = UpdatesLog::new(url, Start::First, now)?;
    let mut patience = CONNECTING;
    let first: anyhow::Result<_> = loop {
        match timeout(patience, log.next()).await {
            Err(_) | Ok(Ok(LogEvent::Waiting(LogOutage::NoLog(_)))) => break Ok(None),
            Ok(Err(error)) => break Err(error.into()),
            // Too short, and a broker that is busy would seem to keep all that there ever was.
            Ok(Ok(LogEvent::Attached)) => patience = FIRST,
            Ok(Ok(LogEvent::Waiting(outage))) => break Err(outage.into()),
            Ok(Ok(LogEvent::Update(update))) => break Ok(Some(update)),
        }
    };
    log.close().await;
    Ok(first?.filter(|update| update.offset > 0).and_then(|update| update.claimed_at()))
}

/// What was published of pulled webhooks since `from`.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn pulled(url: &str, from: Timestamp, now: Timestamp) -> anyhow::Result<Vec<Publication>> {
    let mut log = UpdatesLog::new(url, Start::At(from), now)?;
    let found = read(&mut log, Box::pin(next_offset(url, now)), None, |body| {
        let publication: Publication = serde_json::from_slice(body).ok()?;
        publication.is_pulled().then_some(publication)
    });
    let found = found.await;
    log.close().await;
    found
}

impl Publication {
    /// Whose delivery it is of.
    #[must_use]
    pub fn delivery(&self) -> DeliveryName {
        let PublicationData { provider, account, .. } = &self.data;
        let (provider, account) = (provider.clone(), account.clone());
        DeliveryName { provider, account, delivery_id: self.subject.clone() }
    }

    /// Whether the webhook that began its event was pulled.
    pub fn is_pulled(&self) -> bool {
        self.data.receipt_id.parse().is_ok_and(ReceiptId::is_pulled)
    }
}

/// The offset of the first update that is published from now on, once there is one.
async fn next_offset(url: &str, now: Timestamp) -> u64 {
    if let Ok(mut log) = UpdatesLog::new(url, Start::Next, now) {
        while let Ok(event) = log.next().await {
            if let LogEvent::Update(update) = event {
                log.close().await;
                return update.offset;
            }
        }
    }
    std::future::pending().await
}

/// Reads until `end` or `until`, or all there is.
async fn read(
    log: &mut UpdatesLog,
    mut end: impl Future<Output = u64> + Unpin,
    until: Option<Timestamp>,
    mut pick: impl FnMut(&[u8]) -> Option<Publication>,
) -> anyhow::Result<Vec<Publication>> {
    let (mut ends_at, mut next) = (None, 0);
    let mut found = Vec::new();
    let mut patience = CONNECTING;
    loop {
        if ends_at.is_some_and(|end| next >= end) {
            return Ok(found);
        }
        let event = tokio::select! {
            biased;
            offset = &mut end, if ends_at.is_none() => {
                ends_at = Some(offset);
                continue;
            }
            event = timeout(patience, log.next()) => event,
        };
        let Ok(event) = event else { return Ok(found) };
        match event? {
            LogEvent::Attached => patience = FIRST,
            LogEvent::Waiting(LogOutage::NoLog(_)) => return Ok(found),
            LogEvent::Waiting(outage) => return Err(outage.into()),
            LogEvent::Update(update) => {
                (patience, next) = (IDLE, update.offset + 1);
                if until.is_some() && update.claimed_at() > until {
                    return Ok(found);
                }
                found.extend(pick(&update.body));
            }
        }
    }
}
