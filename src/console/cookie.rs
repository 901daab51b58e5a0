//! The session's cookie, and whether the browser would keep it.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, ORIGIN};
use url::{Host, Url};

const NAME: &str = "milepost-console";

/// How a browser that posts a form reached us. TLS may end before us, so the browser alone knows, and says so in `Origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// By HTTPS; or it does not say.
    Safely,
    /// By plain HTTP on its own machine, or the console listens on loopback alone: some browsers keep no secure cookie there.
    OnItsMachine,
    /// By plain HTTP from elsewhere: no browser keeps a secure cookie.
    InTheClear,
}

impl Reached {
    /// As the browser says it, where the console listens on `addr`.
    #[must_use]
    pub(super) fn read(headers: &HeaderMap, addr: IpAddr) -> Self {
        let origin = headers.get(ORIGIN).and_then(|origin| Url::parse(origin.to_str().ok()?).ok());
        let host = origin.as_ref().filter(|origin| origin.scheme() == "http").and_then(Url::host);
        match host {
            _ if addr.is_loopback() => Self::OnItsMachine,
            None => Self::Safely,
            Some(Host::Domain("localhost")) => Self::OnItsMachine,
            Some(Host::Ipv4(ip)) if ip.is_loopback() => Self::OnItsMachine,
            Some(Host::Ipv6(ip)) if ip.is_loopback() => Self::OnItsMachine,
            Some(_) => Self::InTheClear,
        }
    }
}

/// The header that gives the cookie to the browser for so many seconds.
#[must_use]
pub(super) fn given(value: &str, seconds: u64, reached: Reached) -> String {
    let secure = if reached == Reached::OnItsMachine { "" } else { "; Secure" };
    format!("{NAME}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// The cookie's value in a request.
pub(super) fn value(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, value)| value)
}
