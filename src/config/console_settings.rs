//! The console's section: where it listens, and who may.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use argon2::password_hash::PasswordHash;
use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use super::findings::Findings;
use super::secret_files::{SecretFiles, Unusable};
use super::sections::ConsoleSection;

/// No session needs to be longer.
const LONGEST_SESSION_SECONDS: u64 = 7 * 24 * 60 * 60;
/// Users that the proxy lets in and the file does not name.
const ANYBODY: &str = "*";

#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    pub addr: SocketAddr,
    /// The users' file: read again when it changes.
    pub users: SecretFiles,
    /// The header in which a proxy says who asks, and from where it is believed.
    pub proxy: Option<ConsoleProxy>,
    /// After so long without a request a session ends.
    pub session_idle: Duration,
    /// After so long it ends in any case.
    pub session: Duration,
    /// Where what is discarded is written first; without it nothing can be discarded.
    pub exports_dir: Option<PathBuf>,
    /// The metrics of receivers and workers; of a name with several addresses, each is asked.
    pub metrics: Vec<Url>,
    /// Where a trace can be seen; `{trace}` is replaced by its id.
    pub trace_url: Option<String>,
}

/// An authenticating proxy before the console.
#[derive(Debug, Clone)]
pub struct ConsoleProxy {
    /// The header, in lower case.
    pub header: String,
    pub from: Vec<IpNet>,
}

impl ConsoleProxy {
    /// Whether what comes from this address comes from the proxy.
    #[must_use]
    pub fn is_at(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.from.iter().any(|network| network.contains(&peer))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// See everything, personal data masked.
    See,
    /// See personal data, each time written to the audit log.
    Personal,
    Act,
}

impl Right {
    /// As the file says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::See => "see",
            Self::Personal => "personal",
            Self::Act => "act",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleUser {
    /// The password's argon2 hash; without it only the proxy lets this user in.
    #[serde(default)]
    pub hash: Option<String>,
    pub rights: Vec<Right>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleUsers {
    users: BTreeMap<String, ConsoleUser>,
}

impl ConsoleUsers {
    #[must_use]
    pub fn of(files: &SecretFiles) -> Self {
        files.secrets().find_map(|file| read(file.expose()).ok()).unwrap_or_default()
    }

    /// The user of this name who has a password.
    #[must_use]
    pub fn with_password(&self, name: &str) -> Option<(&ConsoleUser, &str)> {
        let user = self.users.get(name)?;
        Some((user, user.hash.as_deref()?))
    }

    /// Whether anybody has a password.
    #[must_use]
    pub fn has_passwords(&self) -> bool {
        self.users.values().any(|user| user.hash.is_some())
    }

    /// The rights of someone that the proxy let in.
    #[must_use]
    pub fn by_proxy(&self, name: &str) -> &[Right] {
        self.users.get(name).or_else(|| self.users.get(ANYBODY)).map_or(&[], |user| &user.rights)
    }
}

fn read(bytes: &[u8]) -> Result<ConsoleUsers, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
    let wrong = "must have a table [users.NAME] for each user, with rights, a list of see, personal and act, and hash";
    // The library's own words may quote a hash.
    let users: ConsoleUsers = toml(text).map_err(|()| wrong)?;
    let hashes = users.users.values().filter_map(|user| user.hash.as_deref());
    for hash in hashes {
        let hash = PasswordHash::new(hash).map_err(|_| "has a hash that is not one of argon2")?;
        if !hash.algorithm.as_str().starts_with("argon2") {
            return Err("has a hash that is not one of argon2");
        }
    }
    if users.users.get(ANYBODY).is_some_and(|user| user.hash.is_some()) {
        return Err("gives a password to \"*\", which is anybody that the proxy lets in");
    }
    Ok(users)
}

fn toml(text: &str) -> Result<ConsoleUsers, ()> {
    use figment::Figment;
    use figment::providers::{Format as _, Toml};
    Figment::from(Toml::string(text)).extract().map_err(drop)
}

/// The console's settings; nothing, if it is off, or cannot be used: then there is a problem.
pub(super) fn console(raw: &ConsoleSection, findings: &mut Findings) -> Option<ConsoleConfig> {
    let mut seconds = |key: &str, number| findings.seconds(key, number, 1..=LONGEST_SESSION_SECONDS);
    let session_idle = seconds("console.session_idle_seconds", raw.session_idle_seconds);
    let session = seconds("console.session_seconds", raw.session_seconds);
    if raw.addr.is_empty() {
        return None;
    }
    let addr = super::check::address("console.addr", &raw.addr, findings);
    let users = SecretFiles::read(raw.users_file.as_slice(), None, |bytes| read(bytes).map(drop));
    for Unusable { path, why } in users.unusable() {
        findings.problem("console.users_file", format_args!("{}: {why}", path.display()));
    }
    if raw.users_file.is_none() && findings.all_read("console") {
        findings.problem("console.users_file", "must be set: it says who may come in");
    }
    let proxy = proxy(raw, findings);
    let url = |text: &String| Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    let metrics: Option<Vec<_>> = raw.metrics.iter().map(url).collect();
    if metrics.is_none() {
        let example = "must be http:// URLs, such as http://milepost-receiver-metrics:9090/metrics";
        findings.problem("console.metrics", example);
    }
    let trace_url = raw.trace_url.clone();
    let is_template = |url: &String| url.contains("{trace}") && url.starts_with("http");
    if trace_url.as_ref().is_some_and(|url| !is_template(url)) {
        findings.problem("console.trace_url", "must be an http:// or https:// URL with {trace} in it");
    }
    Some(ConsoleConfig {
        addr: addr?,
        users,
        proxy,
        session_idle: session_idle?,
        session: session?,
        exports_dir: raw.exports_dir.clone(),
        metrics: metrics?,
        trace_url,
    })
}

/// The proxy; nothing, if there is none, or it cannot be believed: then there is a problem.
fn proxy(raw: &ConsoleSection, findings: &mut Findings) -> Option<ConsoleProxy> {
    let network = |text: &String| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(from) = raw.proxy_from.iter().map(network).collect::<Option<Vec<IpNet>>>() else {
        let example = "must be addresses or networks, such as 10.0.0.7 or 10.0.0.0/24";
        findings.problem("console.proxy_from", example);
        return None;
    };
    let header = raw.proxy_header.as_ref()?;
    if header.is_empty() || !header.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        findings.problem("console.proxy_header", "must be a header's name, such as X-Forwarded-User");
        return None;
    }
    if from.is_empty() && findings.all_read("console.proxy_from") {
        findings.problem("console.proxy_from", "must say from where the header is believed");
        return None;
    }
    Some(ConsoleProxy { header: header.to_ascii_lowercase(), from })
}
