//! What became of one webhook, as text and as JSON.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::operator::printable::shortened;

/// As much of an answer's body as is shown.
const LONGEST_BODY: usize = 80;

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SendOutcome {
    /// The answer was the one that this provider takes for success.
    Accepted,
    /// The answer says that it will never be accepted.
    Refused,
    /// It was not accepted in the time it was given.
    GaveUp,
}

/// What the last try of a webhook met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderReply {
    Answer {
        code: u16,
        /// Its `Milepost-Receipt`.
        receipt: Option<String>,
        /// The beginning of its body.
        body: Bytes,
    },
    None(String),
}

/// Which webhook of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Which {
    pub number: u64,
    /// Its step of the delivery.
    pub step: u32,
    /// The sample it is made from, unless it is a file.
    pub sample: Option<&'static str>,
    /// Whether it was sent, and accepted, before: a provider's resend of what had arrived.
    pub duplicate: bool,
}

/// A webhook that was not accepted and will be sent again.
#[derive(Debug)]
pub struct Resend<'a> {
    pub which: Which,
    pub reply: &'a ProviderReply,
    /// In how long.
    pub wait: Duration,
}

/// A webhook whose sending has ended.
#[derive(Debug, Serialize)]
pub struct Delivered {
    #[serde(flatten)]
    pub which: Which,
    pub outcome: SendOutcome,
    /// What the last try met.
    #[serde(flatten)]
    pub reply: ProviderReply,
    /// How often it was sent.
    pub tries: u32,
    /// From the first try's beginning to the last one's end.
    #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
    pub elapsed: Duration,
    /// How long the last try took.
    #[serde(skip)]
    pub last_try: Duration,
}

impl fmt::Display for ProviderReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { code, receipt: Some(receipt), .. } => write!(f, "{code}, receipt {receipt}"),
            Self::Answer { code, receipt: None, .. } => write!(f, "{code}"),
            Self::None(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, sample, duplicate, .. } = self;
        let again = if *duplicate { " again" } else { "" };
        f.pad(&format!("#{number} {}{again}", sample.unwrap_or("file")))
    }
}

impl fmt::Display for Resend<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { which, reply, wait } = self;
        write!(f, "{which} not accepted ({reply}), again in {:.1} s", wait.as_secs_f64())
    }
}

impl fmt::Display for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            SendOutcome::Accepted => "accepted",
            SendOutcome::Refused => "refused",
            SendOutcome::GaveUp => "gave up",
        };
        let tries = if self.tries == 1 { "1 try".to_owned() } else { format!("{} tries", self.tries) };
        let Self { which, reply, .. } = self;
        let elapsed = self.elapsed.as_millis();
        write!(f, "{which:<24} {outcome:<8} {tries}, {elapsed} ms: {reply}")?;
        match reply {
            // Why it was refused is in the answer's body, for some providers nowhere else.
            ProviderReply::Answer { body, .. }
                if self.outcome != SendOutcome::Accepted && !body.is_empty() =>
            {
                write!(f, ": {}", shortened(String::from_utf8_lossy(body).trim_end(), LONGEST_BODY))
            }
            _ => Ok(()),
        }
    }
}

/// `code`, `receipt` and, when there was no answer, `error`: always the same three, so that every line has the
/// same fields.
impl Serialize for ProviderReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct DeliveredFields<'a> {
            code: Option<u16>,
            receipt: Option<&'a str>,
            error: Option<&'a str>,
        }
        let fields = match self {
            Self::Answer { code, receipt, .. } => {
                DeliveredFields { code: Some(*code), receipt: receipt.as_deref(), error: None }
            }
            Self::None(why) => DeliveredFields { code: None, receipt: None, error: Some(why) },
        };
        fields.serialize(serializer)
    }
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
