//! Asking Telyport ("Get Order Timeline"): the steps of an order that a gap may have swallowed. Its document has the names of
//! the events, and neither the path, nor the form of the list, nor the name of an entry's time. So the path is configured by
//! who knows it, the usual forms are read, and an entry without a name or a time that can be read is left out.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::domain::instant;
use crate::domain::number::Number;
use crate::domain::pull::{NoAnswer, PullAnswer, PullRequest, Timeline};
use crate::domain::secret::Secret;

/// The timeline's events, and the webhook's status of the same step. `PICK_FAILED`, `DROP_FAILED`, `RESCHEDULED` and
/// `REATTEMPT` have none.
const STEPS: [(&str, &str); 9] = [
    ("ORDER_CREATED", "NEW"),
    ("AGENT_ACCEPTED_ORDER", "STARTED"),
    ("PICK_DONE", "PICKUPCOMPLETED"),
    ("WAREHOUSE_DROP_DONE", "WH_DROP"),
    ("WAREHOUSE_PICK_DONE", "WH_PICK"),
    ("DROP_DONE", "DROPCOMPLETED"),
    ("RETURN_INITIATED", "RETURN_INITIATED"),
    ("RETURN_DONE", "RETURNED"),
    ("ORDER_CANCELLED", "CANCELLED"),
];

/// Where an entry may have its event's name, and its time.
const NAMES: [&str; 5] = ["event", "eventName", "name", "type", "status"];
const TIMES: [&str; 6] = ["time", "timestamp", "createdAt", "updatedAt", "eventTime", "date"];

pub(super) struct TelyportTimeline;

impl Timeline for TelyportTimeline {
    fn ask(&self, path: &str, delivery_id: &str, with: &Secret) -> PullRequest {
        super::pull::ask(path, delivery_id, with)
    }

    fn read(&self, delivery_id: &str, state: &[u8], answer: &PullAnswer) -> Result<Vec<Bytes>, NoAnswer> {
        let entries = match super::pull::data(answer)? {
            Value::Array(entries) => entries,
            Value::Object(order) => match list(delivery_id, order) {
                Some(entries) => entries,
                None => return Err(NoAnswer::Odd),
            },
            _ => return Err(NoAnswer::Odd),
        };
        let mut steps: Vec<_> = entries.iter().filter_map(step).collect();
        steps.sort_by_key(|step| step.at);
        let state: Value = serde_json::from_slice(state).map_err(|_| NoAnswer::Odd)?;
        let reference = state.pointer("/data/businessOrderID");
        Ok(steps.into_iter().map(|step| webhook(delivery_id, reference, step)).collect())
    }
}

/// The list in an object, which may name its order.
fn list(delivery_id: &str, order: Map<String, Value>) -> Option<Vec<Value>> {
    if order.get("orderID").is_some_and(|id| id.as_str() != Some(delivery_id)) {
        return None;
    }
    order.into_iter().find_map(|(name, value)| match value {
        Value::Array(entries) if ["timeline", "orderTimeline", "events"].contains(&name.as_str()) => {
            Some(entries)
        }
        _ => None,
    })
}

/// A step that has a webhook.
#[derive(Clone, Copy)]
struct Step {
    at: Timestamp,
    /// The timeline's event.
    event: &'static str,
    status: &'static str,
}

fn step(entry: &Value) -> Option<Step> {
    let (event, status) = NAMES.iter().find_map(|name| {
        let said = entry.get(name)?.as_str()?;
        STEPS.iter().find(|(event, _)| *event == said).copied()
    })?;
    let at = TIMES.iter().find_map(|name| match entry.get(name)? {
        Value::Number(number) => instant::from_epoch(&Number::parse(&number.to_string())?),
        Value::String(text) => instant::from_text(text, None),
        _ => None,
    })?;
    Some(Step { at, event, status })
}

/// Of the order it has the merchant's reference alone, which does not change: asked for again, a step is the same bytes. The
/// timeline's word makes it another event than the state, which may say more of the same moment.
fn webhook(delivery_id: &str, reference: Option<&Value>, step: Step) -> Bytes {
    let Step { at, event, status } = step;
    let mut data = json!({
        "orderID": delivery_id, "status": status, "updatedAt": at.as_millisecond(),
        "additionalProperties": { "timelineEvent": event },
    });
    if let Some(reference) = reference {
        data["businessOrderID"] = reference.clone();
    }
    json!({ "event": "ORDER.STATUS_UPDATED", "data": data }).to_string().into()
}
