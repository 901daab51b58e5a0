//! The defaults, and the shipped file that shows them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use milepost::adapters::rabbit::topology::TopologyMode;
use milepost::config::{Config, Sources, load};
use milepost::domain::authentication::{AuthScheme, Authentication};
use milepost::domain::identity::Account;
use milepost::domain::provider::Provider;
use milepost::domain::retry::RetrySchedule;
use milepost::providers::{ALL, DASH};
use milepost::telemetry::logging::LogFormat;

use super::{file, from_toml};
use crate::fake::{EXPRESS, TELYPORT};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/milepost.toml");

fn assert_defaults(config: &Config) {
    let ms = Duration::from_millis;
    assert_eq!(config.amqp.url.expose(), "amqp://127.0.0.1:5672/%2f");
    assert!(config.amqp.management_url.is_none());
    assert_eq!(config.amqp.connect_timeout, ms(5000));
    assert_eq!(config.amqp.confirm_timeout, ms(5000));
    assert_eq!(config.redis.url.expose(), "redis://127.0.0.1:6379/0");
    assert_eq!(config.redis.response_timeout, ms(500));
    assert_eq!(config.http.addr.to_string(), "0.0.0.0:8080");
    assert_eq!(config.http.max_body_bytes, 262_144);
    assert_eq!(config.http.header_timeout, ms(5000));
    assert_eq!(config.http.body_timeout, ms(10_000));
    assert_eq!(config.http.idle_timeout, ms(620_000));
    assert_eq!(config.http.min_body_rate.map(u32::from), Some(1024));
    assert_eq!(config.http.max_requests_in_flight, 256);
    assert_eq!(config.http.max_bytes_in_flight, 8_388_608);
    assert_eq!(config.http.max_connections, 1536);
    assert_eq!(config.http.max_connections_per_peer, None);
    assert_eq!(config.http.retry_after, ms(5000));
    assert_eq!(config.http.shutdown_delay, ms(0));
    assert_eq!(config.admin.addr.to_string(), "0.0.0.0:9090");
    assert_eq!(config.topology.mode, TopologyMode::Apply);
    assert!(!config.topology.gate);
    assert_eq!(config.topology.updates_max_age.as_str(), "7D");
    assert_eq!(config.topology.updates_max_bytes, 4_294_967_296);
    assert_eq!(config.topology.delivery_limit, 100);
    assert_eq!(config.worker.prefetch, 256);
    assert_eq!(config.worker.processing_deadline, ms(10_000));
    assert_eq!(config.worker.claim_lease, ms(15_000));
    assert_eq!(config.worker.drain_deadline, ms(20_000));
    assert_eq!(config.worker.state_ttl, Duration::from_secs(1_209_600));
    assert_eq!(config.worker.outage_patience, ms(600_000));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.log.filter, "info");
    assert!(config.tracing.otlp_endpoint.is_none());
    assert!((config.tracing.sample_ratio - 1.0).abs() < f64::EPSILON);
    let [day, hour] = [86_400, 3600].map(Duration::from_secs);
    for (id, horizon, content_ttl) in [(TELYPORT, 2 * hour, day), (EXPRESS, day, 2 * day)] {
        let settings = config.provider(id);
        assert_eq!(settings.retry, RetrySchedule::try_new(ms(1000), 2.0, ms(2_100_000), 0.2).expect("valid"));
        assert_eq!(settings.resend_horizon, horizon);
        assert_eq!(settings.dedup_ttl, 14 * day);
        assert_eq!(settings.content_ttl, content_ttl);
        assert!(settings.accounts.is_empty());
    }
}

#[test]
fn without_any_source_everything_has_its_default() {
    let loaded = from_toml("").expect("defaults");
    assert_defaults(&loaded.config);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let sources = Sources { file: Some(SHIPPED.into()), ..Sources::default() };
    assert_defaults(&load(&sources, ALL).expect("the shipped file").config);
}

#[test]
fn the_shipped_file_names_every_key() {
    let text = fs::read_to_string(SHIPPED).expect("the shipped file");
    // What the Rust types declare, section by section; a key added there must be explained in the file.
    for keys in [
        "[amqp] url url_file management_url connect_timeout_ms confirm_timeout_ms",
        "[redis] url url_file response_timeout_ms",
        "[http] addr max_body_bytes header_timeout_ms idle_timeout_ms body_timeout_ms min_body_bytes_per_second \
         max_requests_in_flight max_bytes_in_flight max_connections max_connections_per_peer retry_after_seconds \
         shutdown_delay_ms",
        "[admin] addr",
        "[topology] mode gate updates_max_age updates_max_bytes delivery_limit",
        "[worker] prefetch processing_deadline_ms claim_lease_ms drain_deadline_ms outage_patience_ms state_ttl_seconds",
        "[retry] initial_ms multiplier cap_ms jitter",
        "[log] format filter",
        "[tracing] otlp_endpoint sample_ratio",
        "[providers.telyport] resend_horizon_seconds dedup_ttl_seconds content_ttl_seconds retry",
        "[providers.telyport.accounts.default] auth secrets secret_files secret_dir",
    ] {
        let mut words = keys.split_whitespace();
        let header = words.next().expect("a header");
        let (_, section) = text.split_once(&format!("{header}\n")).expect(header);
        let section = section.split("\n[").next().expect("at least one piece");
        for key in words {
            let set =
                section.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
            assert!(set, "{header} {key}");
        }
    }
}

#[test]
fn the_shipped_file_holds_no_secret_and_its_examples_are_valid() {
    let text = fs::read_to_string(SHIPPED).expect("the shipped file");
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            // `url_file` stands for `url`, so that they are not valid together.
            Some(example) if is_setting(example) && !example.starts_with("url_file") => {
                format!("{example}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let path = file("examples.toml", uncommented.as_bytes());
    let sources = Sources { file: Some(path), ..Sources::default() };
    let loaded = load(&sources, ALL).expect("the examples");
    let default = |id| loaded.config.provider(id).accounts[&Account::default_account()].credentials();
    let telyport = default(TELYPORT);
    assert_eq!(telyport.authentication.scheme(), AuthScheme::Hmac);
    assert_eq!(telyport.secrets[0].expose(), b"for development only");
    assert!(loaded.config.amqp.management_url.is_some());
    assert!(loaded.config.tracing.otlp_endpoint.is_some());
    assert_eq!(loaded.config.provider(TELYPORT).retry.attempts(), 12);
    assert_eq!(default(EXPRESS).authentication.scheme(), AuthScheme::ApiKey);
    let dash = default(DASH.id());
    assert_eq!(dash.authentication, Authentication::Header { name: "x-dash-signature".into() });
    let unread: Vec<_> = loaded.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert!(!Path::new("/run/secrets/milepost").exists());
    let file =
        |provider: &&dyn Provider| format!("providers.{}.accounts.default.secret_files.0", provider.id());
    let mut expected: Vec<_> = ALL.iter().map(file).collect();
    let telyport = expected.iter().position(|key| key.contains("telyport")).expect("it is there");
    expected.insert(telyport + 1, "providers.telyport.accounts.default.secret_dir".to_owned());
    assert_eq!(unread, expected);
}

/// A header in brackets, or a key and a value.
fn is_setting(line: &str) -> bool {
    let key = line.split(" = ").next().unwrap_or_default();
    line.starts_with('[') || (key != line && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')))
}
