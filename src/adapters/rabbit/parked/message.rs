//! A parked message, read as well as it can be.

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::adapters::rabbit::envelope::{
    self, ATTEMPT, CRASHES, DETAIL, HISTORY, HeaderTable, PARKED_AT, REASON,
};
use crate::domain::envelope::Envelope;
use crate::domain::history::History;
use crate::domain::identity::ReceiptId;
use crate::domain::parked::Parked;
use crate::domain::provider::ProviderId;
use crate::ports::Tag;

/// What the broker did to a message that no worker parked, latest first.
const DEATHS: &str = "x-death";

pub struct ParkedMessage {
    pub tag: Tag,
    /// What is known of it.
    pub about: Parked,
    /// The webhook, its metadata a best effort if `defect` says so.
    pub envelope: Envelope,
    /// What is wrong with its metadata.
    pub defect: Option<&'static str>,
    /// As the broker has it.
    pub(super) properties: BasicProperties,
}

impl ParkedMessage {
    pub(super) fn read(message: Delivery, provider: ProviderId) -> Self {
        let (tag, properties) = (message.delivery_tag, message.properties.clone());
        let about = about(&properties, &message.data, provider);
        // Only a message without a time of receipt, which is a defect, is read with this one.
        let (envelope, defect) = envelope::read(message, provider, Timestamp::UNIX_EPOCH);
        Self { tag, about, envelope, defect, properties }
    }
}

fn about(properties: &BasicProperties, body: &[u8], provider: ProviderId) -> Parked {
    let headers = HeaderTable(properties.headers().as_ref());
    let time = |name| headers.number(name).and_then(|at| Timestamp::from_millisecond(at).ok());
    let count = |name| headers.number(name).and_then(|count| count.try_into().ok()).unwrap_or_default();
    let message_id = properties.message_id().as_ref().map(ShortString::as_str);
    let mut about = Parked {
        id: Parked::id_of(message_id, body),
        provider,
        account: envelope::account(properties),
        reason: headers.text(REASON).unwrap_or_else(|| "unknown".to_owned()),
        detail: headers.text(DETAIL),
        parked_at: time(PARKED_AT),
        received_at: message_id.and_then(|id| id.parse().ok()).map(ReceiptId::received_at),
        attempt: count(ATTEMPT),
        crashes: count(CRASHES),
        history: headers.text(HISTORY).map(|text| History::from_text(&text)).unwrap_or_default(),
    };
    // A worker's copy is a new message, without the broker's headers; a reason of ours beside these is a retry's.
    if let Some((reason, at)) = death(&headers) {
        about.reason = reason;
        about.detail = Some("parked by the broker".to_owned());
        about.parked_at = at;
    }
    about
}

/// Why and when the broker dead-lettered it last.
fn death(headers: &HeaderTable<'_>) -> Option<(String, Option<Timestamp>)> {
    let AMQPValue::FieldArray(deaths) = headers.get(DEATHS)? else { return None };
    let AMQPValue::FieldTable(latest) = deaths.as_slice().first()? else { return None };
    let at = match latest.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => {
            i64::try_from(*seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok())
        }
        _ => None,
    };
    Some((text_of(latest, "reason")?, at))
}

fn text_of(table: &FieldTable, name: &str) -> Option<String> {
    HeaderTable(Some(table)).text(name)
}
