//! HubRise's API over HTTPS (`outgoing.rs`); no token in a log.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method};
use sha2::{Digest, Sha256};
use url::Url;

use super::outgoing::{self, LiveToken, Received};
use crate::sinks::hubrise::api::Api;
use crate::sinks::hubrise::core::answer::RawAnswer;
use crate::sinks::hubrise::core::request::Request;
use crate::sinks::hubrise::core::rule::OrderId;

/// An order with its whole history is smaller.
const LARGEST_ANSWER: usize = 1024 * 1024;
const TOKEN_HEADER: &str = "x-access-token";

/// One connection's address and token.
#[derive(Clone)]
pub struct HubriseRemote {
    pub base: Url,
    pub token: LiveToken,
}

pub struct HubriseClient {
    client: Client,
    remotes: HashMap<String, HubriseRemote>,
}

impl HubriseClient {
    /// A client of these connections, whose requests take at most `timeout`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(remotes: HashMap<String, HubriseRemote>, timeout: Duration) -> Result<Self, String> {
        let client = outgoing::client(remotes.values().map(|remote| &remote.base), timeout)?;
        Ok(Self { client, remotes })
    }

    async fn try_send(
        &self,
        remote: &HubriseRemote,
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
        let Received { code, retry_after, body, .. } = outgoing::send(sending, LARGEST_ANSWER).await?;
        Ok(RawAnswer { code, retry_after, body })
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
