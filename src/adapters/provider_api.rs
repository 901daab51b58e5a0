//! The providers' APIs over HTTPS: no redirects, every wait bounded, no more of an answer read than one needs, and no
//! credential in a log.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use url::Url;

use super::hubrise::LiveToken;
use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;
use crate::domain::pull::{PullAnswer, PullRequest};
use crate::domain::secret::Secret;
use crate::ports::ProviderApi;

/// A delivery with all its photographs' addresses is smaller.
const LARGEST_ANSWER: usize = 256 * 1024;

/// One provider's address, and the credentials of its accounts.
pub struct Remote {
    /// The API, version included.
    pub base: Url,
    /// Each account's credential, which may change.
    pub credentials: BTreeMap<Account, LiveToken>,
}

/// Sends requests.
pub struct ProviderClient {
    client: Client,
    remotes: BTreeMap<ProviderId, Remote>,
}

impl ProviderClient {
    /// A client of these providers, whose requests take at most `timeout`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(remotes: BTreeMap<ProviderId, Remote>, timeout: Duration) -> Result<Self, String> {
        let mut client =
            Client::builder().redirect(Policy::none()).timeout(timeout).connect_timeout(timeout / 2);
        if remotes.values().all(|remote| remote.base.scheme() == "http") {
            // As in `hubrise.rs`: stand-ins on loopback need no certificate authority, and no proxy has them.
            client = client.tls_certs_only([]).no_proxy();
        }
        let client = client.build().map_err(|error| error.without_url().to_string())?;
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
        let response = sending.send().await.map_err(|error| reason(&error))?;
        read(response).await.map_err(|error| reason(&error))
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

async fn read(mut response: Response) -> reqwest::Result<PullAnswer> {
    let code = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Ok(PullAnswer { code, retry_after, body: None });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(PullAnswer { code, retry_after, body: Some(body) })
}

/// Never with the URL, nor with anything that was sent.
fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "the connection broke"
    }
}
