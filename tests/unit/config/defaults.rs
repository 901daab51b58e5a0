//! The defaults, without a file and with the shipped one.

use std::time::Duration;

use milepost::adapters::rabbit::topology::TopologyMode;
use milepost::config::{Config, Sources, load};
use milepost::domain::retry::RetrySchedule;
use milepost::providers::ALL;
use milepost::telemetry::logging::LogFormat;

use super::SHIPPED;

fn assert_defaults(config: &Config) {
    let ms = Duration::from_millis;
    assert_eq!(config.amqp.url.expose(), "amqp://127.0.0.1:5672/%2f");
    assert!(config.amqp.management_url.is_none());
    assert_eq!(config.amqp.connect_timeout, ms(5000));
    assert_eq!(config.amqp.confirm_timeout, ms(5000));
    assert_eq!(config.redis.url.expose(), "redis://127.0.0.1:6379/0");
    assert_eq!(config.redis.response_timeout, ms(500));
    assert_eq!(config.spool.limits.max_entries, 50_000);
    assert_eq!(config.spool.limits.max_bytes, 67_108_864);
    assert_eq!(config.spool.timeout, ms(3000));
    assert_eq!(config.http.addr.to_string(), "0.0.0.0:8080");
    assert_eq!(config.http.limits.max_body_bytes, 262_144);
    assert_eq!(config.http.limits.header_timeout, ms(5000));
    assert_eq!(config.http.limits.body_timeout, ms(10_000));
    assert_eq!(config.http.limits.idle_timeout, ms(620_000));
    assert_eq!(config.http.limits.min_body_rate.map(u32::from), Some(1024));
    assert_eq!(config.http.limits.max_requests_in_flight, 256);
    assert_eq!(config.http.limits.max_bytes_in_flight, 8_388_608);
    assert_eq!(config.http.limits.max_connections, 1536);
    assert_eq!(config.http.limits.max_connections_per_peer, None);
    assert_eq!(config.http.limits.retry_after, ms(5000));
    assert_eq!(config.http.shutdown_delay, ms(0));
    assert_eq!(config.admin.addr.to_string(), "0.0.0.0:9090");
    assert_eq!(config.topology.mode, TopologyMode::Apply);
    assert!(!config.topology.gate);
    assert_eq!(config.topology.settings.updates_max_age.as_str(), "7D");
    assert_eq!(config.topology.settings.updates_max_bytes, 4_294_967_296);
    assert_eq!(config.topology.settings.updates_segment_bytes, 4_194_304);
    assert_eq!(config.topology.settings.parked_max_bytes, 268_435_456);
    assert_eq!(config.worker.prefetch, 256);
    assert_eq!(config.worker.processing_deadline, ms(10_000));
    assert_eq!(config.worker.claim_lease, ms(15_000));
    assert_eq!(config.worker.drain_deadline, ms(20_000));
    assert_eq!(config.worker.outage_patience, ms(600_000));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.log.filter, "info");
    assert!(config.tracing.otlp_endpoint.is_none());
    assert!((config.tracing.sample_ratio - 1.0).abs() < f64::EPSILON);
    let sink = &config.hubrise_sink;
    assert_eq!(sink.patterns, ["#"]);
    assert_eq!(sink.prefetch, 128);
    assert_eq!(sink.request_timeout, ms(10_000));
    assert_eq!(sink.retry, RetrySchedule::try_new(ms(1000), 2.0, ms(2_100_000), 0.2).expect("valid"));
    assert_eq!(sink.settings.lease, ms(30_000));
    assert_eq!(sink.settings.memory, ms(14 * 86_400_000));
    assert_eq!(sink.settings.unlinked_for, ms(6 * 3_600_000));
    assert_eq!(sink.settings.unlinked_most, 10_000);
    assert!(sink.settings.connections.is_empty());
    let [day, hour, minute] = [86_400, 3600, 60].map(Duration::from_secs);
    for provider in ALL {
        let horizon = match provider.id().as_str() {
            "telyport" | "hubrise" => 2 * hour,
            "247express" => day,
            "deliverect" => minute,
            "dash" => 3 * minute,
            other => panic!("{other}: its defaults belong here"),
        };
        let settings = config.provider(provider.id());
        let id = provider.id();
        assert_eq!(settings.retry, RetrySchedule::try_new(ms(1000), 2.0, ms(2_100_000), 0.2).expect("valid"));
        assert_eq!(settings.resend_horizon, horizon, "{id}");
        assert_eq!(settings.dedup_ttl, 14 * day, "{id}");
        assert_eq!(settings.spool, matches!(id.as_str(), "247express" | "deliverect"), "{id}");
        assert!(settings.accounts.is_empty(), "{id}");
    }
}

#[test]
fn without_any_source_everything_has_its_default() {
    let loaded = load(&Sources::default(), ALL).expect("defaults");
    assert_defaults(&loaded.config);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let sources = Sources { file: Some(SHIPPED.into()), ..Sources::default() };
    let loaded = load(&sources, ALL).expect("the shipped file");
    assert_defaults(&loaded.config);
    assert_eq!(loaded.warnings, []);
}
