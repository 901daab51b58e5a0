//! The connections of one port: how many there may be, and which one gives way when there are too many.
//!
//! What has proved nothing holds nothing that another one needs: a new connection is always taken, in the place of the
//! one that has proved nothing for longest. Only connections whose webhooks are being stored keep theirs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::caller::{Caller, CloseReason};
use crate::telemetry::metrics::CONNECTIONS_ENDED;

/// While every connection stores something: how often it is looked for one that has stopped to.
const PACE: Duration = Duration::from_millis(50);

pub(super) struct Callers {
    most: usize,
    /// From one peer; `None` when that is not limited.
    most_per_peer: Option<usize>,
    /// By their numbers, which count up.
    all: Mutex<BTreeMap<u64, Arc<Caller>>>,
    left: Notify,
}

/// A connection that is counted until this is dropped.
pub(super) struct Counted {
    pub(super) caller: Arc<Caller>,
    number: u64,
    callers: Arc<Callers>,
}

impl Callers {
    pub(super) fn new(most: usize, most_per_peer: Option<usize>) -> Arc<Self> {
        Arc::new(Self { most, most_per_peer, all: Mutex::default(), left: Notify::new() })
    }

    /// Waits until one more connection can be taken. Cancel safe.
    pub(super) async fn room(&self) {
        loop {
            {
                let all = self.lock();
                if all.len() < self.most || victim(&all, |_| true).is_some() {
                    return;
                }
            }
            let _ = timeout(PACE, self.left.notified()).await;
        }
    }

    /// Takes a connection in, in the place of another one where there is no other room. `None` when its peer has as many
    /// as it may, and stores something with each of them.
    pub(super) fn admit(self: &Arc<Self>, number: u64, peer: SocketAddr) -> Option<Counted> {
        let caller = Arc::new(Caller::new(peer));
        let mut all = self.lock();
        if let Some(most) = self.most_per_peer {
            let network = caller.network();
            let of_peer = |other: &Caller| other.network() == network;
            if all.values().filter(|other| of_peer(other)).count() >= most && !evict(&mut all, of_peer) {
                counter!(CONNECTIONS_ENDED, "reason" => "peer_limit").increment(1);
                return None;
            }
        }
        if all.len() >= self.most {
            evict(&mut all, |_| true);
        }
        all.insert(number, Arc::clone(&caller));
        drop(all);
        Some(Counted { caller, number, callers: Arc::clone(self) })
    }

    /// Ends one connection, if any gives way: the process has no more file descriptors.
    pub(super) fn shrink(&self) {
        evict(&mut self.lock(), |_| true);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Caller>>> {
        // Each change is one call to the map: a panic elsewhere leaves nothing half done.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first of these connections to give way.
fn victim(all: &BTreeMap<u64, Arc<Caller>>, among: impl Fn(&Caller) -> bool) -> Option<u64> {
    let now = Instant::now();
    let among = all.iter().filter(|(_, caller)| among(caller));
    let giving_way = among.filter_map(|(number, caller)| Some((caller.gives_way(now)?, *number)));
    giving_way.min().map(|(_, number)| number)
}

/// Ends one of these connections. Its place is free at once; its socket closes within moments.
fn evict(all: &mut BTreeMap<u64, Arc<Caller>>, among: impl Fn(&Caller) -> bool) -> bool {
    let evicted = victim(all, among).and_then(|number| all.remove(&number));
    if let Some(caller) = &evicted {
        caller.ask_to_go();
    }
    evicted.is_some()
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.callers.lock().remove(&self.number);
        self.callers.left.notify_one();
    }
}

/// Takes note of why a connection was ended from our side.
pub(super) fn count(why: CloseReason) {
    let reason = match why {
        CloseReason::HeaderTimeout => "header_timeout",
        CloseReason::Idle => "idle",
        CloseReason::Evicted => "evicted",
    };
    counter!(CONNECTIONS_ENDED, "reason" => reason).increment(1);
}
