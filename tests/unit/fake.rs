//! Two providers as configuration and telemetry see them: a name, schemes, a horizon and answers.

use std::time::Duration;

use milepost::domain::answer::{Answer, RejectionKind};
use milepost::domain::authentication::{AuthScheme, Authentication};
use milepost::domain::provider::{Decoded, Provider, ProviderId};
use milepost::domain::verdict::Poison;

pub const TELYPORT: ProviderId = ProviderId::new("telyport");
pub const EXPRESS: ProviderId = ProviderId::new("247express");

pub const PROVIDERS: &[&dyn Provider] = &[
    &Fake { id: TELYPORT, authentication: BY_HMAC, horizon_hours: 2, refusal: 401 },
    &Fake { id: EXPRESS, authentication: BY_KEY, horizon_hours: 24, refusal: 200 },
];

const BY_HMAC: &[Authentication] = &[Authentication::Hmac { header: "x-signature" }];
const BY_KEY: &[Authentication] = &[Authentication::BodyKey { field: "ApiKey" }, Authentication::Basic];

struct Fake {
    id: ProviderId,
    authentication: &'static [Authentication],
    horizon_hours: u64,
    refusal: u16,
}

impl Provider for Fake {
    fn id(&self) -> ProviderId {
        self.id
    }

    fn authentication(&self) -> &'static [Authentication] {
        self.authentication
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

    fn decode(&self, _: &[u8]) -> Result<Decoded, Poison> {
        Ok(Decoded::Ignored)
    }

    fn transitions(&self) -> &'static milepost::domain::transitions::Transitions {
        &milepost::domain::transitions::Transitions { table: &[], steps: &[], ends: &[] }
    }
}
