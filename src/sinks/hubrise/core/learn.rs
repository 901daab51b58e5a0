//! What an answer changes about the record, and whether it ends the run.

use std::collections::BTreeMap;

use super::answer::{ApiAnswer, ApiRejection, DeliveryOfOrder, DeliverySeen, OrderSeen};
use super::carrier::Carrier;
use super::course::Statement;
use super::decide::{Case, Obstacle, RetryCause, Run, Step, order_is_further, order_status_of};
use super::field::Field;
use super::record::{DATED, HubriseSide, OrderRecord};
use super::request::Request;
use super::stage::Stage;
use crate::domain::instant::from_text;

/// What an answer means for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lesson {
    GoOn,
    End(Step),
    /// HubRise refused something that the update may have said. What else there is may still be sent.
    Refused(ApiRejection),
    /// The token does not allow it: nothing of this connection can be sent.
    Denied {
        /// 401 or 403.
        code: u16,
        /// HubRise's words.
        message: String,
    },
    /// The base URL is wrong.
    NoSuchPath,
    Limited {
        /// How long to wait, if HubRise says so.
        retry_after: Option<std::time::Duration>,
    },
    /// HubRise does not answer as it should.
    Away(&'static str),
}

/// Takes in the answer to `request`.
pub fn learn(
    record: &mut OrderRecord,
    case: &Case<'_>,
    run: &mut Run,
    request: &Request,
    answer: ApiAnswer,
) -> Lesson {
    match (request, answer) {
        (Request::GetOrder, ApiAnswer::Order(order)) => see_order(record, case, run, order),
        (Request::GetDelivery, ApiAnswer::Delivery(delivery)) => see_delivery(record, case, run, delivery),
        (Request::GetDelivery, ApiAnswer::NotFound) => see_no_delivery(record, case, run),
        (Request::GetOrder, ApiAnswer::NotFound) => {
            record.known = HubriseSide::Nothing;
            Lesson::End(Step::Retry(RetryCause::NoOrder))
        }
        (Request::Post(fields), ApiAnswer::Done) => {
            record.known = HubriseSide::Delivery;
            record.shown.clone_from(fields);
            note_frequent(record, case, fields.keys());
            Lesson::GoOn
        }
        (Request::Patch(fields), ApiAnswer::Done) => {
            record.shown.extend(fields.clone());
            note_frequent(record, case, fields.keys());
            Lesson::GoOn
        }
        (Request::PatchOrder(status), ApiAnswer::Done) => {
            record.order_status_done = Some((*status).to_owned());
            Lesson::GoOn
        }
        // The order may be gone, or its delivery: a look at the order tells.
        (Request::Post(_) | Request::Patch(_), ApiAnswer::NotFound) => {
            record.known = HubriseSide::Nothing;
            run.delivery_unsaid = false;
            Lesson::GoOn
        }
        (Request::PatchOrder(status), ApiAnswer::NotFound | ApiAnswer::Rejected(_)) => {
            // The delivery is shown, which is what was asked for; the order's status is an addition.
            record.order_status_done = Some((*status).to_owned());
            Lesson::GoOn
        }
        // It may have been refused as the order has a delivery by now: a look tells.
        (Request::Post(fields), ApiAnswer::Rejected(rejection)) => {
            record.known = HubriseSide::Nothing;
            run.refused_post = Some((fields.clone(), rejection));
            Lesson::GoOn
        }
        (Request::Patch(fields), ApiAnswer::Rejected(rejection)) => refuse(record, case, fields, rejection),
        (_, ApiAnswer::Rejected(_)) => Lesson::Away("a look that HubRise rejects"),
        (request, ApiAnswer::Denied { code, message }) => {
            not_done(record, request);
            Lesson::Denied { code, message }
        }
        (request, ApiAnswer::NoSuchPath) => {
            not_done(record, request);
            Lesson::NoSuchPath
        }
        (request, ApiAnswer::Limited { retry_after }) => {
            not_done(record, request);
            Lesson::Limited { retry_after }
        }
        (request, ApiAnswer::Away(why)) => {
            record.doubt(&request.sending());
            Lesson::Away(why)
        }
        (request, _) => {
            record.doubt(&request.sending());
            Lesson::Away("an answer to something else")
        }
    }
}

/// The documents do not say what a POST that failed has left behind, so a look comes before the next.
fn not_done(record: &mut OrderRecord, request: &Request) {
    if matches!(request, Request::Post(_)) {
        record.known = HubriseSide::Nothing;
    }
}

fn note_frequent<'a>(record: &mut OrderRecord, case: &Case<'_>, mut fields: impl Iterator<Item = &'a Field>) {
    if fields.any(|field| field.is_frequent()) {
        record.frequent_at_ms = Some(case.now_ms);
    }
}

fn see_order(record: &mut OrderRecord, case: &Case<'_>, run: &mut Run, order: OrderSeen) -> Lesson {
    run.order_status = Some(order.status.clone());
    let to_be_delivered = order.service_type.as_deref().is_none_or(|service| service == "delivery");
    match order.delivery {
        DeliveryOfOrder::Some(delivery) => {
            let lesson = see_delivery(record, case, run, delivery);
            see_order_status(record, order.status.as_deref());
            lesson
        }
        _ if !to_be_delivered => {
            record.known = HubriseSide::Nothing;
            Lesson::End(Step::Park(Obstacle::NotADelivery))
        }
        DeliveryOfOrder::None => see_no_delivery(record, case, run),
        DeliveryOfOrder::Unsaid if record.known == HubriseSide::Delivery => {
            see_order_status(record, order.status.as_deref());
            Lesson::GoOn
        }
        DeliveryOfOrder::Unsaid => {
            run.delivery_unsaid = true;
            Lesson::GoOn
        }
    }
}

/// An order that is further already is seen to.
fn see_order_status(record: &mut OrderRecord, status: Option<&str>) {
    let target = record.shown_stage().and_then(order_status_of);
    if let Some(target) = target.filter(|target| order_is_further(status, target)) {
        record.order_status_done = Some(target.to_owned());
    }
}

fn see_no_delivery(record: &mut OrderRecord, case: &Case<'_>, run: &mut Run) -> Lesson {
    record.known = HubriseSide::NoDelivery;
    match run.refused_post.take() {
        Some((fields, rejection)) => refuse(record, case, &fields, rejection),
        None => Lesson::GoOn,
    }
}

fn see_delivery(record: &mut OrderRecord, case: &Case<'_>, run: &mut Run, delivery: DeliverySeen) -> Lesson {
    run.refused_post = None;
    if NAMES.iter().all(|field| !delivery.contains_key(field)) {
        return Lesson::Away("a delivery that names no carrier");
    }
    if !is_ours(record, case.carrier, &delivery) {
        record.known = HubriseSide::Nothing;
        return Lesson::End(Step::Park(Obstacle::Foreign));
    }
    let of_owner = delivery.get(&Field::Ref) == record.owner.as_ref().map(|owner| &owner.delivery);
    record.known = HubriseSide::Delivery;
    record.shown = delivery;
    if of_owner {
        catch_up(record);
    }
    Lesson::GoOn
}

/// Whether a delivery is one that we made: for this delivery of the carrier's, or for one before it that is cancelled.
fn is_ours(record: &OrderRecord, carrier: &Carrier, delivery: &DeliverySeen) -> bool {
    let says = |field: Field, value: &str| delivery.get(&field).is_some_and(|said| said == value);
    let made_by_us = says(Field::CarrierRef, &carrier.reference);
    let same_carrier = made_by_us || says(Field::Carrier, &carrier.name);
    let owner = record.owner.as_ref().map(|owner| owner.delivery.as_str()).unwrap_or_default();
    let cancelled = says(Field::Status, Stage::Cancelled.as_str());
    let of_owner = says(Field::Ref, owner);
    same_carrier && of_owner || made_by_us && (cancelled || !delivery.contains_key(&Field::Ref))
}

/// These fields distinguish a delivery from another carrier's. HubRise requires the first.
const NAMES: [Field; 3] = [Field::Carrier, Field::CarrierRef, Field::Ref];

/// What HubRise shows beyond what our record knows counts as claimed at the times it has beside it, so that an older
/// update that is still under way does not take it back. A time of a later status than the one that is shown is left
/// from before the delivery started over.
fn catch_up(record: &mut OrderRecord) {
    let Some(stage) = record.shown_stage() else { return };
    let at_ms = |field: Field| {
        let at = from_text(record.shown.get(&field)?, None)?;
        Some(at.as_millisecond())
    };
    let dated = DATED.into_iter().filter_map(|(field, dated)| Some((dated, at_ms(field)?)));
    let (before, current): (Vec<_>, Vec<_>) = dated.partition(|(dated, _)| *dated > stage);
    let known = record.course.conclusion().map(|conclusion| conclusion.stage);
    if known >= Some(stage) && before.is_empty() {
        return;
    }
    let started_ms = before.iter().map(|(_, at_ms)| *at_ms).max();
    let mut current: Vec<_> = current.into_iter().filter(|(_, at_ms)| Some(*at_ms) >= started_ms).collect();
    current.sort_by_key(|(_, at_ms)| *at_ms);
    if current.last().is_none_or(|(last, _)| *last != stage) {
        let latest_ms = current.last().map(|(_, at_ms)| *at_ms).or(started_ms).unwrap_or_default();
        current.push((stage, latest_ms + 1));
    }
    // HubRise's times are of whole seconds, of which several may be one; numbers are not.
    let mut next = 0;
    for (index, (stage, at_ms)) in current.into_iter().enumerate() {
        let restarts = index == 0 && started_ms.is_some();
        let sequence = sequence(at_ms).max(next);
        record.course.add(Statement { sequence, stage, at_ms, restarts });
        next = sequence + 1;
    }
}

/// Sequence numbers begin at the time in milliseconds.
fn sequence(at_ms: i64) -> u64 {
    u64::try_from(at_ms).unwrap_or_default()
}

/// Remembers what HubRise refused: the fields that it names, or else the status, or else all.
fn refuse(
    record: &mut OrderRecord,
    case: &Case<'_>,
    fields: &BTreeMap<Field, String>,
    rejection: ApiRejection,
) -> Lesson {
    // Half a position would be another one, so that one coordinate is not refused without the other.
    let position = [Field::DriverLatitude, Field::DriverLongitude];
    let position_named = rejection.fields.iter().any(|field| position.contains(field));
    let named =
        |field: &Field| rejection.fields.contains(field) || position_named && position.contains(field);
    let any_named = fields.keys().any(named);
    let has_status = fields.contains_key(&Field::Status);
    let refused = fields.iter().filter(|(field, _)| match any_named {
        true => named(field),
        false if has_status => **field == Field::Status,
        false => true,
    });
    record.refused.extend(refused.map(|(field, value)| (*field, value.clone())));
    record.reject(case.update.sequence, rejection.text.clone());
    Lesson::Refused(rejection)
}
