//! What is kept of one HubRise order: what our updates say, and what HubRise shows as far as we know.
//!
//! It is a cache of what the broker's messages and HubRise's own answers say. If it is lost, the messages that are still
//! unsettled say their part again, and one GET says what HubRise shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::course::{Statement, Statements};
use super::field::{Field, money, time, time_of_ms};
use super::stage::{Overrides, Stage};
use crate::sinks::update::{Update, UpdatedDelivery};

/// The deliveries that an order had before are remembered this far.
const MOST_FORMER: usize = 8;

/// Updates that HubRise refused and that are not parked yet: a crash or an outage came between.
const MOST_REJECTIONS: usize = 16;

/// The times that HubRise shows beside a status, and the status that each belongs to.
pub(super) const DATED: [(Field, Stage); 4] = [
    (Field::AssignedAt, Stage::PickupEnroute),
    (Field::PickupAt, Stage::DropoffEnroute),
    (Field::DeliveredAt, Stage::Delivered),
    (Field::CancelledAt, Stage::Cancelled),
];

/// All that is kept of an order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderRecord {
    /// Which of our deliveries the order has.
    pub owner: Option<Owner>,
    pub former: Vec<Owner>,
    /// What the owner's updates say of the status.
    pub course: Statements,
    /// What they say of everything else.
    pub said: BTreeMap<Field, SaidValue>,
    /// What is known of HubRise's side.
    pub known: HubriseSide,
    /// What HubRise shows.
    pub shown: BTreeMap<Field, String>,
    /// What HubRise refused, so that it is not sent again.
    pub refused: BTreeMap<Field, String>,
    /// HubRise's words on what it refused, by the sequence number of the update that is parked for it.
    pub rejections: BTreeMap<u64, String>,
    /// When fields that change all the time were last sent, in milliseconds.
    pub frequent_at_ms: Option<i64>,
    /// The order's own status that was last seen to: set, or found to be further.
    pub order_status_done: Option<String>,
    /// Who is sending something, and what.
    pub lease: Option<OrderLease>,
    /// The last answer, for `milepost why`.
    pub last: Option<Last>,
}

/// A delivery, as the record names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub provider: String,
    pub account: String,
    /// The provider's id of the delivery.
    pub delivery: String,
}

/// A value, and the update that said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidValue {
    #[serde(rename = "n")]
    pub sequence: u64,
    /// The value, in HubRise's format.
    #[serde(rename = "v")]
    pub value: String,
}

/// What is known of HubRise's side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubriseSide {
    /// Nothing: it has to be asked.
    #[default]
    Nothing,
    /// The order is there and is to be delivered, and has no delivery.
    NoDelivery,
    /// The order has our delivery.
    Delivery,
}

/// The right to send requests about the order, until a deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLease {
    pub token: String,
    /// Until when, in milliseconds on the store's clock.
    pub until_ms: i64,
    /// What is being sent. Of a holder that is gone it is not known whether it had its effect.
    pub sending: Sending,
}

/// What a lease's holder is sending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sending {
    #[default]
    Nothing,
    Post,
    Patch(Vec<Field>),
    /// The order's own status, which is looked at before it is sent.
    OrderStatus,
}

/// The last answer to a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// When, in milliseconds.
    pub at_ms: i64,
    /// What was sent: `post`, `patch`, `get`.
    pub request: String,
    pub result: String,
}

/// How a connection shows things.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Style {
    /// What it chose instead of the status map.
    pub overrides: Overrides,
    /// Whether the order's own status follows the delivery's.
    pub order_status: bool,
}

fn owned((field, value): (&Field, &String)) -> (Field, String) {
    (*field, value.clone())
}

impl Owner {
    /// As the record names it.
    #[must_use]
    pub fn of(delivery: &UpdatedDelivery) -> Self {
        let UpdatedDelivery { provider, account, id } = delivery.clone();
        Self { provider, account, delivery: id }
    }
}

impl OrderRecord {
    /// Takes in what an update of the owner says. Doing so again, or in another order, gives the same record.
    pub fn take_in(&mut self, update: &Update, style: &Style) {
        if let Some(claim) = Statement::of(update, &style.overrides) {
            self.course.add(claim);
        }
        let mut say = |field: Field, value: Option<String>| {
            let Some(value) = value else { return };
            if self.said.get(&field).is_none_or(|said| said.sequence < update.sequence) {
                self.said.insert(field, SaidValue { sequence: update.sequence, value });
            }
        };
        say(Field::EstimatedPickupAt, update.pickup_eta.map(time));
        say(Field::EstimatedDropoffAt, update.dropoff_eta.map(time));
        say(Field::TrackingUrl, update.tracking_url.clone());
        say(Field::Fee, update.fee.as_ref().and_then(money));
        // What one update says of the courier, and of a position, belongs together: a new courier does not have the
        // phone of the one before.
        if let Some(courier) = &update.courier {
            let parts = [
                (Field::DriverName, courier.name.clone()),
                (Field::DriverPhone, courier.phone.clone()),
                (Field::DriverPhoneAccessCode, courier.phone_access_code.clone()),
            ];
            self.say_together(update.sequence, parts);
        }
        if let Some(position) = &update.position {
            let parts = [
                (Field::DriverLatitude, Some(position.latitude.to_string())),
                (Field::DriverLongitude, Some(position.longitude.to_string())),
            ];
            self.say_together(update.sequence, parts);
        }
    }

    /// The newest update that says any of `parts` decides all of them.
    fn say_together<const N: usize>(&mut self, sequence: u64, parts: [(Field, Option<String>); N]) {
        let newest =
            parts.iter().filter_map(|(field, _)| self.said.get(field)).map(|said| said.sequence).max();
        if newest.is_some_and(|newest| newest >= sequence) {
            return;
        }
        for (field, value) in parts {
            match value {
                Some(value) => drop(self.said.insert(field, SaidValue { sequence, value })),
                None => drop(self.said.remove(&field)),
            }
        }
    }

    /// What HubRise is to show, if there is a status to show.
    #[must_use]
    pub fn wanted(&self) -> Option<BTreeMap<Field, String>> {
        let owner = self.owner.as_ref()?;
        let conclusion = self.course.conclusion()?;
        let mut wanted: BTreeMap<_, _> =
            self.said.iter().map(|(field, said)| (*field, said.value.clone())).collect();
        wanted.insert(Field::Ref, owner.delivery.clone());
        wanted.insert(Field::Status, conclusion.stage.as_str().to_owned());
        let closed = match conclusion.stage {
            Stage::Delivered => Field::DeliveredAt,
            _ => Field::CancelledAt,
        };
        let times = [
            (Field::AssignedAt, conclusion.assigned_at_ms),
            (Field::PickupAt, conclusion.pickup_at_ms),
            (closed, conclusion.closed_at_ms),
        ];
        for (field, at_ms) in times {
            wanted.extend(at_ms.and_then(time_of_ms).map(|at| (field, at)));
        }
        Some(wanted)
    }

    /// What a PATCH has to say so that HubRise shows what it is to show.
    ///
    /// A delivery that HubRise shows as closed takes only corrections: of its status, and of the times of its statuses.
    /// Positions and the like come to nothing.
    #[must_use]
    pub fn pending(&self) -> BTreeMap<Field, String> {
        let Some(wanted) = self.wanted() else { return BTreeMap::new() };
        let differs = |field: Field, value: &str| {
            let is = |other: Option<&String>| other.is_some_and(|other| field.same(other, value));
            field.can_be_updated() && !is(self.shown.get(&field)) && !is(self.refused.get(&field))
        };
        let closed = self.shown_stage().is_some_and(Stage::is_closed);
        let changes = |field| wanted.get(&field).is_some_and(|value| differs(field, value));
        let over = closed && !changes(Field::Status) && !changes(Field::Ref);
        // Half a position would be another one.
        let moved = changes(Field::DriverLatitude) || changes(Field::DriverLongitude);
        let part_of_move = |field| moved && matches!(field, Field::DriverLatitude | Field::DriverLongitude);
        // A status that comes without its time HubRise dates itself.
        let stage = wanted.get(&Field::Status).filter(|_| changes(Field::Status));
        let stage = stage.and_then(|word| Stage::named(word));
        let dates = |field: Field, value: &str| {
            let refused = self.refused.get(&field).is_some_and(|no| field.same(no, value));
            !refused && DATED.iter().any(|(dated, of)| *dated == field && Some(*of) == stage)
        };
        let is_pending = |field: Field, value: &str| {
            let belongs = differs(field, value) || part_of_move(field) || dates(field, value);
            belongs && (field.is_of_status() || !over)
        };
        wanted.iter().filter(|(field, value)| is_pending(**field, value)).map(owned).collect()
    }

    /// The status that HubRise shows, if that is one we know.
    #[must_use]
    pub fn shown_stage(&self) -> Option<Stage> {
        Stage::named(self.shown.get(&Field::Status)?)
    }

    /// Whether something that `update` says is still to be sent, and was not said anew by a later one: that one answers
    /// for it then.
    #[must_use]
    pub fn awaits(&self, update: &Update, style: &Style, pending: &BTreeMap<Field, String>) -> bool {
        let claims = Statement::of(update, &style.overrides).is_some();
        pending.keys().any(|field| match field {
            field if field.is_of_status() => claims,
            Field::Ref => claims,
            field => self.said.get(field).is_some_and(|said| said.sequence == update.sequence),
        })
    }

    /// Gives the order to another of our deliveries.
    pub fn hand_over(&mut self, to: Owner) {
        if let Some(owner) = self.owner.replace(to) {
            self.former.push(owner);
            let surplus = self.former.len().saturating_sub(MOST_FORMER);
            self.former.drain(..surplus);
        }
        self.course = Statements::default();
        self.said.clear();
        self.forgive();
    }

    /// What HubRise refused may be sent again.
    pub fn forgive(&mut self) {
        self.refused.clear();
        self.rejections.clear();
    }

    /// Remembers that HubRise refused something of this update, and why.
    pub fn reject(&mut self, sequence: u64, why: String) {
        self.rejections.insert(sequence, why);
        while self.rejections.len() > MOST_REJECTIONS {
            self.rejections.pop_first();
        }
    }

    /// Takes the lease of a holder that is gone into account: what it was sending may have had its effect or not.
    pub fn doubt(&mut self, sending: &Sending) {
        match sending {
            Sending::Nothing | Sending::OrderStatus => {}
            Sending::Post => self.known = HubriseSide::Nothing,
            Sending::Patch(fields) => fields.iter().for_each(|field| drop(self.shown.remove(field))),
        }
    }
}
