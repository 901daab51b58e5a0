//! What to do next about an update: a request, a wait, or nothing more.

use std::collections::BTreeMap;

use super::answer::ApiRejection;
use super::carrier::Carrier;
use super::field::Field;
use super::record::{HubriseSide, OrderRecord, Owner, Style};
use super::request::Request;
use super::stage::Stage;
use crate::sinks::update::{Fit, Update};

/// The order's statuses after which its delivery does not change it.
const CLOSED_ORDER: [&str; 4] = ["completed", "rejected", "cancelled", "delivery_failed"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Send(Request),
    /// Nothing more: the update's message can go.
    Done(OrderOutcome),
    /// Look again after this many milliseconds.
    Wait(i64),
    /// Try again later: something has to change outside.
    Retry(RetryCause),
    Park(Obstacle),
    /// It needs an operator, as HubRise will not take it: its words.
    Refused(String),
}

/// How an update ended. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderOutcome {
    /// HubRise shows what it says, or something newer.
    Shown,
    /// It is late: what HubRise shows is newer.
    Late,
    /// It changes no status, and there is no delivery yet to show anything else of.
    NoStatus,
    /// The order has another delivery by now.
    Former,
}

/// Why an update is tried again. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryCause {
    /// HubRise has no such order yet, or this token does not see it.
    NoOrder,
    /// The order has another delivery of ours that is not over.
    OtherDelivery,
}

/// Why an update cannot be shown. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The order is not to be delivered.
    NotADelivery,
    /// The order has a delivery that is not ours.
    Foreign,
    /// The order had a delivery of ours, and HubRise takes no second one of another carrier.
    Second,
}

impl Obstacle {
    /// What in particular, in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotADelivery => "the order is not to be delivered",
            Self::Foreign => "the order has a delivery of somebody else",
            Self::Second => "the order has an earlier delivery of ours",
        }
    }
}

/// What was learned in this run, and is not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// The order's own status, once it was looked at.
    pub order_status: Option<Option<String>>,
    /// The order's representation does not say whether it has a delivery.
    pub delivery_unsaid: bool,
    /// A new delivery that HubRise refused, and why. If it has one by now, that was the reason.
    pub refused_post: Option<(BTreeMap<Field, String>, ApiRejection)>,
}

/// All that a decision rests on beside the record.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    pub update: &'a Update,
    pub carrier: &'a Carrier,
    /// How the connection shows things.
    pub style: &'a Style,
    /// How far apart fields are sent that change all the time, in milliseconds.
    pub interval_ms: i64,
    /// Now, in milliseconds.
    pub now_ms: i64,
}

/// Takes an update into the record.
///
/// # Errors
/// What to do with an update that the record does not take.
pub fn admit(record: &mut OrderRecord, case: &Case<'_>) -> Result<(), Step> {
    let update = case.update;
    if update.fit == Fit::Late {
        return Err(Step::Done(OrderOutcome::Late));
    }
    let delivery = Owner::of(&update.delivery);
    match &record.owner {
        None => record.owner = Some(delivery),
        Some(owner) if *owner == delivery => {}
        Some(_) if record.former.contains(&delivery) => return Err(Step::Done(OrderOutcome::Former)),
        Some(owner) => {
            displaces(record, owner, update)?;
            record.hand_over(delivery);
        }
    }
    record.take_in(update, case.style);
    Ok(())
}

/// Whether an update of another delivery takes the order over from `owner`: after a cancellation, by the same carrier.
fn displaces(record: &OrderRecord, owner: &Owner, update: &Update) -> Result<(), Step> {
    let begun = record.course.claims().first().map_or(0, |claim| claim.sequence);
    if update.sequence < begun {
        return Err(Step::Done(OrderOutcome::Former));
    }
    let stage = record.course.conclusion().map(|conclusion| conclusion.stage);
    match stage {
        // What was never shown needs no place at HubRise.
        None => Ok(()),
        Some(Stage::Cancelled) if record.known != HubriseSide::Delivery => Ok(()),
        Some(Stage::Cancelled) if owner.provider == update.delivery.provider => Ok(()),
        Some(Stage::Delivered | Stage::Cancelled) => Err(Step::Park(Obstacle::Second)),
        Some(_) => Err(Step::Retry(RetryCause::OtherDelivery)),
    }
}

/// What to do next about an update that the record has taken in.
#[must_use]
pub fn decide(record: &OrderRecord, case: &Case<'_>, run: &Run) -> Step {
    match to_show(record, case, run) {
        // Its other fields are shown.
        Step::Done(OrderOutcome::Shown) => match record.rejections.get(&case.update.sequence) {
            Some(why) => Step::Refused(why.clone()),
            None => Step::Done(OrderOutcome::Shown),
        },
        step => step,
    }
}

fn to_show(record: &OrderRecord, case: &Case<'_>, run: &Run) -> Step {
    let Some(wanted) = record.wanted() else {
        return Step::Done(OrderOutcome::NoStatus);
    };
    match record.known {
        HubriseSide::Nothing if run.delivery_unsaid => Step::Send(Request::GetDelivery),
        HubriseSide::Nothing => Step::Send(Request::GetOrder),
        HubriseSide::NoDelivery => post(record, case, &wanted),
        HubriseSide::Delivery => patch(record, case).unwrap_or_else(|| order_status(record, case, run)),
    }
}

/// A new delivery, with all that is known of it.
fn post(record: &OrderRecord, case: &Case<'_>, wanted: &BTreeMap<Field, String>) -> Step {
    let Carrier { name, reference } = case.carrier.clone();
    let mut fields = wanted.clone();
    fields.extend([(Field::Carrier, name), (Field::CarrierRef, reference)]);
    let refused =
        |field: Field, value: &str| record.refused.get(&field).is_some_and(|no| field.same(no, value));
    // One without a status, or a carrier, that HubRise takes is not to be had.
    if fields.iter().any(|(field, value)| field.is_required() && refused(*field, value)) {
        return Step::Done(OrderOutcome::Shown);
    }
    fields.retain(|field, value| !refused(*field, value));
    Step::Send(Request::Post(fields))
}

fn patch(record: &OrderRecord, case: &Case<'_>) -> Option<Step> {
    let pending = record.pending();
    if !record.awaits(case.update, case.style, &pending) {
        return None;
    }
    let next_ms = record.frequent_at_ms.map_or(i64::MIN, |sent| sent.saturating_add(case.interval_ms));
    let urgent = pending.keys().any(|field| !field.is_frequent());
    Some(if urgent || next_ms <= case.now_ms {
        Step::Send(Request::Patch(pending))
    } else {
        Step::Wait(next_ms.saturating_sub(case.now_ms))
    })
}

/// The order's own status, which HubRise does not derive from its delivery's: only where a connection asks for it, only
/// forwards, and never out of a status that somebody closed the order with.
fn order_status(record: &OrderRecord, case: &Case<'_>, run: &Run) -> Step {
    let done = Step::Done(OrderOutcome::Shown);
    let Some(target) = record.shown_stage().and_then(order_status_of).filter(|_| case.style.order_status)
    else {
        return done;
    };
    if record.order_status_done.as_deref() == Some(target) {
        return done;
    }
    match &run.order_status {
        None => Step::Send(Request::GetOrder),
        Some(status) if order_is_further(status.as_deref(), target) => done,
        Some(_) => Step::Send(Request::PatchOrder(target)),
    }
}

/// Whether an order of `status` is not to become `target` any more.
#[must_use]
pub fn order_is_further(status: Option<&str>, target: &str) -> bool {
    status.is_some_and(|status| status == target || CLOSED_ORDER.contains(&status))
}

/// As HubRise's own bridges to couriers do.
#[must_use]
pub fn order_status_of(stage: Stage) -> Option<&'static str> {
    match stage {
        Stage::DropoffEnroute | Stage::DropoffApproaching | Stage::DropoffWaiting => Some("in_delivery"),
        Stage::Delivered => Some("completed"),
        Stage::Cancelled => Some("delivery_failed"),
        _ => None,
    }
}
