//! URLs that may hold a password.

use std::fmt;

use deadpool_redis::redis::IntoConnectionInfo as _;
use lapin::uri::AMQPUri;
use url::{Host, Url};

/// A URL whose credentials and parameters are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedUrl(Url);

impl RedactedUrl {
    /// The whole URL, for connecting.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// A RabbitMQ server's. The library that will use it reads it here too, so that a bad parameter shows now
    /// and not at the first connection.
    pub(super) fn amqp(text: &str) -> Result<Self, &'static str> {
        let url = with_scheme(text, &["amqp", "amqps"], "must be an amqp:// or amqps:// URL")?;
        if matches!(url.host(), Some(Host::Ipv6(_))) {
            // The library takes such a host for `localhost`.
            return Err("must name its host or give an IPv4 address");
        }
        if url.path() == "/" {
            return Err("names an empty virtual host: end it before the slash, or with /%2f");
        }
        text.parse::<AMQPUri>().map_err(|_| "has a parameter that is not understood")?;
        Ok(Self(url))
    }

    /// A Redis server's, read by its library as well.
    pub(super) fn redis(text: &str) -> Result<Self, &'static str> {
        let url = with_scheme(text, &["redis", "rediss"], "must be a redis:// or rediss:// URL")?;
        text.into_connection_info().map_err(|_| "has a database or a parameter that is not understood")?;
        Ok(Self(url))
    }

    /// An OTLP collector's, or a management API's.
    pub(super) fn http(text: &str) -> Result<Self, &'static str> {
        with_scheme(text, &["http", "https"], "must be an http:// or https:// URL").map(Self)
    }

    /// With the credentials of `amqp`, unless it has some of its own. Those that `amqp` does not name are RabbitMQ's
    /// defaults, as the AMQP library has them.
    pub(super) fn or_credentials_of(mut self, Self(amqp): &Self) -> Self {
        if self.0.username().is_empty() && self.0.password().is_none() {
            let user = if amqp.username().is_empty() { "guest" } else { amqp.username() };
            let password = amqp.password().unwrap_or("guest");
            // Unwrap safety: only a URL without a host cannot have them, and `with_scheme` saw one.
            self.0.set_username(user).and_then(|()| self.0.set_password(Some(password))).expect("has a host");
        }
        self
    }
}

fn with_scheme(text: &str, schemes: &[&str], message: &'static str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| message)?;
    if schemes.contains(&url.scheme()) && url.has_host() { Ok(url) } else { Err(message) }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        let credentials = !url.username().is_empty() || url.password().is_some();
        write!(f, "{}://{}", url.scheme(), if credentials { "…@" } else { "" })?;
        f.write_str(url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactedUrl({self})")
    }
}
