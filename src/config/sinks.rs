//! The sinks' sections: where updates are written to, with what token, and how their orders are recognised.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use url::{Host, Url};

use super::findings::{Findings, LONGEST_TTL_SECONDS};
use super::secret_files::SecretFiles;
use super::sections::{ConnectionSection, HubriseSection, RetrySection};
use super::settings::{HubriseSink, RemoteConfig};
use crate::domain::identity::Account;
use crate::domain::provider::Provider;
use crate::domain::retry::RetrySchedule;
use crate::domain::secret::Secret;
use crate::sinks::hubrise::OWN_PROVIDER;
use crate::sinks::hubrise::core::desk::Budget;
use crate::sinks::hubrise::core::record::Style;
use crate::sinks::hubrise::core::rule::{ReferenceKind, ReferencePattern, Rule};
use crate::sinks::hubrise::core::stage::{Effect, MAP, Overrides, effect_named};
use crate::sinks::hubrise::core::windows::Limit;
use crate::sinks::hubrise::settings::{Connection, LIMITS, Settings};

/// The HubRise sink's settings.
pub(super) fn hubrise(
    raw: &HubriseSection,
    retry: &RetrySection,
    common: Option<&RetrySchedule>,
    known: &[&dyn Provider],
    findings: &mut Findings,
) -> Option<HubriseSink> {
    let key = |name: &str| format!("sinks.hubrise.{name}");
    let schedule = findings.own_retry(&key("retry"), raw.retry.as_ref(), retry, common);
    let prefetch = findings.number(&key("prefetch"), raw.prefetch, 1..=u64::from(u16::MAX));
    let request_timeout = findings.millis(&key("request_timeout_ms"), raw.request_timeout_ms);
    let lease = findings.millis(&key("lease_ms"), raw.lease_ms);
    if raw.lease_ms <= raw.request_timeout_ms.saturating_mul(2) && findings.all_read("sinks.hubrise") {
        // Otherwise a request could still be under way when another replica takes its order over.
        findings.problem(&key("lease_ms"), "must be above twice request_timeout_ms");
    }
    let interval = findings.seconds(&key("interval_seconds"), raw.interval_seconds, 1..=3600);
    if !(0.0..=0.9).contains(&raw.reserve) {
        findings.problem(&key("reserve"), "must be from 0 to 0.9");
    }
    let memory = findings.seconds(&key("memory_seconds"), raw.memory_seconds, 3600..=LONGEST_TTL_SECONDS);
    let unlinked_for = findings.seconds(&key("unlinked_seconds"), raw.unlinked_seconds, 0..=7 * 24 * 3600);
    let unlinked_most = findings.number(&key("unlinked_most"), raw.unlinked_most, 0..=1_000_000);
    for (at, pattern) in raw.patterns.iter().enumerate() {
        findings.value(&key(&format!("patterns.{at}")), is_pattern(pattern));
    }
    let base = findings.value(&key("base_url"), base_url(&raw.base_url));
    let (mut connections, mut remotes) = (Vec::new(), BTreeMap::new());
    for (name, section) in &raw.connections {
        let path = key(&format!("connections.{name}"));
        findings.value(&path, name.parse::<Account>());
        let remote = remote(&path, section, base.as_ref(), findings);
        let connection =
            connection(&path, name, section, interval.unwrap_or_default(), raw.reserve, known, findings);
        connections.extend(connection);
        remotes.extend(remote.map(|remote| (name.clone(), remote)));
    }
    Some(HubriseSink {
        patterns: raw.patterns.clone(),
        prefetch: prefetch?,
        request_timeout: request_timeout?,
        retry: schedule?,
        settings: Settings {
            connections,
            lease: lease?,
            memory: memory?,
            unlinked_for: unlinked_for?,
            unlinked_most: unlinked_most?,
        },
        remotes,
    })
}

fn remote(
    path: &str,
    section: &ConnectionSection,
    base: Option<&Url>,
    findings: &mut Findings,
) -> Option<RemoteConfig> {
    let own = section.base_url.as_deref().map(base_url).transpose();
    let base = findings.value(&format!("{path}.base_url"), own)?.or_else(|| base.cloned());
    let files = SecretFiles::read(section.token_file.as_slice(), None, is_token);
    for unusable in files.unusable() {
        // The file may be mounted late: the connection is paused until it is there, and nothing is lost.
        let why = format_args!("no token from {}: {}", unusable.path.display(), unusable.why);
        findings.warning(&format!("{path}.token_file"), why);
    }
    let written = section.token.as_deref().map(|text| {
        is_token(text.as_bytes())?;
        Secret::new(text.as_bytes()).ok_or("must not be empty")
    });
    match (&written, &section.token_file) {
        (None, None) if findings.all_read(path) => {
            findings.problem(path, "has neither token_file nor token");
        }
        (Some(_), Some(_)) => findings.problem(path, "has token_file and token: leave one out"),
        _ => {}
    }
    let written = findings.value(&format!("{path}.token"), written.transpose())?;
    Some(RemoteConfig { base: base?, written, files })
}

fn connection(
    path: &str,
    name: &str,
    section: &ConnectionSection,
    interval: Duration,
    reserve: f64,
    known: &[&dyn Provider],
    findings: &mut Findings,
) -> Option<Connection> {
    let key = format!("{path}.locations");
    if section.locations.is_empty() && findings.all_read(&key) {
        findings.problem(&key, "has no location");
    }
    for (at, location) in section.locations.iter().enumerate() {
        findings.value(&format!("{path}.locations.{at}"), is_location(location));
    }
    let accounts = section
        .accounts
        .iter()
        .enumerate()
        .filter_map(|(at, text)| findings.value(&format!("{path}.accounts.{at}"), account(text, known)));
    let accounts: Vec<_> = accounts.collect();
    let key = format!("{path}.accounts");
    if section.accounts.is_empty() && findings.all_read(&key) {
        findings.problem(&key, "has no account: nothing would be written");
    }
    let from = section.references.iter().enumerate().filter_map(|(at, word)| {
        let named = ReferenceKind::ALL.into_iter().find(|source| source.as_str() == word);
        let named = named.ok_or("must be merchant_order, merchant_reference or order");
        findings.value(&format!("{path}.references.{at}"), named)
    });
    let from = from.collect();
    let pattern = findings.value(&format!("{path}.pattern"), ReferencePattern::parse(&section.pattern))?;
    if section.locations.len() > 1 && !pattern.names_location() {
        let message = "must have {location}, as the connection has several";
        findings.problem(&format!("{path}.pattern"), message);
    }
    let overrides = overrides(path, &section.statuses, findings);
    let counts =
        [("per_minute", section.per_minute), ("per_hour", section.per_hour), ("per_day", section.per_day)];
    let limits = LIMITS.into_iter().zip(counts).filter_map(|(limit, (key, count))| {
        let requests = findings.number(&format!("{path}.{key}"), count, 1..=1_000_000)?;
        Some(Limit { requests, ..limit })
    });
    Some(Connection {
        name: name.to_owned(),
        locations: section.locations.clone(),
        accounts,
        rule: Rule { from, pattern },
        style: Style { overrides, order_status: section.order_status },
        budget: Budget { limits: limits.collect(), reserve },
        interval,
    })
}

fn overrides(path: &str, chosen: &BTreeMap<String, String>, findings: &mut Findings) -> Overrides {
    let one = |(status, word): (&String, &String)| {
        let line = MAP.iter().find(|line| line.status.as_str() == status);
        let allowed = line.map(|line| line.instead).unwrap_or_default();
        let effect = effect_named(word).filter(|effect| allowed.contains(effect));
        let words: Vec<_> = allowed.iter().map(|effect| word_of(*effect)).collect();
        let message = match words[..] {
            [] => "cannot be chosen: HubRise has a status for it".to_owned(),
            _ => format!("must be {}", words.join(" or ")),
        };
        let effect = findings.value(&format!("{path}.statuses.{status}"), effect.ok_or(message))?;
        Some((status.clone(), effect))
    };
    chosen.iter().filter_map(one).collect()
}

const fn word_of(effect: Effect) -> &'static str {
    match effect {
        Effect::Show(stage) => stage.as_str(),
        Effect::Begin | Effect::Keep => "keep",
    }
}

/// HTTPS, or a stand-in on this machine.
pub(super) fn base_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "must be a URL")?;
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err("must name its host"),
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("must have no credentials and no parameters");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err("must be an https:// URL"),
    }
}

/// What goes into a header, and nothing around it.
fn is_token(bytes: &[u8]) -> Result<(), &'static str> {
    if bytes.iter().all(u8::is_ascii_graphic) && !bytes.is_empty() {
        Ok(())
    } else {
        Err("must be letters, digits and signs alone")
    }
}

fn is_location(text: &str) -> Result<(), &'static str> {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(valid) {
        Ok(())
    } else {
        Err("must be a location's id, such as 3r4s3-1")
    }
}

fn is_pattern(text: &str) -> Result<(), &'static str> {
    if (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("must be a pattern, such as telyport.#")
    }
}

fn account(text: &str, known: &[&dyn Provider]) -> Result<(String, String), String> {
    let (provider, account) =
        text.split_once('/').ok_or("must be a provider and an account: telyport/default")?;
    if provider == OWN_PROVIDER {
        return Err("what HubRise told us is not told to HubRise".to_owned());
    }
    if !known.iter().any(|known| known.id().as_str() == provider) {
        return Err(format!("no such provider: {provider}"));
    }
    let account = account.parse::<Account>().map_err(|error| error.to_string())?;
    Ok((provider.to_owned(), account.as_str().to_owned()))
}
