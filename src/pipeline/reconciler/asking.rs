//! Requests at a bounded rate, with a token where the API wants one; and their answers into the intake.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{ReconcilerPorts, Source};
use crate::domain::envelope::Envelope;
use crate::domain::identity::{Account, ReceiptId};
use crate::domain::provider::ProviderId;
use crate::domain::pull::{NoAnswer, Pull, PullAnswer, PullRequest};
use crate::domain::secret::Secret;
use crate::ports::{Outbound, chance};
use crate::telemetry::metrics as m;

/// Why nothing was put into the intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskFailure {
    /// The provider's answer, or the lack of one.
    NoAnswer(NoAnswer),
    /// The broker did not confirm the webhook. It may have stored it.
    NotPublished,
}

impl AskFailure {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoAnswer(why) => why.as_str(),
            Self::NotPublished => "not_published",
        }
    }
}

impl From<NoAnswer> for AskFailure {
    fn from(why: NoAnswer) -> Self {
        Self::NoAnswer(why)
    }
}

pub(super) struct Asker {
    provider: ProviderId,
    pull: &'static dyn Pull,
    path: String,
    timeline_path: Option<String>,
    account: Account,
    every: Duration,
    next: Instant,
    /// When the last request was made.
    asked_at: Timestamp,
    /// A token, and the credential that it was got with.
    token: Option<(Secret, Secret)>,
}

impl Asker {
    pub(super) fn new(source: &Source) -> Self {
        Self {
            provider: source.provider,
            pull: source.pull,
            path: source.path.clone(),
            timeline_path: source.timeline_path.clone(),
            account: source.account.clone(),
            every: Duration::from_mins(1) / source.per_minute.max(1),
            next: Instant::now(),
            asked_at: Timestamp::MIN,
            token: None,
        }
    }

    /// Asks for a delivery, and publishes what the provider says as its webhook. Only once that is confirmed is it done.
    pub(super) async fn ask(
        &mut self,
        ports: &ReconcilerPorts,
        delivery_id: &str,
        address: Option<&str>,
    ) -> Result<(), AskFailure> {
        let (pull, path) = (self.pull, self.path.clone());
        let address = address.unwrap_or(delivery_id);
        let ask = |with: &Secret| pull.ask(&path, address, with);
        let state = self.request(ports, ask, |answer| pull.read(delivery_id, answer)).await?;
        // A state without a time is of then: what happens while its answer is on the way is newer.
        let asked_at = self.asked_at;
        for step in self.steps(ports, delivery_id, &state).await? {
            self.publish(ports, step, ports.clock.now(), delivery_id).await?;
        }
        self.publish(ports, state, asked_at, delivery_id).await
    }

    /// The steps before the state, where the provider keeps them and their path is known. Without them the state is published
    /// all the same.
    async fn steps(
        &mut self,
        ports: &ReconcilerPorts,
        delivery_id: &str,
        state: &[u8],
    ) -> Result<Vec<Bytes>, NoAnswer> {
        let Some((timeline, path)) = self.pull.timeline().zip(self.timeline_path.clone()) else {
            return Ok(Vec::new());
        };
        let ask = |with: &Secret| timeline.ask(&path, delivery_id, with);
        match self.request(ports, ask, |answer| timeline.read(delivery_id, state, answer)).await {
            Err(why) if !why.is_of_account() => {
                let (provider, account) = (self.provider, &self.account);
                tracing::info!(%provider, %account, delivery.id = delivery_id, why = why.as_str(), "no timeline was pulled");
                Ok(Vec::new())
            }
            steps => steps,
        }
    }

    /// Puts a webhook into the intake, with a receipt of this time; `id` is its delivery's or its event's, for the log.
    pub(super) async fn publish(
        &self,
        ports: &ReconcilerPorts,
        body: Bytes,
        at: Timestamp,
        id: &str,
    ) -> Result<(), AskFailure> {
        let receipt = ReceiptId::pulled(at, &chance::random());
        let webhook = Envelope {
            content_type: Some("application/json".to_owned()),
            ..Envelope::new(receipt, self.provider, self.account.clone(), body)
        };
        let published = ports.publisher.publish(Outbound::Raw(webhook)).await;
        published.map_err(|_| AskFailure::NotPublished)?;
        metrics::counter!(m::PULLED_WEBHOOKS, "provider" => self.provider.as_str()).increment(1);
        let (provider, account) = (self.provider, &self.account);
        tracing::info!(%provider, %account, id, receipt.id = %receipt, "pulled");
        Ok(())
    }

    /// Makes a request with the token or else the credential, and reads its answer.
    pub(super) async fn request<T>(
        &mut self,
        ports: &ReconcilerPorts,
        ask: impl Fn(&Secret) -> PullRequest,
        read: impl Fn(&PullAnswer) -> Result<T, NoAnswer>,
    ) -> Result<T, NoAnswer> {
        match self.try_request(ports, &ask, &read).await {
            // A token runs out when it likes: once more, with another.
            Err(NoAnswer::Denied) if self.token.take().is_some() => {
                self.try_request(ports, &ask, &read).await
            }
            answer => answer,
        }
    }

    async fn try_request<T>(
        &mut self,
        ports: &ReconcilerPorts,
        ask: impl Fn(&Secret) -> PullRequest,
        read: impl Fn(&PullAnswer) -> Result<T, NoAnswer>,
    ) -> Result<T, NoAnswer> {
        let credential = ports.api.credential(self.provider, &self.account).ok_or(NoAnswer::Denied);
        let credential = credential.inspect_err(|why| self.count(why.as_str()))?;
        let is_older = self.token.is_some();
        let with = self.token(ports, credential).await?;
        let answer = self.send(ports, &ask(&with)).await?;
        let read = read(&answer);
        self.count(match &read {
            Ok(_) => "ok",
            Err(NoAnswer::Denied) if is_older => "expired",
            Err(why) => why.as_str(),
        });
        read
    }

    /// What to ask with: a token, where the API wants one.
    async fn token(&mut self, ports: &ReconcilerPorts, credential: Secret) -> Result<Secret, NoAnswer> {
        let Some(request) = self.pull.sign_in(&credential) else { return Ok(credential) };
        if let Some((token, _)) = self.token.as_ref().filter(|(_, of)| *of == credential) {
            return Ok(token.clone());
        }
        let answer = self.send(ports, &request).await?;
        let token = self.pull.token(&answer);
        self.count(token.as_ref().map_or_else(|why| why.as_str(), |_| "ok"));
        // A failure to sign in is about no delivery: each is asked for again.
        let token = token.map_err(|why| if why.is_of_account() { why } else { NoAnswer::Unavailable })?;
        self.token = Some((token.clone(), credential));
        Ok(token)
    }

    async fn send(&mut self, ports: &ReconcilerPorts, request: &PullRequest) -> Result<PullAnswer, NoAnswer> {
        tokio::time::sleep_until(self.next).await;
        self.next = Instant::now() + self.every;
        self.asked_at = ports.clock.now();
        let sent = ports.api.send(self.provider, request).await;
        sent.map_err(|why| {
            let (provider, account) = (self.provider, &self.account);
            tracing::debug!(%provider, %account, why, "no answer from the provider");
            self.count(NoAnswer::Unavailable.as_str());
            NoAnswer::Unavailable
        })
    }

    fn count(&self, result: &'static str) {
        metrics::counter!(m::PULL_REQUESTS, "provider" => self.provider.as_str(), "result" => result)
            .increment(1);
    }
}
