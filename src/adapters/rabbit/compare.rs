//! What the topology needs, beside what a broker has.

use std::fmt;

use serde_json::Value;

use super::definitions::{Arguments, Definitions};

/// How many members a queue begins with: an operator may choose.
const PLACEMENT: [&str; 2] = ["x-quorum-initial-group-size", "x-initial-cluster-size"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    Exchange,
    Queue,
    Binding,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exchange => "exchange",
            Self::Queue => "queue",
            Self::Binding => "binding",
        })
    }
}

/// The state of a thing on a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectState {
    There,
    Missing,
    /// It is there, and not as it is needed: how.
    Differs(String),
    /// It cannot be told: why.
    Unknown(String),
}

/// A thing that is needed, and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    pub kind: ObjectKind,
    /// Its name; a binding's says from where to where.
    pub name: String,
    pub state: ObjectState,
}

/// The state of everything in `needed` on a broker that has `found`.
#[must_use]
pub fn compare(needed: &Definitions, found: &Definitions) -> Vec<Compared> {
    let mut compared = Vec::new();
    for need in &needed.exchanges {
        let state = match found.exchanges.iter().find(|exchange| exchange.name == need.name) {
            None => ObjectState::Missing,
            Some(has) => state([
                of("its type", &has.kind, &need.kind),
                of("durable", &has.durable, &need.durable),
                of("auto_delete", &has.auto_delete, &need.auto_delete),
                of("internal", &has.internal, &need.internal),
                arguments(&has.arguments, &need.arguments),
            ]),
        };
        compared.push(Compared { kind: ObjectKind::Exchange, name: need.name.clone(), state });
    }
    for need in &needed.queues {
        let state = match found.queues.iter().find(|queue| queue.name == need.name) {
            None => ObjectState::Missing,
            Some(has) => state([
                of("durable", &has.durable, &need.durable),
                of("auto_delete", &has.auto_delete, &need.auto_delete),
                arguments(&has.arguments, &need.arguments),
            ]),
        };
        compared.push(Compared { kind: ObjectKind::Queue, name: need.name.clone(), state });
    }
    for need in &needed.bindings {
        let state = if found.bindings.contains(need) { ObjectState::There } else { ObjectState::Missing };
        let name = binding_name(&need.source, &need.destination, &need.routing_key);
        compared.push(Compared { kind: ObjectKind::Binding, name, state });
    }
    compared
}

/// Everything in `needed`, of which nothing could be learnt, and why.
#[must_use]
pub fn unknown(needed: &Definitions, why: &str) -> Vec<Compared> {
    let mut compared = compare(needed, &Definitions::default());
    for thing in &mut compared {
        thing.state = ObjectState::Unknown(why.to_owned());
    }
    compared
}

/// What a binding is called.
pub(super) fn binding_name(source: &str, destination: &str, key: &str) -> String {
    format!("{source} to {destination} by \"{key}\"")
}

fn state<const N: usize>(differences: [Option<String>; N]) -> ObjectState {
    let differences: Vec<_> = differences.into_iter().flatten().collect();
    if differences.is_empty() { ObjectState::There } else { ObjectState::Differs(differences.join("; ")) }
}

fn of<T: PartialEq + fmt::Display>(what: &str, has: &T, needs: &T) -> Option<String> {
    (has != needs).then(|| format!("{what} is {has}, not {needs}"))
}

fn arguments(has: &Arguments, needs: &Arguments) -> Option<String> {
    let extra = has.keys().filter(|name| !needs.contains_key(*name) && !PLACEMENT.contains(&name.as_str()));
    let differences: Vec<_> = needs
        .keys()
        .chain(extra)
        .filter(|name| has.get(*name) != needs.get(*name))
        .map(|name| format!("{name} is {}, not {}", written(has.get(name)), written(needs.get(name))))
        .collect();
    (!differences.is_empty()).then(|| differences.join("; "))
}

fn written(value: Option<&Value>) -> String {
    match value {
        None => "unset".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
