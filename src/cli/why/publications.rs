//! What the stream of updates has about an id.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::timeout;

use crate::adapters::rabbit::updates_log::{LogEvent, Outage, Start, UpdatesLog};

/// A stream that sends nothing for so long has been read to its end: AMQP tells no other way where that is.
const IDLE: Duration = Duration::from_secs(2);
/// Its first chunk may take longer to come, from a broker that is busy.
const FIRST: Duration = Duration::from_secs(6);
/// The reader gives a connection up before that.
const CONNECTING: Duration = Duration::from_secs(20);

/// An update that was published, as far as it is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Publication {
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) time: String,
    pub(super) data: Data,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Data {
    pub(super) provider: String,
    pub(super) account: String,
    pub(super) status: String,
    pub(super) raw_status: String,
    pub(super) order: Option<String>,
    pub(super) sequence: Option<u64>,
    pub(super) provider_event_id: Option<String>,
    pub(super) receipt_id: String,
    pub(super) received_at: Timestamp,
}

/// Every publication about `id` from `start` on, in order, repeats included.
pub(super) async fn of(
    url: &str,
    start: Start,
    now: Timestamp,
    id: &str,
) -> anyhow::Result<Vec<Publication>> {
    let mut log = UpdatesLog::new(url, start, now)?;
    let found = read(&mut log, id).await;
    log.close().await;
    found
}

async fn read(log: &mut UpdatesLog, id: &str) -> anyhow::Result<Vec<Publication>> {
    let mut found = Vec::new();
    let mut patience = CONNECTING;
    loop {
        let Ok(event) = timeout(patience, log.next()).await else { return Ok(found) };
        match event? {
            LogEvent::Attached => patience = FIRST,
            LogEvent::Waiting(Outage::NoLog) => return Ok(found),
            LogEvent::Waiting(outage) => return Err(outage.into()),
            LogEvent::Update(update) => {
                patience = IDLE;
                found.extend(about(&update.body, id));
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
