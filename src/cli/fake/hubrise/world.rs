//! What the stand-in has and answers: HubRise's documented rules for the deliveries of orders, without HTTP.
//!
//! What HubRise's documents leave open is chosen here so that a client that relies on it fails: bodies of success are
//! given but say nothing new, codes of refusals are 422.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Map, Value, json};

use super::fields::{self, FieldProblem};

/// The times that a status sets by itself.
const DATED: [(&str, &str); 4] = [
    ("pickup_enroute", "assigned_at"),
    ("dropoff_enroute", "pickup_at"),
    ("delivered", "delivered_at"),
    ("cancelled", "cancelled_at"),
];

#[derive(Debug, Clone, PartialEq)]
pub struct StandInOrder {
    /// `delivery`, `collection` or `eat_in`.
    pub service_type: String,
    pub status: String,
    pub delivery: Option<Map<String, Value>>,
}

impl StandInOrder {
    /// A new order that is to be delivered.
    #[must_use]
    pub fn to_deliver() -> Self {
        Self { service_type: "delivery".to_owned(), status: "new".to_owned(), delivery: None }
    }
}

/// A location, its orders, and the token that it is reached with.
#[derive(Debug, Clone)]
pub struct World {
    pub location: String,
    /// Its offset from UTC, in which it gives times.
    pub offset: Offset,
    /// The orders, by their ids.
    pub orders: BTreeMap<String, StandInOrder>,
    /// Whether an order that is asked for comes into being, so that nothing needs to be set up.
    pub any_order: bool,
    /// How many deliveries were made.
    pub posts: u64,
}

/// A request, as far as it matters.
#[derive(Debug, Clone)]
pub struct StandInCall<'a> {
    pub method: &'a str,
    /// The path below the version.
    pub path: Vec<&'a str>,
    pub body: &'a [u8],
}

#[derive(Debug, Clone, PartialEq)]
pub struct StandInReply {
    pub code: u16,
    pub body: Value,
}

impl StandInReply {
    fn ok(body: Value) -> Self {
        Self { code: 200, body }
    }

    /// An error in HubRise's form.
    #[must_use]
    pub fn error(code: u16, error_type: &str, message: &str) -> Self {
        Self { code, body: json!({ "error_type": error_type, "message": message }) }
    }

    fn missing(what: &str) -> Self {
        Self::error(404, "not_found", &format!("{what} does not exist"))
    }

    fn invalid(problems: &[FieldProblem]) -> Self {
        let errors: Vec<_> = problems
            .iter()
            .map(|FieldProblem { field, message }| json!({ "field": field, "message": message }))
            .collect();
        let body = json!({
            "error_type": "unprocessable_entity", "message": "Validation failed", "errors": errors,
        });
        Self { code: 422, body }
    }
}

impl World {
    /// A location without orders, an hour east of Greenwich.
    #[must_use]
    pub fn new(location: &str) -> Self {
        Self {
            location: location.to_owned(),
            offset: jiff::tz::offset(1),
            orders: BTreeMap::new(),
            any_order: false,
            posts: 0,
        }
    }

    pub fn answer(&mut self, call: &StandInCall<'_>, now: Timestamp) -> StandInReply {
        let (of_location, rest) = match call.path[..] {
            ["location", ref rest @ ..] => (true, rest),
            ["locations", id, ref rest @ ..] => (id == self.location, rest),
            _ => return routing_error(call),
        };
        match (call.method, rest) {
            ("GET", []) if of_location => StandInReply::ok(json!({ "id": self.location })),
            (_, []) => StandInReply::missing("Location"),
            (method, ["orders", order, rest @ ..]) => {
                // A token of another location sees none of these orders.
                let rest = rest.to_vec();
                match self.order(order).filter(|_| of_location) {
                    None if rest.len() <= 1 => StandInReply::missing("Order"),
                    None => routing_error(call),
                    Some(_) => self.of_order(method, order, &rest, call, now),
                }
            }
            _ => routing_error(call),
        }
    }

    fn order(&mut self, id: &str) -> Option<&mut StandInOrder> {
        if self.any_order && !self.orders.contains_key(id) {
            self.orders.insert(id.to_owned(), StandInOrder::to_deliver());
        }
        self.orders.get_mut(id)
    }

    fn of_order(
        &mut self,
        method: &str,
        id: &str,
        rest: &[&str],
        call: &StandInCall<'_>,
        now: Timestamp,
    ) -> StandInReply {
        match (method, rest) {
            ("GET", []) => StandInReply::ok(self.order_json(id)),
            ("PATCH", []) => self.patch_order(id, call.body),
            ("GET", ["delivery"]) => match self.orders.get(id).and_then(|order| order.delivery.clone()) {
                Some(delivery) => StandInReply::ok(Value::Object(delivery)),
                None => StandInReply::missing("Delivery"),
            },
            ("POST", ["delivery"]) => self.post(id, call.body, now),
            ("PATCH", ["delivery"]) => self.patch(id, call.body, now),
            _ => routing_error(call),
        }
    }

    fn order_json(&self, id: &str) -> Value {
        let Some(order) = self.orders.get(id) else { return Value::Null };
        json!({
            "id": id, "location_id": self.location, "status": order.status,
            "service_type": order.service_type, "delivery": order.delivery,
        })
    }

    fn patch_order(&mut self, id: &str, body: &[u8]) -> StandInReply {
        let fields = match parsed(body) {
            Ok(fields) => fields,
            Err(reply) => return reply,
        };
        let Some(status) = fields.get("status").and_then(Value::as_str) else {
            return StandInReply::invalid(&[FieldProblem::new("status", "is missing")]);
        };
        if let Some(order) = self.orders.get_mut(id) {
            status.clone_into(&mut order.status);
        }
        StandInReply::ok(self.order_json(id))
    }

    fn post(&mut self, id: &str, body: &[u8], now: Timestamp) -> StandInReply {
        let fields = match parsed(body) {
            Ok(fields) => fields,
            Err(reply) => return reply,
        };
        let Some(order) = self.orders.get_mut(id) else { return StandInReply::missing("Order") };
        if order.delivery.is_some() {
            return StandInReply::invalid(&[FieldProblem::new("order_id", "already has a delivery")]);
        }
        if order.service_type != "delivery" {
            return StandInReply::invalid(&[FieldProblem::new("order_id", "is not a delivery order")]);
        }
        let problems = fields::check(&fields, true);
        if !problems.is_empty() {
            return StandInReply::invalid(&problems);
        }
        let mut delivery = Map::new();
        for name in ["id", "order_id", "location_id"].into_iter().chain(fields::NAMES) {
            delivery.insert(name.to_owned(), Value::Null);
        }
        self.posts += 1;
        delivery.insert("id".to_owned(), json!(format!("d{}", self.posts)));
        delivery.insert("order_id".to_owned(), json!(id));
        delivery.insert("location_id".to_owned(), json!(self.location));
        put(&mut delivery, fields, self.offset, now);
        order.delivery = Some(delivery.clone());
        StandInReply::ok(Value::Object(delivery))
    }

    fn patch(&mut self, id: &str, body: &[u8], now: Timestamp) -> StandInReply {
        let fields = match parsed(body) {
            Ok(fields) => fields,
            Err(reply) => return reply,
        };
        let offset = self.offset;
        let Some(delivery) = self.orders.get_mut(id).and_then(|order| order.delivery.as_mut()) else {
            return StandInReply::missing("Delivery");
        };
        let problems = fields::check(&fields, false);
        if !problems.is_empty() {
            return StandInReply::invalid(&problems);
        }
        put(delivery, fields, offset, now);
        StandInReply::ok(Value::Object(delivery.clone()))
    }
}

/// Writes valid fields, and the times that they set.
fn put(delivery: &mut Map<String, Value>, fields: Map<String, Value>, offset: Offset, now: Timestamp) {
    let status = fields.get("status").filter(|status| Some(*status) != delivery.get("status")).cloned();
    let dated = DATED.iter().find(|(word, _)| status.as_ref().and_then(Value::as_str) == Some(*word));
    if let Some((_, time)) = dated {
        delivery.insert((*time).to_owned(), json!(fields::local(now, offset)));
    }
    for (name, value) in fields {
        let value = match value.as_str().filter(|_| fields::is_time(&name)).and_then(fields::instant) {
            Some(instant) => json!(fields::local(instant, offset)),
            None => value,
        };
        delivery.insert(name, value);
    }
}

fn parsed(body: &[u8]) -> Result<Map<String, Value>, StandInReply> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(StandInReply::error(400, "unprocessable_entity", "The body is not a JSON object")),
    }
}

fn routing_error(call: &StandInCall<'_>) -> StandInReply {
    let message = format!("No route matches [{}] \"/{}\"", call.method, call.path.join("/"));
    StandInReply::error(404, "routing_error", &message)
}
