//! Asking a provider for a delivery's status, as far as that needs no network: the request to make, and what its answer
//! amounts to, in the form of the webhook that the provider would have sent. Each implementation is one file beside the
//! provider's own.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::event_list::EventList;
use super::secret::Secret;

/// The longest wait that is taken from an answer.
const LONGEST_WAIT_SECONDS: u64 = 24 * 60 * 60;

/// A request to a provider's API. Not `Debug`: it holds a credential.
pub struct PullRequest {
    /// Whether it is a POST, and with which JSON; else it is a GET.
    pub post: Option<Value>,
    /// The segments of its path below the API's address.
    pub path: Vec<String>,
    /// Its parameters. A value may be a credential.
    pub query: Vec<(&'static str, Secret)>,
    pub headers: Vec<(&'static str, Secret)>,
}

impl PullRequest {
    /// A GET of this path, its segments separated by `/`; those that are `{}` are `parts`, one after the other.
    #[must_use]
    pub fn get(path: &str, parts: &[&str]) -> Self {
        let mut parts = parts.iter();
        let mut segment = |segment: &str| match segment {
            "{}" => parts.next().copied().unwrap_or_default().to_owned(),
            segment => segment.to_owned(),
        };
        Self { post: None, path: path.split('/').map(&mut segment).collect(), query: vec![], headers: vec![] }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullAnswer {
    pub code: u16,
    /// `Retry-After`, verbatim.
    pub retry_after: Option<String>,
    /// `X-Cursor-Next`, verbatim: where a list goes on.
    pub next_cursor: Option<String>,
    /// The body; nothing if it was larger than we read.
    pub body: Option<Vec<u8>>,
}

/// Why an answer tells nothing of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// The provider does not know the delivery, or not as ours.
    Unknown,
    /// Our credential does not allow it.
    Denied,
    /// Too many requests; the provider may say how long to wait.
    Limited(Option<Duration>),
    /// It cannot answer now, or did not.
    Unavailable,
    /// It answered in a way that its documents do not have.
    Odd,
}

impl NoAnswer {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Denied => "denied",
            Self::Limited(_) => "limited",
            Self::Unavailable => "unavailable",
            Self::Odd => "odd",
        }
    }

    /// Whether the same request may well be answered a while later.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::Limited(_) | Self::Unavailable)
    }

    /// Whether it is about every delivery of the account, and not about the one that was asked for.
    #[must_use]
    pub const fn is_of_account(self) -> bool {
        self.may_pass() || matches!(self, Self::Denied)
    }
}

/// How a provider is asked. Pure: requests and answers are values.
pub trait Pull: Sync + Send {
    /// The documented address of its API, its version included.
    fn base_url(&self) -> &'static str;

    /// How many requests a minute are fair, where nothing is configured.
    fn per_minute(&self) -> u32 {
        30
    }

    /// What a credential has to look like. The words never quote it.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_credential(&self, credential: &[u8]) -> Result<(), &'static str>;

    /// What gets a token for the credential, where the API wants one.
    fn sign_in(&self, _credential: &Secret) -> Option<PullRequest> {
        None
    }

    /// The token that the answer to [`Self::sign_in`] has.
    ///
    /// # Errors
    /// Why there is none.
    fn token(&self, answer: &PullAnswer) -> Result<Secret, NoAnswer> {
        usual::<Value>(answer).and(Err(NoAnswer::Odd))
    }

    /// The path below that address by which a delivery is asked for; a segment `{}` is the delivery's id, or a part of its
    /// address.
    fn path(&self) -> &'static str;

    /// What asks for a delivery at `path`, by its [address](super::provider::Provider::address) or else its id, with the token or
    /// else the credential.
    fn ask(&self, path: &str, address: &str, with: &Secret) -> PullRequest;

    /// The webhook that an answer amounts to.
    ///
    /// # Errors
    /// Why it amounts to none.
    fn read(&self, delivery_id: &str, answer: &PullAnswer) -> Result<Bytes, NoAnswer>;

    /// How a delivery's past steps are asked for, too, where the provider keeps them.
    fn timeline(&self) -> Option<&'static dyn Timeline> {
        None
    }

    /// How the provider's list of events is read that it could not hand over, where it has one.
    fn missed_events(&self) -> Option<&'static dyn EventList> {
        None
    }
}

/// A provider's record of the steps that a delivery has taken.
pub trait Timeline: Sync + Send {
    /// What asks for it at `path`, which is configured, with the token or else the credential.
    fn ask(&self, path: &str, delivery_id: &str, with: &Secret) -> PullRequest;

    /// A webhook for each step that has one, the oldest first; `state` is the delivery's present one as a webhook, which has
    /// the references that a step does not say.
    ///
    /// # Errors
    /// Why there are none to read.
    fn read(&self, delivery_id: &str, state: &[u8], answer: &PullAnswer) -> Result<Vec<Bytes>, NoAnswer>;
}

/// The JSON of an answer with a code of success, most often an object; all others as most APIs mean them.
///
/// # Errors
/// What the code says, or that it is no such JSON.
pub fn usual<T: DeserializeOwned>(answer: &PullAnswer) -> Result<T, NoAnswer> {
    match answer.code {
        200..=299 => {
            let body = answer.body.as_deref().ok_or(NoAnswer::Odd)?;
            serde_json::from_slice(body).map_err(|_| NoAnswer::Odd)
        }
        401 | 403 => Err(NoAnswer::Denied),
        404 => Err(NoAnswer::Unknown),
        429 => Err(NoAnswer::Limited(retry_after(answer))),
        408 | 500..=599 => Err(NoAnswer::Unavailable),
        _ => Err(NoAnswer::Odd),
    }
}

/// `Retry-After` in seconds, where it is that; not as a date.
fn retry_after(answer: &PullAnswer) -> Option<Duration> {
    let seconds: u64 = answer.retry_after.as_deref()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT_SECONDS)))
}

/// What goes into a header, and nothing around it.
///
/// # Errors
/// When it does not.
pub fn is_key(credential: &[u8]) -> Result<(), &'static str> {
    if !credential.is_empty() && credential.iter().all(u8::is_ascii_graphic) {
        Ok(())
    } else {
        Err("must be letters, digits and signs alone")
    }
}
