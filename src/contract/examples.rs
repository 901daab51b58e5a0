//! An event of each status that a provider has, as it is published: its samples, taken in as one webhook after another.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::domain::event::UpdateEvent;
use crate::domain::identity::{Account, DeliveryKey, EventId, Origin, ReceiptId};
use crate::domain::order::{Moment, StatusOrder};
use crate::domain::provider::{Decoded, DecodedUpdate, Provider};
use crate::domain::samples::SampleSource;
use crate::domain::state::{DeliveryState, Order, Place};
use crate::domain::status::Status;

/// 2025-02-12T13:00:00Z: when the first webhook is received whose provider says no time.
const FIRST_RECEIPT: i64 = 1_739_365_200_000;
/// What a provider says and has documented no payload of: Deliverect's counterpart of 84.
const WITHOUT_SAMPLE: [(&str, &str); 1] = [("deliverect", "88")];
/// Words that no provider documents; the second for those that have numbers.
const UNDOCUMENTED: [&str; 2] = ["SOMETHING_NEW", "999"];

/// An event of each status of `provider`, in the order of [`Status::ALL`].
pub(super) fn of(provider: &dyn SampleSource) -> Vec<(Status, Value)> {
    let mut deliveries = BTreeMap::new();
    let mut events = BTreeMap::new();
    for (number, body) in bodies(provider).iter().enumerate() {
        let Ok(Decoded::Update(decoded)) = provider.decode(body.as_bytes()) else { continue };
        let status = decoded.update.status;
        let event = publish(provider, &decoded, number, &mut deliveries);
        events.entry(status.as_str()).or_insert(event);
    }
    Status::ALL.into_iter().filter_map(|status| Some((status, events.remove(status.as_str())?))).collect()
}

/// The samples, and the first of them with other words for its status.
fn bodies(provider: &dyn SampleSource) -> Vec<String> {
    let mut bodies: Vec<_> = provider.samples().iter().map(|sample| sample.body.to_owned()).collect();
    let of_provider = WITHOUT_SAMPLE.iter().filter(|(name, _)| *name == provider.id().as_str());
    let words = of_provider.map(|(_, word)| *word).chain(UNDOCUMENTED);
    let reworded: Vec<_> = words.filter_map(|word| reworded(provider, word)).collect();
    bodies.extend(reworded);
    bodies
}

/// The first sample with `word` as its status; a number stays where `word` is none.
fn reworded(provider: &dyn SampleSource, word: &str) -> Option<String> {
    let sample = provider.samples().first()?.body;
    let Ok(Decoded::Update(decoded)) = provider.decode(sample.as_bytes()) else { return None };
    let mut body = serde_json::from_str(sample).ok()?;
    replace(&mut body, &decoded.update.raw_status, word);
    Some(body.to_string())
}

/// Replaces every `said`, which is the provider's word for a status wherever it is.
fn replace(value: &mut Value, said: &str, word: &str) {
    match value {
        Value::String(text) if text == said => word.clone_into(text),
        Value::Number(number) if number.to_string() == said => {
            if let Ok(number) = word.parse::<i64>() {
                *value = number.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, said, word)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, said, word)),
        _ => {}
    }
}

/// Publishes the webhook `number`. `deliveries` holds the state of each delivery; one that the samples do not take
/// further begins anew.
fn publish(
    provider: &dyn Provider,
    decoded: &DecodedUpdate,
    number: usize,
    deliveries: &mut BTreeMap<String, DeliveryState>,
) -> Value {
    let (update, rules) = (&decoded.update, provider.transitions());
    let delivery = DeliveryKey {
        provider: provider.id(),
        account: Account::default_account(),
        delivery_id: update.delivery_id.clone(),
    };
    let origin = origin(update.event_time.as_ref().map(|time| time.utc), number);
    let received_at = origin.receipt.received_at();
    let place = Place::at(received_at.as_millisecond().unsigned_abs());
    let event_time = update.event_time.as_ref().map(|time| (time.utc, decoded.time_kind));
    let moment = Moment::new(update.status, event_time, received_at);
    let precedence = StatusOrder::new(rules).of(update.status);
    let advance = |before| DeliveryState::advance(before, place, update, moment, rules, precedence);
    let (mut course, mut after) = advance(deliveries.get(&update.delivery_id));
    if course.order != Order::InOrder {
        (course, after) = advance(None);
    }
    if let Some(after) = after {
        deliveries.insert(update.delivery_id.clone(), after);
    }
    let id = EventId::new(&delivery, &decoded.identity, origin.receipt);
    let event = UpdateEvent::new(&delivery, id, &origin, update, &course);
    // Unwrap safety: it was serialized just now.
    serde_json::from_slice(&event.body).expect("an event is JSON")
}

/// A receipt a second after `event_time`, or else one of a series with a minute between them.
fn origin(event_time: Option<Timestamp>, number: usize) -> Origin {
    let minutes = i64::try_from(number).unwrap_or_default();
    let received = |time: Timestamp| time.checked_add(SignedDuration::from_secs(1));
    let series = Timestamp::from_millisecond(FIRST_RECEIPT + minutes * 60_000);
    let received_at = event_time.map_or(series, received).unwrap_or_default();
    let mut own = [0; 10];
    own[9] = number.to_le_bytes()[0];
    Origin { receipt: ReceiptId::new(received_at, &own), traceparent: None }
}
