//! The providers' APIs over HTTPS (`outgoing.rs`); no credential in a log.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::outgoing::{self, LiveToken, Received};
use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;
use crate::domain::pull::{PullAnswer, PullRequest};
use crate::domain::secret::Secret;
use crate::ports::ProviderApi;

/// A delivery with all its photographs' addresses is smaller.
const LARGEST_ANSWER: usize = 256 * 1024;

/// One provider's address, and the credentials of its accounts.
pub struct ProviderRemote {
    pub base: Url,
    /// Each account's credential, which may change.
    pub credentials: BTreeMap<Account, LiveToken>,
}

pub struct ProviderClient {
    client: Client,
    remotes: BTreeMap<ProviderId, ProviderRemote>,
}

impl ProviderClient {
    /// A client of these providers, whose requests take at most `timeout`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(remotes: BTreeMap<ProviderId, ProviderRemote>, timeout: Duration) -> Result<Self, String> {
        let client = outgoing::client(remotes.values().map(|remote| &remote.base), timeout)?;
        Ok(Self { client, remotes })
    }

    async fn try_send(&self, base: &Url, request: &PullRequest) -> Result<PullAnswer, &'static str> {
        let url = url(base, request)?;
        let mut sending = match &request.post {
            Some(body) => {
                let sending = self.client.post(url).header("content-type", "application/json");
                sending.body(body.to_string())
            }
            None => self.client.get(url),
        };
        for (name, value) in &request.headers {
            let value = HeaderValue::from_bytes(value.expose());
            let mut value = value.map_err(|_| "the credential is no header's value")?;
            value.set_sensitive(true);
            sending = sending.header(HeaderName::from_static(name), value);
        }
        let Received { code, retry_after, next_cursor, body } =
            outgoing::send(sending, LARGEST_ANSWER).await?;
        Ok(PullAnswer { code, retry_after, next_cursor, body })
    }
}

#[async_trait]
impl ProviderApi for ProviderClient {
    fn credential(&self, provider: ProviderId, account: &Account) -> Option<Secret> {
        let live = self.remotes.get(&provider)?.credentials.get(account)?;
        live.borrow().as_deref().cloned()
    }

    async fn send(&self, provider: ProviderId, request: &PullRequest) -> Result<PullAnswer, &'static str> {
        let remote = self.remotes.get(&provider).ok_or("the provider has no address")?;
        self.try_send(&remote.base, request).await
    }
}

fn url(base: &Url, request: &PullRequest) -> Result<Url, &'static str> {
    let mut url = base.clone();
    url.path_segments_mut().map_err(|()| "the base URL has no path")?.pop_if_empty().extend(&request.path);
    for (name, value) in &request.query {
        let value = std::str::from_utf8(value.expose()).map_err(|_| "a parameter is no text")?;
        url.query_pairs_mut().append_pair(name, value);
    }
    Ok(url)
}
