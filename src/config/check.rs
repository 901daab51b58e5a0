//! From what is written to what makes sense, with everything that does not said at once.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::accounts;
use super::console_settings;
use super::findings::{Findings, LONGEST_TTL_SECONDS};
use super::recovery;
use super::secret_files::{Check, SecretFiles, Unusable};
use super::sections::{
    AMQP_URL, AmqpSection, HttpSection, LogSection, OpenSection, REDIS_URL, RedisSection, Sections,
    SpoolSection, TopologySection, TracingSection, WorkerSection,
};
use super::settings::{
    AdminConfig, AmqpConfig, Config, HttpConfig, LogConfig, Open, RedisConfig, SpoolConfig, TopologyConfig,
    TracingConfig, WorkerConfig,
};
use super::sinks;
use super::urls::RedactedUrl;
use crate::adapters::http::HttpLimits;
use crate::adapters::rabbit::DELAY_UNIT;
use crate::adapters::rabbit::topology::{TopologyMode, TopologySettings};
use crate::domain::provider::Provider;
use crate::ports::SpoolLimits;
use crate::telemetry::logging::{self, LogFormat};

/// RabbitMQ 4 takes no larger message unless told to.
const LARGEST_BODY: u64 = 16 * 1024 * 1024;
/// A stream has three files for each segment; RabbitMQ takes no larger one.
const SEGMENT_BYTES: RangeInclusive<u64> = 64 * 1024..=3_000_000_000;
/// The broker closes a channel that leaves a delivery unacknowledged for 30 min; five of them are margin.
const LONGEST_PATIENCE_MS: u64 = 25 * 60 * 1000;
/// A Redis whose memory a spool of this size fits is rare enough.
const MOST_SPOOLED_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// The longest that a process may take to end.
const LONGEST_DELAY_MS: u64 = 5 * 60 * 1000;
/// Between the processing deadline and the end of the claim, for settling.
const LEASE_MARGIN_MS: u64 = 1_000;
/// Under this the worker waits for the broker's round trips.
const STARVING_PREFETCH: u16 = 64;

/// After this the next answer closes its connection, so that senders find new replicas.
const MAX_CONNECTION_AGE: Duration = Duration::from_mins(10);
/// Any sender can have webhooks refused, at any rate.
const REFUSAL_LOG_PAUSE: Duration = Duration::from_mins(1);

/// The configuration, if there is no problem with it.
pub(super) fn check(raw: &Sections, providers: &[&dyn Provider], findings: &mut Findings) -> Option<Config> {
    // Every section is checked before any of them decides: all problems are reported at once.
    let amqp = amqp(&raw.amqp, findings);
    let redis = redis(&raw.redis, findings);
    let spool = spool(&raw.spool, raw.http.max_body_bytes, findings);
    let http = http(&raw.http, findings);
    let admin = address("admin.addr", &raw.admin.addr, findings).map(|addr| AdminConfig { addr });
    let topology = topology(&raw.topology, findings);
    let worker = worker(&raw.worker, findings);
    if let (Some(amqp), Some(worker)) = (&amqp, &worker)
        && worker.processing_deadline <= amqp.confirm_timeout
    {
        // A publish that is given up sooner says nothing of its connection.
        let message = "not above amqp.confirm_timeout_ms: a broker that confirms nothing is not noticed";
        findings.warning("worker.processing_deadline_ms", message);
    }
    let retry = findings.retry("retry", &raw.retry);
    let log = log(&raw.log, findings);
    let tracing = tracing(&raw.tracing, findings);
    let console = console_settings::console(&raw.console, findings);
    let hubrise_sink = sinks::hubrise(&raw.sinks.hubrise, &raw.retry, retry.as_ref(), providers, findings);
    let open = open(&raw.open, findings);
    let recovery = recovery::recovery(&raw.recovery, providers, findings);
    let providers = accounts::providers(raw, retry.as_ref(), providers, findings);
    if !findings.problems.is_empty() {
        return None;
    }
    Some(Config {
        amqp: amqp?,
        redis: redis?,
        spool: spool?,
        http: http?,
        admin: admin?,
        topology: topology?,
        worker: worker?,
        log: log?,
        tracing: tracing?,
        console,
        hubrise_sink: hubrise_sink?,
        open: open?,
        recovery: recovery?,
        providers,
    })
}

fn amqp(raw: &AmqpSection, findings: &mut Findings) -> Option<AmqpConfig> {
    let from = UrlFrom { key: "amqp.url", written: raw.url.as_deref(), file: raw.url_file.as_deref() };
    let url = url(&from, AMQP_URL, RedactedUrl::amqp, |bytes| utf8(bytes, RedactedUrl::amqp), findings);
    let management_url = raw.management_url.as_deref().map(RedactedUrl::http).transpose();
    let management_url = findings.value("amqp.management_url", management_url);
    let connect_timeout = findings.millis("amqp.connect_timeout_ms", raw.connect_timeout_ms);
    let confirm_timeout = findings.millis("amqp.confirm_timeout_ms", raw.confirm_timeout_ms);
    let (url, url_file) = url?;
    Some(AmqpConfig {
        management_url: management_url?.map(|management| management.or_credentials_of(&url)),
        url,
        url_file,
        connect_timeout: connect_timeout?,
        confirm_timeout: confirm_timeout?,
    })
}

fn redis(raw: &RedisSection, findings: &mut Findings) -> Option<RedisConfig> {
    let from = UrlFrom { key: "redis.url", written: raw.url.as_deref(), file: raw.url_file.as_deref() };
    let url = url(&from, REDIS_URL, RedactedUrl::redis, |bytes| utf8(bytes, RedactedUrl::redis), findings);
    let response_timeout = findings.millis("redis.response_timeout_ms", raw.response_timeout_ms);
    let (url, url_file) = url?;
    Some(RedisConfig { url, url_file, response_timeout: response_timeout? })
}

fn spool(raw: &SpoolSection, max_body_bytes: u64, findings: &mut Findings) -> Option<SpoolConfig> {
    let max_entries = findings.number("spool.max_entries", raw.max_entries, 1..=10_000_000);
    let max_bytes = findings.number("spool.max_bytes", raw.max_bytes, 1..=MOST_SPOOLED_BYTES);
    if raw.max_bytes < max_body_bytes && findings.all_read("spool") && findings.all_read("http") {
        findings.problem("spool.max_bytes", "must not be below http.max_body_bytes");
    }
    let timeout = findings.millis("spool.timeout_ms", raw.timeout_ms);
    let limits = SpoolLimits { max_entries: max_entries?, max_bytes: max_bytes? };
    Some(SpoolConfig { limits, timeout: timeout? })
}

type ReadUrl = fn(&str) -> Result<RedactedUrl, &'static str>;

/// Where a URL comes from: the configuration, or a file.
struct UrlFrom<'a> {
    key: &'a str,
    written: Option<&'a str>,
    file: Option<&'a Path>,
}

/// A URL, and the file to read it from again. Unlike an account's secrets it must be there: nothing works without it.
fn url(
    from: &UrlFrom<'_>,
    default: &str,
    read: ReadUrl,
    check: Check,
    findings: &mut Findings,
) -> Option<(RedactedUrl, SecretFiles)> {
    let key = &format!("{}_file", from.key);
    let files = SecretFiles::read(from.file.as_slice(), None, check);
    if from.written.is_some() && from.file.is_some() {
        findings.problem(key, format_args!("there is {} too: leave one out", from.key));
    }
    for Unusable { path, why } in files.unusable() {
        findings.problem(key, format_args!("no URL from {}: {why}", path.display()));
    }
    let in_file = files.secrets().next().and_then(|secret| std::str::from_utf8(secret.expose()).ok());
    let url = match from.file {
        Some(_) => read(in_file?).ok()?,
        None => findings.value(from.key, read(from.written.unwrap_or(default)))?,
    };
    Some((url, files))
}

fn utf8(bytes: &[u8], read: ReadUrl) -> Result<(), &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "is not UTF-8").and_then(read).map(drop)
}

fn http(raw: &HttpSection, findings: &mut Findings) -> Option<HttpConfig> {
    const MANY: u64 = 1_000_000;
    let addr = address("http.addr", &raw.addr, findings);
    let max_body_bytes = findings.number("http.max_body_bytes", raw.max_body_bytes, 1..=LARGEST_BODY);
    let header_timeout = findings.millis("http.header_timeout_ms", raw.header_timeout_ms);
    let idle_timeout = findings.millis("http.idle_timeout_ms", raw.idle_timeout_ms);
    let body_timeout = findings.millis("http.body_timeout_ms", raw.body_timeout_ms);
    let rate = findings.number(
        "http.min_body_bytes_per_second",
        raw.min_body_bytes_per_second,
        0..=u64::from(u32::MAX),
    );
    let requests = findings.number("http.max_requests_in_flight", raw.max_requests_in_flight, 1..=MANY);
    let connections = findings.number("http.max_connections", raw.max_connections, 1..=MANY);
    let per_peer = findings.number("http.max_connections_per_peer", raw.max_connections_per_peer, 0..=MANY);
    let retry_after = findings.seconds("http.retry_after_seconds", raw.retry_after_seconds, 1..=3600);
    let shutdown_delay =
        findings.number("http.shutdown_delay_ms", raw.shutdown_delay_ms, 0..=LONGEST_DELAY_MS);
    let bytes = findings.number("http.max_bytes_in_flight", raw.max_bytes_in_flight, 1..=u64::from(u32::MAX));
    if raw.max_bytes_in_flight < raw.max_body_bytes && findings.all_read("http") {
        findings.problem("http.max_bytes_in_flight", "must not be below max_body_bytes");
    }
    let limits = HttpLimits {
        max_body_bytes: max_body_bytes?,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
        body_timeout: body_timeout?,
        min_body_rate: rate.map(NonZeroU32::new)?,
        max_requests_in_flight: requests?,
        max_bytes_in_flight: bytes?,
        max_connections: connections?,
        max_connections_per_peer: per_peer.map(|most: usize| (most > 0).then_some(most))?,
        max_connection_age: MAX_CONNECTION_AGE,
        refusal_log_pause: REFUSAL_LOG_PAUSE,
        retry_after: retry_after?,
    };
    Some(HttpConfig { addr: addr?, limits, shutdown_delay: shutdown_delay.map(Duration::from_millis)? })
}

pub(super) fn address(key: &str, text: &str, findings: &mut Findings) -> Option<SocketAddr> {
    findings.value(key, text.parse().map_err(|_| "must be an IP address and a port, such as 0.0.0.0:8080"))
}

fn topology(raw: &TopologySection, findings: &mut Findings) -> Option<TopologyConfig> {
    let mode = findings.value(
        "topology.mode",
        match raw.mode.as_str() {
            "apply" => Ok(TopologyMode::Apply),
            "verify" => Ok(TopologyMode::Verify),
            _ => Err("must be apply or verify"),
        },
    );
    let updates_max_age = findings.value("topology.updates_max_age", raw.updates_max_age.parse());
    let most = i64::MAX.unsigned_abs();
    let updates_max_bytes = findings.number("topology.updates_max_bytes", raw.updates_max_bytes, 1..=most);
    let updates_segment_bytes =
        findings.number("topology.updates_segment_bytes", raw.updates_segment_bytes, SEGMENT_BYTES);
    let parked_max_bytes = findings.number("topology.parked_max_bytes", raw.parked_max_bytes, 1..=most);
    let settings = TopologySettings {
        updates_max_age: updates_max_age?,
        updates_max_bytes: updates_max_bytes?,
        updates_segment_bytes: updates_segment_bytes?,
        parked_max_bytes: parked_max_bytes?,
        delay_unit: DELAY_UNIT,
    };
    Some(TopologyConfig { mode: mode?, gate: raw.gate, settings })
}

fn worker(raw: &WorkerSection, findings: &mut Findings) -> Option<WorkerConfig> {
    let prefetch = findings.number("worker.prefetch", raw.prefetch, 1..=u64::from(u16::MAX));
    if prefetch.is_some_and(|prefetch| prefetch < STARVING_PREFETCH) {
        findings.warning("worker.prefetch", format_args!("below {STARVING_PREFETCH} the worker starves"));
    }
    let deadline = findings.millis("worker.processing_deadline_ms", raw.processing_deadline_ms);
    let claim_lease = findings.millis("worker.claim_lease_ms", raw.claim_lease_ms);
    let least = raw.processing_deadline_ms.saturating_add(LEASE_MARGIN_MS);
    if raw.claim_lease_ms <= least && findings.all_read("worker") {
        // Otherwise another worker could take an event over while this one still publishes it.
        let message = format_args!("must be above processing_deadline_ms + {LEASE_MARGIN_MS}");
        findings.problem("worker.claim_lease_ms", message);
    }
    let drain_deadline = findings.millis("worker.drain_deadline_ms", raw.drain_deadline_ms);
    let outage_patience = findings.millis("worker.outage_patience_ms", raw.outage_patience_ms);
    if raw.outage_patience_ms >= LONGEST_PATIENCE_MS {
        findings.problem(
            "worker.outage_patience_ms",
            format_args!("must be below {LONGEST_PATIENCE_MS} (25 min)"),
        );
    }
    Some(WorkerConfig {
        prefetch: prefetch?,
        processing_deadline: deadline?,
        claim_lease: claim_lease?,
        drain_deadline: drain_deadline?,
        outage_patience: outage_patience?,
    })
}

fn open(raw: &OpenSection, findings: &mut Findings) -> Option<Open> {
    let max_age = findings.seconds("open.max_age_seconds", raw.max_age_seconds, 3600..=LONGEST_TTL_SECONDS);
    let max_deliveries = findings.number("open.max_deliveries", raw.max_deliveries, 1..=10_000_000);
    Some(Open { max_age: max_age?, max_deliveries: max_deliveries? })
}

fn log(raw: &LogSection, findings: &mut Findings) -> Option<LogConfig> {
    let format = findings.value(
        "log.format",
        match raw.format.as_str() {
            "json" => Ok(LogFormat::Json),
            "text" => Ok(LogFormat::Text),
            _ => Err("must be json or text"),
        },
    );
    let filter = logging::filter(&raw.filter).map_err(|_| "must be directives such as info,lapin=debug");
    let filter = findings.value("log.filter", filter).map(|_| raw.filter.clone());
    Some(LogConfig { format: format?, filter: filter? })
}

fn tracing(raw: &TracingSection, findings: &mut Findings) -> Option<TracingConfig> {
    let endpoint = raw.otlp_endpoint.as_deref().map(RedactedUrl::http).transpose();
    let otlp_endpoint = findings.value("tracing.otlp_endpoint", endpoint);
    if !(0.0..=1.0).contains(&raw.sample_ratio) {
        findings.problem("tracing.sample_ratio", "must be from 0 to 1");
    }
    Some(TracingConfig { otlp_endpoint: otlp_endpoint?, sample_ratio: raw.sample_ratio })
}
