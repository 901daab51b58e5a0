//! The events that HubRise still sends ("List Events", "Retrieve Event"): a callback that was not acknowledged, and was not
//! tried six times yet, is on the list, and stays there. To acknowledge one is to have it deleted, which is left to the
//! answer to the callback itself.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::pull::{get, is_id};
use crate::domain::event_list::EventList;
use crate::domain::pull::{NoAnswer, PullAnswer, PullRequest, usual};
use crate::domain::secret::Secret;

pub(super) struct CallbackEvents;

impl EventList for CallbackEvents {
    /// Its waits of 1, 2, … 32 minutes, if the last one is still waited.
    fn keeps_for(&self) -> Duration {
        Duration::from_mins(63)
    }

    fn list(&self, cursor: Option<&str>, token: &Secret) -> PullRequest {
        let cursor = cursor.and_then(|cursor| Secret::new(cursor.as_bytes()));
        let query = cursor.map(|cursor| ("cursor", cursor)).into_iter().collect();
        PullRequest { query, ..get("callback/events", &[], token) }
    }

    /// Those of orders and other resources are left out: their webhooks are ignored, and each costs a request.
    fn read_list(&self, answer: &PullAnswer) -> Result<Vec<String>, NoAnswer> {
        let Value::Array(entries) = usual(answer)? else { return Err(NoAnswer::Odd) };
        let id = |entry: &Value| {
            let text = |name: &str| entry.get(name).and_then(Value::as_str);
            let id = text("id").filter(|id| is_id(id))?;
            (text("resource_type") == Some("delivery")).then(|| id.to_owned())
        };
        Ok(entries.iter().filter_map(id).collect())
    }

    fn event(&self, id: &str, token: &Secret) -> PullRequest {
        get("callback/events/{}", &[id], token)
    }

    /// Word for word what the callback's body is.
    fn read_event(&self, id: &str, answer: &PullAnswer) -> Result<Bytes, NoAnswer> {
        let event: Value = usual(answer)?;
        if event.get("id").and_then(Value::as_str) != Some(id) {
            return Err(NoAnswer::Odd);
        }
        answer.body.clone().map(Bytes::from).ok_or(NoAnswer::Odd)
    }
}
