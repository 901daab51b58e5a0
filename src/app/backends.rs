//! The ports' implementations a process runs on: the real ones, or the in-memory ones. The rest of the
//! program does not know which.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;

use super::life::Life;
use super::reload::Reload;
use crate::adapters::clock::SystemClock;
use crate::adapters::memory::{MemoryBroker, MemoryCells, MemoryGaps, MemoryLedger, MemorySpool};
use crate::adapters::rabbit::topology::{LINKS, SinkQueue, Topology, UPDATES};
use crate::adapters::rabbit::{DelayLevels, Pace, RabbitInbox, RabbitPublisher, RabbitSettings};
use crate::adapters::redis::{
    RedisCells, RedisClock, RedisConnection, RedisGaps, RedisLedger, RedisSettings, RedisSpool,
};
use crate::config::Config;
use crate::domain::provider::ProviderId;
use crate::ports::{Cells, Clock, Gaps, Inbox, Ledger, OpenDeliveries, Publisher, Spool};
use crate::providers;
use crate::sinks::{HUBRISE, HUBRISE_LINKS};
use crate::telemetry::recorder::Role;

/// What a process runs on.
#[derive(Clone)]
pub struct Backends {
    /// Where webhooks come in for workers.
    pub inbox: Arc<dyn Inbox>,
    pub publisher: Arc<dyn Publisher>,
    pub ledger: Arc<dyn Ledger>,
    /// Which deliveries are open, by the same ledger.
    pub open: Arc<dyn OpenDeliveries>,
    /// When webhooks may have been missed.
    pub gaps: Arc<dyn Gaps>,
    pub cells: Arc<dyn Cells>,
    /// Where a receiver puts what the broker cannot confirm: of each provider that spools.
    pub spools: BTreeMap<ProviderId, Arc<dyn Spool>>,
    pub clock: Arc<dyn Clock>,
}

impl Backends {
    /// In memory, and the broker itself, to be watched.
    #[must_use]
    pub fn memory(config: &Config) -> (Self, MemoryBroker) {
        let broker = MemoryBroker::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ledger = Arc::new(MemoryLedger::new(Arc::clone(&clock)));
        let spooling =
            providers::ALL.iter().map(|provider| provider.id()).filter(|id| config.provider(*id).spool);
        let spools = spooling.map(|id| {
            let spool = MemorySpool::new(config.spool.limits, Arc::clone(&clock));
            (id, Arc::new(spool) as Arc<dyn Spool>)
        });
        let backends = Self {
            spools: spools.collect(),
            inbox: Arc::new(broker.clone()),
            publisher: Arc::new(broker.clone()),
            ledger: ledger.clone(),
            open: ledger,
            gaps: Arc::new(MemoryGaps::default()),
            cells: Arc::new(MemoryCells::new(Arc::clone(&clock))),
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
        life: &mut Life,
        reload: &mut Reload,
    ) -> anyhow::Result<Self> {
        let url = reload.url("amqp.url", &config.amqp.url, &config.amqp.url_file);
        let rabbit = RabbitSettings { url, ..rabbit_settings(config, &role.to_string()) };
        let publisher = RabbitPublisher::new(
            rabbit.clone(),
            role_topology(config, role, providers),
            config.topology.mode,
            DelayLevels::new(config.topology.settings.delay_unit),
            if role == Role::Receiver { Pace::Each } else { Pace::Bursts },
        );
        life.plumbing("publisher", Arc::clone(&publisher).run(life.closing.clone()));
        let url = reload.url("redis.url", &config.redis.url, &config.redis.url_file);
        let redis = RedisSettings { url, ..redis_settings(config) };
        let ledger = Arc::new(ledger(&redis)?);
        // A connection of its own, made when it is needed: what a sink reads and swaps is larger than what a worker claims.
        let cells = Arc::new(RedisCells::new(RedisConnection::new(&redis).context("the Redis URL")?));
        // Everyone but a worker notes gaps or reads them.
        let gaps = Arc::new(RedisGaps::new(RedisConnection::new(&redis).context("the Redis URL")?));
        let followed = Arc::clone(&gaps);
        life.background("redis url of gaps", async move { followed.follow().await });
        // A receiver has no use for the ledger.
        if role != Role::Receiver {
            let followed = Arc::clone(&ledger);
            life.background("redis url", async move { followed.follow().await });
            let followed = Arc::clone(&cells);
            life.background("redis url of cells", async move { followed.follow().await });
            let checked = Arc::clone(&ledger);
            life.once("redis check", async move { checked.check_policy().await });
        }
        let mut spools = BTreeMap::<ProviderId, Arc<dyn Spool>>::new();
        if matches!(role, Role::Receiver | Role::Run) {
            for &provider in providers.iter().filter(|id| config.provider(**id).spool) {
                let (limits, timeout) = (config.spool.limits, config.spool.timeout);
                let spool = RedisSpool::new(&redis, provider, limits, timeout).context("the Redis URL")?;
                let spool = Arc::new(spool);
                let followed = Arc::clone(&spool);
                life.background("redis url of a spool", async move { followed.follow().await });
                spools.insert(provider, spool);
            }
        }
        let clock = RedisClock::new(Arc::new(SystemClock));
        let (followed, connection) = (Arc::clone(&clock), redis_connection(config)?);
        life.background("clock", async move { followed.follow(connection).await });
        let clock: Arc<dyn Clock> = clock;
        let inbox = Arc::new(RabbitInbox::new(rabbit, Arc::clone(&clock)));
        let open = Arc::<RedisLedger>::clone(&ledger);
        Ok(Self { inbox, publisher, ledger, open, gaps, cells, spools, clock })
    }
}

fn ledger(settings: &RedisSettings) -> anyhow::Result<RedisLedger> {
    Ok(RedisLedger::new(RedisConnection::new(settings).context("the Redis URL")?))
}

/// Which deliveries are open, by the configured Redis.
///
/// # Errors
/// When its URL cannot be used.
pub fn open_deliveries(config: &Config) -> anyhow::Result<impl OpenDeliveries + use<>> {
    ledger(&redis_settings(config))
}

/// When webhooks may have been missed, by the configured Redis.
///
/// # Errors
/// When its URL cannot be used.
pub fn gaps(config: &Config) -> anyhow::Result<RedisGaps> {
    Ok(RedisGaps::new(redis_connection(config)?))
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

/// What `role` needs on the broker in order to serve `providers`. A role that publishes updates needs the sinks' queues, so
/// that no update misses one that is not there yet. What operators did concerns the console alone: no webhook waits for it.
#[must_use]
pub fn role_topology(config: &Config, role: Role, providers: &[ProviderId]) -> Topology {
    match role {
        Role::Receiver | Role::Reconciler => Topology::intake(&config.topology.settings, providers),
        Role::Worker(_) | Role::Sink(_) | Role::Run => updates_topology(config, providers),
        Role::Console => whole_topology(config, providers),
    }
}

/// Everything that these providers, the configured sinks and the operators need.
#[must_use]
pub fn whole_topology(config: &Config, providers: &[ProviderId]) -> Topology {
    updates_topology(config, providers).and_audit()
}

fn updates_topology(config: &Config, providers: &[ProviderId]) -> Topology {
    let settings = &config.topology.settings;
    Topology::new(settings, providers).and_sinks(settings, &sink_queues(config))
}

fn sink_queues(config: &Config) -> Vec<SinkQueue> {
    let sink = &config.hubrise_sink;
    if !sink.is_used() {
        return Vec::new();
    }
    let links = vec!["#".to_owned()];
    vec![
        SinkQueue { id: HUBRISE, source: UPDATES, patterns: sink.patterns.clone() },
        SinkQueue { id: HUBRISE_LINKS, source: LINKS, patterns: links },
    ]
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
