//! Publishing with confirms, on a connection of its own.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{Stream, StreamExt as _};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, Event};
use tokio_util::sync::CancellationToken;

use super::answers::Answers;
use super::bursts::Bursts;
use super::channel::{AmqpMessage, PublishChannel};
use super::connection::{
    ConnectError, RabbitSettings, close, confirming, connect_avoiding, successor, within,
};
use super::delay::DelayLevels;
use super::envelope;
use super::places::Link;
use super::topology::{PARKED, Topology, TopologyMode, UPDATES, WEBHOOKS};
use crate::domain::event::CONTENT_TYPE;
use crate::domain::retry::reconnect_delay;
use crate::ports::{Outbound, PublishError, Publisher};
use crate::telemetry::metrics as m;
use crate::telemetry::traces;

/// How often a connection is looked at, beside listening to its events.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Publishes on one channel, which [`RabbitPublisher::run`] keeps open.
pub struct RabbitPublisher {
    settings: RabbitSettings,
    topology: Topology,
    mode: TopologyMode,
    delays: DelayLevels,
    channel: Arc<PublishChannel>,
    /// Where there is one, everything is published in bursts.
    bursts: Option<Arc<Bursts>>,
    blocked: AtomicBool,
    answers: Answers,
    /// The address of the connection that was lost or given up last: another one is tried first.
    avoided: Mutex<Option<SocketAddr>>,
    /// The topology was declared by this process once: from then on it is only looked at.
    declared: AtomicBool,
}

/// When a publish is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once: publishes come from many tasks.
    Each,
    /// With all that are made while their task runs: they come from one.
    Bursts,
}

/// A connection that can be published on.
struct Opened {
    /// What it was made with; or the one before, if it changed just then.
    url: Arc<str>,
    connection: Connection,
    link: Link,
    channel: Channel,
}

impl RabbitPublisher {
    /// Prepares. Nothing is published until [`Self::run`] has connected.
    #[must_use]
    pub fn new(
        settings: RabbitSettings,
        topology: Topology,
        mode: TopologyMode,
        delays: DelayLevels,
        pace: Pace,
    ) -> Arc<Self> {
        let channel = Arc::<PublishChannel>::default();
        let bursts = (pace == Pace::Bursts).then(|| Arc::new(Bursts::new(Arc::clone(&channel))));
        let (answers, avoided) = (Answers::default(), Mutex::default());
        let (blocked, declared) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self {
            settings,
            topology,
            mode,
            delays,
            channel,
            bursts,
            blocked,
            answers,
            avoided,
            declared,
        })
    }

    /// Connects, declares or checks the topology, and starts over with growing jittered pauses whenever the
    /// connection is lost; until `shutdown`. When the URL changes, the new connection is made before the old one goes.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut tries = 0;
        let mut connected_before = false;
        while !shutdown.is_cancelled() {
            match self.open().await {
                Ok(opened) => {
                    tries = 0;
                    let mut next = Some(opened);
                    while let Some(opened) = next {
                        if std::mem::replace(&mut connected_before, true) {
                            metrics::counter!(m::BROKER_RECONNECTS, "role" => "publish").increment(1);
                        }
                        next = self.serve(opened, &shutdown).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot publish yet"),
            }
            let pause = reconnect_delay(tries, rand::random());
            tries += 1;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn open(&self) -> Result<Opened, ConnectError> {
        let url = self.settings.url.now();
        let avoided = *self.avoided();
        let (connection, link) = connect_avoiding(avoided, &self.settings, "publish").await?;
        self.prepare(&connection).await?;
        let channel = confirming(&connection, self.settings.connect_timeout).await?;
        Ok(Opened { url, connection, link, channel })
    }

    /// Looks whether the broker has what is needed. Until this process declared that once it does so as well: a look compares
    /// no arguments and sees no bindings. But declaring takes each node of a cluster, of which one may hang, and a right: when
    /// all is there, it gets no more time than connecting does, and may be refused.
    async fn prepare(&self, connection: &Connection) -> Result<(), ConnectError> {
        let limit = 3 * self.settings.connect_timeout;
        let looking = async {
            let channel = connection.create_channel().await?;
            Ok(self.topology.verify(&channel).await?)
        };
        let looked = within(limit, looking).await;
        let there = looked.is_ok();
        if self.mode == TopologyMode::Verify || (there && self.declared.load(Ordering::Relaxed)) {
            return looked;
        }
        let declaring = async {
            let channel = connection.create_channel().await?;
            Ok(self.topology.apply(&channel).await?)
        };
        match within(if there { self.settings.connect_timeout } else { limit }, declaring).await {
            Ok(()) => self.declared.store(true, Ordering::Relaxed),
            Err(error) if there && (error.is_timeout() || error.is_no_right()) => {
                tracing::warn!(%error, "publishing: the topology is there, but could not be declared");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Publishes on this connection until it is lost, or `shutdown`; or until there is one with a newer URL, which is
    /// returned.
    async fn serve(
        &self,
        Opened { url, connection, link, channel }: Opened,
        shutdown: &CancellationToken,
    ) -> Option<Opened> {
        let mut events = pin!(connection.events_listener());
        self.blocked.store(connection.status().blocked(), Ordering::Relaxed);
        self.answers.forget();
        self.channel.set(Some(channel.clone()));
        metrics::gauge!(m::BROKER_CONNECTED, "role" => "publish").set(1.0);
        tracing::info!("publishing: connected");
        tokio::select! {
            () = self.watch(events.as_mut(), &connection, &channel) => {
                tracing::warn!("publishing: connection lost");
                *self.avoided() = Some(link.address());
            }
            () = shutdown.cancelled() => {}
            newer = successor(&self.settings.url, &url, || self.open()) => {
                tracing::info!("publishing: the URL changed");
                // What is under way on the old connection is confirmed there, or given up, within this time.
                let patience = self.settings.confirm_timeout;
                tokio::spawn(async move {
                    tokio::time::sleep(patience).await;
                    close(&connection).await;
                    link.cut();
                    // With its last owner lapin closes a channel, and what is not confirmed on it then never is.
                    drop(channel);
                });
                return Some(newer);
            }
        }
        self.channel.set(None);
        metrics::gauge!(m::BROKER_CONNECTED, "role" => "publish").set(0.0);
        close(&connection).await;
        link.cut();
        None
    }

    /// Returns when the connection or the channel can no longer be used: it is lost, or confirms nothing any more. The
    /// second may last for ever, with a connection that looks sound (a partition, a node that hangs).
    async fn watch(
        &self,
        mut events: std::pin::Pin<&mut (impl Stream<Item = Event> + Send)>,
        connection: &Connection,
        channel: &Channel,
    ) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        while connection.status().connected() && channel.status().connected() {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(reason, "publishing: the broker blocks us");
                        self.blocked.store(true, Ordering::Relaxed);
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!("publishing: no longer blocked");
                        self.blocked.store(false, Ordering::Relaxed);
                    }
                    Some(Event::Error(_)) | None => return,
                    Some(_) => {}
                },
                _ = look.tick() => {}
            }
            let silent = self.answers.none_since();
            if silent.is_some_and(|since| since.elapsed() >= 2 * self.settings.confirm_timeout) {
                tracing::warn!("publishing: nothing is confirmed on this connection: giving it up");
                return;
            }
        }
    }

    fn avoided(&self) -> MutexGuard<'_, Option<SocketAddr>> {
        // A panic elsewhere cannot leave an address half-written.
        self.avoided.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, message: AmqpMessage) -> Result<(), PublishError> {
        if self.blocked.load(Ordering::Relaxed) || self.answers.none_since().is_some() {
            return Err(PublishError::Unavailable);
        }
        let confirm = match &self.bursts {
            Some(bursts) => bursts.publish(message).await?,
            None => self.channel.publish(message).await?,
        };
        match confirm.await {
            Ok(Confirmation::Ack(_)) => Ok(()),
            Ok(Confirmation::Nack(_)) => Err(PublishError::Refused),
            Ok(Confirmation::NotRequested) | Err(_) => Err(PublishError::Unconfirmed),
        }
    }

    fn message(&self, outbound: Outbound) -> AmqpMessage {
        match outbound {
            Outbound::Raw(webhook) => AmqpMessage {
                exchange: WEBHOOKS.into(),
                routing_key: webhook.provider.as_str().into(),
                properties: envelope::properties(&webhook, None),
                body: webhook.body,
            },
            Outbound::Later(webhook, delay) => {
                let (exchange, routing_key) = self.delays.route(delay, webhook.provider);
                let properties = envelope::properties(&webhook, None);
                let (exchange, routing_key) = (exchange.into(), routing_key.into());
                AmqpMessage { exchange, routing_key, properties, body: webhook.body }
            }
            Outbound::Parked(webhook, reason, detail) => AmqpMessage {
                exchange: PARKED.into(),
                routing_key: webhook.provider.as_str().into(),
                properties: envelope::properties(&webhook, Some((reason, &detail))),
                body: webhook.body,
            },
            Outbound::Update(event) => AmqpMessage {
                exchange: UPDATES.into(),
                properties: update_properties(event.id.as_str()),
                routing_key: event.routing_key.into(),
                body: event.body,
            },
        }
    }
}

const fn stage(outbound: &Outbound) -> &'static str {
    match outbound {
        Outbound::Raw(_) => "raw",
        Outbound::Later(..) => "later",
        Outbound::Parked(..) => "parked",
        Outbound::Update(_) => "update",
    }
}

/// The properties of an update. All else is in its body; the trace that publishes it is beside it as well, for
/// subscribers whose tracing looks at headers, if it is sampled: a header table costs a stream more than the rest.
fn update_properties(id: &str) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_message_id(id.into())
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(envelope::PERSISTENT);
    match traces::current() {
        None => properties,
        Some(trace) => {
            let mut headers = FieldTable::default();
            envelope::trace_headers(&trace, &mut headers);
            properties.with_headers(headers)
        }
    }
}

#[async_trait]
impl Publisher for RabbitPublisher {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        let stage = stage(&outbound);
        let message = self.message(outbound);
        let began = Instant::now();
        let result = tokio::time::timeout(self.settings.confirm_timeout, self.send(message))
            .await
            .unwrap_or(Err(PublishError::Unconfirmed));
        self.answers.note(began, result, self.settings.confirm_timeout);
        let label = result.map_or_else(PublishError::as_str, |()| "ack");
        metrics::counter!(m::PUBLISH_CONFIRMS, "stage" => stage, "result" => label).increment(1);
        metrics::histogram!(m::PUBLISH_CONFIRM_DURATION, "stage" => stage)
            .record(began.elapsed().as_secs_f64());
        result
    }

    fn ready(&self) -> bool {
        !self.blocked.load(Ordering::Relaxed) && self.answers.none_since().is_none() && self.channel.is_open()
    }
}
