//! Refused webhooks: how many of which account, and the log, bounded: the first of a kind at once, and then now and again with how many there were.
//! Any sender can have webhooks refused, at any rate.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::counter;

use crate::domain::answer::{Rejection, RejectionKind};
use crate::domain::identity::{Account, ReceiptId};
use crate::telemetry::metrics::{ACCOUNT_REFUSALS, OTHER_ACCOUNTS};
use crate::telemetry::seldom::Seldom;
use crate::telemetry::told_apart::ToldApart;

/// What makes two refusals one kind. Accounts that are not told apart are none.
type RefusalKind = (&'static str, Option<Account>, Rejection);

/// What was logged of late.
pub(super) struct Refusals {
    pause: Duration,
    kinds: Mutex<HashMap<RefusalKind, Seldom>>,
    accounts: ToldApart,
}

/// Who sent a request: the other end of its connection, and, where that is a proxy, whom it says it speaks for.
pub(super) struct Peer {
    pub address: SocketAddr,
    /// Anything that the sender likes, unless a proxy before us says it.
    pub forwarded_for: Option<IpAddr>,
}

pub(super) struct RefusedWebhook<'a> {
    pub receipt: ReceiptId,
    pub provider: &'static str,
    pub account: Option<&'a Account>,
    pub code: u16,
    pub rejection: Rejection,
    pub peer: Peer,
}

impl Refusals {
    /// Of each kind one line in each `pause`.
    pub(super) fn every(pause: Duration) -> Self {
        Self { pause, kinds: Mutex::default(), accounts: ToldApart::default() }
    }

    /// Counts it by account and logs it; at debug when one of its kind was logged of late.
    pub(super) fn log(&self, refused: &RefusedWebhook<'_>) {
        let &RefusedWebhook { receipt, provider, account, code, rejection, ref peer } = refused;
        let told_apart = account.filter(|account| self.accounts.names(provider, account));
        if account.is_some() {
            let label = told_apart.map_or(OTHER_ACCOUNTS, Account::as_str).to_owned();
            counter!(ACCOUNT_REFUSALS, "provider" => provider, "account" => label).increment(1);
        }
        let count = self.count((provider, told_apart.cloned(), rejection));
        let account = account.map(tracing::field::display);
        let (reason, forwarded_for) = (rejection.as_str(), peer.forwarded_for.map(tracing::field::display));
        let peer = peer.address;
        match (count, rejection.kind()) {
            (None, _) => {
                tracing::debug!(receipt.id = %receipt, provider, account, code, reason, %peer, forwarded_for,
                    "webhook rejected");
            }
            (Some(count), RejectionKind::Unavailable) => {
                tracing::warn!(receipt.id = %receipt, provider, account, code, reason, %peer, forwarded_for, count,
                    "webhook not taken, through no fault of its sender");
            }
            (Some(count), _) => {
                tracing::info!(receipt.id = %receipt, provider, account, code, reason, %peer, forwarded_for, count,
                    "webhook rejected");
            }
        }
    }

    /// How many of its kind there were since the last line, this one included, if another line is due.
    fn count(&self, kind: RefusalKind) -> Option<u64> {
        // A panic elsewhere cannot leave it half-written.
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.entry(kind).or_insert_with(|| Seldom::every(self.pause)).happened(Instant::now())
    }
}
