//! The log of refused webhooks, bounded: the first of a kind at once, and then a count of further ones each minute, for
//! as long as there are any. Anybody can have webhooks refused, as often as they like.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::domain::answer::{Rejection, RejectionKind};
use crate::domain::identity::{Account, ReceiptId};

/// How often further refusals are counted.
pub const PERIOD: Duration = Duration::from_mins(1);

/// What makes two refusals one kind. The account is one that is configured, so that there are only so many.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    provider: &'static str,
    account: Option<Account>,
    rejection: Rejection,
}

/// Refusals of a kind since it was last logged, and who had the latest.
#[derive(Debug, Default)]
struct Further {
    count: u64,
    latest: Option<Peer>,
}

/// Who sent a request: the other end of its connection, and, where that is a proxy, whom it says it speaks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub address: SocketAddr,
    /// Whatever the sender likes, unless there is a proxy before us that says it.
    pub forwarded_for: Option<IpAddr>,
}

/// A refused webhook.
pub(super) struct Refused<'a> {
    pub receipt: ReceiptId,
    pub provider: &'static str,
    pub account: Option<&'a Account>,
    pub code: u16,
    pub rejection: Rejection,
    pub peer: Peer,
}

/// What was logged of late.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<HashMap<Kind, Further>>>);

impl Refusals {
    /// Logs it, or counts it.
    pub(super) fn log(&self, refused: &Refused<'_>) {
        let kind = Kind {
            provider: refused.provider,
            account: refused.account.cloned(),
            rejection: refused.rejection,
        };
        let first = {
            let mut all = self.lock();
            let first = !all.contains_key(&kind);
            let further = all.entry(kind.clone()).or_default();
            if !first {
                further.count += 1;
                further.latest = Some(refused.peer);
            }
            first
        };
        refused.write(first);
        if first {
            tokio::spawn(self.clone().count(kind));
        }
    }

    /// Counts those of a kind that come after the first, each minute, until there are none.
    async fn count(self, kind: Kind) {
        loop {
            sleep(PERIOD).await;
            let further = {
                let mut all = self.lock();
                let further = all.get_mut(&kind).map(std::mem::take).unwrap_or_default();
                if further.count == 0 {
                    all.remove(&kind);
                    return;
                }
                further
            };
            kind.write(&further);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Further>> {
        // Nothing panics with the lock held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn is_ours(rejection: Rejection) -> bool {
    matches!(rejection.kind(), RejectionKind::Unavailable)
}

impl Refused<'_> {
    fn write(&self, first: bool) {
        let &Self { receipt, provider, code, rejection, peer, .. } = self;
        let account = self.account.map(tracing::field::display);
        let (reason, address) = (rejection.as_str(), peer.address);
        let forwarded_for = peer.forwarded_for.map(tracing::field::display);
        match (first, is_ours(rejection)) {
            (false, _) => {
                tracing::debug!(receipt.id = %receipt, provider, account, code, reason, peer = %address, forwarded_for,
                    "webhook rejected");
            }
            (true, true) => {
                tracing::warn!(receipt.id = %receipt, provider, account, code, reason, peer = %address, forwarded_for,
                    "webhook not taken, through no fault of its sender");
            }
            (true, false) => {
                tracing::info!(receipt.id = %receipt, provider, account, code, reason, peer = %address, forwarded_for,
                    "webhook rejected");
            }
        }
    }
}

impl Kind {
    fn write(&self, further: &Further) {
        let Self { provider, rejection, .. } = *self;
        let account = self.account.as_ref().map(tracing::field::display);
        let (reason, count, seconds) = (rejection.as_str(), further.count, PERIOD.as_secs());
        let peer = further.latest.map(|peer| tracing::field::display(peer.address));
        let forwarded_for = further.latest.and_then(|peer| peer.forwarded_for).map(tracing::field::display);
        if is_ours(rejection) {
            tracing::warn!(provider, account, reason, count, seconds, peer, forwarded_for,
                "further webhooks not taken, through no fault of their senders");
        } else {
            tracing::info!(provider, account, reason, count, seconds, peer, forwarded_for,
                "further webhooks rejected");
        }
    }
}
