//! The providers' APIs, as they are asked.

use async_trait::async_trait;

use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;
use crate::domain::pull::{PullAnswer, PullRequest};
use crate::domain::secret::Secret;

#[async_trait]
pub trait ProviderApi: Send + Sync {
    /// The credential in force for an account; nothing if there is none.
    fn credential(&self, provider: ProviderId, account: &Account) -> Option<Secret>;

    /// Sends a request, within a bounded time. It asks, and changes nothing at the provider.
    ///
    /// # Errors
    /// When there is no answer: why, without anything that was sent.
    async fn send(&self, provider: ProviderId, request: &PullRequest) -> Result<PullAnswer, &'static str>;
}
