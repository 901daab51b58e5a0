//! The providers' sections: what differs between providers, and who may post.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts_dir::AccountsDir;
use super::findings::Findings;
use super::secret_files::{Check, SecretFiles, Unusable};
use super::sections::{AccountSection, DEDUP_TTL_SECONDS, ProviderSection, Sections};
use super::settings::{AccountSettings, ProviderSettings};
use crate::domain::authentication::{AuthScheme, Authentication, Credentials};
use crate::domain::identity::Account;
use crate::domain::provider::{Provider, ProviderId};
use crate::domain::retry::RetrySchedule;
use crate::domain::secret::Secret;
use crate::domain::silence::{OPEN_PHASES, UsualSilence};

/// A year: no provider resends for longer, and twice it fits every expiry.
const LONGEST_HORIZON_SECONDS: u64 = 365 * 24 * 60 * 60;
/// Of thousands of files that are wrong in the same way the first few tell.
const MOST_WARNINGS: usize = 20;

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
    let retry = findings.own_retry(&format!("{path}.retry"), section.retry.as_ref(), &raw.retry, common);
    let horizon = section.resend_horizon_seconds.unwrap_or(provider.resend_horizon().as_secs());
    let resend_horizon =
        findings.seconds(&format!("{path}.resend_horizon_seconds"), horizon, 1..=LONGEST_HORIZON_SECONDS);
    let path_of_ttl = format!("{path}.dedup_ttl_seconds");
    let dedup_ttl = findings.ttl(&path_of_ttl, section.dedup_ttl_seconds, DEDUP_TTL_SECONDS, resend_horizon);
    let usual_silence = usual_silence(&path, section, provider.usual_silence(), findings);
    let accounts = section.accounts.iter().filter_map(|(name, account)| {
        let path = format!("{path}.accounts.{name}");
        let name = findings.value(&path, name.parse::<Account>());
        let settings = account_settings(&path, account, provider.authentication(), findings);
        Some((name?, settings?))
    });
    let accounts: BTreeMap<_, _> = accounts.collect();
    let written = accounts.keys().cloned().collect();
    let accounts_dir = accounts_dir(&path, section, written, provider.authentication(), findings);
    Some(ProviderSettings {
        retry: retry?,
        resend_horizon: resend_horizon?,
        dedup_ttl: dedup_ttl?,
        usual_silence,
        // What will not come again is lost unless it is stored.
        spool: section.spool.unwrap_or(provider.gives_up_after().is_zero()),
        accounts,
        accounts_dir,
    })
}

/// The provider's own, but for the phases that the section names.
fn usual_silence(
    path: &str,
    section: &ProviderSection,
    own: UsualSilence,
    findings: &mut Findings,
) -> UsualSilence {
    section.silent_after_seconds.iter().fold(own, |usual, (name, &seconds)| {
        let path = format!("{path}.silent_after_seconds.{name}");
        let phase = OPEN_PHASES.into_iter().find(|phase| phase.as_str() == name);
        let words = list(OPEN_PHASES.iter().map(|phase| phase.as_str()));
        let phase = findings.value(&path, phase.ok_or(format_args!("no such phase, there is {words}")));
        let after = findings.seconds(&path, seconds, 1..=LONGEST_HORIZON_SECONDS);
        phase.zip(after).map_or(usual, |(phase, after)| usual.with(phase, after))
    })
}

/// The directory of accounts. What cannot be used of it is a warning, as with an account's own files.
fn accounts_dir(
    path: &str,
    section: &ProviderSection,
    written: BTreeSet<Account>,
    documented: &[Authentication],
    findings: &mut Findings,
) -> Option<AccountsDir> {
    let key = |name: &str| format!("{path}.accounts_{name}");
    let Some(directory) = &section.accounts_dir else {
        for (name, value) in [("auth", &section.accounts_auth), ("header", &section.accounts_header)] {
            if value.is_some() {
                findings.problem(&key(name), "is for the accounts of accounts_dir, and there is none");
            }
        }
        return None;
    };
    let (auth, header) = (section.accounts_auth.as_deref(), section.accounts_header.as_deref());
    let authentication = authentication([&key("auth"), &key("header")], auth, header, documented, findings)?;
    let check = form(authentication.scheme());
    let dir = AccountsDir::read(directory, authentication, check, written);
    let mut unusable = dir.unusable();
    for Unusable { path, why } in unusable.by_ref().take(MOST_WARNINGS) {
        findings.warning(&key("dir"), format_args!("no account from {}: {why}", path.display()));
    }
    let more = unusable.count();
    if more > 0 {
        findings.warning(&key("dir"), format_args!("nor from {more} other files"));
    }
    Some(dir)
}

/// How webhooks prove themselves, of what the provider documents: the first, unless `auth` names another.
fn authentication(
    [auth_key, header_key]: [&str; 2],
    auth: Option<&str>,
    header: Option<&str>,
    documented: &[Authentication],
    findings: &mut Findings,
) -> Option<Authentication> {
    let word = |authentication: &Authentication| authentication.scheme().as_str();
    let authentication = match auth {
        None => documented.first(),
        Some(name) => {
            let named = documented.iter().find(|one| word(one) == name);
            let allowed = list(documented.iter().map(word));
            findings.value(auth_key, named.ok_or(format_args!("must be {allowed}")))
        }
    }?;
    let header =
        header.and_then(|name| findings.value(header_key, self::header(name, authentication.scheme())));
    Some(authentication.clone().with_header(header))
}

fn account_settings(
    path: &str,
    account: &AccountSection,
    documented: &[Authentication],
    findings: &mut Findings,
) -> Option<AccountSettings> {
    let keys = [format!("{path}.auth"), format!("{path}.header")];
    let (auth, header) = (account.auth.as_deref(), account.header.as_deref());
    let authentication =
        authentication(keys.each_ref().map(String::as_str), auth, header, documented, findings);
    let none = account.secrets.is_empty() && account.secret_files.is_empty() && account.secret_dir.is_none();
    if none && findings.all_read(path) {
        findings.problem(path, "has neither secrets nor secret_files nor secret_dir");
    }
    let authentication = authentication?;
    let scheme = authentication.scheme();
    let mut secrets = Vec::new();
    for (at, text) in account.secrets.iter().enumerate() {
        secrets.extend(findings.value(&format!("{path}.secrets.{at}"), secret(text.as_bytes(), scheme)));
    }
    let files = SecretFiles::read(&account.secret_files, account.secret_dir.as_deref(), form(scheme));
    for unusable in files.unusable() {
        // The file may be mounted late, or wrong. The receiver answers 503 for this account until it is
        // right, and the provider sends again; not starting would turn every other account away too.
        let key = match account.secret_files.iter().position(|file| *file == unusable.path) {
            Some(at) => format!("{path}.secret_files.{at}"),
            None => format!("{path}.secret_dir"),
        };
        findings.warning(&key, format_args!("no secret from {}: {}", unusable.path.display(), unusable.why));
    }
    Some(AccountSettings { written: Credentials { authentication, secrets }, files })
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
    form(scheme)(bytes)?;
    Secret::new(bytes).ok_or("must not be empty")
}

/// The form that a scheme's secrets must have.
fn form(scheme: AuthScheme) -> Check {
    match scheme {
        AuthScheme::Basic => {
            |bytes| if bytes.contains(&b':') { Ok(()) } else { Err("must be user:password") }
        }
        _ => |_| Ok(()),
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" or ")
}
