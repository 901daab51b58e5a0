//! HubRise's API over HTTPS: no redirects, every wait bounded, no more of an answer read than one needs, and no token in
//! a log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use url::Url;

use crate::domain::secret::Secret;
use crate::sinks::hubrise::api::Api;
use crate::sinks::hubrise::core::answer::RawAnswer;
use crate::sinks::hubrise::core::request::Request;
use crate::sinks::hubrise::core::rule::OrderId;

/// An order with its whole history is smaller.
const LARGEST_ANSWER: usize = 1024 * 1024;
const TOKEN_HEADER: &str = "x-access-token";

/// The token in force, which may change.
pub type LiveToken = watch::Receiver<Option<Arc<Secret>>>;

/// One connection's address and token.
#[derive(Clone)]
pub struct Remote {
    /// The API, version included.
    pub base: Url,
    /// Its token.
    pub token: LiveToken,
}

/// Sends requests.
pub struct HubriseClient {
    client: Client,
    remotes: HashMap<String, Remote>,
}

impl HubriseClient {
    /// A client of these connections, whose requests take at most `timeout`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(remotes: HashMap<String, Remote>, timeout: Duration) -> Result<Self, String> {
        let mut client =
            Client::builder().redirect(Policy::none()).timeout(timeout).connect_timeout(timeout / 2);
        if remotes.values().all(|remote| remote.base.scheme() == "http") {
            // Without this, a machine without any certificate authority could not even use plain HTTP. What is on
            // loopback is not to be had by a proxy.
            client = client.tls_certs_only([]).no_proxy();
        }
        let client = client.build().map_err(|error| error.without_url().to_string())?;
        Ok(Self { client, remotes })
    }

    async fn try_send(
        &self,
        remote: &Remote,
        order: &OrderId,
        request: &Request,
    ) -> Result<RawAnswer, &'static str> {
        let token = remote.token.borrow().clone().ok_or("there is no token")?;
        let mut token =
            HeaderValue::from_bytes(token.expose()).map_err(|_| "the token is no header's value")?;
        token.set_sensitive(true);
        let method = Method::from_bytes(request.method().as_bytes()).map_err(|_| "no such method")?;
        let mut sending =
            self.client.request(method, url(&remote.base, order, request)?).header(TOKEN_HEADER, token);
        if let Some(body) = request.body() {
            sending = sending.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = sending.send().await.map_err(|error| reason(&error))?;
        read(response).await.map_err(|error| reason(&error))
    }
}

#[async_trait]
impl Api for HubriseClient {
    fn token(&self, connection: &str) -> Option<String> {
        let token = self.remotes.get(connection)?.token.borrow().clone()?;
        Some(hex::encode(&Sha256::digest(token.expose())[..8]))
    }

    async fn send(
        &self,
        connection: &str,
        order: &OrderId,
        request: &Request,
    ) -> Result<RawAnswer, &'static str> {
        let remote = self.remotes.get(connection).ok_or("there is no such connection")?;
        self.try_send(remote, order, request).await
    }
}

fn url(base: &Url, order: &OrderId, request: &Request) -> Result<Url, &'static str> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| "the base URL has no path")?
        .pop_if_empty()
        .extend(request.path(&order.location, &order.order));
    Ok(url)
}

async fn read(mut response: Response) -> reqwest::Result<RawAnswer> {
    let code = response.status().as_u16();
    let retry_after = header(response.headers(), &RETRY_AFTER);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Ok(RawAnswer { code, retry_after, body: None });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(RawAnswer { code, retry_after, body: Some(body) })
}

fn header(headers: &HeaderMap, name: &reqwest::header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
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
