//! Every exchange, queue and binding Milepost needs, as data.
//!
//! Arguments cannot be changed once a queue exists, so the names whose arguments might carry a version. What may
//! change on a running broker (the work queues' size bound) is a policy, not an argument: see docs/operate.md.

mod declaring;

use std::time::Duration;

use lapin::ExchangeKind;
use lapin::types::{AMQPValue, FieldTable};

pub use self::declaring::TopologyError;
pub(super) use self::declaring::failed;
use super::delay::{self, DelayLevels};
use super::max_age::MaxAge;
use crate::domain::provider::ProviderId;

/// Receivers publish here, by provider.
pub const WEBHOOKS: &str = "milepost.webhooks";
pub const PARKED: &str = "milepost.parked";
/// Updates, for subscribers to bind to.
pub const UPDATES: &str = "milepost.updates";
/// The stream that keeps every update.
pub const UPDATES_LOG: &str = "milepost.updates.log";
/// The stream that keeps what operators did.
pub const AUDIT: &str = "milepost.audit";
/// How long, and how much of it: a page of one act has some hundred bytes.
const AUDIT_MAX_AGE: &str = "1Y";
const AUDIT_MAX_BYTES: i64 = 1 << 30;
/// A stream gives up whole segments, so they must be small enough for age to count.
const AUDIT_SEGMENT_BYTES: i64 = 16 << 20;
/// Catches what should be impossible: a message no queue was bound for.
pub const UNROUTED: &str = "milepost.unrouted";
/// No queue of ours takes a message out for how often it was given out: each lost connection counts one for all that it
/// had in hand, whichever message is to blame, so the worker finds that one (`pipeline/trials.rs`). A number, since "no
/// limit" is -1 on RabbitMQ 4, where unset is 20, and -1 takes a message out at its first return on 3.10.
const UNLIMITED_DELIVERIES: i64 = 1_000_000_000;

/// A parked message counts as so many bytes at least.
const LEAST_PARKED_BYTES: u64 = 1024;

/// Where a new queue's leader is, and that leaders spread over the nodes.
const LEADER_LOCATOR: &str = "x-queue-leader-locator";
const BALANCED: &str = "balanced";

/// Services say here which order of another system a delivery belongs to.
pub const LINKS: &str = "milepost.links";

/// What the names of sinks, and of their queues of links, begin with where providers' names are.
const KINDS: [(&str, &str); 2] = [("sink-", "milepost.sink."), ("links-", "milepost.links.")];

/// The work queue of a provider, or of a sink.
#[must_use]
pub fn work_queue(provider: ProviderId) -> String {
    let of_sink =
        |(name, queue): (&str, &str)| Some(format!("{queue}{}", provider.as_str().strip_prefix(name)?));
    KINDS.into_iter().find_map(of_sink).unwrap_or_else(|| format!("{WEBHOOKS}.{provider}"))
}

/// Whether the name is a sink's.
#[must_use]
pub(super) fn is_sink(provider: ProviderId) -> bool {
    KINDS.into_iter().any(|(name, _)| provider.as_str().starts_with(name))
}

#[must_use]
pub fn parked_queue(provider: ProviderId) -> String {
    format!("{PARKED}.{provider}")
}

/// Whether a role declares what it needs, or only checks that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopologyMode {
    /// Declare it: needs the right to configure.
    Apply,
    /// Check it, passively: needs no right to configure.
    Verify,
}

/// What may differ between installations.
#[derive(Debug, Clone)]
pub struct TopologySettings {
    /// How long the stream keeps updates.
    pub updates_max_age: MaxAge,
    /// How many bytes of updates the stream keeps.
    pub updates_max_bytes: u64,
    /// How large a segment of the stream is: it goes as a whole, and the one that is written to never.
    pub updates_segment_bytes: u64,
    /// How many bytes a parked queue holds before it refuses more: a body counts as 1 KiB at least.
    pub parked_max_bytes: u64,
    pub delay_unit: Duration,
}

/// A queue of a sink's, and where what is in it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkQueue {
    /// Its name where providers' names are.
    pub id: ProviderId,
    pub source: &'static str,
    /// The patterns that it takes.
    pub patterns: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Exchange {
    pub name: String,
    pub kind: ExchangeKind,
    /// Where it sends what nothing is bound for.
    pub alternate: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub struct Queue {
    pub name: String,
    pub arguments: FieldTable,
}

#[derive(Debug, Clone)]
pub struct Binding {
    /// The exchange it takes from.
    pub source: String,
    /// The queue or exchange it gives to.
    pub destination: String,
    /// Whether `destination` is an exchange.
    pub to_exchange: bool,
    pub key: String,
}

#[derive(Debug, Clone, Default)]
pub struct Topology {
    pub exchanges: Vec<Exchange>,
    pub queues: Vec<Queue>,
    pub bindings: Vec<Binding>,
}

impl Exchange {
    pub(super) fn arguments(&self) -> FieldTable {
        table(self.alternate.map(|alternate| ("alternate-exchange", text(alternate))))
    }
}

impl Topology {
    /// What these providers' webhooks need on their way in, and no more: a receiver takes them even while the stream
    /// of updates, say, is unavailable.
    #[must_use]
    pub fn intake(settings: &TopologySettings, providers: &[ProviderId]) -> Self {
        let mut topology = Self::default();
        topology.exchange(UNROUTED, ExchangeKind::Fanout, None);
        topology.own_queue(UNROUTED, [("x-delivery-limit", number(UNLIMITED_DELIVERIES))]);
        topology.bind(UNROUTED, UNROUTED, "");
        topology.exchange(WEBHOOKS, ExchangeKind::Direct, Some(UNROUTED));
        topology.exchange(PARKED, ExchangeKind::Direct, Some(UNROUTED));
        for &provider in providers {
            topology.provider(settings, provider);
        }
        topology
    }

    /// All that these providers' webhooks need, from intake to subscribers.
    #[must_use]
    pub fn new(settings: &TopologySettings, providers: &[ProviderId]) -> Self {
        let mut topology = Self::intake(settings, providers);
        topology.updates(settings);
        topology.delays(DelayLevels::new(settings.delay_unit));
        for &provider in providers {
            topology.bind(delay::DELIVERY_EXCHANGE, &work_queue(provider), &format!("#.{provider}"));
        }
        topology
    }

    /// And what these sinks' queues need. Replayed messages come back by way of the exchange of webhooks.
    #[must_use]
    pub fn and_sinks(mut self, settings: &TopologySettings, sinks: &[SinkQueue]) -> Self {
        for SinkQueue { id, source, patterns } in sinks {
            if *source == LINKS {
                self.exchange(LINKS, ExchangeKind::Topic, Some(UNROUTED));
            }
            self.provider(settings, *id);
            let queue = work_queue(*id);
            self.bind(delay::DELIVERY_EXCHANGE, &queue, &format!("#.{id}"));
            for pattern in patterns {
                self.bind(source, &queue, pattern);
            }
        }
        self
    }

    fn updates(&mut self, settings: &TopologySettings) {
        self.updates_exchange();
        let log = [
            ("x-queue-type", text("stream")),
            ("x-max-age", text(settings.updates_max_age.as_str())),
            ("x-max-length-bytes", bytes(settings.updates_max_bytes)),
            ("x-stream-max-segment-size-bytes", bytes(settings.updates_segment_bytes)),
            (LEADER_LOCATOR, text(BALANCED)),
        ];
        self.queues.push(Queue { name: UPDATES_LOG.to_owned(), arguments: table(log) });
        self.bind(UPDATES, UPDATES_LOG, "#");
    }

    /// And the stream of what operators did, which they publish to by the queue's own name.
    #[must_use]
    pub fn and_audit(mut self) -> Self {
        let audit = [
            ("x-queue-type", text("stream")),
            ("x-max-age", text(AUDIT_MAX_AGE)),
            ("x-max-length-bytes", number(AUDIT_MAX_BYTES)),
            ("x-stream-max-segment-size-bytes", number(AUDIT_SEGMENT_BYTES)),
        ];
        self.queues.push(Queue { name: AUDIT.to_owned(), arguments: table(audit) });
        self
    }

    /// The exchange alone that subscribers bind to. The stream takes every update; should somebody delete it, none is
    /// lost even so.
    pub(super) fn updates_exchange(&mut self) {
        self.exchange(UPDATES, ExchangeKind::Topic, Some(UNROUTED));
    }

    fn delays(&mut self, levels: DelayLevels) {
        self.exchange(delay::DELIVERY_EXCHANGE, ExchangeKind::Topic, Some(UNROUTED));
        for level in 0..delay::LEVELS {
            let (name, next) = (delay::level_name(level), delay::next_exchange(level));
            self.exchange(&name, ExchangeKind::Topic, Some(UNROUTED));
            let ttl = i64::try_from(levels.ttl_millis(level)).unwrap_or(i64::MAX);
            self.own_queue(
                &name,
                [
                    ("x-message-ttl", number(ttl)),
                    ("x-dead-letter-exchange", text(&next)),
                    ("x-dead-letter-strategy", text("at-least-once")),
                    ("x-overflow", text("reject-publish")),
                ],
            );
            self.bind(&name, &name, &delay::digit_pattern(level, '1'));
            self.bindings.push(Binding {
                source: name,
                destination: next,
                to_exchange: true,
                key: delay::digit_pattern(level, '0'),
            });
        }
    }

    fn provider(&mut self, settings: &TopologySettings, provider: ProviderId) {
        let (work, parked) = (work_queue(provider), parked_queue(provider));
        self.own_queue(
            &work,
            [
                ("x-delivery-limit", number(UNLIMITED_DELIVERIES)),
                ("x-dead-letter-exchange", text(PARKED)),
                ("x-dead-letter-routing-key", text(provider.as_str())),
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
            ],
        );
        self.bind(WEBHOOKS, &work, provider.as_str());
        self.own_queue(
            &parked,
            [
                ("x-delivery-limit", number(UNLIMITED_DELIVERIES)),
                ("x-max-length-bytes", bytes(settings.parked_max_bytes)),
                // The broker counts bodies; the smallest costs it some hundred bytes.
                ("x-max-length", bytes((settings.parked_max_bytes / LEAST_PARKED_BYTES).max(1))),
                // Nothing is lost at the bound: see `pipeline/parking.rs`.
                ("x-overflow", text("reject-publish")),
            ],
        );
        self.bind(PARKED, &parked, provider.as_str());
    }

    fn exchange(&mut self, name: &str, kind: ExchangeKind, alternate: Option<&'static str>) {
        self.exchanges.push(Exchange { name: name.to_owned(), kind, alternate });
    }

    /// A quorum queue of Milepost's own. Without the locator the node that a role happens to be connected to would lead
    /// every queue that it declares.
    fn own_queue(&mut self, name: &str, arguments: impl IntoIterator<Item = (&'static str, AMQPValue)>) {
        self.quorum_queue(name, arguments.into_iter().chain([(LEADER_LOCATOR, text(BALANCED))]));
    }

    pub(super) fn quorum_queue(
        &mut self,
        name: &str,
        arguments: impl IntoIterator<Item = (&'static str, AMQPValue)>,
    ) {
        let mut arguments = table(arguments);
        arguments.insert("x-queue-type".into(), text("quorum"));
        self.queues.push(Queue { name: name.to_owned(), arguments });
    }

    pub(super) fn bind(&mut self, source: &str, destination: &str, key: &str) {
        self.bindings.push(Binding {
            source: source.to_owned(),
            destination: destination.to_owned(),
            to_exchange: false,
            key: key.to_owned(),
        });
    }
}

pub(super) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

pub(super) fn number(value: i64) -> AMQPValue {
    AMQPValue::LongLongInt(value)
}

/// An AMQP number of bytes.
fn bytes(value: u64) -> AMQPValue {
    number(i64::try_from(value).unwrap_or(i64::MAX))
}

fn table(arguments: impl IntoIterator<Item = (&'static str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    table
}
