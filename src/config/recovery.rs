//! The section of what is asked of providers: where, how often, and with what credentials.

use std::collections::BTreeMap;

use super::findings::Findings;
use super::secret_files::SecretFiles;
use super::sections::{CredentialSection, RecoverySection, SourceSection};
use super::settings::{Recovery, RecoverySource, RemoteConfig};
use super::sinks::base_url;
use crate::domain::identity::Account;
use crate::domain::provider::Provider;
use crate::domain::pull::Pull;
use crate::domain::secret::Secret;

pub(super) fn recovery(
    raw: &RecoverySection,
    known: &[&dyn Provider],
    findings: &mut Findings,
) -> Option<Recovery> {
    let key = |name: &str| format!("recovery.{name}");
    let look_every = findings.seconds(&key("look_every_seconds"), raw.look_every_seconds, 1..=3600);
    let after_gap = findings.seconds(&key("after_gap_seconds"), raw.after_gap_seconds, 0..=24 * 3600);
    let lease = findings.seconds(&key("lease_seconds"), raw.lease_seconds, 3..=3600);
    let request_timeout = findings.millis(&key("request_timeout_ms"), raw.request_timeout_ms);
    let mut sources = BTreeMap::new();
    for (name, section) in &raw.providers {
        let path = key(&format!("providers.{name}"));
        let provider = known.iter().find(|provider| provider.id().as_str() == name);
        let pull = match provider.map(|provider| provider.pull()) {
            None => Err("no such provider"),
            Some(None) => Err("cannot be asked for a delivery's status"),
            Some(Some(pull)) => Ok(pull),
        };
        let pull = findings.value(&path, pull);
        if let (Some(provider), Some(pull)) = (provider, pull) {
            let source = source(&path, section, pull, findings);
            sources.extend(source.map(|source| (provider.id(), source)));
        }
    }
    Some(Recovery {
        look_every: look_every?,
        after_gap: after_gap?,
        lease: lease?,
        request_timeout: request_timeout?,
        sources,
    })
}

fn source(
    path: &str,
    section: &SourceSection,
    pull: &dyn Pull,
    findings: &mut Findings,
) -> Option<RecoverySource> {
    let base = section.base_url.as_deref().unwrap_or(pull.base_url());
    let base = findings.value(&format!("{path}.base_url"), base_url(base));
    let per_minute = &format!("{path}.requests_per_minute");
    let per_minute = findings.number(
        per_minute,
        section.requests_per_minute.unwrap_or(pull.per_minute().into()),
        1..=60_000,
    );
    let path_of_api = section.path.as_deref().unwrap_or(pull.path());
    let path_of_api = findings.value(&format!("{path}.path"), is_path(path_of_api));
    let timeline_path = section.timeline_path.as_deref().map(|timeline_path| {
        pull.timeline().ok_or("the provider has none that is asked for")?;
        is_path(timeline_path)
    });
    let timeline_path = findings.value(&format!("{path}.timeline_path"), timeline_path.transpose());
    if section.accounts.is_empty() && findings.all_read(path) {
        findings.problem(path, "has no account: nothing could be asked");
    }
    let base = base?;
    let accounts = section.accounts.iter().filter_map(|(name, section)| {
        let path = format!("{path}.accounts.{name}");
        let name = findings.value(&path, name.parse::<Account>());
        let (written, files) = credential(&path, section, pull, findings)?;
        Some((name?, RemoteConfig { base: base.clone(), written, files }))
    });
    let accounts = accounts.collect();
    let (path, timeline_path) = (path_of_api?, timeline_path?);
    Some(RecoverySource { path, timeline_path, per_minute: per_minute?, base, accounts })
}

fn is_path(text: &str) -> Result<String, &'static str> {
    let is_segment = |segment: &str| {
        segment == "{}"
            || !segment.is_empty()
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    if text.split('/').all(is_segment) {
        Ok(text.to_owned())
    } else {
        Err("must be a path without a slash at its ends, such as deliveries/{}")
    }
}

fn credential(
    path: &str,
    section: &CredentialSection,
    pull: &dyn Pull,
    findings: &mut Findings,
) -> Option<(Option<Secret>, SecretFiles)> {
    let files = SecretFiles::read(section.credential_file.as_slice(), None, |_| Ok(()));
    for unusable in files.unusable() {
        // The file may be mounted late: the account is asked for nothing until it is there.
        let why = format_args!("no credential from {}: {}", unusable.path.display(), unusable.why);
        findings.warning(&format!("{path}.credential_file"), why);
    }
    for secret in files.secrets() {
        if let Err(why) = pull.check_credential(secret.expose()) {
            findings.warning(&format!("{path}.credential_file"), why);
        }
    }
    match (&section.credential, &section.credential_file) {
        (None, None) if findings.all_read(path) => {
            findings.problem(path, "has neither credential_file nor credential");
        }
        (Some(_), Some(_)) => findings.problem(path, "has credential_file and credential: leave one out"),
        _ => {}
    }
    let written = section.credential.as_deref().map(|text| {
        pull.check_credential(text.as_bytes())?;
        Secret::new(text.as_bytes()).ok_or("must not be empty")
    });
    let written = findings.value(&format!("{path}.credential"), written.transpose())?;
    Some((written, files))
}
