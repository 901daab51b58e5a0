//! The answer to a provider, and why. The answer decides whether a provider sends again, so it is part of
//! each provider's contract.

use std::borrow::Cow;

/// Why a webhook was not taken. A closed set: it is the `reason` label of `milepost_webhooks_rejected_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// No signature or credential was presented.
    MissingCredential,
    /// What was presented is not ours.
    WrongCredential,
    /// The credential's place in the body is ambiguous (duplicate or escaped key), so it could not be blanked.
    AmbiguousCredential,
    /// Not one JSON object, where the provider's contract refuses that at the door.
    NotAnObject,
    /// Larger than the body cap.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The sender closed the connection or broke HTTP inside the body.
    BrokenBody,
    /// Both `Content-Length` and `Transfer-Encoding`: two parsers would see two different requests.
    AmbiguousLength,
    /// The body is compressed: it is not what a worker could read.
    UnsupportedEncoding,
    WrongMethod,
    /// No such provider, or no such path.
    UnknownProvider,
    /// The provider is known, the account is not configured.
    UnknownAccount,
    /// The account is configured and our own secret for it is missing or unreadable.
    NoSecret,
    /// Too many requests or bytes of the provider in flight here.
    Saturated,
    /// Its body was not there yet, and another request needed its place.
    Evicted,
    /// The broker is away or blocked.
    BrokerUnavailable,
    /// The broker did not confirm in time: whether it stored the webhook is not known.
    Unconfirmed,
    /// The broker refused the message (a full queue).
    BrokerRefused,
}

/// What kind of refusal it is: providers word their answer by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionKind {
    /// The sender did not prove who it is.
    NotAuthentic,
    NotDecodable,
    TooLarge,
    TooSlow,
    /// Not a request that can be told from the next one.
    BadRequest,
    UnsupportedEncoding,
    WrongMethod,
    /// No account has this path.
    Unknown,
    /// Our fault or our load: to be sent again.
    Unavailable,
}

impl Rejection {
    /// Every rejection, so that each metric label exists from the start.
    pub const ALL: [Self; 18] = [
        Self::MissingCredential,
        Self::WrongCredential,
        Self::AmbiguousCredential,
        Self::NotAnObject,
        Self::TooLarge,
        Self::TooSlow,
        Self::BrokenBody,
        Self::AmbiguousLength,
        Self::UnsupportedEncoding,
        Self::WrongMethod,
        Self::UnknownProvider,
        Self::UnknownAccount,
        Self::NoSecret,
        Self::Saturated,
        Self::Evicted,
        Self::BrokerUnavailable,
        Self::Unconfirmed,
        Self::BrokerRefused,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingCredential => "missing_credential",
            Self::WrongCredential => "wrong_credential",
            Self::AmbiguousCredential => "ambiguous_credential",
            Self::NotAnObject => "not_an_object",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::BrokenBody => "broken_body",
            Self::AmbiguousLength => "ambiguous_length",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::WrongMethod => "wrong_method",
            Self::UnknownProvider => "unknown_provider",
            Self::UnknownAccount => "unknown_account",
            Self::NoSecret => "no_secret",
            Self::Saturated => "saturated",
            Self::Evicted => "evicted",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::Unconfirmed => "unconfirmed",
            Self::BrokerRefused => "broker_refused",
        }
    }

    /// What kind of refusal this is.
    #[must_use]
    pub const fn kind(self) -> RejectionKind {
        match self {
            Self::MissingCredential | Self::WrongCredential | Self::AmbiguousCredential => {
                RejectionKind::NotAuthentic
            }
            Self::NotAnObject => RejectionKind::NotDecodable,
            Self::TooLarge => RejectionKind::TooLarge,
            Self::TooSlow | Self::BrokenBody => RejectionKind::TooSlow,
            Self::AmbiguousLength => RejectionKind::BadRequest,
            Self::UnsupportedEncoding => RejectionKind::UnsupportedEncoding,
            Self::WrongMethod => RejectionKind::WrongMethod,
            Self::UnknownProvider | Self::UnknownAccount => RejectionKind::Unknown,
            Self::NoSecret
            | Self::Saturated
            | Self::Evicted
            | Self::BrokerUnavailable
            | Self::Unconfirmed
            | Self::BrokerRefused => RejectionKind::Unavailable,
        }
    }
}

/// An HTTP answer. `Retry-After` and the receipt header are added where it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    /// `Content-Type`, when there is a body.
    pub content_type: Option<&'static str>,
    pub body: Cow<'static, str>,
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub const fn empty(code: u16) -> Self {
        Self { code, content_type: None, body: Cow::Borrowed("") }
    }

    /// An answer of one line of plain text.
    #[must_use]
    pub const fn text(code: u16, body: &'static str) -> Self {
        Self { code, content_type: Some("text/plain; charset=utf-8"), body: Cow::Borrowed(body) }
    }

    #[must_use]
    pub const fn json(code: u16, body: Cow<'static, str>) -> Self {
        Self { code, content_type: Some("application/json"), body }
    }

    /// The answer of a provider with nothing special in its contract, and of an unknown path.
    #[must_use]
    pub const fn plain(outcome: Result<(), RejectionKind>) -> Self {
        match outcome {
            Ok(()) => Self::empty(200),
            Err(RejectionKind::NotAuthentic) => Self::text(401, "not authentic\n"),
            Err(RejectionKind::NotDecodable) => Self::text(400, "the body is not one JSON object\n"),
            Err(RejectionKind::TooLarge) => Self::text(413, "the body is too large\n"),
            Err(RejectionKind::TooSlow) => Self::text(408, "the body did not arrive in time\n"),
            Err(RejectionKind::BadRequest) => Self::text(400, "the body's length is said in two ways\n"),
            Err(RejectionKind::UnsupportedEncoding) => Self::text(415, "send the body uncompressed\n"),
            Err(RejectionKind::WrongMethod) => Self::text(405, "POST only\n"),
            Err(RejectionKind::Unknown) => Self::text(404, "no such webhook\n"),
            Err(RejectionKind::Unavailable) => Self::text(503, "cannot store it now, send it again\n"),
        }
    }
}
