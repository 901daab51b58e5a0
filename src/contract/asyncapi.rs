//! The topics, in AsyncAPI 3.

use serde_json::{Value, json};

use super::{examples, schema};
use crate::adapters::rabbit::topology::{UPDATES, UPDATES_LOG};
use crate::domain::event::{CONTENT_TYPE, EVENT_TYPE};
use crate::domain::status::{Phase, Status};
use crate::providers;

/// The version of AsyncAPI's AMQP binding that this is written in.
const BINDING: &str = "0.3.0";

/// The whole document. It names no server: each installation has its own.
pub(super) fn document() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Milepost delivery updates",
            "version": "1.0.0",
            "description": "What becomes of deliveries of any carrier, in one vocabulary.",
            "license": { "name": "MIT" },
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": { "updates": updates(), "log": log() },
        "operations": {
            "publishUpdate": {
                "action": "send",
                "summary": "Milepost publishes an update, once in effect.",
                "channel": { "$ref": "#/channels/updates" },
                "messages": [{ "$ref": "#/channels/updates/messages/update" }],
                "bindings": { "amqp": { "deliveryMode": 2, "bindingVersion": BINDING } },
            },
        },
        "components": { "messages": { "update": message() }, "schemas": schema::components() },
    })
}

fn updates() -> Value {
    json!({
        "address": "{provider}.{account}.{phase}.{status}",
        "title": "Updates as they happen",
        "description": "The routing key. Bind a queue of your own by a pattern: `*.*.closed.*` is every delivery that is over, \
            `*.*.*.delivered` every delivery made.",
        "messages": { "update": { "$ref": "#/components/messages/update" } },
        "parameters": parameters(),
        "bindings": { "amqp": {
            "is": "routingKey",
            "exchange": { "name": UPDATES, "type": "topic", "durable": true, "autoDelete": false },
            "bindingVersion": BINDING,
        } },
    })
}

/// Only the phases are all there will ever be: the other words are examples.
fn parameters() -> Value {
    let providers: Vec<_> = providers::ALL.iter().map(|provider| provider.id().as_str()).collect();
    json!({
        "provider": { "description": "The provider's short name.", "examples": providers },
        "account": {
            "description": "The merchant's account with the provider, as configured.",
            "examples": ["default"],
        },
        "phase": {
            "description": "The stage that the status belongs to.",
            "enum": Phase::ALL.map(Phase::as_str),
        },
        "status": {
            "description": "What happened. More may be added: one that you do not know is to be taken by its phase.",
            "examples": Status::ALL.map(Status::as_str),
        },
    })
}

fn log() -> Value {
    json!({
        "address": UPDATES_LOG,
        "title": "Updates of the past",
        "description": "A stream, with every update that is not older than the installation keeps them. Consume from it \
            with `x-stream-offset`.",
        "messages": { "update": { "$ref": "#/components/messages/update" } },
        "bindings": { "amqp": {
            "is": "queue",
            "queue": { "name": UPDATES_LOG, "durable": true, "exclusive": false, "autoDelete": false },
            "bindingVersion": BINDING,
        } },
    })
}

fn message() -> Value {
    let example =
        providers::SAMPLE_SOURCES.first().and_then(|provider| examples::of(*provider).into_iter().next());
    let example = example.map(|(_, event)| json!({ "name": "created", "payload": event }));
    json!({
        "name": EVENT_TYPE,
        "title": "A delivery update",
        "summary": "A CloudEvents 1.0 event in JSON. AMQP's `message_id` is its `id`, `type` its `type`, and \
            `timestamp` its `time` in seconds.",
        "contentType": CONTENT_TYPE,
        "payload": { "$ref": "#/components/schemas/CloudEvent" },
        "bindings": { "amqp": { "messageType": EVENT_TYPE, "bindingVersion": BINDING } },
        "examples": example.into_iter().collect::<Vec<_>>(),
    })
}
