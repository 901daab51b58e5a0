//! How webhooks prove who sent them: data that each provider lists, and one place that checks it.
//!
//! It is checked in two steps. [`Credentials::check_headers`] needs no body, so that a sender without a credential is
//! refused before anything of its body is read; what it returns says what the body has still to prove.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::answer::Rejection;
use super::body_key;
use super::secret::Secret;

/// The header of HTTP's own schemes.
pub const AUTHORIZATION: &str = "authorization";
/// A sender that rotates its secret signs with the old one and the new one. More credentials than this in one request
/// are no rotation.
const MOST_PRESENTED: usize = 8;

/// How an account's webhooks prove themselves, as the configuration names it.
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

/// A scheme, and where in the request its credential is. Names of headers are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// This header holds the hex HMAC-SHA256 of the raw body.
    Hmac { header: &'static str },
    /// This field of the JSON object in the body holds the secret. It is blanked before the body is stored.
    BodyKey { field: &'static str },
    /// `Authorization: Basic`; the secret is `user:password`.
    Basic,
    /// `Authorization: Bearer`; the secret is the token.
    Bearer,
    /// This header holds the secret itself.
    Header {
        /// Its name: that of the provider's examples, unless the account chose another one.
        name: Cow<'static, str>,
    },
}

impl Authentication {
    #[must_use]
    pub const fn scheme(&self) -> AuthScheme {
        match self {
            Self::Hmac { .. } => AuthScheme::Hmac,
            Self::BodyKey { .. } => AuthScheme::ApiKey,
            Self::Basic => AuthScheme::Basic,
            Self::Bearer => AuthScheme::Bearer,
            Self::Header { .. } => AuthScheme::Header,
        }
    }

    /// The header that holds the secret itself, where it does.
    #[must_use]
    pub fn secret_header(&self) -> Option<&str> {
        match self {
            Self::Header { name } => Some(name),
            _ => None,
        }
    }

    /// The same with the header that the account chose; only [`Self::Header`] lets it choose.
    #[must_use]
    pub fn with_header(self, chosen: Option<String>) -> Self {
        match (self, chosen) {
            (Self::Header { .. }, Some(name)) => Self::Header { name: name.into() },
            (unchanged, _) => unchanged,
        }
    }
}

/// An HTTP request's headers, independent of the HTTP library.
pub trait Headers {
    /// The values of the header `name`, given in lower case: one for each line that has it, in order.
    fn values<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a>;

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }
}

/// What one account's webhooks are checked against. Several secrets may be live, so that one can be rotated.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// How they prove themselves, and where.
    pub authentication: Authentication,
    /// Any of these is taken. Empty means that our own secret could not be read.
    pub secrets: Vec<Secret>,
}

/// What the body has to prove, once the headers are checked.
#[derive(Debug)]
pub enum Proof {
    /// Nothing: the headers proved the sender.
    Complete,
    /// One of these is the body's signature.
    Signatures(Vec<[u8; 32]>),
    /// This field of the body holds the key.
    BodyKey(&'static str),
}

impl Credentials {
    /// Checks what needs no body. Of several credentials any valid one is enough.
    ///
    /// # Errors
    /// The [`Rejection`] to answer with.
    pub fn check_headers(&self, headers: &dyn Headers) -> Result<Proof, Rejection> {
        if self.secrets.is_empty() {
            return Err(Rejection::NoSecret);
        }
        match &self.authentication {
            Authentication::Hmac { header } => signatures(presented(headers, header)?).map(Proof::Signatures),
            Authentication::BodyKey { field } => Ok(Proof::BodyKey(field)),
            Authentication::Basic => self.check_literal(presented(headers, AUTHORIZATION)?, basic),
            Authentication::Bearer => {
                // `Authorization` with another scheme presents no token.
                let tokens: Vec<_> =
                    presented(headers, AUTHORIZATION)?.into_iter().filter_map(bearer).collect();
                if tokens.is_empty() {
                    return Err(Rejection::MissingCredential);
                }
                self.check_literal(tokens, |token| Some(token.into()))
            }
            Authentication::Header { name } => {
                self.check_literal(presented(headers, name)?, |value| Some(value.into()))
            }
        }
    }

    /// Checks what `proof` left to the body. Returns the body to store: the same bytes, unless a credential had to be
    /// blanked, which is in the field `key_field` with any authentication.
    ///
    /// # Errors
    /// The [`Rejection`] to answer with.
    pub fn check_body(
        &self,
        proof: &Proof,
        body: Bytes,
        key_field: Option<&str>,
    ) -> Result<Bytes, Rejection> {
        if let Proof::Signatures(signatures) = proof {
            self.any(|secret| secret.signed(&body, signatures))?;
        }
        let (field, proves) = match proof {
            Proof::BodyKey(field) => (Some(*field), true),
            Proof::Complete | Proof::Signatures(_) => (key_field, false),
        };
        let Some(field) = field else { return Ok(body) };
        let key = body_key::find(&body, field)?;
        if proves {
            let key = key.as_ref().ok_or(Rejection::MissingCredential)?;
            let key = key.text().ok_or(Rejection::WrongCredential)?;
            self.any(|secret| secret.equals(key.as_bytes()))?;
        }
        body_key::blank(&body, key.as_ref(), &self.secrets)
    }

    /// Compares each presented credential, as `read` makes it the secret's own form, with every live secret.
    fn check_literal<'a>(
        &self,
        presented: Vec<&'a [u8]>,
        read: impl Fn(&'a [u8]) -> Option<Cow<'a, [u8]>>,
    ) -> Result<Proof, Rejection> {
        let readable: Vec<_> = presented.into_iter().filter_map(read).collect();
        self.any(|secret| readable.iter().fold(false, |any, one| any | secret.equals(one)))?;
        Ok(Proof::Complete)
    }

    /// Tries every secret even after one fits, so that time does not tell which.
    fn any(&self, fits: impl Fn(&Secret) -> bool) -> Result<(), Rejection> {
        let any = self.secrets.iter().fold(false, |any, secret| any | fits(secret));
        if any { Ok(()) } else { Err(Rejection::WrongCredential) }
    }
}

/// The values of a header that there must be: at least one, and not more than a rotation needs.
fn presented<'a>(headers: &'a dyn Headers, name: &str) -> Result<Vec<&'a [u8]>, Rejection> {
    let values: Vec<_> = headers.values(name).take(MOST_PRESENTED + 1).collect();
    match values.len() {
        0 => Err(Rejection::MissingCredential),
        1..=MOST_PRESENTED => Ok(values),
        _ => Err(Rejection::WrongCredential),
    }
}

/// The well-formed signatures in these values. A comma separates two in one value: that is what a proxy makes of two
/// lines with one name.
fn signatures(values: Vec<&[u8]>) -> Result<Vec<[u8; 32]>, Rejection> {
    let each = values.into_iter().flat_map(|value| value.split(|&byte| byte == b','));
    let each: Vec<_> = each.take(MOST_PRESENTED + 1).collect();
    if each.len() > MOST_PRESENTED {
        return Err(Rejection::WrongCredential);
    }
    let read = |text: &[u8]| {
        let mut signature = [0; 32];
        hex::decode_to_slice(text.trim_ascii(), &mut signature).ok().map(|()| signature)
    };
    let readable: Vec<_> = each.into_iter().filter_map(read).collect();
    if readable.is_empty() { Err(Rejection::WrongCredential) } else { Ok(readable) }
}

/// What a `Basic` header encodes.
fn basic(authorization: &[u8]) -> Option<Cow<'_, [u8]>> {
    let encoded = after_scheme(authorization, b"basic ")?;
    STANDARD.decode(encoded).ok().map(Cow::Owned)
}

/// The token of a `Bearer` header.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    after_scheme(authorization, b"bearer ")
}

fn after_scheme<'a>(authorization: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (name, rest) = authorization.split_at_checked(scheme.len())?;
    name.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
}
