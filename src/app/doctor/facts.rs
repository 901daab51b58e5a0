//! What the rules are about, and how it is asked for. Nothing here changes a server.

use std::time::Duration;

use thiserror::Error;

use crate::adapters::rabbit::compare::{Compared, compare, unknown};
use crate::adapters::rabbit::definitions::Definitions;
use crate::adapters::rabbit::inspect::{self, Inspector};
use crate::adapters::rabbit::management::{Found, Management, ManagementError};
use crate::adapters::rabbit::topology::{Topology, UNROUTED};
use crate::adapters::rabbit::{ConnectError, RabbitSettings};
use crate::adapters::redis::{self, RedisConnection, RedisFacts};
use crate::app::backends::{rabbit_settings, redis_settings, role_topology, whole_topology};
use crate::config::Config;
use crate::domain::provider::ProviderId;
use crate::ports::{DurabilityProof, LedgerError};
use crate::telemetry::recorder::Role;

/// Why the broker could not be looked at, and what can be done about it.
#[derive(Debug, Clone, Error)]
#[error("{says}")]
pub struct NoBroker {
    pub says: String,
    pub remedy: &'static str,
}

impl From<ConnectError> for NoBroker {
    fn from(error: ConnectError) -> Self {
        Self { says: error.to_string(), remedy: error.remedy() }
    }
}

/// Everything the rules look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The broker, or why it cannot be connected to.
    pub broker: Result<Broker, NoBroker>,
    /// Redis, or why it does not answer; nothing if this role does not use it.
    pub redis: Option<Result<RedisFacts, String>>,
    /// For how long events are remembered.
    pub memories: Vec<Memory>,
    /// The spools, if this role looks at them and Redis answers.
    pub spool: Option<SpoolFacts>,
}

/// The spools: one of each provider.
#[derive(Debug, Clone)]
pub struct SpoolFacts {
    /// Whose webhooks are to be spooled.
    pub spooling: Vec<ProviderId>,
    /// What proves that what is spooled is durable, or why nothing does.
    pub proof: Result<DurabilityProof, &'static str>,
    /// How many webhooks wait, of every provider; `None` is what this user may not see.
    pub waiting: Vec<(ProviderId, Option<u64>)>,
    /// Bytes that each spool may hold.
    pub max_bytes: u64,
}

/// A place where the URL says that the broker is.
#[derive(Debug, Clone)]
pub struct HostFacts {
    pub address: String,
    /// Why it cannot be connected to there.
    pub answer: Result<(), NoBroker>,
}

/// A broker that can be connected to.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Every place where the URL says that it is.
    pub hosts: Vec<HostFacts>,
    /// The state of everything that is needed.
    pub things: Vec<Compared>,
    /// Messages that no queue was bound for, if there is the queue that catches them.
    pub unrouted: Option<u32>,
    /// What only the management API can say.
    pub management: ManagementFacts,
}

/// What the management API says.
#[derive(Debug, Clone)]
pub enum ManagementFacts {
    NotConfigured,
    /// It gave no answer that can be used: why.
    Failed(String),
    /// It gave no answer in time.
    Silent,
    Found(Found),
}

/// For how long one provider's events are remembered.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub provider: ProviderId,
    /// For how long it may send an event again.
    pub resend_horizon: Duration,
    /// For how long a delivery and its events are remembered.
    pub dedup_ttl: Duration,
}

/// What the servers are compared with, and how they are reached.
pub struct Probe {
    rabbit: RabbitSettings,
    management: Option<Management>,
    topology: Topology,
    redis: Option<RedisConnection>,
    memories: Vec<Memory>,
    /// Every provider, and whether it spools.
    spools: Vec<(ProviderId, bool)>,
    spool_max_bytes: u64,
}

impl Probe {
    /// What `role` needs in order to serve `providers`.
    ///
    /// # Errors
    /// When a URL of the configuration cannot be used.
    pub fn new(config: &Config, role: Role, providers: &[ProviderId]) -> anyhow::Result<Self> {
        let management = match &config.amqp.management_url {
            Some(url) => Some(Management::new(url.expose(), config.amqp.url.expose())?),
            None => None,
        };
        // A receiver has no use for Redis.
        let (redis, remembering) = match role {
            Role::Receiver => (None, &[][..]),
            _ => (Some(RedisConnection::new(&redis_settings(config))?), providers),
        };
        let memory = |&provider: &ProviderId| {
            let settings = config.provider(provider);
            Memory { provider, resend_horizon: settings.resend_horizon, dedup_ttl: settings.dedup_ttl }
        };
        let spool = |&id: &ProviderId| (id, config.provider(id).spool);
        // A receiver is ready without Redis.
        let looked_at = if role == Role::Run { providers } else { &[] };
        Ok(Self {
            spools: looked_at.iter().map(spool).collect(),
            spool_max_bytes: config.spool.limits.max_bytes,
            rabbit: rabbit_settings(config, &role.to_string()),
            management,
            topology: role_topology(config, role, providers),
            redis,
            memories: remembering.iter().map(memory).collect(),
        })
    }

    /// What the whole fleet of `providers` needs, and its operators.
    ///
    /// # Errors
    /// When a URL of the configuration cannot be used.
    pub fn fleet(config: &Config, providers: &[ProviderId]) -> anyhow::Result<Self> {
        let topology = whole_topology(config, providers);
        Ok(Self { topology, ..Self::new(config, Role::Run, providers)? })
    }

    /// Asks the servers. Every wait in it is bounded.
    pub async fn facts(&self) -> Facts {
        let redis = match &self.redis {
            Some(connection) => Some(redis::inspect(connection).await.map_err(|error| error.to_string())),
            None => None,
        };
        let spool = match &self.redis {
            Some(connection) if matches!(redis, Some(Ok(_))) && !self.spools.is_empty() => {
                self.spool(connection).await.ok()
            }
            _ => None,
        };
        Facts { broker: self.broker().await, redis, memories: self.memories.clone(), spool }
    }

    async fn spool(&self, connection: &RedisConnection) -> Result<SpoolFacts, LedgerError> {
        let proof = redis::prove(connection).await?;
        let mut waiting = Vec::new();
        for &(provider, _) in &self.spools {
            waiting.push((provider, redis::spooled(connection, provider).await?));
        }
        let spooling = self.spools.iter().filter(|(_, spools)| *spools).map(|(provider, _)| *provider);
        Ok(SpoolFacts { spooling: spooling.collect(), proof, waiting, max_bytes: self.spool_max_bytes })
    }

    /// The broker alone.
    ///
    /// # Errors
    /// Why it cannot be connected to, or does not answer.
    pub async fn broker(&self) -> Result<Broker, NoBroker> {
        let managing = async {
            match &self.management {
                None => ManagementFacts::NotConfigured,
                Some(management) => match management.look().await {
                    Ok(found) => ManagementFacts::Found(found),
                    Err(ManagementError::Silent) => ManagementFacts::Silent,
                    Err(error) => ManagementFacts::Failed(error.to_string()),
                },
            }
        };
        let (management, hosts, inspector) =
            tokio::join!(managing, inspect::each_host(&self.rabbit), Inspector::connect(self.rabbit.clone()));
        let inspector = inspector?;
        let hosts = hosts.into_iter().map(|inspect::Host { address, answer }| HostFacts {
            address,
            answer: answer.map_err(NoBroker::from),
        });
        let hosts = hosts.collect();
        let looking = async {
            let needed = Definitions::from(&self.topology);
            let things = match &management {
                ManagementFacts::Found(found) => compare(&needed, &found.definitions),
                _ => match inspector.compare(&self.topology).await {
                    Err(error @ ConnectError::TimedOut(_)) => unknown(&needed, &error.to_string()),
                    compared => compared?,
                },
            };
            let unrouted = match inspector.waiting(UNROUTED).await {
                Err(ConnectError::TimedOut(_)) => None,
                waiting => waiting?,
            };
            Ok((things, unrouted))
        };
        let looked: Result<_, ConnectError> = looking.await;
        inspector.close().await;
        let (things, unrouted) = looked?;
        Ok(Broker { hosts, things, unrouted, management })
    }
}
