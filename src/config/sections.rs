//! The configuration as it is written, with the defaults. Anything with the right keys and types passes here;
//! `check` decides what makes sense.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Declares a section: its keys, their types and their defaults.
macro_rules! section {
    ($name:ident { $($key:ident: $type:ty = $default:expr),* $(,)? }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, default, expecting = "a table")]
        pub(super) struct $name {
            $(pub(super) $key: $type),*
        }

        impl $name {
            #[allow(dead_code)] // Not read for the sections within providers.
            pub(super) const KEYS: &[&str] = &[$(stringify!($key)),*];
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default),* }
            }
        }
    };
}

/// Where RabbitMQ and Redis are by default.
pub(super) const AMQP_URL: &str = "amqp://127.0.0.1:5672/%2f";
pub(super) const REDIS_URL: &str = "redis://127.0.0.1:6379/0";

/// HubRise's documented address, with the version.
pub(super) const HUBRISE_URL: &str = "https://api.hubrise.com/v1";

const DAY_SECONDS: u64 = 24 * 60 * 60;
pub(super) const DEDUP_TTL_SECONDS: u64 = 14 * DAY_SECONDS;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct Sections {
    pub(super) amqp: AmqpSection,
    pub(super) redis: RedisSection,
    pub(super) spool: SpoolSection,
    pub(super) http: HttpSection,
    pub(super) admin: AdminSection,
    pub(super) topology: TopologySection,
    pub(super) worker: WorkerSection,
    pub(super) retry: RetrySection,
    pub(super) log: LogSection,
    pub(super) tracing: TracingSection,
    pub(super) console: ConsoleSection,
    pub(super) providers: BTreeMap<String, ProviderSection>,
    pub(super) sinks: SinksSection,
    pub(super) open: OpenSection,
    pub(super) recovery: RecoverySection,
}

impl Sections {
    /// The sections that every installation has, each with its keys.
    pub(super) const KEYS: [(&str, &[&str]); 12] = [
        ("amqp", AmqpSection::KEYS),
        ("redis", RedisSection::KEYS),
        ("spool", SpoolSection::KEYS),
        ("http", HttpSection::KEYS),
        ("admin", AdminSection::KEYS),
        ("topology", TopologySection::KEYS),
        ("worker", WorkerSection::KEYS),
        ("retry", RetrySection::KEYS),
        ("log", LogSection::KEYS),
        ("tracing", TracingSection::KEYS),
        ("open", OpenSection::KEYS),
        ("console", ConsoleSection::KEYS),
    ];
}

section!(AmqpSection {
    url: Option<String> = None,
    url_file: Option<PathBuf> = None,
    management_url: Option<String> = None,
    connect_timeout_ms: u64 = 5_000,
    confirm_timeout_ms: u64 = 5_000,
});

section!(RedisSection {
    url: Option<String> = None,
    url_file: Option<PathBuf> = None,
    response_timeout_ms: u64 = 500,
});

section!(SpoolSection {
    max_entries: u64 = 50_000,
    max_bytes: u64 = 64 * 1024 * 1024,
    timeout_ms: u64 = 3_000,
});

section!(HttpSection {
    addr: String = "0.0.0.0:8080".to_owned(),
    max_body_bytes: u64 = 256 * 1024,
    header_timeout_ms: u64 = 5_000,
    idle_timeout_ms: u64 = 620_000,
    body_timeout_ms: u64 = 10_000,
    min_body_bytes_per_second: u64 = 1024,
    max_requests_in_flight: u64 = 256,
    max_bytes_in_flight: u64 = 8 * 1024 * 1024,
    max_connections: u64 = 1_536,
    max_connections_per_peer: u64 = 0,
    retry_after_seconds: u64 = 5,
    shutdown_delay_ms: u64 = 0,
});

section!(AdminSection { addr: String = "0.0.0.0:9090".to_owned() });

section!(TopologySection {
    mode: String = "apply".to_owned(),
    gate: bool = false,
    updates_max_age: String = "7D".to_owned(),
    updates_max_bytes: u64 = 4 * 1024 * 1024 * 1024,
    updates_segment_bytes: u64 = 4 * 1024 * 1024,
    parked_max_bytes: u64 = 256 * 1024 * 1024,
});

section!(WorkerSection {
    prefetch: u64 = 256,
    processing_deadline_ms: u64 = 10_000,
    claim_lease_ms: u64 = 15_000,
    drain_deadline_ms: u64 = 20_000,
    outage_patience_ms: u64 = 600_000,
});

section!(RetrySection {
    initial_ms: u64 = 1_000,
    multiplier: f64 = 2.0,
    cap_ms: u64 = 2_100_000,
    jitter: f64 = 0.2,
});

section!(LogSection { format: String = "json".to_owned(), filter: String = "info".to_owned() });

section!(TracingSection { otlp_endpoint: Option<String> = None, sample_ratio: f64 = 1.0 });

section!(RecoverySection {
    look_every_seconds: u64 = 60,
    after_gap_seconds: u64 = 300,
    lease_seconds: u64 = 30,
    request_timeout_ms: u64 = 10_000,
    providers: BTreeMap<String, SourceSection> = BTreeMap::new(),
});

section!(SourceSection {
    base_url: Option<String> = None,
    path: Option<String> = None,
    timeline_path: Option<String> = None,
    requests_per_minute: Option<u64> = None,
    accounts: BTreeMap<String, CredentialSection> = BTreeMap::new(),
});

section!(CredentialSection { credential: Option<String> = None, credential_file: Option<PathBuf> = None });

section!(OpenSection { max_age_seconds: u64 = 14 * DAY_SECONDS, max_deliveries: u64 = 100_000 });

section!(ConsoleSection {
    addr: String = String::new(),
    users_file: Option<PathBuf> = None,
    proxy_header: Option<String> = None,
    proxy_from: Vec<String> = Vec::new(),
    session_idle_seconds: u64 = 30 * 60,
    session_seconds: u64 = 12 * 60 * 60,
    exports_dir: Option<PathBuf> = None,
    metrics: Vec<String> = Vec::new(),
    trace_url: Option<String> = None,
});

// What a provider's section leaves out comes from the provider itself or from `[retry]`, hence the options.

section!(ProviderSection {
    resend_horizon_seconds: Option<u64> = None,
    dedup_ttl_seconds: Option<u64> = None,
    spool: Option<bool> = None,
    retry: Option<RetryOverride> = None,
    accounts: BTreeMap<String, AccountSection> = BTreeMap::new(),
    accounts_dir: Option<PathBuf> = None,
    accounts_auth: Option<String> = None,
    accounts_header: Option<String> = None,
    silent_after_seconds: BTreeMap<String, u64> = BTreeMap::new(),
});

section!(RetryOverride {
    initial_ms: Option<u64> = None,
    multiplier: Option<f64> = None,
    cap_ms: Option<u64> = None,
    jitter: Option<f64> = None,
});

section!(AccountSection {
    auth: Option<String> = None,
    header: Option<String> = None,
    secrets: Vec<String> = Vec::new(),
    secret_files: Vec<PathBuf> = Vec::new(),
    secret_dir: Option<PathBuf> = None,
});

section!(SinksSection { hubrise: HubriseSection = HubriseSection::default() });

section!(HubriseSection {
    patterns: Vec<String> = vec!["#".to_owned()],
    base_url: String = HUBRISE_URL.to_owned(),
    prefetch: u64 = 128,
    request_timeout_ms: u64 = 10_000,
    lease_ms: u64 = 30_000,
    interval_seconds: u64 = 30,
    reserve: f64 = 0.2,
    memory_seconds: u64 = 14 * DAY_SECONDS,
    unlinked_seconds: u64 = DAY_SECONDS / 4,
    unlinked_most: u64 = 10_000,
    retry: Option<RetryOverride> = None,
    connections: BTreeMap<String, ConnectionSection> = BTreeMap::new(),
});

section!(ConnectionSection {
    token: Option<String> = None,
    token_file: Option<PathBuf> = None,
    base_url: Option<String> = None,
    locations: Vec<String> = Vec::new(),
    accounts: Vec<String> = Vec::new(),
    references: Vec<String> = vec!["merchant_order".to_owned(), "merchant_reference".to_owned()],
    pattern: String = "{order}".to_owned(),
    order_status: bool = false,
    statuses: BTreeMap<String, String> = BTreeMap::new(),
    per_minute: u64 = 500,
    per_hour: u64 = 2_500,
    per_day: u64 = 10_000,
});

impl RetryOverride {
    /// What it does not say is as in `base`.
    pub(super) fn over(&self, base: &RetrySection) -> RetrySection {
        RetrySection {
            initial_ms: self.initial_ms.unwrap_or(base.initial_ms),
            multiplier: self.multiplier.unwrap_or(base.multiplier),
            cap_ms: self.cap_ms.unwrap_or(base.cap_ms),
            jitter: self.jitter.unwrap_or(base.jitter),
        }
    }
}
