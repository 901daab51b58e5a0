//! HubRise's API, as the sink needs it.

use async_trait::async_trait;

use super::core::answer::RawAnswer;
use super::core::request::Request;
use super::core::rule::OrderId;

#[async_trait]
pub trait Api: Send + Sync {
    /// A digest of the token in force for a connection; nothing if there is none. It tells one token from another, and
    /// not what they are.
    fn token(&self, connection: &str) -> Option<String>;

    /// Sends a request about an order with a connection's token, within a bounded time.
    ///
    /// # Errors
    /// When there is no answer: why. The request may have had its effect.
    async fn send(
        &self,
        connection: &str,
        order: &OrderId,
        request: &Request,
    ) -> Result<RawAnswer, &'static str>;
}
