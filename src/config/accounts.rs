//! The providers' sections: what differs between providers, and who may post.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::findings::Findings;
use super::sections::{
    AccountSection, CONTENT_TTL_SECONDS, DEDUP_TTL_SECONDS, ProviderSection, RetrySection, Sections,
};
use super::settings::ProviderSettings;
use crate::domain::identity::Account;
use crate::domain::provider::{AuthScheme, Credentials, Provider, ProviderId};
use crate::domain::retry::RetrySchedule;
use crate::domain::secret::Secret;

/// A year: no provider resends for longer, and twice it fits every expiry.
const LONGEST_HORIZON_SECONDS: u64 = 365 * 24 * 60 * 60;
/// A larger secret file is some other file, named by mistake.
const LARGEST_SECRET: u64 = 64 * 1024;

/// The settings of every provider, whether or not it has a section.
pub(super) fn providers(
    raw: &Sections,
    common: Option<&RetrySchedule>,
    known: &[&dyn Provider],
    findings: &mut Findings,
) -> BTreeMap<ProviderId, ProviderSettings> {
    for name in raw.providers.keys() {
        if !known.iter().any(|provider| provider.id().as_str() == name) {
            let names = list(known.iter().map(|provider| provider.id().as_str()));
            findings
                .problem(&format!("providers.{name}"), format_args!("no such provider, there is {names}"));
        }
    }
    let none = ProviderSection::default();
    let settings = known.iter().filter_map(|&provider| {
        let section = raw.providers.get(provider.id().as_str()).unwrap_or(&none);
        Some((provider.id(), settings(provider, section, raw, common, findings)?))
    });
    settings.collect()
}

fn settings(
    provider: &dyn Provider,
    section: &ProviderSection,
    raw: &Sections,
    common: Option<&RetrySchedule>,
    findings: &mut Findings,
) -> Option<ProviderSettings> {
    let path = format!("providers.{}", provider.id());
    let retry = match (&section.retry, common) {
        (None, _) => common.cloned(),
        (Some(own), Some(_)) => findings.retry(&format!("{path}.retry"), &own.over(&raw.retry)),
        // What is wrong with `[retry]` was said there; here only the provider's own numbers count.
        (Some(own), None) => findings.retry(&format!("{path}.retry"), &own.over(&RetrySection::default())),
    };
    let horizon = section.resend_horizon_seconds.unwrap_or(provider.resend_horizon().as_secs());
    let resend_horizon =
        findings.seconds(&format!("{path}.resend_horizon_seconds"), horizon, 1..=LONGEST_HORIZON_SECONDS);
    let mut ttl = |key: &str, said: Option<u64>, default| {
        findings.ttl(&format!("{path}.{key}"), said, default, resend_horizon)
    };
    let dedup_ttl = ttl("dedup_ttl_seconds", section.dedup_ttl_seconds, DEDUP_TTL_SECONDS);
    let content_ttl = ttl("content_ttl_seconds", section.content_ttl_seconds, CONTENT_TTL_SECONDS);
    let accounts = section.accounts.iter().filter_map(|(name, account)| {
        let path = format!("{path}.accounts.{name}");
        let name = findings.value(&path, name.parse::<Account>());
        let credentials = credentials(&path, account, provider.auth_schemes(), findings);
        Some((name?, credentials?))
    });
    let accounts = accounts.collect();
    Some(ProviderSettings {
        retry: retry?,
        resend_horizon: resend_horizon?,
        dedup_ttl: dedup_ttl?,
        content_ttl: content_ttl?,
        accounts,
    })
}

fn credentials(
    path: &str,
    account: &AccountSection,
    schemes: &[AuthScheme],
    findings: &mut Findings,
) -> Option<Credentials> {
    let named = |name: &str| schemes.iter().copied().find(|scheme| scheme.as_str() == name);
    let scheme = match &account.auth {
        None => schemes.first().copied(),
        Some(name) => {
            let allowed = list(schemes.iter().map(|scheme| scheme.as_str()));
            findings.value(&format!("{path}.auth"), named(name).ok_or(format_args!("must be {allowed}")))
        }
    };
    if account.secrets.is_empty() && account.secret_files.is_empty() {
        findings.problem(path, "has neither secrets nor secret_files");
    }
    let scheme = scheme?;
    let header = account
        .header
        .as_deref()
        .and_then(|name| findings.value(&format!("{path}.header"), header(name, scheme)));
    let mut secrets = Vec::new();
    for (at, text) in account.secrets.iter().enumerate() {
        secrets.extend(findings.value(&format!("{path}.secrets.{at}"), secret(text.as_bytes(), scheme)));
    }
    for (at, file) in account.secret_files.iter().enumerate() {
        // Whoever mounts the file may be late or wrong. The receiver answers 503 for this account until it is
        // right, and the provider sends again; not starting would turn every other account away too.
        match read(file).map_err(|error| error.to_string()).and_then(|bytes| Ok(secret(&bytes, scheme)?)) {
            Ok(secret) => secrets.push(secret),
            Err(why) => {
                let message = format_args!("no secret from {}: {why}", file.display());
                findings.warning(&format!("{path}.secret_files.{at}"), message);
            }
        }
    }
    Some(Credentials { scheme, header, secrets })
}

fn header(name: &str, scheme: AuthScheme) -> Result<String, &'static str> {
    if scheme != AuthScheme::Header {
        return Err("is for auth = \"header\" alone");
    }
    let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || !name.bytes().all(token) {
        return Err("must be the name of a header");
    }
    Ok(name.to_ascii_lowercase())
}

fn secret(bytes: &[u8], scheme: AuthScheme) -> Result<Secret, &'static str> {
    if scheme == AuthScheme::Basic && !bytes.contains(&b':') {
        return Err("must be user:password");
    }
    Secret::new(bytes).ok_or("must not be empty")
}

/// A secret file's bytes, without the newline that editors and `echo` put at the end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_SECRET + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_SECRET {
        return Err(io::Error::other("too large to be a secret"));
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    Ok(bytes)
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" or ")
}
