//! The normalized update: the `data` of every published event.
//!
//! Absent means that the provider did not say. What has no place here is in `extra`; so is a field that the provider sent
//! as `null`, which tells "there is none" from "not said".
//!
//! These types and their documentation are the contract with subscribers: `contract` makes the schema from them. What
//! holds personal data has `x-personal` there.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::decimal::Decimal;
use super::extra::Extra;
use super::instant::ProviderTime;
use super::status::{Phase, Status};

/// Declares a part of an update: text-like optional fields that are left out when absent.
macro_rules! part {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
        pub struct $name {
            $($(#[$field_doc])*
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $field: Option<$type>,)*
        }

        impl $name {
            /// `Some` unless nothing is known.
            #[must_use]
            pub fn known(self) -> Option<Self> {
                (self != Self::default()).then_some(self)
            }
        }
    };
}

/// One delivery update, of any provider.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeliveryUpdate {
    /// The provider's id of the delivery.
    pub delivery_id: String,
    /// Other names of the delivery or of its order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<References>,
    /// What happened, in Milepost's words.
    pub status: Status,
    /// The stage `status` belongs to.
    pub phase: Phase,
    /// The provider's own word, verbatim; of a whole number its digits, however it was spelt.
    pub raw_status: String,
    /// Whether the provider's rules leave it at that: nothing more is to come, but for corrections.
    pub terminal: bool,
    /// Which of the provider's services carries it, where it has several (Dash: `express` or `logistic`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'static str>,
    /// When the provider says it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<ProviderTime>,
    /// Further times the provider sent, by its own field name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub times: BTreeMap<&'static str, ProviderTime>,
    /// When the courier is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<Eta>,
    /// How often an attempt to deliver has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_count: Option<i64>,
    /// Who carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-personal" = true))]
    pub courier: Option<Courier>,
    /// Whether several couriers carry it: then all that is said here is about this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub several_couriers: Option<bool>,
    /// Which company carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// Where the courier is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-personal" = true))]
    pub position: Option<Position>,
    /// Why it was cancelled, delayed or returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Who took it, or is to take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-personal" = true))]
    pub recipient_name: Option<String>,
    /// Who sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-personal" = true))]
    pub sender: Option<Contact>,
    /// Who is to receive it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-personal" = true))]
    pub recipient: Option<Contact>,
    /// Where it is picked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-personal" = true))]
    pub origin: Option<Place>,
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-personal" = true))]
    pub destination: Option<Place>,
    /// What is carried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
    /// Its weight as a whole, in kilograms, as the provider says; not always the sum of the packages'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_kg: Option<Decimal>,
    /// What the delivery costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<Money>,
    /// Photographs and signatures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-personal" = true))]
    pub proof: Vec<Proof>,
    /// A page where the recipient can follow the delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-personal" = true))]
    pub tracking_url: Option<String>,
    /// The provider's own id of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_event_id: Option<String>,
    /// What the provider sent that has no place above.
    #[serde(flatten)]
    pub extra: Extra,
}

impl DeliveryUpdate {
    /// An update of which nothing else is known yet.
    #[must_use]
    pub fn new(delivery_id: String, status: Status, raw_status: String) -> Self {
        Self {
            delivery_id,
            references: None,
            status,
            phase: status.phase(),
            raw_status,
            terminal: status.phase() == Phase::Closed,
            service: None,
            event_time: None,
            times: BTreeMap::new(),
            eta: None,
            failed_count: None,
            courier: None,
            several_couriers: None,
            carrier: None,
            position: None,
            reason: None,
            recipient_name: None,
            sender: None,
            recipient: None,
            origin: None,
            destination: None,
            packages: Vec::new(),
            weight_kg: None,
            fee: None,
            proof: Vec::new(),
            tracking_url: None,
            provider_event_id: None,
            extra: Extra::new(),
        }
    }
}

part! {
    /// Other names of a delivery or of its order.
    References {
        /// The merchant's own order number.
        merchant_order: String,
        /// A further reference of the merchant's.
        merchant_reference: String,
        /// The provider's id of the order that the delivery belongs to.
        order: String,
        /// The id the provider used before it gave the final one.
        temporary: String,
        /// The provider's id of the merchant's location.
        location: String,
    }
}

impl References {
    /// The names that one order has and others do not: all but the location's.
    pub fn into_names(self) -> impl Iterator<Item = String> {
        let Self { merchant_order, merchant_reference, order, temporary, location: _ } = self;
        [merchant_order, merchant_reference, order, temporary].into_iter().flatten()
    }
}

part! {
    /// When the courier is expected.
    Eta {
        /// At the pickup.
        pickup_at: ProviderTime,
        /// At the recipient's.
        dropoff_at: ProviderTime,
    }
}

part! {
    /// Who carries the delivery.
    Courier {
        /// The provider's id of the courier.
        id: String,
        /// Name.
        name: String,
        /// Phone number, as sent.
        phone: String,
        /// What to key in when calling that number.
        phone_access_code: String,
    }
}

part! {
    /// Which company carries the delivery, where the provider passes it on to others.
    Carrier {
        /// Its name.
        name: String,
        /// The provider's code for it.
        code: String,
        /// The company's own name for the delivery, such as a tracking number.
        reference: String,
    }
}

part! {
    /// Why something did not go as planned.
    Reason {
        /// The provider's code.
        code: String,
        /// The provider's words, which at some providers a person types.
        #[schemars(extend("x-personal" = true))]
        text: String,
        /// A person's remark.
        #[schemars(extend("x-personal" = true))]
        comments: String,
    }
}

part! {
    /// A person or company at one end.
    Contact {
        /// First name.
        first_name: String,
        /// Last name.
        last_name: String,
        /// Company.
        company: String,
        /// E-mail address.
        email: String,
        /// Phone number, as sent.
        phone: String,
    }
}

part! {
    /// One end of the way.
    Place {
        /// Its address.
        address: String,
        /// Where that is.
        position: Position,
    }
}

part! {
    /// One thing that is carried.
    Package {
        /// What it is called.
        name: String,
        /// What it is.
        description: String,
        /// How many of it.
        quantity: Decimal,
        /// What it is worth, in the currency of the delivery.
        price: Decimal,
        /// Its weight in kilograms.
        weight_kg: Decimal,
        /// Its width, in the provider's unit.
        width: Decimal,
        /// Its length, in the provider's unit.
        length: Decimal,
        /// Its height, in the provider's unit.
        height: Decimal,
    }
}

part! {
    /// A photograph or signature.
    Proof {
        /// Where it can be fetched.
        url: String,
        /// What it shows, in the provider's word.
        kind: String,
        /// When it was made.
        created_at: ProviderTime,
    }
}

/// A position on Earth, in degrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Position {
    /// From -90 to 90; north is positive.
    latitude: Decimal,
    /// From -180 to 180; east is positive.
    longitude: Decimal,
}

impl Position {
    /// `None` when it is not on Earth.
    #[must_use]
    pub fn new(latitude: Decimal, longitude: Decimal) -> Option<Self> {
        (latitude.within(90.0) && longitude.within(180.0)).then_some(Self { latitude, longitude })
    }
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Money {
    /// How much, in the currency's main unit.
    pub amount: Decimal,
    /// ISO 4217, three capital letters.
    pub currency: String,
}
