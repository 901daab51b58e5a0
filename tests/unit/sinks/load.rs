//! A day of deliveries against HubRise's limits: how many requests it takes, and how old what is shown gets.
//!
//! The sink itself runs, against the stand-in's rules and limits; time is a number. What `cargo test` runs is a
//! thirtieth of a day with a thirtieth of the limits; the whole is
//! `cargo test --profile sim --test unit sinks::load::a_whole_day -- --ignored --nocapture`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use milepost::adapters::memory::MemoryCells;
use milepost::cli::fake::hubrise::faults::StandInLimits;
use milepost::cli::fake::hubrise::world::{StandInCall, World};
use milepost::ports::Clock;
use milepost::sinks::hubrise::Hubrise;
use milepost::sinks::hubrise::api::Api;
use milepost::sinks::hubrise::core::answer::RawAnswer;
use milepost::sinks::hubrise::core::request::Request;
use milepost::sinks::hubrise::core::rule::OrderId;
use milepost::sinks::{Sink, SinkMessage, Verdict};
use serde_json::json;

use super::converge::settings;
use super::{MINUTE, NINE, SECOND, event};

const HOUR: i64 = 60 * MINUTE;
/// What every delivery's course is: each status, and whether the courier moved.
const COURSE: [(&str, bool); 12] = [
    ("created", false),
    ("assigned", false),
    ("assigned", true),
    ("assigned", true),
    ("pickup_arrived", false),
    ("picked_up", false),
    ("picked_up", true),
    ("picked_up", true),
    ("picked_up", true),
    ("picked_up", true),
    ("dropoff_arrived", false),
    ("delivered", false),
];
const STAGES: [&str; 6] =
    ["pending", "pickup_enroute", "pickup_waiting", "dropoff_enroute", "dropoff_waiting", "delivered"];
/// From a delivery's first update to its last.
const LASTS: i64 = 40 * MINUTE;

struct SimClock(Arc<AtomicI64>);

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// HubRise, and what it saw.
struct Seen {
    now_ms: Arc<AtomicI64>,
    world: Mutex<World>,
    limits: Mutex<StandInLimits>,
    figures: Mutex<Figures>,
}

/// What is measured.
#[derive(Default)]
struct Figures {
    requests: BTreeMap<&'static str, u32>,
    refused: u32,
    /// Requests that had nothing but positions.
    positions: u32,
    /// For each order, the stages that are shown, and since when.
    shown: BTreeMap<String, Vec<(usize, i64)>>,
    handled: u32,
    ended_ms: i64,
}

struct ApiOf(Arc<Seen>);

#[async_trait]
impl Api for ApiOf {
    fn token(&self, _: &str) -> Option<String> {
        Some("t".to_owned())
    }

    async fn send(&self, _: &str, order: &OrderId, request: &Request) -> Result<RawAnswer, &'static str> {
        let now_ms = self.0.now_ms.load(Ordering::Relaxed);
        let mut figures = self.0.figures.lock().unwrap();
        *figures.requests.entry(request.as_str()).or_default() += 1;
        if self.0.limits.lock().unwrap().count(now_ms).is_err() {
            figures.refused += 1;
            return Ok(RawAnswer { code: 429, retry_after: Some("60".to_owned()), body: Some(Vec::new()) });
        }
        let body = request.body().map(|body| body.to_string()).unwrap_or_default();
        figures.positions += u32::from(body.contains("driver_") && !body.contains("status"));
        let path = request.path(&order.location, &order.order);
        let call = StandInCall { method: request.method(), path, body: body.as_bytes() };
        let now = Timestamp::from_millisecond(now_ms).unwrap();
        let reply = self.0.world.lock().unwrap().answer(&call, now);
        if request.method() != "GET" && reply.code == 200 {
            let stage = STAGES.iter().position(|stage| reply.body["status"] == *stage).expect("a stage");
            let shown = figures.shown.entry(order.order.clone()).or_default();
            if shown.last().is_none_or(|(last, _)| *last != stage) {
                shown.push((stage, now_ms));
            }
        }
        Ok(RawAnswer { code: reply.code, retry_after: None, body: Some(reply.body.to_string().into_bytes()) })
    }
}

/// A message that comes at some time. Those of one time come as they were published.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due(i64, u64, usize);

fn status_at(step: usize, begun: i64) -> i64 {
    begun + LASTS * i64::try_from(step).unwrap() / i64::try_from(COURSE.len() - 1).unwrap()
}

/// The events of `count` deliveries that begin evenly through `span_ms`.
fn events(count: usize, span_ms: i64) -> Vec<(i64, String)> {
    let mut events = Vec::new();
    for number in 0..count {
        let begun = NINE + span_ms * i64::try_from(number).unwrap() / i64::try_from(count).unwrap();
        for (step, (status, moved)) in COURSE.into_iter().enumerate() {
            let at_ms = status_at(step, begun);
            let time = Timestamp::from_millisecond(at_ms).unwrap().to_string();
            let mut data = json!({
                "time": time, "received_at": time, "delivery_id": format!("TLP-{number}"),
                "references": { "merchant_order": format!("o{number}") },
            });
            if step > 0 {
                data["previous_status"] = json!(COURSE[step - 1].0);
            }
            if moved {
                data["position"] = json!({ "latitude": format!("45.{step}"), "longitude": "4.8" });
            }
            events.push((at_ms, event(u64::try_from(at_ms).unwrap(), status, &data).to_string()));
        }
    }
    events
}

fn simulate(count: usize, span_ms: i64, limits: [u32; 3]) -> Figures {
    let now_ms = Arc::new(AtomicI64::new(NINE));
    let mut world = World::new("3r4s3-1");
    world.any_order = true;
    let [minute, hour, day] = limits;
    let seen = Arc::new(Seen {
        now_ms: Arc::clone(&now_ms),
        world: Mutex::new(world),
        limits: Mutex::new(StandInLimits::new(minute, hour, day, 1)),
        figures: Mutex::default(),
    });
    let store = Arc::new(MemoryCells::new(Arc::new(SimClock(Arc::clone(&now_ms)))));
    let mut settings = settings(Default::default());
    for (limit, requests) in settings.connections[0].budget.limits.iter_mut().zip(limits) {
        limit.requests = requests;
    }
    let sink = Hubrise::new(settings, store, Arc::new(ApiOf(Arc::clone(&seen))));
    let mut messages: Vec<_> = events(count, span_ms)
        .into_iter()
        .map(|(at_ms, body)| {
            (at_ms, SinkMessage { body: body.into(), reason: None, replayed: false, now_ms: 0 })
        })
        .collect();
    let mut queue: BinaryHeap<_> =
        messages.iter().enumerate().map(|(at, (due, _))| Reverse(Due(*due, at as u64, at))).collect();
    let mut sequence = queue.len() as u64;
    let mut handled = 0;
    while let Some(Reverse(Due(due, _, at))) = queue.pop() {
        now_ms.fetch_max(due, Ordering::Relaxed);
        handled += 1;
        let message = &mut messages[at].1;
        message.now_ms = now_ms.load(Ordering::Relaxed);
        match ready(sink.handle(message)) {
            Verdict::Later { delay, why } => {
                message.reason = Some(why.as_str().to_owned());
                sequence += 1;
                let due = message.now_ms + i64::try_from(delay.as_millis()).unwrap().max(SECOND);
                queue.push(Reverse(Due(due, sequence, at)));
            }
            Verdict::Done(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let mut figures = std::mem::take(&mut *seen.figures.lock().unwrap());
    (figures.handled, figures.ended_ms) = (handled, now_ms.load(Ordering::Relaxed));
    for order in seen.world.lock().unwrap().orders.values() {
        let delivery = order.delivery.as_ref().expect("a delivery");
        assert_eq!(delivery["status"], "delivered");
    }
    figures
}

/// Nothing here waits for anything.
fn ready<T, E: fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.unwrap(),
        Poll::Pending => panic!("it waits"),
    }
}

impl Figures {
    fn total(&self) -> u32 {
        self.requests.values().sum()
    }

    /// How long after it was said each status was shown, or a later one.
    fn ages(&self, count: usize, span_ms: i64) -> Vec<i64> {
        let mut ages = Vec::new();
        for number in 0..count {
            let begun = NINE + span_ms * i64::try_from(number).unwrap() / i64::try_from(count).unwrap();
            let shown = &self.shown[&format!("o{number}")];
            let mut stage = 0;
            for step in 0..COURSE.len() {
                if step > 0 && COURSE[step].0 == COURSE[step - 1].0 {
                    continue;
                }
                let at = shown.iter().find(|(shown, _)| *shown >= stage).expect("shown in the end").1;
                ages.push(at - status_at(step, begun));
                stage += 1;
            }
        }
        ages.sort_unstable();
        ages
    }
}

fn at(sorted: &[i64], share: f64) -> Duration {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let index = ((sorted.len() - 1) as f64 * share) as usize;
    Duration::from_millis(u64::try_from(sorted[index]).unwrap_or_default())
}

#[test]
fn the_limits_hold_and_statuses_go_before_positions() {
    let (count, span_ms) = (330, 10 * HOUR);
    let figures = simulate(count, span_ms, [16, 83, 333]);
    assert_eq!(figures.refused, 0, "HubRise never had to say that it was too many");
    // 330 orders have to be looked at and posted, and end as delivered: the day has room for half of that.
    assert!(figures.requests["post_delivery"] == 330, "{:?}", figures.requests);
    assert!(figures.positions < 66, "a fifth of the day is never theirs: {}", figures.positions);
}

#[test]
fn with_room_enough_statuses_are_shown_at_once() {
    let (count, span_ms) = (60, 10 * HOUR);
    let figures = simulate(count, span_ms, [500, 2_500, 10_000]);
    let ages = figures.ages(count, span_ms);
    assert_eq!(at(&ages, 1.0), Duration::ZERO, "each at the moment it was said");
    assert_eq!(figures.requests["get_order"], 60);
    assert_eq!(figures.requests["post_delivery"], 60);
    // Five further statuses; of the positions, minutes apart, each is sent.
    assert_eq!(figures.requests["patch_delivery"], 60 * (5 + 6));
    assert_eq!(figures.positions, 60 * 6);
}

#[test]
#[ignore = "minutes long; for the figures in docs/hubrise.md"]
fn a_whole_day() {
    let (count, span_ms) = (10_000, 10 * HOUR);
    let figures = simulate(count, span_ms, [500, 2_500, 10_000]);
    let ages = figures.ages(count, span_ms);
    println!(
        "{} requests {:?}, of which positions alone {}; 429: {}; messages handled {}; over after {:.1} h",
        figures.total(),
        figures.requests,
        figures.positions,
        figures.refused,
        figures.handled,
        (figures.ended_ms - NINE) as f64 / HOUR as f64,
    );
    for share in [0.5, 0.9, 0.99, 1.0] {
        println!("age of a status, {share}: {:?}", at(&ages, share));
    }
    assert_eq!(figures.refused, 0);
}
