//! Takes in one webhook: find whose it is, authenticate it over the raw bytes, wrap it, publish it with a confirm; or, where
//! the broker gives none and the provider may not send again, put it into the spool.
//!
//! What a webhook is known to be is its type here: [`Destination`] is what its path says, [`Addressed`] what its headers
//! say as well, and [`Authentic`] what is proved. Only the last can be published.
//!
//! Nothing is decoded here beyond what authentication needs: a worker can be fixed and the webhook processed again,
//! while one refused at the door is gone. Sizes, times and answers on the wire are `adapters::http`'s business.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{Instrument as _, Span};

use super::spans;
use super::spooling::Spooling;
use crate::domain::answer::{Answer, Rejection};
use crate::domain::authentication::{Credentials, Headers, Proof};
use crate::domain::envelope::{Envelope, TraceContext};
use crate::domain::identity::{Account, ReceiptId};
use crate::domain::provider::{Provider, ProviderId, check_body};
use crate::ports::{Clock, Outbound, PublishError, Publisher, chance};
use crate::telemetry::traces;

/// The longest `Content-Type` that is kept: AMQP holds it in a short string.
const CONTENT_TYPE_MAX_BYTES: usize = 255;

/// A provider's accounts, as they are now.
pub type LiveAccounts = watch::Receiver<Accounts>;

/// Who may post, and how each proves it.
#[derive(Debug, Default)]
pub struct Accounts {
    pub known: BTreeMap<Account, Arc<Credentials>>,
    /// Whether there may be others that could not be read yet.
    pub incomplete: bool,
}

/// One provider and the accounts whose webhooks are taken.
pub struct Endpoint {
    pub provider: &'static dyn Provider,
    pub accounts: LiveAccounts,
}

impl Endpoint {
    fn destination(&self, account: Option<&str>) -> Destination {
        let account = match account {
            Some(text) => text.parse().ok(),
            None => Some(Account::default_account()),
        };
        let accounts = self.accounts.borrow();
        let known = account.and_then(|account| {
            let credentials = Arc::clone(accounts.known.get(&account)?);
            Some((account, credentials))
        });
        // A sender that is not known may be one of those that we could not read: it is to send again.
        let unknown = if accounts.incomplete { Rejection::NoSecret } else { Rejection::UnknownAccount };
        Destination { provider: self.provider, account: known.ok_or(unknown) }
    }
}

/// Where a request is addressed to: a provider, and its account if that is configured, with the credentials of now.
pub struct Destination {
    provider: &'static dyn Provider,
    account: Result<(Account, Arc<Credentials>), Rejection>,
}

impl Destination {
    /// Whose webhook it says it is.
    #[must_use]
    pub fn provider(&self) -> ProviderId {
        self.provider.id()
    }

    /// The account, when it is a configured one.
    ///
    /// # Errors
    /// Why there is none.
    pub fn account(&self) -> Result<&Account, Rejection> {
        self.account.as_ref().map(|(account, _)| account).map_err(|rejection| *rejection)
    }

    /// The answer in the provider's own words.
    #[must_use]
    pub fn answer(&self, outcome: Result<(), Rejection>) -> Answer {
        let scheme = self.account.as_ref().ok().map(|(_, credentials)| credentials.authentication.scheme());
        self.provider.answer(scheme, outcome.map_err(Rejection::kind))
    }

    /// Checks what needs no body.
    ///
    /// # Errors
    /// Why its body need not be read.
    pub fn check_headers(&self, headers: &dyn Headers) -> Result<Addressed<'_>, Rejection> {
        let (account, credentials) = self.account.as_ref().map_err(|rejection| *rejection)?;
        let proof = credentials.check_headers(headers)?;
        Ok(Addressed { provider: self.provider, account, credentials, proof })
    }
}

/// A webhook whose headers say all that they have to.
pub struct Addressed<'a> {
    provider: &'static dyn Provider,
    account: &'a Account,
    credentials: &'a Credentials,
    proof: Proof,
}

impl<'a> Addressed<'a> {
    /// Checks what the headers left to the body.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn check_body(&self, body: Bytes) -> Result<Authentic<'a>, Rejection> {
        let body = check_body(self.provider, self.credentials, &self.proof, body)?;
        Ok(Authentic { provider: self.provider.id(), account: self.account, body })
    }
}

/// A webhook of the provider that it says it is of, with the body to store.
pub struct Authentic<'a> {
    provider: ProviderId,
    account: &'a Account,
    body: Bytes,
}

impl Authentic<'_> {
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }
}

/// When a request arrived, and the name it is accounted for by.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    /// A UUIDv7 of `received_at`.
    pub id: ReceiptId,
    /// To the millisecond.
    pub received_at: Timestamp,
}

impl Receipt {
    /// A receipt of its own for a request that arrived at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let id = ReceiptId::new(now, &chance::random());
        Self { id, received_at: id.received_at() }
    }
}

pub struct Receiver {
    endpoints: Vec<Endpoint>,
    publisher: Arc<dyn Publisher>,
    clock: Arc<dyn Clock>,
    spools: BTreeMap<ProviderId, Arc<Spooling>>,
}

impl Receiver {
    /// A receiver for these endpoints, which spools nothing.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>, publisher: Arc<dyn Publisher>, clock: Arc<dyn Clock>) -> Self {
        Self { endpoints, publisher, clock, spools: BTreeMap::new() }
    }

    /// Spools these providers' webhooks while the broker cannot confirm them.
    #[must_use]
    pub fn with_spools(self, spools: BTreeMap<ProviderId, Arc<Spooling>>) -> Self {
        Self { spools, ..self }
    }

    /// Whether a webhook of this provider would be spooled now.
    #[must_use]
    pub fn can_spool(&self, provider: ProviderId) -> bool {
        self.spools.get(&provider).is_some_and(|spool| spool.is_usable())
    }

    pub fn providers(&self) -> impl Iterator<Item = ProviderId> {
        self.endpoints.iter().map(|endpoint| endpoint.provider.id())
    }

    /// The destination by its names; no account means the default one. `None` when there is no such provider.
    #[must_use]
    pub fn named(&self, provider: &str, account: Option<&str>) -> Option<Destination> {
        let endpoint = self.endpoints.iter().find(|endpoint| endpoint.provider.id().as_str() == provider)?;
        Some(endpoint.destination(account))
    }

    /// The default account of the provider whose own document names this path, and the path.
    #[must_use]
    pub fn documented_at(&self, path: &str) -> Option<(&'static str, Destination)> {
        self.endpoints.iter().find_map(|endpoint| {
            let documented = endpoint.provider.documented_path().filter(|documented| *documented == path)?;
            Some((documented, endpoint.destination(None)))
        })
    }

    /// A receipt for the request that arrives now.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        Receipt::at(self.clock.now())
    }

    /// Stores a webhook. `request` is the HTTP request's span, which becomes a child of the sender's: it is the provider,
    /// and no other sender may choose what we sample. `Ok` only after the broker confirmed it, or the spool proved that it
    /// has it (invariant 1); it is the receipt that the webhook has from then on, which says so if the spool alone has it. When the
    /// future is dropped, it may or may not be stored: the sender has no answer then, and sends again.
    ///
    /// # Errors
    /// One of the broker's reasons, if the provider has no spool or that did not take it either.
    pub async fn store(
        &self,
        webhook: Authentic<'_>,
        receipt: Receipt,
        request: &Span,
        headers: &(dyn Headers + Sync),
    ) -> Result<ReceiptId, Rejection> {
        let Authentic { provider, account, body } = webhook;
        let sender = trace_context(headers);
        traces::set_parent(request, &sender);
        let span = spans::send(request, provider, account, receipt.id);
        let envelope = Envelope {
            content_type: text(headers, "content-type", CONTENT_TYPE_MAX_BYTES),
            trace: traces::context_of(&span).unwrap_or_else(|| sender.if_sampled()),
            ..Envelope::new(receipt.id, provider, account.clone(), body)
        };
        let spool = self.spools.get(&provider).map(|spool| (spool, envelope.clone()));
        let published = self.publisher.publish(Outbound::Raw(envelope)).instrument(span.clone()).await;
        let Err(error) = published else { return Ok(receipt.id) };
        traces::failed(&span, error.as_str());
        if let Some((spool, envelope)) = spool {
            // If it did not confirm, the broker may have it all the same: two copies with one receipt, of which one ends as a
            // duplicate.
            let receipt = if error == PublishError::Unavailable { receipt.id.spooled() } else { receipt.id };
            let envelope = Envelope { receipt, ..envelope };
            if spool.append(&envelope).await.is_ok() {
                return Ok(envelope.receipt);
            }
        }
        Err(match error {
            PublishError::Refused => Rejection::BrokerRefused,
            PublishError::Unavailable => Rejection::BrokerUnavailable,
            PublishError::Unconfirmed => Rejection::Unconfirmed,
        })
    }
}

/// A header's value, when it is text of a length that can be passed on.
fn text(headers: &dyn Headers, name: &str, max_bytes: usize) -> Option<String> {
    let value = std::str::from_utf8(headers.get(name)?).ok()?;
    (1..=max_bytes).contains(&value.len()).then(|| value.to_owned())
}

/// The caller's trace, if it sent one.
#[must_use]
pub fn trace_context(headers: &dyn Headers) -> TraceContext {
    let header = |name| std::str::from_utf8(headers.get(name)?).ok();
    TraceContext::received(header("traceparent"), header("tracestate"))
}
