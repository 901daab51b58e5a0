//! The ports' implementations a process runs on: the real ones, or the in-memory ones. From here on nobody knows
//! which.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::process::Process;
use crate::adapters::clock::SystemClock;
use crate::adapters::memory::{MemoryBroker, MemoryLedger};
use crate::adapters::rabbit::topology::{Topology, TopologySettings};
use crate::adapters::rabbit::{DelayLevels, Pace, RabbitInbox, RabbitPublisher, RabbitSettings};
use crate::adapters::redis::{RedisClock, RedisConnection, RedisLedger, RedisSettings};
use crate::config::Config;
use crate::domain::provider::ProviderId;
use crate::ports::{Clock, Inbox, Ledger, Publisher};
use crate::telemetry::recorder::Role;

/// The resolution of the delay levels: part of the queues' arguments, so the same for every role there ever is.
const DELAY_UNIT: Duration = Duration::from_secs(1);

/// What a process runs on.
#[derive(Clone)]
pub struct Backends {
    /// Where webhooks come in for workers.
    pub inbox: Arc<dyn Inbox>,
    /// Where messages go out.
    pub publisher: Arc<dyn Publisher>,
    /// Who remembers events.
    pub ledger: Arc<dyn Ledger>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Backends {
    /// In memory, and the broker itself for whoever wants to watch it.
    #[must_use]
    pub fn memory() -> (Self, MemoryBroker) {
        let broker = MemoryBroker::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let backends = Self {
            inbox: Arc::new(broker.clone()),
            publisher: Arc::new(broker.clone()),
            ledger: Arc::new(MemoryLedger::new(Arc::clone(&clock))),
            clock,
        };
        (backends, broker)
    }

    /// On RabbitMQ and Redis. Returns at once: connections are made, and made again, by tasks of `life`.
    ///
    /// # Errors
    /// When a URL cannot be used.
    pub fn real(
        config: &Config,
        role: Role,
        providers: &[ProviderId],
        Process { life, reload, .. }: &mut Process,
    ) -> anyhow::Result<Self> {
        let url = reload.url("amqp.url", &config.amqp.url, &config.amqp.url_file);
        let rabbit = RabbitSettings { url, ..rabbit_settings(config, &role.to_string()) };
        let publisher = RabbitPublisher::new(
            rabbit.clone(),
            role_topology(config, role, providers),
            config.topology.mode,
            DelayLevels::new(DELAY_UNIT),
            if role == Role::Receiver { Pace::Each } else { Pace::Bursts },
        );
        life.plumbing("publisher", Arc::clone(&publisher).run(life.closing.clone()));
        let url = reload.url("redis.url", &config.redis.url, &config.redis.url_file);
        let ledger = Arc::new(ledger(&RedisSettings { url, ..redis_settings(config) })?);
        // A receiver has no use for the ledger.
        if role != Role::Receiver {
            let (followed, closing) = (Arc::clone(&ledger), life.closing.clone());
            life.plumbing("redis url", async move {
                closing.run_until_cancelled(followed.follow()).await;
            });
            let (checked, closing) = (Arc::clone(&ledger), life.closing.clone());
            life.plumbing("redis check", async move {
                closing.run_until_cancelled(checked.check_policy()).await;
                closing.cancelled().await;
            });
        }
        let clock = RedisClock::new(Arc::new(SystemClock));
        let (followed, closing, connection) =
            (Arc::clone(&clock), life.closing.clone(), redis_connection(config)?);
        life.plumbing("clock", async move {
            closing.run_until_cancelled(followed.follow(connection)).await;
        });
        let clock: Arc<dyn Clock> = clock;
        Ok(Self { inbox: Arc::new(RabbitInbox::new(rabbit, Arc::clone(&clock))), publisher, ledger, clock })
    }
}

fn ledger(settings: &RedisSettings) -> anyhow::Result<RedisLedger> {
    Ok(RedisLedger::new(RedisConnection::new(settings).context("the Redis URL")?))
}

/// A connection to the configured Redis, made when it is first used.
///
/// # Errors
/// When its URL cannot be used.
pub fn redis_connection(config: &Config) -> anyhow::Result<RedisConnection> {
    RedisConnection::new(&redis_settings(config)).context("the Redis URL")
}

/// How this process reaches Redis.
#[must_use]
pub fn redis_settings(config: &Config) -> RedisSettings {
    RedisSettings { url: config.redis.url.expose().into(), response_timeout: config.redis.response_timeout }
}

/// What `role` needs on the broker in order to serve `providers`.
#[must_use]
pub fn role_topology(config: &Config, role: Role, providers: &[ProviderId]) -> Topology {
    let settings = topology_settings(config);
    match role {
        Role::Receiver => Topology::intake(&settings, providers),
        Role::Worker(_) | Role::Run => Topology::new(&settings, providers),
    }
}

/// How this process reaches RabbitMQ.
#[must_use]
pub fn rabbit_settings(config: &Config, role: &str) -> RabbitSettings {
    RabbitSettings {
        url: config.amqp.url.expose().into(),
        name: format!("milepost {role}"),
        connect_timeout: config.amqp.connect_timeout,
        confirm_timeout: config.amqp.confirm_timeout,
    }
}

/// What differs between installations' topologies.
#[must_use]
pub fn topology_settings(config: &Config) -> TopologySettings {
    TopologySettings {
        updates_max_age: config.topology.updates_max_age.as_str().to_owned(),
        updates_max_bytes: config.topology.updates_max_bytes,
        delivery_limit: config.topology.delivery_limit,
        delay_unit: DELAY_UNIT,
    }
}
