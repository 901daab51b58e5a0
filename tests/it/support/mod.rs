//! What the integration tests share.

pub mod collector;
pub mod fixtures;
pub mod fleet;
pub mod front;
pub mod other_clock;
pub mod process;
pub mod proxy;
pub mod redis_group;
pub mod sender;
pub mod servers;

use std::time::Duration;

use futures_util::Future;

/// How long a condition may take to come true. Generous: it only bounds a failing test.
pub const SOON: Duration = Duration::from_secs(60);

/// Waits until `condition` gives a value.
///
/// # Panics
/// When it does not within [`SOON`].
pub async fn eventually<T, F>(what: &str, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let polling = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // The interval of a poll, not a wait for luck.
        }
    };
    tokio::time::timeout(SOON, polling).await.unwrap_or_else(|_| panic!("never came true: {what}"))
}
