//! Two providers as configuration and telemetry see them: a name, schemes, a horizon and answers.

use std::time::Duration;

use bytes::Bytes;
use milepost::domain::answer::{Answer, Rejection, RejectionKind};
use milepost::domain::journey::{Journey, Personal, Sample};
use milepost::domain::provider::{
    AuthScheme, Credentials, Decoded, Headers, Provider, ProviderId, SignedWebhook, Signing,
};
use milepost::domain::verdict::Poison;

pub const TELYPORT: ProviderId = ProviderId::new("telyport");
pub const EXPRESS: ProviderId = ProviderId::new("247express");

pub const PROVIDERS: &[&dyn Provider] = &[
    &Fake { id: TELYPORT, schemes: &[AuthScheme::Hmac], horizon_hours: 2, refusal: 401 },
    &Fake { id: EXPRESS, schemes: &[AuthScheme::ApiKey, AuthScheme::Basic], horizon_hours: 24, refusal: 200 },
];

struct Fake {
    id: ProviderId,
    schemes: &'static [AuthScheme],
    horizon_hours: u64,
    refusal: u16,
}

impl Provider for Fake {
    fn id(&self) -> ProviderId {
        self.id
    }

    fn auth_schemes(&self) -> &'static [AuthScheme] {
        self.schemes
    }

    fn resend_horizon(&self) -> Duration {
        Duration::from_secs(self.horizon_hours * 3600)
    }

    fn gives_up_after(&self) -> Duration {
        Duration::from_secs(self.horizon_hours * 3600)
    }

    fn answer(&self, _scheme: Option<AuthScheme>, outcome: Result<(), RejectionKind>) -> Answer {
        match outcome {
            Err(RejectionKind::NotAuthentic) => Answer::empty(self.refusal),
            other => Answer::plain(other),
        }
    }

    fn authenticate(&self, _: &dyn Headers, body: Bytes, _: &Credentials) -> Result<Bytes, Rejection> {
        Ok(body)
    }

    fn decode(&self, _: &[u8]) -> Result<Decoded, Poison> {
        Ok(Decoded::Ignored)
    }

    fn transitions(&self) -> &'static milepost::domain::transitions::Transitions {
        &milepost::domain::transitions::Transitions { table: &[], steps: &[], ends: &[] }
    }

    fn samples(&self) -> &'static [Sample] {
        &[]
    }

    fn journeys(&self) -> &'static [Journey] {
        &[]
    }

    fn personalize(&self, _: &mut serde_json::Value, _: &Personal<'_>) {}

    fn sign(&self, body: Bytes, _: &Signing<'_>) -> SignedWebhook {
        SignedWebhook { headers: Vec::new(), body }
    }
}
