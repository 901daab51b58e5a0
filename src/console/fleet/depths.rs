//! How much waits, and where: on the broker, in Redis, or in memory.

use std::collections::HashMap;
use std::sync::Arc;

use crate::adapters::memory::MemoryBroker;
use crate::adapters::rabbit::inspect::Inspector;
use crate::adapters::rabbit::topology::work_queue;
use crate::adapters::redis::LedgerReader;
use crate::app::backends::{rabbit_settings, redis_connection};
use crate::config::Config;
use crate::console::parked_index::ParkedIndex;
use crate::domain::provider::ProviderId;
use crate::operator::parked::filter::Filter;
use crate::providers;

/// What waits for a retry may be many, and moves slowly: it is counted at each fifth look.
const LEDGER_EVERY: u32 = 5;

/// How much there is of one provider, or of a sink. `None` is not known, or there is no such queue.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Depths {
    /// Messages that wait for a worker.
    pub(super) behind: Option<u32>,
    /// Events that wait for a retry.
    pub(super) waiting: Option<usize>,
    pub(super) parked: Option<u32>,
}

pub(in crate::console) enum DepthsOf {
    Servers(Box<ServerDepths>),
    /// A fleet in this process.
    Memory(MemoryBroker),
}

impl DepthsOf {
    pub(in crate::console) fn servers(config: Config, index: Arc<ParkedIndex>) -> Self {
        Self::Servers(Box::new(ServerDepths {
            config,
            index,
            broker: None,
            looks: 0,
            waiting: Ok(HashMap::new()),
        }))
    }

    /// Looks at all of them. What cannot be asked is in `troubles`.
    pub(super) async fn look(&mut self, troubles: &mut Vec<String>) -> HashMap<ProviderId, Depths> {
        match self {
            Self::Servers(servers) => servers.look(troubles).await,
            Self::Memory(broker) => in_memory(broker),
        }
    }
}

/// What is kept between two looks at the servers.
pub(in crate::console) struct ServerDepths {
    config: Config,
    index: Arc<ParkedIndex>,
    broker: Option<Inspector>,
    looks: u32,
    waiting: Result<HashMap<String, usize>, String>,
}

impl ServerDepths {
    async fn look(&mut self, troubles: &mut Vec<String>) -> HashMap<ProviderId, Depths> {
        let behind = self.behind(troubles).await;
        if self.looks.is_multiple_of(LEDGER_EVERY) {
            self.waiting = self.waiting().await;
        }
        self.looks = self.looks.wrapping_add(1);
        troubles.extend(self.waiting.as_ref().err().cloned());
        let parked: HashMap<_, _> = self.index.states().into_iter().collect();
        let depths = |provider: ProviderId| {
            let waiting = self.waiting.as_ref().ok();
            Depths {
                behind: behind.get(&provider).copied(),
                waiting: waiting.map(|waiting| waiting.get(provider.as_str()).copied().unwrap_or_default()),
                parked: parked.get(&provider).map(|state| state.depth),
            }
        };
        everyone().map(|provider| (provider, depths(provider))).collect()
    }

    /// What waits for a worker, by queue that exists.
    async fn behind(&mut self, troubles: &mut Vec<String>) -> HashMap<ProviderId, u32> {
        let mut behind = HashMap::new();
        let inspector = match self.broker.take() {
            Some(inspector) => inspector,
            None => match Inspector::connect(rabbit_settings(&self.config, "console")).await {
                Ok(inspector) => inspector,
                Err(error) => {
                    troubles.push(error.to_string());
                    return behind;
                }
            },
        };
        for provider in everyone() {
            match inspector.waiting(&work_queue(provider)).await {
                Ok(Some(messages)) => drop(behind.insert(provider, messages)),
                Ok(None) => {}
                Err(error) => {
                    troubles.push(error.to_string());
                    return HashMap::new();
                }
            }
        }
        self.broker = Some(inspector);
        behind
    }

    async fn waiting(&self) -> Result<HashMap<String, usize>, String> {
        let connection = redis_connection(&self.config).map_err(|error| format!("{error:#}"))?;
        let events = LedgerReader::new(connection).waiting().await.map_err(|error| error.to_string())?;
        let mut waiting = HashMap::new();
        for event in events {
            *waiting.entry(event.delivery.provider).or_default() += 1;
        }
        Ok(waiting)
    }
}

fn in_memory(broker: &MemoryBroker) -> HashMap<ProviderId, Depths> {
    let is_there =
        |id: &ProviderId| providers::ALL.iter().any(|provider| provider.id() == *id) || broker.feeds(*id);
    let depths = |id: ProviderId| {
        let count = |messages: usize| Some(u32::try_from(messages).unwrap_or(u32::MAX));
        Depths {
            behind: count(broker.ready_messages(id)),
            waiting: Some(broker.delayed_messages(id)),
            parked: count(broker.parked_messages(id)),
        }
    };
    everyone().filter(is_there).map(|id| (id, depths(id))).collect()
}

fn everyone() -> impl Iterator<Item = ProviderId> {
    Filter::default().providers().into_iter()
}
