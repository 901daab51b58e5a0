//! What the stream of updates has about an id.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::timeout;

use super::CLOCK_SKEW;
use crate::adapters::rabbit::updates_log::{LogEvent, LogOutage, Start, UpdatesLog};
use crate::domain::identity::ReceiptId;

/// A stream that sends nothing for so long has been read to its end: AMQP tells no other way where that is.
const IDLE: Duration = Duration::from_secs(2);
/// Its first chunk may take longer to come, from a broker that is busy.
const FIRST: Duration = Duration::from_secs(6);
/// The reader gives a connection up before that.
const CONNECTING: Duration = Duration::from_secs(20);

/// An update that was published, as far as it is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Publication {
    /// The event's id.
    pub id: String,
    /// The delivery's.
    pub subject: String,
    /// When the provider says that it happened.
    pub time: String,
    /// What it says of the delivery.
    pub data: PublicationData,
    /// The trace it belongs to, if that was sampled.
    #[serde(default)]
    pub traceparent: Option<String>,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PublicationData {
    /// The provider.
    pub provider: String,
    /// The account.
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
    /// Its first receipt.
    pub receipt_id: String,
    /// When that was received.
    pub received_at: Timestamp,
}

/// Which part of the log is searched: all of it that is kept, where there is no bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    /// From then.
    pub from: Option<Timestamp>,
    /// Until then.
    pub until: Option<Timestamp>,
}

/// What the search came to.
#[derive(Debug, Default)]
pub struct Searched {
    /// Every publication of the id in the range, in order, repeats included.
    pub found: Vec<Publication>,
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

/// Searches the log for `id`.
pub(super) async fn of(url: &str, range: Range, now: Timestamp, id: &str) -> anyhow::Result<Searched> {
    let kept_since = oldest(url, now).await?;
    let start = range.from.map_or(Start::First, Start::At);
    let mut log = UpdatesLog::new(url, start, now)?;
    let until = range.until.and_then(|until| until.checked_add(CLOCK_SKEW).ok());
    let found = read(&mut log, until, |body| about(body, id)).await;
    log.close().await;
    Ok(Searched { found: found?, range, kept_since })
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
    let found = read(&mut log, None, |body| {
        let publication: Publication = serde_json::from_slice(body).ok()?;
        publication.is_pulled().then_some(publication)
    });
    let found = found.await;
    log.close().await;
    found
}

impl Publication {
    /// Whether the webhook that began its event was pulled.
    pub fn is_pulled(&self) -> bool {
        self.data.receipt_id.parse().is_ok_and(ReceiptId::is_pulled)
    }
}

async fn read(
    log: &mut UpdatesLog,
    until: Option<Timestamp>,
    pick: impl Fn(&[u8]) -> Option<Publication>,
) -> anyhow::Result<Vec<Publication>> {
    let mut found = Vec::new();
    let mut patience = CONNECTING;
    loop {
        let Ok(event) = timeout(patience, log.next()).await else { return Ok(found) };
        match event? {
            LogEvent::Attached => patience = FIRST,
            LogEvent::Waiting(LogOutage::NoLog(_)) => return Ok(found),
            LogEvent::Waiting(outage) => return Err(outage.into()),
            LogEvent::Update(update) => {
                patience = IDLE;
                if until.is_some() && update.claimed_at() > until {
                    return Ok(found);
                }
                found.extend(pick(&update.body));
            }
        }
    }
}

/// Reads an event if it is about `id`. Most are not, and are not even parsed.
fn about(body: &[u8], id: &str) -> Option<Publication> {
    if !contains(body, id) {
        return None;
    }
    let publication: Publication = serde_json::from_slice(body).ok()?;
    let Publication { id: event, subject, data, .. } = &publication;
    let named = [event, subject, &data.receipt_id].into_iter().chain(&data.provider_event_id);
    let is_about = named.into_iter().any(|name| name == id);
    is_about.then_some(publication)
}

/// Whether the JSON may hold `id`: an id that JSON would write with escapes is looked for by parsing.
fn contains(body: &[u8], id: &str) -> bool {
    let plain = id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    !plain || body.windows(id.len().max(1)).any(|window| window == id.as_bytes())
}
