//! A provider's documented payloads, and webhooks made of them as the provider would send them: for `milepost send`,
//! `milepost run --play`, the contract's examples and tests. Receivers and workers never use this.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::authentication::{AUTHORIZATION, AuthScheme, Authentication};
use super::body_key;
use super::journey::{Journey, Personal, Sample};
use super::provider::Provider;
use super::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A provider whose webhooks can be made here.
pub trait SampleSource: Provider {
    fn samples(&self) -> &'static [Sample];

    /// Whole deliveries, told with its samples; the first one ends well.
    fn journeys(&self) -> &'static [Journey];

    /// Rewrites a sample as the webhook that `personal` says. All webhooks of one delivery have its ids, and each is
    /// an event of its own, never earlier than those of the steps before it. The same arguments give the same webhook, so
    /// that a run sent again is a run of duplicates.
    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>);

    /// How long after a webhook's first try, or its last one, it is sent again, where `tries` were not taken. `None`: it is
    /// given up. A provider whose documents do not say that it sends again does not.
    fn resends_after(&self, _tries: u32) -> Option<Duration> {
        None
    }

    /// Signs a body as the provider does. A scheme that it does not document proves nothing.
    fn sign(&self, body: Bytes, signing: &Signing<'_>) -> SignedWebhook {
        let documented = self.authentication().iter().find(|one| one.scheme() == signing.scheme);
        match documented {
            Some(authentication) => {
                let chosen = signing.header.map(str::to_owned);
                sign(body, &authentication.clone().with_header(chosen), signing.secret)
            }
            None => SignedWebhook { headers: Vec::new(), body },
        }
    }
}

/// What a webhook is proved with.
#[derive(Debug, Clone, Copy)]
pub struct Signing<'a> {
    pub scheme: AuthScheme,
    /// The name, in lower case, of the header that holds the secret, where the account chose one
    /// ([`AuthScheme::Header`]).
    pub header: Option<&'a str>,
    pub secret: &'a Secret,
}

/// An HTTP request as the provider would send it.
#[derive(Debug, Clone)]
pub struct SignedWebhook {
    /// Headers beside `Content-Type`.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

fn sign(body: Bytes, authentication: &Authentication, secret: &Secret) -> SignedWebhook {
    let text = || String::from_utf8_lossy(secret.expose()).into_owned();
    let (name, value) = match authentication {
        Authentication::BodyKey { field } => {
            return SignedWebhook { headers: Vec::new(), body: body_key::put(body, field, secret) };
        }
        Authentication::Hmac { header } => (*header, hex::encode(secret.hmac_sha256(&body))),
        Authentication::Basic => (AUTHORIZATION, format!("Basic {}", STANDARD.encode(secret.expose()))),
        Authentication::Bearer => (AUTHORIZATION, format!("Bearer {}", text())),
        Authentication::Header { name } => (name.as_ref(), text()),
    };
    SignedWebhook { headers: vec![(name.to_owned(), value)], body }
}
