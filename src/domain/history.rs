//! What a webhook has been through: its failed attempts, carried in the message from retry to parking to replay.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The latest so many are kept: a whole chain of Telyport's schedule and what an operator did before it.
const MOST: usize = 20;
/// Our phrases are shorter; text from elsewhere is cut.
const LONGEST_TEXT: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When, to the millisecond.
    #[serde(with = "millis")]
    pub at: Timestamp,
    /// The number of the attempt in its chain, from 0. A replay starts a chain anew.
    pub attempt: u32,
    /// Why: the value of a retry's or of a parking's reason.
    pub reason: String,
    /// What in particular: a fixed phrase of ours, never a piece of the body (invariant 9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Failure {
    /// An attempt that failed `at` that time.
    #[must_use]
    pub fn new(at: Timestamp, attempt: u32, reason: &str, detail: Option<&str>) -> Self {
        Self { at, attempt, reason: reason.to_owned(), detail: detail.map(str::to_owned) }
    }
}

/// The latest failed attempts, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(Vec<Failure>);

impl History {
    /// Adds the latest failure. The oldest goes when there are too many.
    pub fn push(&mut self, failure: Failure) {
        self.0.push(failure);
        self.0.drain(..self.0.len().saturating_sub(MOST));
    }

    /// This history and one more failure.
    #[must_use]
    pub fn with(mut self, failure: Failure) -> Self {
        self.push(failure);
        self
    }

    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.0
    }

    /// When the latest failure was.
    #[must_use]
    pub fn latest(&self) -> Option<Timestamp> {
        self.0.last().map(|failure| failure.at)
    }

    /// As the text of one header; `None` when there is nothing to tell.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        // Unwrap safety: these types have no map with keys that are not text, and nothing else can fail.
        (!self.0.is_empty()).then(|| serde_json::to_string(self).expect("plain data"))
    }

    /// Reads that text. Anything else is no history: a broken header costs no message.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let Ok(Self(read)) = serde_json::from_str(text) else { return Self::default() };
        let mut history = Self::default();
        for mut failure in read {
            failure.reason = cut(failure.reason);
            failure.detail = failure.detail.map(cut);
            history.push(failure);
        }
        history
    }
}

fn cut(text: String) -> String {
    if text.len() <= LONGEST_TEXT { text } else { text.chars().take(LONGEST_TEXT).collect() }
}

mod millis {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[allow(clippy::trivially_copy_pass_by_ref)] // The signature that serde asks for.
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.as_millisecond())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::from_millisecond(i64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
