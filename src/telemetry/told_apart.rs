//! Which accounts a metric names: accounts may be thousands, and come and go.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::metrics::OTHER_ACCOUNTS;
use crate::domain::identity::Account;

/// So many accounts have a name of their own in a metric.
const MOST_ACCOUNTS: usize = 200;

/// The accounts that a metric names: the first it is asked for.
#[derive(Debug, Default)]
pub struct ToldApart(Mutex<HashSet<(&'static str, Account)>>);

impl ToldApart {
    /// Whether this account is one of them.
    #[must_use]
    pub fn names(&self, provider: &'static str, account: &Account) -> bool {
        // A panic elsewhere cannot leave a set half-written.
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let account = (provider, account.clone());
        accounts.contains(&account) || accounts.len() < MOST_ACCOUNTS && accounts.insert(account)
    }

    #[must_use]
    pub fn label(&self, provider: &'static str, account: &Account) -> String {
        if self.names(provider, account) { account.as_str() } else { OTHER_ACCOUNTS }.to_owned()
    }
}
