//! The normalized update: the `data` of every published event.
//!
//! Absent means that the provider did not say. What has no place here is in `extra`, verbatim.

use std::collections::BTreeMap;

use serde::Serialize;

use super::document::Extra;
use super::instant::ProviderTime;
use super::status::{Phase, Status};

/// One delivery update, whoever sent it.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryUpdate {
    /// The provider's id of the delivery.
    pub delivery_id: String,
    /// Other names of the delivery or of its order.
    #[serde(skip_serializing_if = "References::is_empty")]
    pub references: References,
    /// What happened, in Milepost's words.
    pub status: Status,
    /// The stage `status` belongs to.
    pub phase: Phase,
    /// The provider's own word, verbatim.
    pub raw_status: String,
    /// When the provider says it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<ProviderTime>,
    /// Further times the provider sent, by its own field name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub times: BTreeMap<&'static str, ProviderTime>,
    /// Who carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub courier: Option<Courier>,
    /// Why it was cancelled, delayed or returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Who took it, or is to take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_name: Option<String>,
    /// The provider's own id of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_event_id: Option<String>,
    /// Whatever the provider sent that has no place above, verbatim, by its own field name.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

/// Other names of a delivery or of its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct References {
    /// The merchant's own order number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant_order: Option<String>,
    /// A further reference of the merchant's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant_reference: Option<String>,
    /// The id the provider used before it gave the final one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporary: Option<String>,
}

impl References {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Who carries the delivery. Personal data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Courier {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Phone number, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Why something did not go as planned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The provider's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A person's remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<String>,
}

impl Courier {
    /// `Some` unless nothing is known.
    #[must_use]
    pub fn known(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

impl Reason {
    /// `Some` unless nothing is known.
    #[must_use]
    pub fn known(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}
