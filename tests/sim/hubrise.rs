//! HubRise: the stand-in of `milepost fake hubrise` with its documented rules, and what may happen to it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use milepost::cli::fake::hubrise::faults::StandInLimits;
use milepost::cli::fake::hubrise::world::{
    StandInCall, StandInOrder as Kept, StandInReply, World as StandIn,
};
use milepost::sinks::hubrise::core::answer::RawAnswer;
use milepost::sinks::hubrise::core::request::Request;
use milepost::sinks::hubrise::core::rule::OrderId;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::log;
use crate::plan::{Order, OrderKind, SinkPlan, Trouble};
use crate::process::lock;

/// The one location.
pub const LOCATION: &str = "3r4s3-1";
/// Whose delivery a foreign one is.
const FOREIGN: &str = "another-bridge";

pub struct Hubrise(Mutex<State>);

struct State {
    stand_in: StandIn,
    limits: StandInLimits,
    trouble: Option<(Trouble, Instant)>,
}

impl Hubrise {
    pub fn new(plan: Option<&SinkPlan>) -> Self {
        let of = |at: usize| plan.and_then(|plan| plan.limits.get(at)).map_or(0, |limit| limit.requests);
        let state = State {
            stand_in: StandIn::new(LOCATION),
            limits: StandInLimits::new(of(0), of(1), of(2), 1),
            trouble: None,
        };
        Self(Mutex::new(state))
    }

    /// An order comes into being.
    pub fn add(&self, order: &Order) {
        let mut kept = Kept::to_deliver();
        match order.kind {
            OrderKind::ToDeliver => {}
            OrderKind::Collection => "collection".clone_into(&mut kept.service_type),
            OrderKind::Foreign => kept.delivery = Some(foreign()),
        }
        lock(&self.0).stand_in.orders.entry(order.id.clone()).or_insert(kept);
    }

    pub fn answers(&self, trouble: Trouble, until: Instant) {
        lock(&self.0).trouble = Some((trouble, until));
    }

    pub fn calm(&self) {
        lock(&self.0).trouble = None;
    }

    pub fn knows(&self, order: &str) -> bool {
        lock(&self.0).stand_in.orders.contains_key(order)
    }

    /// The delivery of an order.
    pub fn shows(&self, order: &str) -> Option<Map<String, Value>> {
        lock(&self.0).stand_in.orders.get(order)?.delivery.clone()
    }

    /// Answers a request, which is in `trouble` by chance.
    pub fn answer(
        &self,
        order: &OrderId,
        request: &Request,
        by_chance: Option<Trouble>,
        now: Timestamp,
    ) -> Answered {
        let State { stand_in, limits, trouble } = &mut *lock(&self.0);
        let lasting = trouble.filter(|(_, until)| *until > Instant::now()).map(|(trouble, _)| trouble);
        if let Err(seconds) = limits.count(now.as_millisecond()) {
            return Answered::instead(too_many(Some(seconds)), Trouble::TooMany(None));
        }
        let trouble = lasting.or(by_chance);
        if let Some((raw, trouble)) = trouble.and_then(|trouble| Some((instead(trouble, request)?, trouble)))
        {
            return Answered::instead(raw, trouble);
        }
        let body = request.body().map(|body| body.to_string()).unwrap_or_default();
        let path = request.path(&order.location, &order.order);
        let reply =
            stand_in.answer(&StandInCall { method: request.method(), path, body: body.as_bytes() }, now);
        let raw = if trouble == Some(Trouble::ErrorAfterEffect) { error() } else { raw(&reply) };
        Answered {
            raw,
            code: reply.code,
            trouble: trouble.filter(|trouble| *trouble == Trouble::ErrorAfterEffect),
        }
    }
}

/// What HubRise did.
#[derive(Debug, Clone)]
pub struct Answered {
    pub raw: RawAnswer,
    /// What the request itself came to; 0 if HubRise did not look at it.
    pub code: u16,
    pub trouble: Option<Trouble>,
}

impl Answered {
    fn instead(raw: RawAnswer, trouble: Trouble) -> Self {
        Self { raw, code: 0, trouble: Some(trouble) }
    }
}

/// What it answers in this trouble, if that is for such a request.
fn instead(trouble: Trouble, request: &Request) -> Option<RawAnswer> {
    let fields = match request {
        Request::Post(fields) | Request::Patch(fields) => fields.clone(),
        _ => BTreeMap::new(),
    };
    let named = |name: &str| fields.iter().find(|(field, _)| field.as_str() == name);
    match trouble {
        Trouble::Error => Some(error()),
        Trouble::ErrorAfterEffect => None,
        Trouble::Page => Some(RawAnswer { code: 200, retry_after: None, body: Some(b"<html>".to_vec()) }),
        Trouble::TooMany(seconds) => Some(too_many(seconds)),
        Trouble::Denied(code) => Some(raw(&StandInReply::error(
            code,
            "unauthorized",
            "The access token is invalid or was revoked",
        ))),
        Trouble::Absent => Some(raw(&StandInReply::error(404, "not_found", "Order does not exist"))),
        Trouble::RefusesPhones => {
            let (field, value) = named("driver_phone")?;
            log::listen_for(value);
            Some(refusal(&json!([{ "field": field.as_str(), "message": format!("{value} is no phone") }])))
        }
        Trouble::RefusesStatuses => {
            named("status")?;
            Some(refusal(&json!([{ "field": "base", "message": "is not possible now" }])))
        }
    }
}

fn refusal(errors: &Value) -> RawAnswer {
    let body =
        json!({ "error_type": "unprocessable_entity", "message": "Validation failed", "errors": errors });
    raw(&StandInReply { code: 422, body })
}

fn error() -> RawAnswer {
    raw(&StandInReply::error(500, "internal_server_error", "Something went wrong"))
}

fn too_many(seconds: Option<u64>) -> RawAnswer {
    let retry_after = seconds.map(|seconds| seconds.to_string());
    RawAnswer { code: 429, retry_after, body: Some(Vec::new()) }
}

fn raw(reply: &StandInReply) -> RawAnswer {
    RawAnswer { code: reply.code, retry_after: None, body: Some(reply.body.to_string().into_bytes()) }
}

/// A delivery that another bridge made.
pub fn foreign() -> Map<String, Value> {
    let fields =
        [("carrier", "Another"), ("carrier_ref", FOREIGN), ("ref", "A1"), ("status", "pickup_enroute")];
    fields.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

/// A request takes so long at most.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
