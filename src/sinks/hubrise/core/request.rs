//! The requests that the sink makes of HubRise. The long form of each path serves tokens of a location and of an
//! account alike.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::field::Field;
use super::record::Sending;

/// A request about one order, or about the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The order: its service type and its delivery.
    GetOrder,
    /// The order's delivery, of an order whose representation does not have it.
    GetDelivery,
    Post(BTreeMap<Field, String>),
    /// Other values for these fields.
    Patch(BTreeMap<Field, String>),
    /// Another status for the order itself.
    PatchOrder(&'static str),
    /// The location that the token is for.
    GetLocation,
    GetThatLocation,
}

/// How much a request matters when requests are scarce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A status, or what has to be known for one.
    Status,
    Frequent,
}

impl Request {
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::GetOrder | Self::GetDelivery | Self::GetLocation | Self::GetThatLocation => "GET",
            Self::Post(_) => "POST",
            Self::Patch(_) | Self::PatchOrder(_) => "PATCH",
        }
    }

    /// The segments of the path, below the base URL.
    #[must_use]
    pub fn path<'a>(&self, location: &'a str, order: &'a str) -> Vec<&'a str> {
        let of_order = ["locations", location, "orders", order];
        match self {
            Self::GetOrder | Self::PatchOrder(_) => of_order.to_vec(),
            Self::GetDelivery | Self::Post(_) | Self::Patch(_) => [&of_order[..], &["delivery"]].concat(),
            Self::GetLocation => vec!["location"],
            Self::GetThatLocation => vec!["locations", location],
        }
    }

    #[must_use]
    pub fn body(&self) -> Option<Value> {
        match self {
            Self::Post(fields) | Self::Patch(fields) => {
                let members = fields.iter().map(|(field, value)| (field.as_str().to_owned(), json!(value)));
                Some(Value::Object(members.collect::<Map<_, _>>()))
            }
            Self::PatchOrder(status) => Some(json!({ "status": status })),
            _ => None,
        }
    }

    /// What the lease says while it is under way.
    #[must_use]
    pub fn sending(&self) -> Sending {
        match self {
            Self::Post(_) => Sending::Post,
            Self::Patch(fields) => Sending::Patch(fields.keys().copied().collect()),
            Self::PatchOrder(_) => Sending::OrderStatus,
            _ => Sending::Nothing,
        }
    }

    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::GetOrder => "get_order",
            Self::GetDelivery => "get_delivery",
            Self::Post(_) => "post_delivery",
            Self::Patch(_) => "patch_delivery",
            Self::PatchOrder(_) => "patch_order",
            Self::GetLocation | Self::GetThatLocation => "get_location",
        }
    }

    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Patch(fields) if fields.keys().all(|field| field.is_frequent()) => Class::Frequent,
            _ => Class::Status,
        }
    }
}
