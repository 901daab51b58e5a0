//! The shipped file: it names every key in its section, and every example in it loads once it is uncommented.

use std::fs;
use std::path::PathBuf;

use milepost::config::{ConfigError, Loaded, Sources, load};
use milepost::domain::authentication::{AuthScheme, Authentication};
use milepost::domain::identity::Account;
use milepost::domain::provider::Provider as _;
use milepost::providers::{ALL, DASH, DELIVERECT, EXPRESS_247, HUBRISE, TELYPORT};

use super::{SHIPPED, file};

/// Every section with its keys, in order; `#` marks examples. A key that the types of `src/config` gain belongs here
/// and in the file.
const SECTIONS: &[&str] = &[
    "[amqp] url #url_file #management_url connect_timeout_ms confirm_timeout_ms",
    "[redis] url #url_file response_timeout_ms",
    "[spool] max_entries max_bytes timeout_ms",
    "[http] addr max_body_bytes header_timeout_ms idle_timeout_ms body_timeout_ms min_body_bytes_per_second \
     max_requests_in_flight max_bytes_in_flight max_connections max_connections_per_peer retry_after_seconds \
     shutdown_delay_ms",
    "[admin] addr",
    "[topology] mode gate updates_max_age updates_max_bytes updates_segment_bytes parked_max_bytes",
    "[worker] prefetch processing_deadline_ms claim_lease_ms drain_deadline_ms outage_patience_ms",
    "[retry] initial_ms multiplier cap_ms jitter",
    "[log] format filter",
    "[tracing] #otlp_endpoint sample_ratio",
    "[open] max_age_seconds max_deliveries",
    "[console] addr #users_file #proxy_header proxy_from session_idle_seconds session_seconds #exports_dir metrics \
     #trace_url",
    "[providers.telyport] resend_horizon_seconds dedup_ttl_seconds #silent_after_seconds spool #retry #accounts_dir #accounts_auth",
    "#[providers.telyport.accounts.default] #auth #secret_files #secret_dir #secrets",
    "[providers.247express] resend_horizon_seconds dedup_ttl_seconds spool",
    "#[providers.247express.accounts.default] #auth #secret_files",
    "[providers.deliverect] resend_horizon_seconds dedup_ttl_seconds spool",
    "#[providers.deliverect.accounts.default] #auth #secret_files",
    "[providers.dash] resend_horizon_seconds dedup_ttl_seconds spool #accounts_dir #accounts_header",
    "#[providers.dash.accounts.default] #auth #header #secret_files",
    "[providers.hubrise] resend_horizon_seconds dedup_ttl_seconds spool",
    "#[providers.hubrise.accounts.default] #auth #secret_files",
    "[recovery] look_every_seconds after_gap_seconds lease_seconds request_timeout_ms",
    "#[recovery.providers.telyport] #base_url #path #timeline_path #requests_per_minute",
    "#[recovery.providers.telyport.accounts.default] #credential_file",
    "[sinks.hubrise] patterns base_url prefetch request_timeout_ms lease_ms interval_seconds reserve memory_seconds \
     unlinked_seconds unlinked_most #retry",
    "#[sinks.hubrise.connections.default] #token_file #base_url #locations #accounts #references #pattern #order_status \
     #statuses #per_minute #per_hour #per_day",
];

/// A line of the file: a header, a setting, or either of them as an example.
struct Line {
    text: String,
    example: bool,
}

impl Line {
    /// None for comments and empty lines.
    fn read(line: &str) -> Option<Self> {
        let (text, example) = line.strip_prefix("# ").map_or((line, false), |text| (text, true));
        let key = text.split_once(" = ").map(|(key, _)| key);
        let setting = key.is_some_and(|key| key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')));
        (text.starts_with('[') || setting).then(|| Self { text: text.to_owned(), example })
    }

    fn is_header(&self) -> bool {
        self.text.starts_with('[')
    }

    /// The header, or the key alone; `#` marks an example.
    fn name(&self) -> String {
        let name = self.text.split(" = ").next().unwrap_or_default();
        format!("{}{name}", if self.example { "#" } else { "" })
    }

    fn is_of_directory(&self) -> bool {
        self.text.starts_with("accounts_")
    }

    fn gives_a_secret(&self) -> bool {
        self.text.starts_with("secret")
    }
}

/// The sections as they are written, each a header and its settings.
fn sections() -> Vec<Vec<Line>> {
    let text = fs::read_to_string(SHIPPED).expect("the shipped file");
    let mut sections: Vec<Vec<Line>> = Vec::new();
    for line in text.lines().filter_map(Line::read) {
        if line.is_header() {
            sections.push(vec![line]);
        } else {
            sections.last_mut().expect("a header comes first").push(line);
        }
    }
    sections
}

/// Loads the file with the examples in force that `chosen` wants, by the number of their section and of their line.
fn with_examples(name: &str, chosen: impl Fn(usize, usize) -> bool) -> Result<Loaded, ConfigError> {
    let mut toml = String::new();
    for (at, section) in sections().iter().enumerate() {
        let in_force = |line: usize| !section[line].example || chosen(at, line);
        let by_file =
            (0..section.len()).any(|line| section[line].text.starts_with("url_file") && in_force(line));
        for line in (0..section.len()).filter(|&line| in_force(line)) {
            // A file replaces `url`, and no role starts without it.
            match section[line].text.split_once(" = ").map(|(key, _)| key) {
                Some("url") if by_file => {}
                Some("url_file") => toml += &url_file(name, &section[0].text),
                Some("accounts_dir") => toml += &accounts_dir(name),
                _ => toml += &format!("{}\n", section[line].text),
            }
        }
    }
    let sources = Sources { file: Some(file(name, toml.as_bytes())), ..Sources::default() };
    load(&sources, ALL)
}

/// The setting of a file that is there, in place of the example's.
fn url_file(test: &str, header: &str) -> String {
    let url = match header {
        "[amqp]" => "amqp://one.example/%2f",
        "[redis]" => "redis://one.example/0",
        other => panic!("{other} has no URL"),
    };
    let path = file(&format!("{test}-{}-url", header.trim_matches(['[', ']'])), url.as_bytes());
    format!("url_file = \"{}\"\n", path.display())
}

/// The setting of a directory that is there, in place of the example's.
fn accounts_dir(test: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-accounts"));
    fs::create_dir_all(&path).expect("a writable directory");
    fs::write(path.join("shop"), "s").expect("a writable directory");
    format!("accounts_dir = \"{}\"\n", path.display())
}

#[test]
fn every_section_has_its_keys_and_no_others() {
    let written: Vec<_> = sections()
        .iter()
        .map(|section| section.iter().map(Line::name).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(written, SECTIONS);
}

#[test]
fn every_example_loads_alone() {
    for (at, section) in sections().iter().enumerate().filter(|(_, section)| !section[0].example) {
        for line in (0..section.len()).filter(|&line| section[line].example) {
            let name = format!("example-{at}-{line}.toml");
            // Those of a directory make sense together only.
            let alike = |which: usize| [which, line].iter().all(|&line| section[line].is_of_directory());
            let loaded = with_examples(&name, |of, which| of == at && (which == line || alike(which)));
            let loaded = loaded.unwrap_or_else(|error| panic!("{}: {error}", section[line].text));
            assert_eq!(loaded.warnings, [], "{}", section[line].text);
        }
    }
}

/// An account needs a secret, so that each of them is tried with all that is no secret.
#[test]
fn every_example_account_loads_with_each_of_its_secrets() {
    for (at, section) in sections().iter().enumerate().filter(|(_, section)| section[0].example) {
        let header = &section[0].text;
        let provider = header.strip_prefix("[providers.").and_then(|rest| rest.split('.').next());
        let Some(provider) = provider else {
            let others =
                ["[sinks.hubrise.connections.default]", "[recovery.providers.telyport", "accounts.default]"];
            assert!(others.iter().any(|other| header.contains(other)), "{header}");
            continue;
        };
        for secret in (0..section.len()).filter(|&line| section[line].gives_a_secret()) {
            let text = &section[secret].text;
            let name = format!("account-{at}-{secret}.toml");
            let loaded = with_examples(&name, |of, which| {
                of == at && (which == secret || !section[which].gives_a_secret())
            });
            let loaded = loaded.unwrap_or_else(|error| panic!("{header} {text}: {error}"));
            for other in ALL {
                let accounts = &loaded.config.provider(other.id()).accounts;
                assert_eq!(!accounts.is_empty(), other.id().as_str() == provider, "{header} {text}");
            }
            let named = text.contains(&format!("/run/secrets/milepost/{provider}"));
            assert!(named || text.starts_with("secrets = "), "{header} {text}: another provider's path");
        }
    }
}

#[test]
fn all_examples_load_together() {
    let loaded = with_examples("all-examples.toml", |_, _| true).expect("the examples");
    assert_eq!(loaded.config.amqp.url.expose(), "amqp://one.example/%2f");
    assert_eq!(loaded.config.redis.url.expose(), "redis://one.example/0");
    let management = loaded.config.amqp.management_url.as_ref().expect("it is an example");
    assert_eq!(management.expose(), "http://guest:guest@127.0.0.1:15672/");
    assert_eq!(
        loaded.config.tracing.otlp_endpoint.as_ref().expect("an example").expose(),
        "http://127.0.0.1:4317/"
    );
    let default = |id| loaded.config.provider(id).accounts[&Account::default_account()].credentials();
    for (id, scheme) in [
        (TELYPORT.id(), AuthScheme::Hmac),
        (EXPRESS_247.id(), AuthScheme::ApiKey),
        (DELIVERECT.id(), AuthScheme::Hmac),
        (DASH.id(), AuthScheme::Header),
        (HUBRISE.id(), AuthScheme::Hmac),
    ] {
        assert_eq!(default(id).authentication.scheme(), scheme, "{id}");
    }
    let dash = default(DASH.id()).authentication;
    assert_eq!(dash, Authentication::Header { name: "x-dash-signature".into() });
    assert_eq!(default(TELYPORT.id()).secrets[0].expose(), b"for development only");
    assert_eq!(loaded.config.provider(TELYPORT.id()).retry.attempts(), 12);
    let [connection] = &loaded.config.hubrise_sink.settings.connections[..] else { panic!("one example") };
    assert_eq!(connection.locations, ["3r4s3-1"]);
    assert_eq!(connection.style.overrides.len(), 2);
    assert_eq!(loaded.config.hubrise_sink.retry.attempts(), 12);
    let unread: Vec<_> = loaded.warnings.iter().map(|warning| warning.key.as_str()).collect();
    let expected = [
        "sinks.hubrise.connections.default.token_file",
        "recovery.providers.telyport.accounts.default.credential_file",
        "providers.telyport.accounts.default.secret_files.0",
        "providers.telyport.accounts.default.secret_dir",
        "providers.247express.accounts.default.secret_files.0",
        "providers.deliverect.accounts.default.secret_files.0",
        "providers.dash.accounts.default.secret_files.0",
        "providers.hubrise.accounts.default.secret_files.0",
    ];
    assert_eq!(unread, expected, "the example paths exist nowhere");
}
