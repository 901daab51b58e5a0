//! The accounts' secrets, and their rotation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milepost::domain::authentication::Credentials;
use milepost::domain::envelope::Envelope;
use milepost::domain::identity::Account;
use milepost::domain::samples::{SampleSource, Signing};
use milepost::domain::secret::Secret;
use milepost::pipeline::receive::Accounts;
use tokio::time::sleep;

use super::World;
use crate::book::SECRET;
use crate::process::lock;

/// The old secret is taken back so long after the new one is in use.
const ROTATION: Duration = Duration::from_secs(30);

impl World {
    pub fn secret(&self, provider: &dyn SampleSource) -> Secret {
        let version = *lock(&self.accounts[provider.id().as_str()].1);
        Secret::new(secret_text(provider, version).as_bytes()).expect("not empty")
    }

    pub(super) fn rotate(self: &Arc<Self>) {
        for provider in self.plan.providers.clone() {
            let (live, version) = &self.accounts[provider.id().as_str()];
            let mut version = lock(version);
            if *version == 3 {
                continue;
            }
            live.send_replace(accounts(provider, &[*version, *version + 1]));
            *version += 1;
            let (world, new) = (Arc::clone(self), *version);
            tokio::spawn(async move {
                sleep(ROTATION).await;
                let (live, version) = &world.accounts[provider.id().as_str()];
                if *lock(version) == new {
                    live.send_replace(accounts(provider, &[new]));
                }
            });
        }
    }

    /// A stored body with the credential that it was sent with, for a planted bug.
    pub fn with_secret(&self, envelope: Envelope) -> Envelope {
        let provider = self.plan.providers.iter().find(|provider| provider.id() == envelope.provider);
        let Some(provider) = provider.filter(|provider| provider.id().as_str() == "247express") else {
            return envelope;
        };
        let secret = self.secret(*provider);
        let scheme = provider.authentication()[0].scheme();
        let signing = Signing { scheme, header: None, secret: &secret };
        let body: Bytes = provider.sign(envelope.body.clone(), &signing).body;
        Envelope { body, ..envelope }
    }
}

pub(super) fn secret_text(provider: &dyn SampleSource, version: u32) -> String {
    format!("{}{}-{version}", String::from_utf8_lossy(SECRET), provider.id())
}

/// The provider's one account, with the secrets of these versions.
pub(super) fn accounts(provider: &dyn SampleSource, versions: &[u32]) -> Accounts {
    let secret = |version: &u32| Secret::new(secret_text(provider, *version).as_bytes());
    let credentials = Credentials {
        authentication: provider.authentication()[0].clone(),
        secrets: versions.iter().filter_map(secret).collect(),
    };
    let known = BTreeMap::from([(Account::default_account(), Arc::new(credentials))]);
    Accounts { known, incomplete: false }
}
