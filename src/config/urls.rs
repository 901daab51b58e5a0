//! URLs that may hold a password.

use std::fmt;

use lapin::uri::AMQPUri;
use url::{Host, Url};

use crate::adapters::redis::RedisTarget;
use crate::domain::hosts::each_host;

/// A URL whose credentials and parameters are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedUrl {
    whole: String,
    /// With each of its hosts; most have one.
    each: Vec<Url>,
}

impl RedactedUrl {
    /// The whole URL, for connecting.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.whole
    }

    /// That of a RabbitMQ server, or of a cluster with the hosts of its nodes.
    pub(super) fn amqp(text: &str) -> Result<Self, &'static str> {
        let each = each_host(text).iter().map(|text| Self::one_amqp(text)).collect::<Result<_, _>>()?;
        Ok(Self { whole: text.to_owned(), each })
    }

    /// The library that will use it reads it here too, so that a bad parameter shows now and not at the first
    /// connection.
    fn one_amqp(text: &str) -> Result<Url, &'static str> {
        let url = with_scheme(text, &["amqp", "amqps"], "must be an amqp:// or amqps:// URL")?;
        if matches!(url.host(), Some(Host::Ipv6(_))) {
            // The library takes such a host for `localhost`.
            return Err("must name its host or give an IPv4 address");
        }
        if url.path() == "/" {
            return Err("names an empty virtual host: end it before the slash, or with /%2f");
        }
        text.parse::<AMQPUri>().map_err(|_| "has a parameter that is not understood")?;
        Ok(url)
    }

    fn one(url: Url) -> Self {
        Self { whole: url.to_string(), each: vec![url] }
    }

    /// That of a Redis server, of its Sentinels, or of nodes of a Cluster.
    pub(super) fn redis(text: &str) -> Result<Self, &'static str> {
        RedisTarget::parse(text).map_err(|error| error.0)?;
        let each = each_host(text).iter().map(|text| Url::parse(text)).collect::<Result<_, _>>();
        Ok(Self { whole: text.to_owned(), each: each.map_err(|_| "is no URL")? })
    }

    /// An OTLP collector's, or a management API's.
    pub(super) fn http(text: &str) -> Result<Self, &'static str> {
        with_scheme(text, &["http", "https"], "must be an http:// or https:// URL").map(Self::one)
    }

    /// With the credentials of `amqp`, unless it has some of its own. Those that `amqp` does not name are RabbitMQ's
    /// defaults, as the AMQP library has them.
    pub(super) fn or_credentials_of(self, amqp: &Self) -> Self {
        let (Some(own), Some(amqp)) = (self.each.first(), amqp.each.first()) else { return self };
        if !own.username().is_empty() || own.password().is_some() {
            return self;
        }
        let user = if amqp.username().is_empty() { "guest" } else { amqp.username() };
        let (mut url, password) = (own.clone(), amqp.password().unwrap_or("guest"));
        // Unwrap safety: only a URL without a host cannot have them, and `with_scheme` saw one.
        url.set_username(user).and_then(|()| url.set_password(Some(password))).expect("has a host");
        Self::one(url)
    }
}

fn with_scheme(text: &str, schemes: &[&str], message: &'static str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| message)?;
    if schemes.contains(&url.scheme()) && url.has_host() { Ok(url) } else { Err(message) }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, url) in self.each.iter().enumerate() {
            let credentials = !url.username().is_empty() || url.password().is_some();
            match at {
                0 => write!(f, "{}://{}", url.scheme(), if credentials { "…@" } else { "" })?,
                _ => f.write_str(",")?,
            }
            f.write_str(url.host_str().unwrap_or_default())?;
            if let Some(port) = url.port() {
                write!(f, ":{port}")?;
            }
        }
        f.write_str(self.each.first().map_or("", Url::path))
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactedUrl({self})")
    }
}
