//! What every answered webhook request leaves behind: a count, a duration and a line in the log, of refused ones a bounded
//! number. Never its body, its headers or an account name of the caller's making (invariant 9, bounded labels).

use std::time::Duration;

use metrics::{counter, histogram};

use super::refusals::{Peer, Refusals, RefusedWebhook};
use crate::domain::answer::Rejection;
use crate::domain::identity::ReceiptId;
use crate::pipeline::receive::Destination;
use crate::telemetry::metrics::{HTTP_REQUEST_DURATION, HTTP_REQUESTS, WEBHOOKS_REJECTED};

/// The provider label of requests to no provider.
pub(super) const NO_PROVIDER: &str = "unknown";

pub(super) struct AnsweredRequest<'a> {
    pub receipt: ReceiptId,
    pub destination: Option<&'a Destination>,
    pub outcome: Result<(), Rejection>,
    pub code: u16,
    pub elapsed: Duration,
}

impl AnsweredRequest<'_> {
    pub(super) fn record(&self, refusals: &Refusals, peer: impl FnOnce() -> Peer) {
        let &Self { receipt, code, .. } = self;
        let provider = self.destination.map_or(NO_PROVIDER, |destination| destination.provider().as_str());
        count(provider, code, self.outcome);
        histogram!(HTTP_REQUEST_DURATION, "provider" => provider).record(self.elapsed);
        let account = self.destination.and_then(|destination| destination.account().ok());
        match self.outcome {
            Ok(()) => {
                let account = account.map(tracing::field::display);
                tracing::debug!(receipt.id = %receipt, provider, account, code, "webhook accepted");
            }
            Err(rejection) => {
                refusals.log(&RefusedWebhook { receipt, provider, account, code, rejection, peer: peer() });
            }
        }
    }
}

fn count(provider: &'static str, code: u16, outcome: Result<(), Rejection>) {
    let result = outcome.map_or_else(Rejection::as_str, |()| "accepted");
    counter!(HTTP_REQUESTS, "provider" => provider, "code" => code.to_string(), "result" => result)
        .increment(1);
    if let Err(rejection) = outcome {
        counter!(WEBHOOKS_REJECTED, "provider" => provider, "reason" => rejection.as_str()).increment(1);
    }
}
