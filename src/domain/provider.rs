//! What Milepost has to know of a provider to take its webhooks in, as one trait. Each implementation is one file in
//! `providers/`.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::answer::{Answer, Rejection, RejectionKind};
use super::authentication::{AuthScheme, Authentication, Credentials, Proof};
use super::document;
use super::identity::Identity;
use super::order::TimeKind;
use super::pull::Pull;
use super::silence::UsualSilence;
use super::transitions::Transitions;
use super::update::DeliveryUpdate;
use super::verdict::Poison;

/// A provider's short name: in paths, queue names, metrics and event sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderId(&'static str);

impl ProviderId {
    /// For the provider's own file.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a webhook's body turned out to be.
#[derive(Debug)]
pub enum Decoded {
    Update(Box<DecodedUpdate>),
    /// Authentic and understood, and not about a delivery's status.
    Ignored,
}

impl From<DecodedUpdate> for Decoded {
    fn from(update: DecodedUpdate) -> Self {
        Self::Update(Box::new(update))
    }
}

/// A delivery update, and what makes it the event it is.
#[derive(Debug)]
pub struct DecodedUpdate {
    /// What makes two webhooks the same event.
    pub identity: Identity,
    pub update: DeliveryUpdate,
    /// What its event time is the time of.
    pub time_kind: TimeKind,
    /// What has a course of its own within the delivery, where several couriers carry it: which of them this is about.
    pub leg: Option<String>,
    /// Optional fields that could not be read, and so went to `extra`.
    pub unreadable_fields: u32,
}

/// A delivery company that sends webhooks.
///
/// All of it is pure: bytes in, values out. A panic in here parks one message and harms nothing else, but no
/// bytes may cause one.
pub trait Provider: Send + Sync + 'static {
    fn id(&self) -> ProviderId;

    /// The path its own document names, if any, beside `/webhooks/<provider>`.
    fn documented_path(&self) -> Option<&'static str> {
        None
    }

    /// The ways to prove itself that it documents; the first is the default.
    fn authentication(&self) -> &'static [Authentication];

    /// Whether its contract has an answer for a body that is not one JSON object, so that one is refused, not stored.
    fn refuses_other_than_objects(&self) -> bool {
        false
    }

    /// For how long after a first try it may send the same event again. Within this, equal content without an
    /// event id is a resend, beyond it an event of its own.
    fn resend_horizon(&self) -> Duration;

    /// For how long after a first try it keeps sending a webhook that is not taken, at the least: from then on it is
    /// gone, and only asking the provider brings its content back. Zero when its documents do not say that it sends
    /// again.
    fn gives_up_after(&self) -> Duration;

    /// How it is asked for a delivery's status, if it can be asked.
    fn pull(&self) -> Option<&'static dyn Pull> {
        None
    }

    /// What a delivery is asked for by, where its id alone does not do: parts, separated by `/`.
    fn address(&self, _update: &DeliveryUpdate) -> Option<String> {
        None
    }

    /// For how long it usually says nothing about a delivery that is not closed.
    fn usual_silence(&self) -> UsualSilence {
        UsualSilence::IN_A_CITY
    }

    /// The answer this provider understands. `_scheme` is the account's, `None` when no account was found.
    fn answer(&self, _scheme: Option<AuthScheme>, outcome: Result<(), RejectionKind>) -> Answer {
        Answer::plain(outcome)
    }

    /// Reads a stored body.
    ///
    /// # Errors
    /// [`Poison`] when no retry could make it readable.
    fn decode(&self, body: &[u8]) -> Result<Decoded, Poison>;

    /// Which status may follow which, as its documents say.
    fn transitions(&self) -> &'static Transitions;
}

/// Checks what the headers left to the body of a webhook of `provider`. Returns the body to store: the same bytes,
/// unless a credential inside had to be blanked.
///
/// # Errors
/// The [`Rejection`] to answer with.
pub fn check_body(
    provider: &dyn Provider,
    credentials: &Credentials,
    proof: &Proof,
    body: Bytes,
) -> Result<Bytes, Rejection> {
    let key_field = provider.authentication().iter().find_map(|documented| match documented {
        Authentication::BodyKey { field } => Some(*field),
        _ => None,
    });
    let body = credentials.check_body(proof, body, key_field)?;
    if provider.refuses_other_than_objects() && document::entries(&body).is_none() {
        return Err(Rejection::NotAnObject);
    }
    Ok(body)
}
