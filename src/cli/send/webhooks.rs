//! The webhooks of one run: nothing but a function of what was asked and the seed.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::domain::provider::{AuthScheme, Provider, Sample, SignedWebhook};
use crate::domain::secret::Secret;

/// 2025-01-01T00:00:00Z. Runs take place in the year from here on, each at a second that its seed chooses: a time
/// read from the clock would make other bytes each time.
const FIRST_SECOND: i64 = 1_735_689_600;
const SECONDS_OF_A_YEAR: u64 = 365 * 24 * 60 * 60;

/// What the bodies are made from.
#[derive(Debug, Clone)]
pub enum Content {
    /// A sample, made another event of another delivery each time.
    Sample(Value),
    /// Bytes, sent as they are.
    Verbatim(Bytes),
}

impl Content {
    /// From a documented payload.
    ///
    /// # Errors
    /// When it is not JSON: then it cannot be given ids of its own.
    pub fn sample(sample: &Sample) -> serde_json::Result<Self> {
        serde_json::from_str(sample.body).map(Self::Sample)
    }
}

/// The webhooks of one run, numbered from 0.
#[derive(Clone)]
pub struct Webhooks {
    /// Who sends them.
    pub provider: &'static dyn Provider,
    /// What the bodies are made from.
    pub content: Content,
    /// How they are signed.
    pub scheme: AuthScheme,
    /// What they are signed with.
    pub secret: Secret,
    /// Tells runs apart.
    pub seed: u64,
}

impl Webhooks {
    /// The webhook `number`: the same bytes whenever it is asked for.
    ///
    /// # Errors
    /// When the body cannot be written as JSON, which no JSON value causes.
    pub fn webhook(&self, number: u64) -> serde_json::Result<SignedWebhook> {
        let body = match &self.content {
            Content::Verbatim(body) => body.clone(),
            Content::Sample(sample) => {
                let mut body = sample.clone();
                self.provider.personalize(&mut body, &format!("{:016x}", self.seed), number, self.time());
                serde_json::to_vec(&body)?.into()
            }
        };
        Ok(self.provider.sign(body, self.scheme, &self.secret))
    }

    fn time(&self) -> Timestamp {
        let offset = i64::try_from(self.seed % SECONDS_OF_A_YEAR).unwrap_or(0);
        Timestamp::from_second(FIRST_SECOND + offset).unwrap_or_default()
    }
}
