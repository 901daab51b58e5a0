//! Sending webhooks as providers do.

use milepost::domain::authentication::AuthScheme;
use milepost::domain::identity::Account;
use milepost::domain::samples::{SampleSource, Signing};
use milepost::domain::secret::Secret;
use reqwest::{Client, Response};

use super::process::SECRET;

/// Posts a signed webhook to an account at a receiver; the answer, if there was one.
pub async fn post(
    client: &Client,
    receiver: &str,
    provider: &dyn SampleSource,
    account: &Account,
    body: impl Into<bytes::Bytes>,
) -> Option<Response> {
    let secret = Secret::new(SECRET.as_bytes()).expect("not empty");
    let signing = Signing { scheme: AuthScheme::Hmac, header: None, secret: &secret };
    let webhook = provider.sign(body.into(), &signing);
    let url = format!("http://{receiver}/webhooks/{}/{account}", provider.id());
    let request = client.post(url).body(webhook.body);
    let request =
        webhook.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    request.send().await.ok()
}
