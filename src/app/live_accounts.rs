//! A provider's accounts as a receiver sees them, while files say that they come, change and go.

use std::sync::Arc;

use tokio::sync::watch;

use super::reload::note;
use crate::config::{AccountsDir, Changes, Unusable};
use crate::domain::authentication::Credentials;
use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;
use crate::pipeline::receive::{Accounts, LiveAccounts};
use crate::telemetry::metrics as m;

/// Of thousands of accounts, one line names so many.
const MOST_NAMED: usize = 20;

/// The accounts of one provider.
pub(super) struct KeptAccounts {
    provider: ProviderId,
    sender: watch::Sender<Accounts>,
}

impl KeptAccounts {
    pub(super) fn new(provider: ProviderId) -> Self {
        Self { provider, sender: watch::Sender::default() }
    }

    pub(super) fn live(&self) -> LiveAccounts {
        self.sender.subscribe()
    }

    pub(super) fn put(&self, accounts: impl IntoIterator<Item = (Account, Arc<Credentials>)>) {
        self.change(|live| live.known.extend(accounts));
    }

    fn change(&self, change: impl FnOnce(&mut Accounts)) {
        self.sender.send_modify(change);
        let live = self.sender.borrow();
        let usable = live.known.values().filter(|credentials| !credentials.secrets.is_empty()).count();
        for (state, count) in [("usable", usable), ("without_secret", live.known.len() - usable)] {
            #[allow(clippy::cast_precision_loss)] // A directory has fewer files than a float has integers.
            metrics::gauge!(m::ACCOUNTS, "provider" => self.provider.as_str(), "state" => state)
                .set(count as f64);
        }
    }
}

/// A directory whose files are accounts.
pub(super) struct WatchedAccounts {
    accounts: Arc<KeptAccounts>,
    directory: AccountsDir,
}

impl WatchedAccounts {
    pub(super) fn new(accounts: Arc<KeptAccounts>, directory: AccountsDir) -> Self {
        let known =
            directory.accounts().iter().map(|(name, credentials)| (name.clone(), credentials.clone()));
        accounts.put(known);
        let this = Self { accounts, directory };
        this.count();
        this
    }

    /// Looks again. Blocks on the file system.
    pub(super) fn look(&mut self) -> Changes {
        self.directory.look()
    }

    /// Puts what has changed in force, and says so.
    pub(super) fn changed(&self, changes: &Changes) {
        let Changes { put, removed, unusable, .. } = changes;
        self.count();
        if put.is_empty() && removed.is_empty() && unusable.is_empty() {
            return;
        }
        self.accounts.change(|live| {
            for account in removed {
                live.known.remove(account);
            }
            let known = self.directory.accounts();
            let credentials = |account: &Account| Some((account.clone(), Arc::clone(known.get(account)?)));
            live.known.extend(put.iter().filter_map(credentials));
        });
        let of = self.accounts.provider.as_str();
        if !put.is_empty() || !removed.is_empty() {
            let accounts = self.directory.accounts().len();
            tracing::info!(of, put = named(put), removed = named(removed), accounts, "accounts read again");
            note();
        }
        for Unusable { path, why } in unusable.iter().take(MOST_NAMED) {
            tracing::warn!(of, path = %path.display(), why, "an account cannot be used: what was there before stays");
        }
        if let Some(more @ 1..) = unusable.len().checked_sub(MOST_NAMED) {
            tracing::warn!(of, more, "further accounts cannot be used");
        }
    }

    /// Says what cannot be used, and whether accounts may be missing.
    fn count(&self) {
        let incomplete = !self.directory.is_complete();
        self.accounts
            .sender
            .send_if_modified(|live| std::mem::replace(&mut live.incomplete, incomplete) != incomplete);
        #[allow(clippy::cast_precision_loss)] // As above.
        metrics::gauge!(m::ACCOUNTS_DIR_UNUSABLE, "provider" => self.accounts.provider.as_str())
            .set(self.directory.unusable().count() as f64);
    }
}

fn named(accounts: &[Account]) -> String {
    let named = accounts.iter().take(MOST_NAMED).map(Account::as_str).collect::<Vec<_>>().join(" ");
    match accounts.len().checked_sub(MOST_NAMED) {
        Some(more @ 1..) => format!("{named} and {more} more"),
        _ => named,
    }
}
