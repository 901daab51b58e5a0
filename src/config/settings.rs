//! The configuration as the program uses it: valid, and complete.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

use super::accounts_dir::AccountsDir;
use super::console_settings::ConsoleConfig;
use super::secret_files::SecretFiles;
use super::urls::RedactedUrl;
use crate::adapters::http::HttpLimits;
use crate::adapters::rabbit::topology::{TopologyMode, TopologySettings};
use crate::domain::authentication::Credentials;
use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;
use crate::domain::retry::RetrySchedule;
use crate::domain::secret::Secret;
use crate::domain::silence::UsualSilence;
use crate::ports::SpoolLimits;
use crate::sinks::hubrise::settings::Settings;
use crate::telemetry::logging::LogFormat;

/// Everything that can be configured. `config/milepost.toml` says what each setting is for.
#[derive(Debug, Clone)]
pub struct Config {
    pub amqp: AmqpConfig,
    pub redis: RedisConfig,
    /// Where webhooks go that the broker cannot confirm.
    pub spool: SpoolConfig,
    /// The port the providers post to.
    pub http: HttpConfig,
    pub admin: AdminConfig,
    /// What is declared on the broker.
    pub topology: TopologyConfig,
    pub worker: WorkerConfig,
    pub log: LogConfig,
    pub tracing: TracingConfig,
    /// The operator's page, if there is to be one.
    pub console: Option<ConsoleConfig>,
    /// HubRise as a sink.
    pub hubrise_sink: HubriseSink,
    /// How many open deliveries are remembered.
    pub open: Open,
    /// What is asked of providers.
    pub recovery: Recovery,
    pub(super) providers: BTreeMap<ProviderId, ProviderSettings>,
}

impl Config {
    /// One provider's settings.
    ///
    /// # Panics
    /// When `id` is of no provider that was given to [`super::load`]: a bug of the caller's.
    #[must_use]
    pub fn provider(&self, id: ProviderId) -> &ProviderSettings {
        &self.providers[&id]
    }
}

#[derive(Debug, Clone)]
pub struct AmqpConfig {
    /// Where it is, and who we are to it.
    pub url: RedactedUrl,
    /// Where the URL is written, if in a file: it may change.
    pub url_file: SecretFiles,
    /// Its management API, with the credentials to use there. Only commands of the operator's and the gate ask it.
    pub management_url: Option<RedactedUrl>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a confirm may take before its publish counts as unconfirmed.
    pub confirm_timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// Where it is, and who we are to it.
    pub url: RedactedUrl,
    /// Where the URL is written, if in a file: it may change.
    pub url_file: SecretFiles,
    /// How long a reply may take.
    pub response_timeout: Duration,
}

/// Where webhooks go that the broker cannot confirm: each provider that spools has one such spool.
#[derive(Debug, Clone)]
pub struct SpoolConfig {
    /// What each may hold.
    pub limits: SpoolLimits,
    /// How long storing one may take, the proof that it is durable included.
    pub timeout: Duration,
}

/// The port the providers post to.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    pub addr: SocketAddr,
    /// `max_connections` is as configured; [`HttpLimits::within_open_files`] bounds it.
    pub limits: HttpLimits,
    /// How long webhooks are still taken after the signal to stop.
    pub shutdown_delay: Duration,
}

#[derive(Debug, Clone)]
pub struct AdminConfig {
    pub addr: SocketAddr,
}

/// What is declared on the broker.
#[derive(Debug, Clone)]
pub struct TopologyConfig {
    /// Declare it, or only check it.
    pub mode: TopologyMode,
    /// Whether a role is not ready until the doctor has found nothing that fails.
    pub gate: bool,
    pub settings: TopologySettings,
}

#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Messages taken off the queue and not yet settled, at most.
    pub prefetch: u16,
    /// How long processing one message may take.
    pub processing_deadline: Duration,
    /// How long a claim holds; longer than `processing_deadline` by a margin.
    pub claim_lease: Duration,
    /// How long a stopping worker may finish what it has in flight.
    pub drain_deadline: Duration,
    /// How long the worker keeps a message while Redis or RabbitMQ cannot be reached.
    pub outage_patience: Duration,
}

/// How many open deliveries are remembered.
#[derive(Debug, Clone)]
pub struct Open {
    /// For how long after its last update, should it never close.
    pub max_age: Duration,
    /// How many of an account.
    pub max_deliveries: u64,
}

/// What is asked of providers. Without sources nothing is.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// Between two looks at what is silent.
    pub look_every: Duration,
    /// How long after a gap's end its deliveries are asked for.
    pub after_gap: Duration,
    /// For how long a replica is the active one after it last said so.
    pub lease: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
    pub sources: BTreeMap<ProviderId, RecoverySource>,
}

/// A provider that is asked.
#[derive(Debug, Clone)]
pub struct RecoverySource {
    /// The address of its API.
    pub base: Url,
    /// The path below it by which a delivery is asked for.
    pub path: String,
    /// The path by which its timeline is asked for; nothing if it is not.
    pub timeline_path: Option<String>,
    /// Requests a minute of each account, at most.
    pub per_minute: u32,
    /// Each account's credential, at that address.
    pub accounts: BTreeMap<Account, RemoteConfig>,
}

#[derive(Debug, Clone)]
pub struct LogConfig {
    pub format: LogFormat,
    /// What is logged, in the directives of `tracing`.
    pub filter: String,
}

#[derive(Debug, Clone)]
pub struct TracingConfig {
    /// The OTLP/gRPC collector; without one there are no traces.
    pub otlp_endpoint: Option<RedactedUrl>,
    /// The share of traces begun here that is exported.
    pub sample_ratio: f64,
}

/// HubRise as a sink. Without connections there is none.
#[derive(Debug, Clone)]
pub struct HubriseSink {
    /// Which updates its queue takes.
    pub patterns: Vec<String>,
    /// Messages taken off its queue and not yet acknowledged, at most.
    pub prefetch: u16,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How its failed messages are tried again.
    pub retry: RetrySchedule,
    pub settings: Settings,
    /// How each connection is reached.
    pub remotes: BTreeMap<String, RemoteConfig>,
}

impl HubriseSink {
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.settings.connections.is_empty()
    }
}

/// How a connection is reached.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    pub base: Url,
    /// The token that is written in the configuration.
    pub written: Option<Secret>,
    pub files: SecretFiles,
}

impl RemoteConfig {
    #[must_use]
    pub fn token(&self) -> Option<Secret> {
        self.written.clone().or_else(|| self.files.secrets().next().cloned())
    }
}

/// What can be configured for one provider.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// How its failed messages are tried again.
    pub retry: RetrySchedule,
    /// For how long it may send an event again.
    pub resend_horizon: Duration,
    /// How long a delivery and its events are remembered after its last one.
    pub dedup_ttl: Duration,
    /// For how long it is usually silent about a delivery.
    pub usual_silence: UsualSilence,
    /// Whether its webhooks are spooled while the broker cannot confirm them.
    pub spool: bool,
    /// Who may post, and how each proves it.
    pub accounts: BTreeMap<Account, AccountSettings>,
    /// Who else, as a directory says: they come and go.
    pub accounts_dir: Option<AccountsDir>,
}

/// One account's secrets: those in the configuration itself, and those in files.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// How its webhooks prove themselves, with the secrets that are written in the configuration.
    pub written: Credentials,
    pub files: SecretFiles,
}

impl AccountSettings {
    /// With every secret in force. Without any, our own secrets could not be read.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        let mut credentials = self.written.clone();
        credentials.secrets.extend(self.files.secrets().cloned());
        credentials
    }
}
