//! The webhooks of one run: nothing but a function of what was asked and the seed.

use anyhow::Context as _;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::domain::authentication::AuthScheme;
use crate::domain::journey::Personal;
use crate::domain::samples::{SampleSource, SignedWebhook, Signing};
use crate::domain::secret::Secret;

/// 2025-01-01T00:00:00Z. Deliveries begin in the year from here on, those of one run all at the second that its seed
/// chooses: a time read from the clock would make other bytes each time.
const FIRST_SECOND: i64 = 1_735_689_600;
const SECONDS_OF_A_YEAR: u64 = 365 * 24 * 60 * 60;

/// What the bodies are made from.
#[derive(Debug, Clone)]
pub enum WebhookBodies {
    /// Samples by their names: the steps of each delivery.
    Samples(Vec<(&'static str, Value)>),
    /// Bytes, sent as they are.
    Verbatim(Bytes),
}

impl WebhookBodies {
    /// Deliveries told with these samples of `provider`, in this order.
    ///
    /// # Errors
    /// When it has no such sample, or one is not JSON: then it cannot be given ids of its own.
    pub fn of(provider: &dyn SampleSource, steps: &[&'static str]) -> anyhow::Result<Self> {
        let step = |&name: &&'static str| {
            let sample = provider.samples().iter().find(|sample| sample.name == name);
            let sample = sample.with_context(|| format!("{} has no sample {name}", provider.id()))?;
            let body = serde_json::from_str(sample.body);
            Ok((name, body.with_context(|| format!("the sample {name} is not JSON; send it as --file"))?))
        };
        steps.iter().map(step).collect::<anyhow::Result<_>>().map(Self::Samples)
    }

    /// How many webhooks each delivery has.
    #[must_use]
    pub fn steps(&self) -> u32 {
        match self {
            Self::Samples(steps) => u32::try_from(steps.len()).unwrap_or(u32::MAX),
            Self::Verbatim(_) => 1,
        }
    }

    /// The name of the sample that the step is made from.
    #[must_use]
    pub fn name(&self, step: u32) -> Option<&'static str> {
        self.step(step).map(|(name, _)| *name)
    }

    fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Samples(steps) => steps.iter().map(|(name, _)| *name).collect(),
            Self::Verbatim(_) => Vec::new(),
        }
    }

    fn step(&self, step: u32) -> Option<&(&'static str, Value)> {
        match self {
            Self::Samples(steps) => steps.get(usize::try_from(step).ok()?),
            Self::Verbatim(_) => None,
        }
    }
}

/// The webhooks of one run, by delivery, numbered from 0, and its step.
#[derive(Clone)]
pub struct Webhooks {
    pub provider: &'static dyn SampleSource,
    /// What the bodies are made from.
    pub content: WebhookBodies,
    pub scheme: AuthScheme,
    /// In which header, where the account chose one.
    pub header: Option<String>,
    /// What they are signed with.
    pub secret: Secret,
    pub seed: u64,
    pub begun: Timestamp,
}

impl Webhooks {
    /// The webhook of `step` of the delivery `number`: the same bytes whenever it is asked for.
    ///
    /// # Errors
    /// When there is no such step, or the body cannot be written as JSON, which no JSON value causes.
    pub fn webhook(&self, number: u64, step: u32) -> anyhow::Result<SignedWebhook> {
        let body = match &self.content {
            WebhookBodies::Verbatim(body) => body.clone(),
            WebhookBodies::Samples(_) => {
                let (_, sample) = self.content.step(step).context("no such step")?;
                let (mut body, tag) = (sample.clone(), format!("{:016x}", self.seed));
                let steps = self.content.names();
                let personal = Personal { tag: &tag, number, steps: &steps, step, begun: self.begun };
                self.provider.personalize(&mut body, &personal);
                serde_json::to_vec(&body)?.into()
            }
        };
        let signing = Signing { scheme: self.scheme, header: self.header.as_deref(), secret: &self.secret };
        Ok(self.provider.sign(body, &signing))
    }
}

/// When the deliveries of a run with this seed begin.
#[must_use]
pub fn time_of(seed: u64) -> Timestamp {
    let offset = i64::try_from(seed % SECONDS_OF_A_YEAR).unwrap_or(0);
    Timestamp::from_second(FIRST_SECOND + offset).unwrap_or_default()
}
