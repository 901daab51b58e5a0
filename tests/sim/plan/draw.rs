//! What chance decides of a schedule.

use std::time::Duration;

use jiff::Timestamp;
use milepost::domain::journey::{Personal, Sample};
use milepost::domain::provider::Decoded;
use milepost::domain::samples::SampleSource;
use serde_json::Value;

use super::{Fault, Rates, Stage, Weather};
use crate::dice::Dice;

pub(super) fn rates(dice: &mut Dice) -> Rates {
    if dice.happens(0.3) {
        return Rates::default();
    }
    let mut rate = || dice.pick(&[0.0, 0.0, 0.02, 0.1]);
    let (request, reply, slow, refusal, answer) = (rate(), rate(), rate(), rate(), rate());
    let refusal = if refusal > 0.05 && dice.happens(0.3) { 0.5 } else { refusal };
    Rates { request, reply, reply_for: Duration::MAX, slow, refusal, answer }
}

pub(super) fn resends(provider: &dyn SampleSource, horizon: u64, dice: &mut Dice) -> Vec<u64> {
    let longest = match provider.id().as_str() {
        "deliverect" | "dash" => horizon - 10_000,
        _ => 120_000,
    };
    let count = dice.pick(&[0, 0, 0, 1, 1, 2]);
    (0..count).map(|_| if dice.happens(0.5) { dice.below(2_000) } else { dice.below(longest) }).collect()
}

/// A sample as a webhook of a delivery of its own.
pub(super) fn body(provider: &dyn SampleSource, sample: &Sample, personal: &Personal<'_>) -> Value {
    let mut body = serde_json::from_str(sample.body).expect("JSON");
    provider.personalize(&mut body, personal);
    body
}

/// When the provider says that it happened.
pub(super) fn event_time(provider: &dyn SampleSource, body: &Value) -> Option<Timestamp> {
    let Ok(Decoded::Update(decoded)) = provider.decode(body.to_string().as_bytes()) else { return None };
    Some(decoded.update.event_time?.utc)
}

pub(super) fn raw_status(provider: &dyn SampleSource, body: &Value) -> String {
    let status = match provider.id().as_str() {
        "telyport" => &body["data"]["status"],
        "247express" => &body["Status"],
        "hubrise" => &body["new_state"]["status"],
        _ => &body["status"],
    };
    status.as_str().map_or_else(|| status.to_string(), str::to_owned)
}

pub(super) fn fault(dice: &mut Dice, slots: u64) -> Fault {
    let slot = dice.index(slots as usize);
    let one = dice.happens(0.6).then_some(slot);
    let down = dice.pick(&[0, 200, 3_000, 20_000]);
    let while_ms = dice.pick(&[100, 1_000, 4_000, 8_000, 17_000, 40_000]);
    let weather = dice.pick(&[Weather::Down, Weather::Hanging]);
    let stage = dice.pick(&[Stage::Before, Stage::After]);
    match dice.below(40) {
        0..=2 => Fault::Crash(slot, down),
        3..=11 => Fault::CrashAtCall(slot, u32::try_from(dice.below(12)).unwrap_or(0), stage, down),
        12..=14 => Fault::Drain(slot, down),
        15..=16 => Fault::Stall(slot, dice.pick(&[1_000, 8_000, 20_000])),
        17..=19 => Fault::Broker(one, weather, while_ms),
        20..=21 => Fault::Broker(Some(slot), Weather::Silent, 0),
        22..=26 => Fault::Redis(one, weather, while_ms),
        27 => Fault::RedisLoses(dice.pick(&[500, 5_000, 60_000])),
        28 => Fault::RedisEmpty,
        29 => Fault::RedisJumps(dice.pick(&[-600_000, -5_000, 5_000, 600_000])),
        30 => Fault::ClockJumps(slot, dice.pick(&[-600_000, -5_000, 5_000, 600_000])),
        31..=35 => Fault::SubscriberFull(dice.pick(&[2_000, 10_000, 60_000, 600_000])),
        36 => Fault::SubscriberFull(3_600_000 * 2),
        37 => Fault::QueueFull(while_ms),
        _ => Fault::Slow(while_ms),
    }
}
