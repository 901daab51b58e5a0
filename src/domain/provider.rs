//! What Milepost has to know of a provider, as one trait. Each implementation is one file in `providers/`.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::answer::{Answer, Rejection, RejectionKind};
use super::identity::Identity;
use super::journey::{Journey, Personal, Sample};
use super::order::TimeKind;
use super::secret::Secret;
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

    /// The name.
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

/// How an account's webhooks prove themselves. Each provider lists those it documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthScheme {
    /// A header holds the hex HMAC-SHA256 of the raw body.
    Hmac,
    /// The body holds the key.
    ApiKey,
    /// HTTP Basic; the secret is `user:password`.
    Basic,
    /// `Authorization: Bearer`, the secret being the token.
    Bearer,
    /// A header of the account's choosing holds the secret itself.
    Header,
}

impl AuthScheme {
    /// The word used in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::Header => "header",
        }
    }
}

/// What one account's webhooks are checked against. Several secrets may be live, so that one can be rotated.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// How they prove themselves.
    pub scheme: AuthScheme,
    /// The name, in lower case, of the header that holds the secret, where the account chose one
    /// ([`AuthScheme::Header`]).
    pub header: Option<String>,
    /// Any of these will do. Empty means that our own secret could not be read.
    pub secrets: Vec<Secret>,
}

/// An HTTP request's headers, whatever library holds them.
pub trait Headers {
    /// The value of the header `name`, given in lower case.
    fn get(&self, name: &str) -> Option<&[u8]>;
}

/// What a webhook's body turned out to be.
#[derive(Debug)]
pub enum Decoded {
    /// A delivery update.
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
    /// The normalized update.
    pub update: DeliveryUpdate,
    /// What its event time is the time of.
    pub time_kind: TimeKind,
    /// What has a course of its own within the delivery, where several couriers carry it: which of them this is about.
    pub leg: Option<String>,
    /// Optional fields that could not be read, and so went to `extra`.
    pub unreadable_fields: u32,
}

/// What `milepost send` proves a webhook with.
#[derive(Debug, Clone, Copy)]
pub struct Signing<'a> {
    /// How.
    pub scheme: AuthScheme,
    /// The name, in lower case, of the header that holds the secret, where the account chose one
    /// ([`AuthScheme::Header`]).
    pub header: Option<&'a str>,
    /// With what.
    pub secret: &'a Secret,
}

/// An HTTP request as the provider would send it.
#[derive(Debug, Clone)]
pub struct SignedWebhook {
    /// Headers beside `Content-Type`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// A delivery company that sends webhooks.
///
/// All of it is pure: bytes in, values out. A panic in here parks one message and harms nothing else, but no
/// bytes may cause one.
pub trait Provider: Send + Sync + 'static {
    /// Its short name.
    fn id(&self) -> ProviderId;

    /// The path its own document names, if any, beside `/webhooks/<provider>`.
    fn documented_path(&self) -> Option<&'static str> {
        None
    }

    /// The schemes it documents; the first is the default.
    fn auth_schemes(&self) -> &'static [AuthScheme];

    /// For how long after a first try it may send the same event again. Within this, equal content without an
    /// event id is a resend, beyond it an event of its own.
    fn resend_horizon(&self) -> Duration;

    /// For how long after a first try it keeps sending a webhook that is not taken, at the least: from then on it is
    /// gone, and only asking the provider brings its content back. Zero when its documents do not say that it sends
    /// again.
    fn gives_up_after(&self) -> Duration;

    /// Checks that the webhook is from the provider, over the raw bytes. Returns the body to store: the same
    /// bytes, unless a credential inside had to be blanked.
    ///
    /// # Errors
    /// The [`Rejection`] to answer with.
    fn authenticate(
        &self,
        headers: &dyn Headers,
        body: Bytes,
        credentials: &Credentials,
    ) -> Result<Bytes, Rejection>;

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

    /// Its documented payloads.
    fn samples(&self) -> &'static [Sample];

    /// Whole deliveries, told with its samples; the first one ends well.
    fn journeys(&self) -> &'static [Journey];

    /// Rewrites a sample as the webhook that `personal` says. All webhooks of one delivery have its ids, and each is
    /// an event of its own, later than those of the steps before it. The same arguments give the same webhook, so
    /// that a run sent again is a run of duplicates.
    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>);

    /// Signs a body as the provider does.
    fn sign(&self, body: Bytes, signing: &Signing<'_>) -> SignedWebhook;
}

/// Checks a header that holds the hex HMAC-SHA256 of the raw body, in either case, against every live secret.
///
/// # Errors
/// The [`Rejection`] to answer with.
pub fn check_hmac(signature: Option<&[u8]>, body: &[u8], credentials: &Credentials) -> Result<(), Rejection> {
    check_each(signature, credentials, |secret, signature| secret.signed(body, signature))
}

/// Compares a presented secret with every live one, in constant time.
///
/// # Errors
/// The [`Rejection`] to answer with.
pub fn check_secret(presented: Option<&[u8]>, credentials: &Credentials) -> Result<(), Rejection> {
    check_each(presented, credentials, Secret::equals)
}

/// Tries every secret even after one fits, so that time does not tell which.
fn check_each(
    presented: Option<&[u8]>,
    credentials: &Credentials,
    fits: impl Fn(&Secret, &[u8]) -> bool,
) -> Result<(), Rejection> {
    if credentials.secrets.is_empty() {
        return Err(Rejection::NoSecret);
    }
    let presented = presented.ok_or(Rejection::MissingCredential)?;
    let any = credentials.secrets.iter().fold(false, |any, secret| any | fits(secret, presented));
    if any { Ok(()) } else { Err(Rejection::WrongCredential) }
}
