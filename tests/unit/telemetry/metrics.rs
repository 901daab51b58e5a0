//! The metric table is what `/metrics` shows, from the first scrape on.

use std::collections::BTreeSet;
use std::time::Duration;

use milepost::telemetry::metrics::{self as table, MetricKind};
use milepost::telemetry::recorder::{Metrics, Role, prepare, recorder};

use crate::fake::{EXPRESS, PROVIDERS, TELYPORT};

/// What `role` shows before anything happened.
fn first_scrape(role: Role) -> String {
    let recorder = recorder();
    metrics::with_local_recorder(&recorder, || prepare(role, PROVIDERS));
    Metrics::of(&recorder).render()
}

/// The names of the metrics in a scrape.
fn names(scrape: &str) -> BTreeSet<&str> {
    scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

fn has(scrape: &str, line: &str) -> bool {
    scrape.lines().any(|found| found == line)
}

#[test]
fn the_fleet_in_one_process_shows_every_metric_with_help_and_type() {
    let scrape = first_scrape(Role::Run);
    let at_first: Vec<_> = table::ALL.iter().filter(|metric| !is_of_a_connection(metric)).collect();
    for metric in &at_first {
        assert!(has(&scrape, &format!("# HELP {} {}", metric.name, metric.help)), "{}", metric.name);
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            // Not a summary, which it would be without buckets.
            MetricKind::Histogram => "histogram",
        };
        assert!(has(&scrape, &format!("# TYPE {} {kind}", metric.name)), "{}", metric.name);
    }
    assert_eq!(names(&scrape).len(), at_first.len());
}

/// The series of a connection to HubRise are there once the sink has looked at it, and those of an account that is asked once
/// the reconciler has.
fn is_of_a_connection(metric: &table::Metric) -> bool {
    metric.labels.contains(&"connection") || metric.name == table::PULL_PENDING
}

#[test]
fn every_sample_is_zero_at_first_and_has_its_metrics_labels() {
    let scrape = first_scrape(Role::Run);
    let samples = scrape.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let constant = ["milepost_build_info", "milepost_provider_gives_up_after_seconds"];
    for sample in samples.filter(|sample| !constant.iter().any(|name| sample.starts_with(name))) {
        assert!(sample.ends_with(" 0"), "{sample}");
        let series = sample.strip_suffix(" 0").expect("it ends so");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let stem =
            ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        let metric =
            table::ALL.iter().find(|metric| metric.name == stem || metric.name == name).expect(sample);
        let labels: Vec<_> = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect();
        let labels: Vec<_> = labels.into_iter().filter(|label| *label != "le").collect();
        assert_eq!(labels, metric.labels, "{sample}");
    }
}

#[test]
fn a_receiver_counts_each_answer_by_its_providers_own_code() {
    let scrape = first_scrape(Role::Receiver);
    let requests = "milepost_http_requests_total";
    for labels in [
        r#"{provider="telyport",code="200",result="accepted"}"#,
        r#"{provider="telyport",code="401",result="wrong_credential"}"#,
        r#"{provider="247express",code="200",result="wrong_credential"}"#,
        r#"{provider="247express",code="503",result="unconfirmed"}"#,
        r#"{provider="unknown",code="404",result="unknown_provider"}"#,
    ] {
        assert!(has(&scrape, &format!("{requests}{labels} 0")), "{labels}");
    }
    assert!(has(&scrape, r#"milepost_webhooks_rejected_total{provider="telyport",reason="no_secret"} 0"#));
    assert!(has(&scrape, r#"milepost_publish_confirms_total{stage="raw",result="unconfirmed"} 0"#));
    assert!(has(&scrape, r#"milepost_refusing_since_timestamp_seconds{provider="telyport"} 0"#));
    assert!(has(&scrape, r#"milepost_provider_gives_up_after_seconds{provider="telyport"} 7200"#));
    assert!(has(&scrape, r#"milepost_broker_connected{role="publish"} 0"#));
    let version = env!("CARGO_PKG_VERSION");
    assert!(has(&scrape, &format!(r#"milepost_build_info{{version="{version}",role="receiver"}} 1"#)));
    assert!(!scrape.contains(r#"role="consume""#));
    assert!(!scrape.contains(r#"stage="update""#));
    assert!(!scrape.contains("milepost_messages_settled_total{"));
}

#[test]
fn a_worker_counts_its_own_provider_only() {
    let scrape = first_scrape(Role::Worker(EXPRESS));
    for line in [
        r#"milepost_messages_settled_total{provider="247express",outcome="duplicate"} 0"#,
        r#"milepost_process_duration_seconds_count{provider="247express",outcome="parked"} 0"#,
        r#"milepost_retries_total{provider="247express",reason="publish_refused"} 0"#,
        r#"milepost_parked_total{provider="247express",reason="crash_loop"} 0"#,
        r#"milepost_paused{provider="247express",reason="redis"} 0"#,
        r#"milepost_dedup_claims_total{provider="247express",result="id_reused"} 0"#,
        r#"milepost_redis_op_duration_seconds_bucket{op="claim",le="0.0001"} 0"#,
        r#"milepost_publish_confirms_total{stage="later",result="refused"} 0"#,
        r#"milepost_broker_connected{role="consume"} 0"#,
    ] {
        assert!(has(&scrape, line), "{line}");
    }
    assert!(scrape.contains(r#"role="worker-247express"} 1"#));
    assert!(!scrape.contains(TELYPORT.as_str()));
    assert!(!scrape.contains("milepost_http_requests_total{"));
}

#[test]
fn each_histogram_has_buckets_for_what_it_measures() {
    let scrape = first_scrape(Role::Run);
    for (series, first, last) in [
        ("milepost_http_request_duration_seconds_bucket{provider=\"telyport\"", "0.001", "10"),
        ("milepost_publish_confirm_duration_seconds_bucket{stage=\"raw\"", "0.001", "10"),
        (
            "milepost_process_duration_seconds_bucket{provider=\"telyport\",outcome=\"published\"",
            "0.001",
            "600",
        ),
        ("milepost_end_to_end_seconds_bucket{provider=\"telyport\"", "0.005", "7200"),
        ("milepost_retry_delay_seconds_bucket{provider=\"telyport\"", "1", "4095"),
        ("milepost_redis_op_duration_seconds_bucket{op=\"claim\"", "0.0001", "1"),
    ] {
        let bounds: Vec<_> = scrape
            .lines()
            .filter(|line| line.starts_with(series))
            .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next())
            .collect();
        assert_eq!(bounds.first(), Some(&first), "{series}");
        assert_eq!(bounds.get(bounds.len().wrapping_sub(2)), Some(&last), "{series}");
        assert_eq!(bounds.last(), Some(&"+Inf"), "{series}");
        assert!(bounds.len() >= 10, "{series}");
    }
}

#[test]
fn installed_twice_it_is_the_same_and_keeps_its_counts() {
    let first = Metrics::install(Role::Worker(TELYPORT), PROVIDERS).expect("no other recorder is installed");
    metrics::gauge!(table::CONFIG_LAST_RELOAD).set(1_700_000_000.0);
    let second = Metrics::install(Role::Run, PROVIDERS).expect("the same");
    for scrape in [first.render(), second.render()] {
        assert!(has(&scrape, "milepost_config_last_reload_timestamp_seconds 1700000000"));
        assert!(scrape.contains(r#"milepost_parked_total{provider="247express",reason="panic"}"#));
    }
}

#[tokio::test]
async fn upkeep_runs_until_it_is_dropped() {
    let recorder = recorder();
    let metrics = Metrics::of(&recorder);
    let ended = tokio::time::timeout(Duration::from_millis(50), metrics.upkeep()).await;
    assert!(ended.is_err());
}
