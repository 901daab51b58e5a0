//! What happens in one schedule, as far as it is decided before it runs: a function of its seed. A schedule can be made
//! smaller by leaving steps out.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use milepost::domain::journey::Personal;
use milepost::domain::samples::SampleSource;
use milepost::providers::SAMPLE_SOURCES;

use crate::dice::Dice;

mod draw;
mod recovery;
mod sink;

pub use self::recovery::RecoveryPlan;
pub use self::sink::{Order, OrderKind, SinkPlan};

use self::draw::{event_time, fault, rates, raw_status, resends};

/// When every schedule begins.
pub const EPOCH: Timestamp = Timestamp::constant(1_767_225_600, 0);
/// The journeys began so long before, so that a provider's time is never after the receipt.
const BEFORE: SignedDuration = SignedDuration::from_mins(60);

/// One schedule.
#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    pub receivers: usize,
    /// Workers of each provider.
    pub workers: usize,
    pub prefetch: u16,
    /// How long workers wait for an outage to end.
    pub patience: Duration,
    /// The longest wait before a retry.
    pub retry_cap: Duration,
    pub rates: Rates,
    /// How long faults go on after the last step.
    pub linger: Duration,
    pub providers: Vec<&'static dyn SampleSource>,
    pub events: Vec<Event>,
    pub sink: Option<SinkPlan>,
    pub recovery: Option<RecoveryPlan>,
    /// In order of time.
    pub steps: Vec<Step>,
}

/// How often a call of a port goes wrong by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// The request is lost.
    pub request: f64,
    /// The reply is lost, after the effect.
    pub reply: f64,
    /// For how long from the start replies are lost or late. Each such confirm of a copy that waits makes one copy more.
    pub reply_for: Duration,
    /// It takes seconds, or longer than is waited for.
    pub slow: f64,
    /// The broker refuses.
    pub refusal: f64,
    /// What a receiver answers does not reach the provider.
    pub answer: f64,
}

/// Something that happened at a provider, to be told by webhook.
#[derive(Clone)]
pub struct Event {
    pub provider: &'static dyn SampleSource,
    pub delivery: usize,
    /// Events of one delivery with equal bodies are one content.
    pub content: usize,
    /// Its place in the delivery, by the provider.
    pub order: usize,
    pub kind: Kind,
    /// The provider's word for the status.
    pub raw_status: String,
    pub body: Bytes,
    /// Sent again although it was accepted: so long after the first time.
    pub resends: Vec<u64>,
    /// So many workers end hard when they publish it.
    pub kills: u32,
    /// Whether what a subscriber ends with can be told by the provider's order alone.
    pub ordered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Update,
    /// Authentic, and about no delivery.
    Ignored,
    /// Authentic, and not readable.
    Unreadable,
    /// Signed with another secret.
    Forged,
}

/// Something that happens at a time.
#[derive(Debug, Clone)]
pub struct Step {
    pub at: Duration,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    /// A provider begins to send an event.
    Send(usize),
    /// Something happens that the provider never sends, but for HubRise's list of missed events.
    Untold(usize),
    /// A delivery's order comes into being at HubRise.
    Order(usize),
    /// A service says which order a delivery belongs to.
    Link(usize),
    Fault(Fault),
    Operator(Operator),
}

/// What goes wrong. A process is named by its slot, counted round.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Ends at once, and is started again after so many ms.
    Crash(usize, u64),
    /// The same at its n-th call of a port from now: before the call takes effect, or just after.
    CrashAtCall(usize, u32, Stage, u64),
    /// Is stopped as a rollout does.
    Drain(usize, u64),
    /// Does nothing for so long, and goes on.
    Stall(usize, u64),
    /// A process's connections to the broker, or everyone's.
    Broker(Option<usize>, Weather, u64),
    /// A process's connection to Redis, or everyone's.
    Redis(Option<usize>, Weather, u64),
    /// Redis loses the writes of the last so many ms.
    RedisLoses(u64),
    RedisEmpty,
    /// Redis's clock.
    RedisJumps(i64),
    /// A process's own clock.
    ClockJumps(usize, i64),
    /// A subscriber's full queue refuses updates.
    SubscriberFull(u64),
    /// The work queues refuse webhooks.
    QueueFull(u64),
    /// Confirms take seconds.
    Slow(u64),
    /// A sink's connections to HubRise, or everyone's.
    Hubrise(Option<usize>, Weather, u64),
    /// HubRise answers so for so many ms.
    HubriseAnswers(Trouble, u64),
    /// A reconciler's connections to the provider's API, or everyone's.
    Api(Option<usize>, Weather, u64),
    /// Its answers take seconds.
    ApiSlow(u64),
    /// It answers so for so many ms.
    ApiAnswers(Trouble, u64),
}

/// What HubRise or a provider's API does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// 500, and nothing was done.
    Error,
    /// 500, although it was done.
    ErrorAfterEffect,
    /// A proxy's page.
    Page,
    /// 429, with `Retry-After` if there are seconds.
    TooMany(Option<u64>),
    /// 401 or 403.
    Denied(u16),
    /// It does not know the order.
    Absent,
    /// 422 that names `driver_phone`, and quotes it.
    RefusesPhones,
    /// 422 that names no field.
    RefusesStatuses,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Before,
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Fine,
    /// No connection.
    Down,
    /// Connected, and nothing is answered; what was sent may be done when it is over.
    Hanging,
    /// This one connection gets no answers, for as long as it is kept.
    Silent,
}

#[derive(Debug, Clone, Copy)]
pub enum Operator {
    Replay {
        force: bool,
    },
    Discard,
    /// A new secret, beside the old one; later the old one goes.
    Rotate,
    /// Says that webhooks may have been missed for so long.
    Recover {
        since: Duration,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}s  {:?}", self.at.as_secs_f64(), self.what)
    }
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let count = if dice.happens(0.3) { 2 } else { 1 };
        let mut providers: Vec<&'static dyn SampleSource> = Vec::new();
        while providers.len() < count {
            let provider = dice.pick(SAMPLE_SOURCES);
            if providers.iter().all(|known| known.id() != provider.id()) {
                providers.push(provider);
            }
        }
        let mut plan = Self {
            seed,
            receivers: 2,
            workers: if dice.happens(0.7) { 2 } else { 3 },
            prefetch: dice.pick(&[1, 2, 8, 256]),
            patience: Duration::from_secs(dice.pick(&[20, 600])),
            retry_cap: Duration::from_secs(dice.pick(&[2, 8, 2100, 2100])),
            rates: rates(&mut dice),
            linger: Duration::from_secs(dice.pick(&[1, 1, 1, 1, 20, 120, 7_200])),
            providers,
            events: Vec::new(),
            sink: None,
            recovery: None,
            steps: Vec::new(),
        };
        for delivery in 0..dice.pick(&[1_usize, 2, 2, 3]) {
            plan.tell(delivery, &mut dice);
        }
        plan.sink();
        plan.break_things(&mut dice);
        plan.recovery();
        plan.steps.sort_by_key(|step| step.at);
        plan
    }

    /// How many processes there are.
    pub fn slots(&self) -> usize {
        self.receivers
            + self.workers * self.providers.len()
            + self.sink.as_ref().map_or(0, |sink| sink.replicas)
            + self.recovery.as_ref().map_or(0, |plan| plan.replicas)
    }

    /// Tells this schedule's deliveries from others'.
    fn tag(&self) -> String {
        format!("{:012x}", self.seed & 0xFFFF_FFFF_FFFF)
    }

    /// Adds a delivery.
    fn tell(&mut self, delivery: usize, dice: &mut Dice) {
        let provider = dice.pick(&self.providers);
        let journeys = provider.journeys();
        let journey = &journeys[dice.index(journeys.len())];
        let mut names: Vec<&'static str> = journey.steps.to_vec();
        if names.len() > 4 && dice.happens(0.5) {
            // Webhooks may be missing.
            let from = dice.index(names.len() - 3);
            names = names.split_off(from);
            names.truncate(dice.index(3) + 2);
        }
        let timed = matches!(provider.id().as_str(), "telyport" | "247express");
        let gap = if timed { dice.pick(&[180, 180, 20, 5]) } else { 180 };
        let pace = dice.pick(&[50, 500, 3_000, 12_000]);
        let ordered = journey.name != "two_couriers";
        let mut at = dice.below(2_000);
        let tag = self.tag();
        let horizon = u64::try_from(provider.resend_horizon().as_millis()).unwrap_or(u64::MAX);
        for (order, name) in names.iter().enumerate() {
            let step = u32::try_from(order).unwrap_or(0);
            let sample = provider.samples().iter().find(|sample| sample.name == *name).expect("a sample");
            let shift = SignedDuration::from_secs(i64::from(step) * (gap - 180));
            let begun = EPOCH - BEFORE + shift;
            let number = delivery as u64;
            let mut personal = Personal { tag: &tag, number, steps: &names, step, begun };
            let mut body = draw::body(provider, sample, &personal);
            // Where a provider is asked, its clock is right: then it says when it happens.
            if recovery::may_have_one(self.seed)
                && let Some(time) = event_time(provider, &body)
            {
                personal.begun += (EPOCH + Duration::from_millis(at)).duration_since(time);
                body = draw::body(provider, sample, &personal);
            }
            let raw_status = raw_status(provider, &body);
            let body: Bytes = body.to_string().into();
            let event = Event {
                provider,
                delivery,
                content: self.events.len(),
                order: 2 * order,
                kind: Kind::Update,
                raw_status,
                body,
                resends: resends(provider, horizon, dice),
                kills: if dice.happens(0.02) { dice.pick(&[1, 3, 6, 8]) } else { 0 },
                ordered,
            };
            let by_content = matches!(provider.id().as_str(), "deliverect" | "dash");
            let recurs = by_content && order + 1 < names.len() && dice.happens(0.25);
            let event = if recurs { self.recurring(at, horizon, event, dice) } else { event };
            self.send(at, event);
            at += dice.below(2 * pace);
        }
        if dice.happens(0.15) {
            self.oddity(provider, delivery, dice);
        }
    }

    /// Plans the same content once more, beyond the horizon: another courier, and back. Returns the first of them, which is
    /// often in trouble.
    fn recurring(&mut self, at: u64, horizon: u64, event: Event, dice: &mut Dice) -> Event {
        let again = at + horizon + dice.pick(&[500, 5_000, 20_000]);
        let second = Event { order: event.order + 1, resends: Vec::new(), ordered: false, ..event.clone() };
        self.send(again, second);
        if dice.happens(0.5) {
            return event;
        }
        let full = Fault::SubscriberFull(dice.pick(&[30_000, 60_000, 120_000]));
        let from = Duration::from_millis(at + dice.below(horizon));
        self.steps.push(Step { at: from, what: What::Fault(full) });
        let resends = vec![dice.between(horizon / 4, horizon - 10_000)];
        Event { resends, kills: dice.pick(&[0, 1, 2, 3]), ..event }
    }

    /// Adds a webhook that is no update.
    fn oddity(&mut self, provider: &'static dyn SampleSource, delivery: usize, dice: &mut Dice) {
        let known = self.events.last().map(|event| event.body.clone()).unwrap_or_default();
        let stores = matches!(provider.id().as_str(), "telyport" | "dash" | "hubrise");
        let (kind, body): (_, Bytes) = match dice.below(3) {
            0 if provider.id().as_str() == "telyport" => {
                (Kind::Ignored, Bytes::from_static(br#"{"event":"AGENT.MOVED","data":{"orderID":"x"}}"#))
            }
            1 if stores => (Kind::Unreadable, Bytes::from_static(br#"{"deliveryID": "#)),
            _ => (Kind::Forged, known),
        };
        let (content, raw_status) = (self.events.len(), String::new());
        let event = Event {
            provider,
            delivery,
            content,
            order: 0,
            kind,
            raw_status,
            body,
            resends: Vec::new(),
            kills: 0,
            ordered: false,
        };
        self.send(dice.below(10_000), event);
    }

    fn send(&mut self, at: u64, event: Event) {
        self.steps.push(Step { at: Duration::from_millis(at), what: What::Send(self.events.len()) });
        self.events.push(event);
    }

    fn break_things(&mut self, dice: &mut Dice) {
        let last = self.steps.iter().map(|step| step.at).max().unwrap_or_default();
        let end = u64::try_from(last.as_millis()).unwrap_or(0) + 15_000;
        let slots = self.slots() as u64;
        for _ in 0..dice.pick(&[0, 2, 4, 8, 12, 16]) {
            let what = What::Fault(fault(dice, slots));
            self.steps.push(Step { at: Duration::from_millis(dice.below(end)), what });
        }
        for _ in 0..dice.pick(&[0, 0, 1, 3]) {
            let what = What::Operator(match dice.below(6) {
                0..=2 => Operator::Replay { force: false },
                3 => Operator::Replay { force: true },
                4 => Operator::Rotate,
                _ => Operator::Discard,
            });
            let linger = u64::try_from(self.linger.as_millis()).unwrap_or(0);
            let at = if dice.happens(0.5) { dice.below(end) } else { dice.below(end + linger) };
            self.steps.push(Step { at: Duration::from_millis(at), what });
        }
    }
}
