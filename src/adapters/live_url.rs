//! A URL that may change while the process lives, because its password does.

use std::sync::Arc;

use tokio::sync::watch;

/// The newest form of a URL. Each attempt to connect asks for it.
#[derive(Clone)]
pub struct LiveUrl(watch::Receiver<Arc<str>>);

impl LiveUrl {
    /// A URL that is `url` until the sender says otherwise.
    #[must_use]
    pub fn new(url: &str) -> (watch::Sender<Arc<str>>, Self) {
        let (sender, receiver) = watch::channel(url.into());
        (sender, Self(receiver))
    }

    /// What it is now, credentials included.
    #[must_use]
    pub fn now(&self) -> Arc<str> {
        Arc::clone(&self.0.borrow())
    }

    /// Returns once it is another than `used`. Cancel safe.
    pub async fn other_than(&self, used: &str) {
        if self.0.clone().wait_for(|now| **now != *used).await.is_err() {
            // No sender is left that could change it.
            std::future::pending::<()>().await;
        }
    }
}

impl From<&str> for LiveUrl {
    fn from(url: &str) -> Self {
        Self::new(url).1
    }
}
