//! The configuration as the program uses it: valid, and complete.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::accounts_dir::AccountsDir;
use super::console_settings::ConsoleConfig;
use super::secret_files::SecretFiles;
use super::urls::RedactedUrl;
use crate::adapters::http::{HttpLimits, connections_within};
use crate::adapters::rabbit::topology::TopologyMode;
use crate::domain::authentication::Credentials;
use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;
use crate::domain::retry::RetrySchedule;
use crate::domain::secret::Secret;
use crate::domain::silence::UsualSilence;
use crate::sinks::hubrise::settings::Settings;
use crate::telemetry::logging::LogFormat;

/// After this the next answer closes its connection, so that senders find new replicas.
const MAX_CONNECTION_AGE: Duration = Duration::from_mins(10);
/// Any sender can have webhooks refused, at any rate.
const REFUSAL_LOG_PAUSE: Duration = Duration::from_mins(1);

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
    /// Webhooks that each may hold.
    pub max_entries: u64,
    /// Bytes that each may hold.
    pub max_bytes: u64,
    /// How long storing one may take, the proof that it is durable included.
    pub timeout: Duration,
}

/// The port the providers post to.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    pub addr: SocketAddr,
    pub max_body_bytes: usize,
    /// How long a request's headers may take.
    pub header_timeout: Duration,
    /// How long a kept-alive connection is kept open without a request.
    pub idle_timeout: Duration,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// How many bytes of it have to come each second, if any.
    pub min_body_rate: Option<NonZeroU32>,
    /// Requests of a provider in flight before its further ones get 503.
    pub max_requests_in_flight: usize,
    /// Body bytes of a provider in flight before its further requests get 503.
    pub max_bytes_in_flight: usize,
    /// Open connections; a further one takes the place of one that has proved nothing.
    pub max_connections: usize,
    /// Open connections from one address, if that is limited.
    pub max_connections_per_peer: Option<usize>,
    /// What a 503 says in `Retry-After`.
    pub retry_after: Duration,
    /// How long webhooks are still taken after the signal to stop.
    pub shutdown_delay: Duration,
}

impl HttpConfig {
    /// What a port allows its callers. Of connections no more than the system lets this process have open.
    #[must_use]
    pub fn limits(&self) -> HttpLimits {
        HttpLimits {
            max_body_bytes: self.max_body_bytes,
            header_timeout: self.header_timeout,
            idle_timeout: self.idle_timeout,
            body_timeout: self.body_timeout,
            min_body_rate: self.min_body_rate,
            max_requests_in_flight: self.max_requests_in_flight,
            max_bytes_in_flight: self.max_bytes_in_flight,
            max_connections: connections_within(self.max_connections),
            max_connections_per_peer: self.max_connections_per_peer,
            max_connection_age: MAX_CONNECTION_AGE,
            refusal_log_pause: REFUSAL_LOG_PAUSE,
            retry_after: self.retry_after,
        }
    }
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
    /// How long the stream of updates keeps an update.
    pub updates_max_age: MaxAge,
    /// How large the stream of updates may grow.
    pub updates_max_bytes: u64,
    /// How large a segment of the stream of updates is.
    pub updates_segment_bytes: u64,
    /// How many bytes a parked queue holds before it refuses more: a body counts as 1 KiB at least.
    pub parked_max_bytes: u64,
}

/// An age as RabbitMQ writes it for streams, such as `7D`: a number and one of `Y M D h m s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxAge(String);

impl MaxAge {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MaxAge {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix(['Y', 'M', 'D', 'h', 'm', 's']).unwrap_or_default();
        let valid = number.bytes().all(|byte| byte.is_ascii_digit())
            && number.parse::<u32>().is_ok_and(|number| number > 0);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a number and one of Y M D h m s, such as 7D")
        }
    }
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
