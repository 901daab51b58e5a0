//! Requests to other systems' APIs over HTTPS: no redirects, every wait bounded, no more of an answer read than one needs.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderName, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use tokio::sync::watch;
use url::Url;

use crate::domain::secret::Secret;

/// The token or credential in force, which may change.
pub type LiveToken = watch::Receiver<Option<Arc<Secret>>>;

/// Where HubRise's lists go on.
const CURSOR_NEXT: HeaderName = HeaderName::from_static("x-cursor-next");

pub(super) struct Received {
    pub code: u16,
    /// `Retry-After`, verbatim.
    pub retry_after: Option<String>,
    /// `X-Cursor-Next`, verbatim.
    pub next_cursor: Option<String>,
    /// The body; `None` if it is larger than was asked for.
    pub body: Option<Vec<u8>>,
}

/// A client for APIs at these addresses, whose requests take at most `timeout`.
///
/// # Errors
/// When TLS cannot be set up.
pub(super) fn client<'a>(
    mut bases: impl Iterator<Item = &'a Url>,
    timeout: Duration,
) -> Result<Client, String> {
    let mut client = Client::builder().redirect(Policy::none()).timeout(timeout).connect_timeout(timeout / 2);
    if bases.all(|base| base.scheme() == "http") {
        // Without this, a machine without any certificate authority could not even use plain HTTP. What is on
        // loopback is not to be had by a proxy.
        client = client.tls_certs_only([]).no_proxy();
    }
    client.build().map_err(|error| error.without_url().to_string())
}

/// Sends a request, and reads at most `most` bytes of the answer's body.
///
/// # Errors
/// Why there is no answer, in words of ours.
pub(super) async fn send(request: RequestBuilder, most: usize) -> Result<Received, &'static str> {
    let response = request.send().await.map_err(|error| reason(&error))?;
    read(response, most).await.map_err(|error| reason(&error))
}

async fn read(mut response: Response, most: usize) -> reqwest::Result<Received> {
    let code = response.status().as_u16();
    let header = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let (retry_after, next_cursor) = (header(RETRY_AFTER), header(CURSOR_NEXT));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok(Received { code, retry_after, next_cursor, body: None });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Received { code, retry_after, next_cursor, body: Some(body) })
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
