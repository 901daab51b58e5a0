//! With any order and any faults, HubRise shows the delivery's last state in the end.
//!
//! The sink itself runs here, two replicas of it, against the stand-in's rules. Time is a number, the broker a list, and
//! every step of every message (a read, a swap, a request, its answer) is taken one by one in an order that chance
//! decides; so is which replica is killed, when Redis forgets everything, and what HubRise does instead of answering.

use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use milepost::adapters::memory::MemoryCells;
use milepost::cli::fake::hubrise::world::{StandInCall, StandInOrder, World};
use milepost::ports::{Cell, Cells, CellsError, Clock, Swap};
use milepost::sinks::hubrise::Hubrise;
use milepost::sinks::hubrise::api::Api;
use milepost::sinks::hubrise::core::answer::RawAnswer;
use milepost::sinks::hubrise::core::desk::Budget;
use milepost::sinks::hubrise::core::record::Style;
use milepost::sinks::hubrise::core::request::Request;
use milepost::sinks::hubrise::core::rule::{OrderId, ReferenceKind, ReferencePattern, Rule};
use milepost::sinks::hubrise::settings::{Connection, LIMITS, Settings};
use milepost::sinks::{Sink, SinkMessage, SinkOutcome, Verdict};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::{NINE, SECOND, event};

const ORDER: &str = "7kq2m";
const LEASE: Duration = Duration::from_secs(30);

/// What everybody shares.
struct Shared {
    now_ms: AtomicI64,
    rng: Mutex<StdRng>,
    world: Mutex<World>,
    store: Mutex<Arc<MemoryCells>>,
    /// Whether HubRise still has faults.
    faulty: Mutex<bool>,
    requests: Mutex<Vec<String>>,
}

impl Shared {
    fn chance(&self, share: f64) -> bool {
        self.rng.lock().unwrap().random_bool(share)
    }

    fn below(&self, end: usize) -> usize {
        self.rng.lock().unwrap().random_range(0..end)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms.load(Ordering::Relaxed)).unwrap()
    }
}

struct SimClock(Arc<AtomicI64>);

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// Pending once: somebody else may have a turn.
async fn turn() {
    let mut waited = false;
    std::future::poll_fn(
        |_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending },
    )
    .await;
}

struct StepCells(Arc<Shared>);

#[async_trait]
impl Cells for StepCells {
    async fn read(&self, key: &str) -> Result<Cell, CellsError> {
        turn().await;
        let store = Arc::clone(&self.0.store.lock().unwrap());
        let cell = store.read(key).await;
        turn().await;
        cell
    }

    async fn swap(&self, key: &str, old: Option<&str>, new: &str, ttl: Duration) -> Result<Swap, CellsError> {
        turn().await;
        let store = Arc::clone(&self.0.store.lock().unwrap());
        let swap = store.swap(key, old, new, ttl).await;
        turn().await;
        if *self.0.faulty.lock().unwrap() && self.0.chance(0.02) {
            return Err(CellsError("the answer got lost".to_owned()));
        }
        swap
    }
}

struct StepApi(Arc<Shared>);

impl StepApi {
    fn act(&self, order: &OrderId, request: &Request) -> RawAnswer {
        let body = request.body().map(|body| body.to_string()).unwrap_or_default();
        self.0.requests.lock().unwrap().push(format!("{} {body}", request.as_str()));
        let path = request.path(&order.location, &order.order);
        let call = StandInCall { method: request.method(), path, body: body.as_bytes() };
        let reply = self.0.world.lock().unwrap().answer(&call, self.0.now());
        RawAnswer { code: reply.code, retry_after: None, body: Some(reply.body.to_string().into_bytes()) }
    }
}

#[async_trait]
impl Api for StepApi {
    fn token(&self, _: &str) -> Option<String> {
        Some("t".to_owned())
    }

    async fn send(&self, _: &str, order: &OrderId, request: &Request) -> Result<RawAnswer, &'static str> {
        turn().await;
        let faulty = *self.0.faulty.lock().unwrap();
        let fault = if faulty { self.0.below(12) } else { usize::MAX };
        let page = |code| RawAnswer { code, retry_after: None, body: Some(b"<html>".to_vec()) };
        match fault {
            0 => return Ok(page(502)),
            1 => return Err("it does not answer"),
            2 => {
                return Ok(RawAnswer {
                    code: 429,
                    retry_after: Some("3".to_owned()),
                    body: Some(Vec::new()),
                });
            }
            3 => return Ok(page(200)),
            _ => {}
        }
        let answer = self.act(order, request);
        turn().await;
        match fault {
            4 => Ok(page(500)),
            5 => Err("its answer got lost"),
            6 => Ok(page(200)),
            _ => Ok(answer),
        }
    }
}

type Handling = Pin<Box<dyn Future<Output = Result<Verdict, CellsError>>>>;

/// A message in a replica's hands.
struct Held {
    replica: usize,
    message: SinkMessage,
    handling: Handling,
}

struct Sim {
    shared: Arc<Shared>,
    clock: Arc<AtomicI64>,
    replicas: Vec<Arc<Hubrise>>,
    /// When each comes (again).
    queue: Vec<(i64, SinkMessage)>,
    held: Vec<Held>,
    ended: Vec<Verdict>,
    steps: u32,
    retries: u32,
}

pub(super) fn settings(style: Style) -> Settings {
    let rule =
        Rule { from: ReferenceKind::ALL.to_vec(), pattern: ReferencePattern::parse("{order}").unwrap() };
    let connection = Connection {
        name: "paris".to_owned(),
        locations: vec!["3r4s3-1".to_owned()],
        accounts: vec![("telyport".to_owned(), "default".to_owned())],
        rule,
        style,
        budget: Budget { limits: LIMITS.to_vec(), reserve: 0.2 },
        interval: Duration::from_secs(30),
    };
    let day = Duration::from_hours(24);
    Settings {
        connections: vec![connection],
        lease: LEASE,
        memory: 14 * day,
        unlinked_for: day,
        unlinked_most: 100,
    }
}

impl Sim {
    fn new(seed: u64, messages: Vec<(i64, SinkMessage)>) -> Self {
        let mut world = World::new("3r4s3-1");
        world.orders.insert(ORDER.to_owned(), StandInOrder::to_deliver());
        let clock = Arc::new(AtomicI64::new(NINE));
        let shared = Arc::new(Shared {
            now_ms: AtomicI64::new(NINE),
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
            world: Mutex::new(world),
            store: Mutex::new(Arc::new(MemoryCells::new(Arc::new(SimClock(Arc::clone(&clock)))))),
            faulty: Mutex::new(true),
            requests: Mutex::default(),
        });
        let mut sim = Self {
            shared,
            clock,
            replicas: Vec::new(),
            queue: messages,
            held: Vec::new(),
            ended: Vec::new(),
            steps: 0,
            retries: 0,
        };
        sim.replicas = (0..2).map(|_| sim.replica()).collect();
        sim
    }

    fn replica(&self) -> Arc<Hubrise> {
        let (store, api) = (StepCells(Arc::clone(&self.shared)), StepApi(Arc::clone(&self.shared)));
        Arc::new(Hubrise::new(settings(Style::default()), Arc::new(store), Arc::new(api)))
    }

    fn now(&self) -> i64 {
        self.clock.load(Ordering::Relaxed)
    }

    fn advance(&self, to_ms: i64) {
        self.clock.store(to_ms, Ordering::Relaxed);
        self.shared.now_ms.store(to_ms, Ordering::Relaxed);
    }

    /// Runs until every message has ended.
    fn run(&mut self, forgets: bool) {
        while !(self.queue.is_empty() && self.held.is_empty()) {
            self.steps += 1;
            assert!(self.steps < 200_000, "it does not end: {:?}", self.queue);
            if self.steps == 400 {
                *self.shared.faulty.lock().unwrap() = false;
            }
            let faulty = *self.shared.faulty.lock().unwrap();
            if faulty && self.shared.chance(0.01) {
                self.kill(self.shared.below(2));
            }
            if faulty && forgets && self.shared.chance(0.005) {
                let clock = Arc::new(SimClock(Arc::clone(&self.clock)));
                *self.shared.store.lock().unwrap() = Arc::new(MemoryCells::new(clock));
            }
            let due: Vec<_> = (0..self.queue.len()).filter(|&at| self.queue[at].0 <= self.now()).collect();
            if !due.is_empty() && self.held.len() < 6 && (self.held.is_empty() || self.shared.chance(0.3)) {
                self.take(due[self.shared.below(due.len())]);
            } else if !self.held.is_empty() {
                self.step(self.shared.below(self.held.len()));
            } else {
                let next = self.queue.iter().map(|(due, _)| *due).min().expect("not empty");
                self.advance(next);
            }
        }
    }

    fn take(&mut self, at: usize) {
        let (_, message) = self.queue.remove(at);
        let replica = self.shared.below(2);
        let sink = Arc::clone(&self.replicas[replica]);
        let taken = SinkMessage { now_ms: self.now(), ..message.clone() };
        let handling = Box::pin(async move { sink.handle(&taken).await });
        self.held.push(Held { replica, message, handling });
    }

    fn step(&mut self, at: usize) {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(verdict) = self.held[at].handling.as_mut().poll(&mut context) else { return };
        let Held { mut message, .. } = self.held.remove(at);
        let now = self.now();
        match verdict {
            Err(_) => self.queue.push((now, message)),
            Ok(Verdict::Later { delay, why }) => {
                message.reason = Some(why.as_str().to_owned());
                self.queue.push((now + i64::try_from(delay.as_millis()).unwrap(), message));
            }
            Ok(Verdict::Retry(why)) => {
                message.reason = Some(why.as_str().to_owned());
                self.retries += 1;
                self.queue.push((now + 2 * SECOND, message));
            }
            Ok(ended) => self.ended.push(ended),
        }
    }

    /// `kill -9`: what it held comes again.
    fn kill(&mut self, replica: usize) {
        let (dead, alive) =
            std::mem::take(&mut self.held).into_iter().partition(|held| held.replica == replica);
        self.held = alive;
        let dead: Vec<Held> = dead;
        let now = self.now();
        self.queue.extend(dead.into_iter().map(|held| (now, held.message)));
        self.replicas[replica] = self.replica();
    }

    fn shown(&self) -> Value {
        let world = self.shared.world.lock().unwrap();
        json!(world.orders[ORDER].delivery)
    }
}

/// A step of a delivery: its status, whether it moved, and who carries it.
#[derive(Debug, Clone)]
struct SaidValue {
    status: &'static str,
    latitude: Option<u32>,
    courier: Option<u32>,
    gap_s: i64,
}

/// Journeys as providers make them, so that `order` and `previous_status` are true.
fn journey() -> impl Strategy<Value = Vec<SaidValue>> {
    let journeys = prop::sample::select(vec![
        &["created", "assigned", "pickup_arrived", "picked_up", "dropoff_arrived", "delivered"][..],
        &["created", "assigned", "created", "assigned", "picked_up", "delivered"],
        &[
            "assigned",
            "pickup_en_route",
            "picked_up",
            "assigned",
            "picked_up",
            "dropoff_en_route",
            "cancelled",
        ],
        &["created", "assigned", "cancelled", "assigned", "pickup_arrived"],
        &["created", "assigned", "picked_up", "on_hold", "dropoff_en_route", "return_initiated", "returned"],
        &["picked_up", "cancelled", "delivered"],
        &["created", "assigned", "picked_up", "dropoff_arrived"],
    ]);
    let detail = (prop::option::of(0..9_u32), prop::option::of(0..3_u32), 1..40_i64, 1..3_usize);
    (journeys, prop::collection::vec(detail, 8)).prop_map(|(statuses, details)| {
        let mut said = Vec::new();
        for (&status, (latitude, courier, gap_s, times)) in statuses.iter().zip(details) {
            for repeat in 0..times {
                // A status is repeated for another position alone.
                let latitude = if repeat > 0 { Some(10 + gap_s.unsigned_abs() as u32) } else { latitude };
                let courier = courier.filter(|_| repeat == 0);
                said.push(SaidValue { status, latitude, courier, gap_s });
            }
        }
        said
    })
}

/// The events of a journey, with the time that each comes at.
fn events(journey: &[SaidValue]) -> Vec<(i64, Value)> {
    let (mut now_ms, mut previous) = (NINE, None);
    let mut events = Vec::new();
    for said in journey {
        now_ms += said.gap_s * SECOND;
        let time = Timestamp::from_millisecond(now_ms).unwrap().to_string();
        let mut data = json!({ "time": time, "received_at": time });
        if let Some(previous) = previous {
            data["previous_status"] = json!(previous);
        }
        if let Some(latitude) = said.latitude {
            data["position"] = json!({ "latitude": format!("45.{latitude}1"), "longitude": "4.8" });
        }
        if let Some(courier) = said.courier {
            data["courier"] = json!({ "name": format!("Rider {courier}"), "phone": format!("+33{courier}") });
        }
        events.push((now_ms, event(u64::try_from(now_ms + 300).unwrap(), said.status, &data)));
        previous = Some(said.status);
    }
    events
}

/// What HubRise should show: the status, and the time that goes with it, by a walk along the journey.
fn expected(journey: &[SaidValue]) -> (&'static str, &'static str, i64) {
    let mut now_ms = NINE;
    let (mut status, mut since_ms) = ("", 0);
    for said in journey {
        now_ms += said.gap_s * SECOND;
        let next = match said.status {
            "created" => "pending",
            "assigned" | "pickup_en_route" => "pickup_enroute",
            "pickup_arrived" => "pickup_waiting",
            "picked_up" | "dropoff_en_route" => "dropoff_enroute",
            "dropoff_arrived" => "dropoff_waiting",
            "delivered" => "delivered",
            "cancelled" | "returned" => "cancelled",
            _ => continue,
        };
        if next != status {
            (status, since_ms) = (next, now_ms);
        }
    }
    let time = match status {
        "pickup_enroute" => "assigned_at",
        "dropoff_enroute" => "pickup_at",
        "delivered" => "delivered_at",
        "cancelled" => "cancelled_at",
        _ => "",
    };
    (status, time, since_ms)
}

fn instant_ms(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn message(event: &Value) -> SinkMessage {
    SinkMessage { body: event.to_string().into(), reason: None, replayed: false, now_ms: NINE }
}

fn seed() -> impl Strategy<Value = u64> {
    any::<u64>()
}

/// Runs a journey, and returns what went wrong.
fn converges(journey: &[SaidValue], seed: u64, forgets: bool, shuffled: bool) -> Result<(), TestCaseError> {
    let events = events(journey);
    let mut messages: Vec<_> = events.iter().map(|(at_ms, event)| (*at_ms, message(event))).collect();
    if shuffled {
        // All at once, and each twice, as the broker may give them.
        messages = messages.iter().chain(&messages).map(|(_, message)| (NINE, message.clone())).collect();
    }
    let mut sim = Sim::new(seed, messages);
    sim.run(forgets);
    let shown = sim.shown();
    let requests = sim.shared.requests.lock().unwrap().join("\n");
    let (status, time, since_ms) = expected(journey);
    prop_assert_eq!(&shown["status"], &json!(status), "{}\n{}", shown, requests);
    // A Redis that forgets takes with it what settled updates said of times, couriers and positions (docs/simulation.md).
    if !time.is_empty() && !forgets {
        prop_assert_eq!(instant_ms(&shown[time]), Some(since_ms), "{}\n{}", shown, requests);
    }
    prop_assert_eq!(sim.shared.world.lock().unwrap().posts, 1);
    for verdict in &sim.ended {
        prop_assert!(
            matches!(verdict, Verdict::Done(SinkOutcome::Shown | SinkOutcome::Ignored)),
            "{:?}",
            verdict
        );
    }
    if !matches!(status, "delivered" | "cancelled") && !forgets {
        let last = |said: fn(&SaidValue) -> Option<String>| journey.iter().rev().find_map(said);
        let courier = last(|said| said.courier.map(|courier| format!("Rider {courier}")));
        let latitude = last(|said| said.latitude.map(|latitude| format!("45.{latitude}1")));
        prop_assert_eq!(&shown["driver_name"], &json!(courier), "{}\n{}", shown, requests);
        prop_assert_eq!(&shown["driver_latitude"], &json!(latitude), "{}\n{}", shown, requests);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn in_order_with_crashes_and_faults(journey in journey(), seed in seed()) {
        converges(&journey, seed, false, false)?;
    }

    #[test]
    fn in_any_order_and_twice(journey in journey(), seed in seed()) {
        converges(&journey, seed, false, true)?;
    }

    #[test]
    fn though_redis_forgets(journey in journey(), seed in seed()) {
        converges(&journey, seed, true, false)?;
    }
}
