//! Where webhooks are sent to.

use std::net::IpAddr;

use reqwest::Url;
use url::Host;

use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;

/// Reads the URL of a receiver.
///
/// # Errors
/// What is wrong with it, as text.
pub fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("expected http:// or https://".to_owned());
    }
    // It would be shown in errors, and it would replace the provider's own way of signing.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not hold a user or password".to_owned());
    }
    Ok(url)
}

/// `url` as it is if it has a path, else the path of `provider`'s webhooks for `account` at that origin.
#[must_use]
pub fn resolve(mut url: Url, provider: ProviderId, account: &Account) -> Url {
    if url.path() == "/" {
        url.set_path(&format!("/webhooks/{provider}/{account}"));
    }
    url
}

/// Whether what is sent to `url` stays on this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        // Of a scheme that is not the web's, an address is parsed as a name.
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
