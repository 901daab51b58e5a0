//! A topology in the words of RabbitMQ's definitions: its management API answers in them, and `rabbitmqctl
//! import_definitions` reads them.

use lapin::ExchangeKind;
use lapin::types::{AMQPValue, FieldTable};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::topology::Topology;

pub type Arguments = Map<String, Value>;

/// Exchanges, queues and bindings of one virtual host.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Definitions {
    pub exchanges: Vec<ExchangeDefinition>,
    pub queues: Vec<QueueDefinition>,
    pub bindings: Vec<BindingDefinition>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExchangeDefinition {
    pub name: String,
    /// Its type, such as `topic`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it outlives a restart.
    pub durable: bool,
    /// Whether it goes when nothing is bound to it any more.
    pub auto_delete: bool,
    /// Whether no client may publish to it.
    #[serde(default)]
    pub internal: bool,
    pub arguments: Arguments,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueDefinition {
    pub name: String,
    /// Whether it outlives a restart.
    pub durable: bool,
    /// Whether it goes when its last consumer does.
    pub auto_delete: bool,
    pub arguments: Arguments,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BindingDefinition {
    /// The exchange it takes from; empty for the default exchange.
    pub source: String,
    /// The queue or exchange it gives to.
    pub destination: String,
    /// `queue` or `exchange`.
    pub destination_type: String,
    pub routing_key: String,
    pub arguments: Arguments,
}

impl Definitions {
    /// The file that `rabbitmqctl import_definitions` reads. It also makes the virtual host `vhost`, and nothing
    /// beside: no user, no permission, no policy.
    #[must_use]
    pub fn file(&self, vhost: &str) -> Value {
        let mut file = json!({ "vhosts": [{ "name": vhost }], "exchanges": self.exchanges,
            "queues": self.queues, "bindings": self.bindings });
        for kind in ["exchanges", "queues", "bindings"] {
            for thing in file[kind].as_array_mut().into_iter().flatten() {
                thing["vhost"] = vhost.into();
            }
        }
        file
    }
}

impl From<&Topology> for Definitions {
    fn from(topology: &Topology) -> Self {
        let exchanges = topology.exchanges.iter().map(|exchange| ExchangeDefinition {
            name: exchange.name.clone(),
            kind: kind(&exchange.kind).to_owned(),
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: arguments(&exchange.arguments()),
        });
        let queues = topology.queues.iter().map(|queue| QueueDefinition {
            name: queue.name.clone(),
            durable: true,
            auto_delete: false,
            arguments: arguments(&queue.arguments),
        });
        let bindings = topology.bindings.iter().map(|binding| BindingDefinition {
            source: binding.source.clone(),
            destination: binding.destination.clone(),
            destination_type: if binding.to_exchange { "exchange" } else { "queue" }.to_owned(),
            routing_key: binding.key.clone(),
            arguments: Arguments::new(),
        });
        Self { exchanges: exchanges.collect(), queues: queues.collect(), bindings: bindings.collect() }
    }
}

fn kind(kind: &ExchangeKind) -> &str {
    match kind {
        ExchangeKind::Direct => "direct",
        ExchangeKind::Fanout => "fanout",
        ExchangeKind::Headers => "headers",
        ExchangeKind::Topic => "topic",
        ExchangeKind::Custom(name) => name,
    }
}

fn arguments(table: &FieldTable) -> Arguments {
    table.inner().iter().map(|(name, value)| (name.to_string(), json(value))).collect()
}

/// The topology's arguments are strings and numbers only.
fn json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::LongString(text) => text.to_string().into(),
        AMQPValue::LongLongInt(number) => (*number).into(),
        other => format!("{other:?}").into(),
    }
}
