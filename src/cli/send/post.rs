//! One webhook's way to being accepted: posted, and posted again with the same bytes while that may help.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::time::{Instant, sleep};

use super::delivered::{Delivered, ProviderReply, Resend, SendOutcome, Which};
use crate::domain::answer::Answer;
use crate::domain::samples::SignedWebhook;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The wait before a webhook is sent again is anywhere between these, so that many do not come back in step.
const RESEND_SECONDS: std::ops::Range<f64> = 0.2..2.0;
/// The answers that are looked for are far smaller; no more than this is read of any.
const ANSWER_CAP: usize = 64 * 1024;

pub type OnResend = Arc<dyn Fn(&Resend<'_>) + Send + Sync>;

/// Posts webhooks to one URL.
pub struct Poster {
    client: Client,
    target: Url,
    accepted: Answer,
    give_up: Duration,
    on_resend: OnResend,
}

impl Poster {
    /// Posts to `target` until the answer is `accepted`, or `give_up` has passed since a webhook's first try. TLS
    /// must have been set up for the process.
    ///
    /// # Errors
    /// When TLS to `target` cannot be set up.
    pub fn new(
        target: Url,
        accepted: Answer,
        give_up: Duration,
        on_resend: OnResend,
    ) -> reqwest::Result<Self> {
        let mut client = Client::builder().redirect(Policy::none()).no_proxy().timeout(REQUEST_TIMEOUT);
        if target.scheme() == "http" {
            // Without this, a machine without any certificate authority could not even send plain HTTP.
            client = client.tls_certs_only([]);
        }
        Ok(Self { client: client.build()?, target, accepted, give_up, on_resend })
    }

    /// Posts one webhook until it is accepted, refused, or given up.
    pub async fn deliver(&self, which: Which, webhook: &SignedWebhook) -> Delivered {
        let begun = Instant::now();
        let mut tries = 0;
        loop {
            let try_begun = Instant::now();
            let (reply, outcome) = self.post(webhook).await;
            tries += 1;
            let (elapsed, last_try) = (begun.elapsed(), try_begun.elapsed());
            let left = self.give_up.saturating_sub(elapsed);
            let outcome = outcome.or_else(|| left.is_zero().then_some(SendOutcome::GaveUp));
            if let Some(outcome) = outcome {
                return Delivered { which, outcome, reply, tries, elapsed, last_try };
            }
            let wait = Duration::from_secs_f64(rand::random_range(RESEND_SECONDS)).min(left);
            (self.on_resend)(&Resend { which, reply: &reply, wait });
            sleep(wait).await;
        }
    }

    /// Posts it once: what that met, and how it ends with it; `None` when sending it again may help.
    pub async fn post(&self, webhook: &SignedWebhook) -> (ProviderReply, Option<SendOutcome>) {
        let reply = self.request(webhook).await;
        let outcome = self.judge(&reply);
        (reply, outcome)
    }

    async fn request(&self, webhook: &SignedWebhook) -> ProviderReply {
        let mut request = self.client.post(self.target.clone()).header(CONTENT_TYPE, "application/json");
        for (name, value) in &webhook.headers {
            request = request.header(name, value);
        }
        match request.body(webhook.body.clone()).send().await {
            Ok(response) => read(response).await.unwrap_or_else(|error| no_answer(&error)),
            Err(error) => no_answer(&error),
        }
    }

    /// How it ends with this reply; `None` when sending again may help.
    fn judge(&self, reply: &ProviderReply) -> Option<SendOutcome> {
        let ProviderReply::Answer { code, body, .. } = reply else { return None };
        match code {
            // An empty body is not asked for: providers that want none do not look at it.
            _ if *code == self.accepted.code => {
                let accepted = self.accepted.body.is_empty() || self.accepted.body.as_bytes() == body;
                // A provider whose success has a body gives its refusals there too, under the same code.
                Some(if accepted { SendOutcome::Accepted } else { SendOutcome::Refused })
            }
            // A slow body and too many requests are the only ones of these that time fixes.
            408 | 429 => None,
            400..=499 => Some(SendOutcome::Refused),
            _ => None,
        }
    }
}

async fn read(mut response: Response) -> reqwest::Result<ProviderReply> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_CAP - body.len())]);
        if body.len() == ANSWER_CAP {
            break;
        }
    }
    let receipt = receipt(response.headers());
    Ok(ProviderReply::Answer { code: response.status().as_u16(), receipt, body: body.freeze() })
}

fn receipt(headers: &HeaderMap) -> Option<String> {
    headers.get("milepost-receipt")?.to_str().ok().map(str::to_owned)
}

/// The innermost error says what happened; those around it only that a request failed.
fn no_answer(error: &reqwest::Error) -> ProviderReply {
    if error.is_timeout() {
        return ProviderReply::None("no answer in time".to_owned());
    }
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    ProviderReply::None(innermost.to_string())
}
