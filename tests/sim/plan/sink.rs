//! The HubRise sink's part of a schedule. It has chance of its own, so that a schedule without a sink stays what it is.

use std::time::Duration;

use milepost::domain::provider::Decoded;
use milepost::sinks::hubrise::core::windows::Limit;
use milepost::sinks::hubrise::settings::LIMITS;

use super::{Event, Fault, Kind, Plan, Stage, Step, Trouble, Weather, What};
use crate::dice::Dice;

/// So many of the seeds below may have a sink: one with it takes as long as several without.
const SHARE: f64 = 0.25;
const LONGEST_LINGER: Duration = Duration::from_secs(120);
const REPLIES_LOST_FOR: Duration = Duration::from_mins(2);
/// Updates of HubRise's own deliveries are never written back.
const OWN: &str = "hubrise";

/// A HubRise sink, and what HubRise has.
#[derive(Clone)]
pub struct SinkPlan {
    pub replicas: usize,
    pub prefetch: u16,
    /// What a connection may spend, as HubRise counts it, too.
    pub limits: Vec<Limit>,
    /// Whether the order's own status follows the delivery's.
    pub order_status: bool,
    /// How an order is recognised.
    pub pattern: String,
    /// How many updates wait to be linked at most.
    pub unlinked_most: u32,
    /// By delivery.
    pub orders: Vec<Order>,
}

/// The HubRise order that a delivery belongs to.
#[derive(Debug, Clone)]
pub struct Order {
    /// HubRise's id.
    pub id: String,
    pub kind: OrderKind,
    /// Whether another delivery belongs to it, too.
    pub shared: bool,
    /// Whether the connection's pattern fits the delivery's references.
    pub by_rule: bool,
    /// The delivery as providers name it.
    pub delivery: (&'static str, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    ToDeliver,
    /// The customer fetches it.
    Collection,
    /// It has a delivery of somebody else's.
    Foreign,
}

impl Order {
    /// Whether anything is written to HubRise about it.
    pub fn is_written(&self) -> bool {
        self.delivery.0 != OWN
    }
}

impl Plan {
    /// Adds a sink, or none.
    pub(super) fn sink(&mut self) {
        let mut dice = Dice::new(self.seed, 3);
        if !dice.happens(SHARE) || !matches!(self.seed % 5, 1 | 4) {
            return;
        }
        // An update waits for as long as limits last, and its copies would multiply meanwhile.
        self.rates.reply_for = REPLIES_LOST_FOR;
        let tag = self.tag();
        let pattern = match dice.below(4) {
            0 => "none-{order}".to_owned(),
            1 => format!("awb-{tag}-{{order}}"),
            _ => format!("{tag}-{{order}}"),
        };
        let few = |minute, hour| {
            let [mut of_minute, mut of_hour, day] = LIMITS;
            (of_minute.requests, of_hour.requests) = (minute, hour);
            vec![of_minute, of_hour, day]
        };
        let mut sink = SinkPlan {
            replicas: if dice.happens(0.8) { 2 } else { 3 },
            prefetch: dice.pick(&[1, 8, 128]),
            limits: match dice.below(6) {
                0 => few(4, 120),
                1 => few(10, 120),
                _ => LIMITS.to_vec(),
            },
            order_status: dice.happens(0.3),
            pattern,
            unlinked_most: dice.pick(&[10_000, 10_000, 10_000, 2]),
            orders: Vec::new(),
        };
        let deliveries = self.events.iter().map(|event| event.delivery + 1).max().unwrap_or_default();
        for number in 0..deliveries {
            let Some(event) = self.events.iter().find(|event| event.delivery == number) else { continue };
            let delivery = named(event);
            let by_rule = match delivery.0 {
                "telyport" | "deliverect" => sink.pattern.starts_with(&tag),
                "dash" => sink.pattern.starts_with("awb"),
                _ => false,
            };
            let shared = number > 0 && dice.happens(0.1) && !by_rule;
            let order = if shared {
                let first = &mut sink.orders[0];
                first.shared = true;
                Order { delivery, by_rule, ..first.clone() }
            } else {
                let kind = match dice.below(24) {
                    0 => OrderKind::Collection,
                    1 => OrderKind::Foreign,
                    _ => OrderKind::ToDeliver,
                };
                Order { id: number.to_string(), kind, shared, by_rule, delivery }
            };
            sink.orders.push(order);
            self.prepare(number, shared, &mut dice);
        }
        self.sink = Some(sink);
        // What waits makes a copy of itself each time that a confirm is lost: not for hours at rates such as these.
        self.linger = self.linger.min(LONGEST_LINGER);
        self.break_the_sink(&mut dice);
    }

    /// When HubRise has the order, and when a service says which it is.
    fn prepare(&mut self, delivery: usize, shared: bool, dice: &mut Dice) {
        if !shared {
            let at = dice.pick(&[0, 0, 0, 0, 0, 0, 3_000, 30_000, 400_000]);
            self.steps.push(Step { at: Duration::from_millis(at), what: What::Order(delivery) });
        }
        // By reference it may be recognised beside, which then decides.
        for _ in 0..dice.pick(&[1, 1, 1, 1, 1, 1, 2, 0]) {
            let at = match dice.below(8) {
                0..=2 => 0,
                3..=5 => dice.below(20_000),
                6 => dice.below(300_000),
                _ => dice.between(300_000, 900_000),
            };
            self.steps.push(Step { at: Duration::from_millis(at), what: What::Link(delivery) });
        }
    }

    fn break_the_sink(&mut self, dice: &mut Dice) {
        let sends = self.steps.iter().filter(|step| matches!(step.what, What::Send(_)));
        let last = sends.map(|step| step.at).max().unwrap_or_default();
        let end = u64::try_from(last.as_millis()).unwrap_or(0) + 40_000;
        for _ in 0..dice.pick(&[0, 1, 3, 6, 10]) {
            let at = Duration::from_millis(dice.below(end));
            self.steps.push(Step { at, what: What::Fault(self.sink_fault(dice)) });
        }
    }

    fn sink_fault(&self, dice: &mut Dice) -> Fault {
        let replicas = self.sink.as_ref().map_or(1, |sink| sink.replicas);
        let slot = self.slots() - 1 - dice.index(replicas);
        let one = dice.happens(0.5).then_some(slot);
        let down = dice.pick(&[0, 200, 3_000, 20_000]);
        let while_ms = dice.pick(&[100, 1_000, 8_000, 40_000]);
        let long_ms = dice.pick(&[2_000, 8_000, 20_000, 60_000, 60_000, 300_000]);
        let weather = dice.pick(&[Weather::Down, Weather::Hanging]);
        let stage = dice.pick(&[Stage::Before, Stage::After]);
        match dice.below(32) {
            0..=1 => Fault::Crash(slot, down),
            2..=11 => Fault::CrashAtCall(slot, u32::try_from(dice.below(40)).unwrap_or(0), stage, down),
            12 => Fault::Drain(slot, down),
            13 => Fault::Stall(slot, dice.pick(&[1_000, 8_000, 20_000, 40_000])),
            14..=16 => Fault::Redis(one, weather, while_ms),
            17 => Fault::RedisLoses(dice.pick(&[500, 5_000, 60_000])),
            18 => Fault::RedisEmpty,
            19 => Fault::RedisJumps(dice.pick(&[-600_000, -5_000, 5_000, 600_000])),
            20 => Fault::Broker(one, weather, while_ms),
            21..=24 => Fault::Hubrise(one, weather, long_ms),
            _ => Fault::HubriseAnswers(trouble(dice), long_ms),
        }
    }
}

/// Something that HubRise answers instead.
fn trouble(dice: &mut Dice) -> Trouble {
    match dice.below(12) {
        0..=1 => Trouble::Error,
        2..=3 => Trouble::ErrorAfterEffect,
        4 => Trouble::Page,
        5 => Trouble::TooMany(Some(dice.between(1, 90))),
        6 => Trouble::TooMany(None),
        7 => Trouble::Denied(dice.pick(&[401, 403])),
        8 => Trouble::Absent,
        9..=10 => Trouble::RefusesPhones,
        _ => Trouble::RefusesStatuses,
    }
}

/// The provider, and its name for the delivery.
fn named(event: &Event) -> (&'static str, String) {
    let provider = event.provider.id().as_str();
    let id = match (event.kind, event.provider.decode(&event.body)) {
        (Kind::Update | Kind::Forged, Ok(Decoded::Update(decoded))) => decoded.update.delivery_id,
        _ => String::new(),
    };
    (provider, id)
}
