//! Every metric and label, in one place.

use metrics::Unit;

/// What a metric measures with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Seconds, in buckets.
    Histogram,
}

impl MetricKind {
    /// Prometheus's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric as it is declared.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its full name.
    pub name: &'static str,
    pub kind: MetricKind,
    /// Its unit, when it has one.
    pub unit: Option<Unit>,
    /// Its label names.
    pub labels: &'static [&'static str],
    /// One sentence for `HELP`.
    pub help: &'static str,
}

/// The `account` label of those that are too many to be named. It is no account's name.
pub const OTHER_ACCOUNTS: &str = "(other)";

/// The `code` label of what Redis refuses with: its own words, and one for all that are not among them.
pub const REDIS_REFUSAL_CODES: [&str; 10] = [
    "OOM",
    "NOREPLICAS",
    "READONLY",
    "MASTERDOWN",
    "MISCONF",
    "LOADING",
    "CLUSTERDOWN",
    "MOVED",
    "NOPERM",
    "other",
];

macro_rules! metrics {
    ($($konst:ident = $name:literal, $kind:ident, $unit:expr, [$($label:literal),*], $help:literal;)*) => {
        $(#[doc = $help] pub const $konst: &str = $name;)*

        /// Every metric.
        pub const ALL: &[Metric] = &[$(Metric {
            name: $name, kind: MetricKind::$kind, unit: $unit, labels: &[$($label),*], help: $help,
        }),*];
    };
}

metrics! {
    HTTP_REQUESTS = "milepost_http_requests_total", Counter, None, ["provider", "code", "result"],
        "Webhook requests answered, by provider, HTTP code and result (accepted, or the rejection's reason).";
    HTTP_REQUEST_DURATION = "milepost_http_request_duration_seconds", Histogram, Some(Unit::Seconds), ["provider"],
        "From a webhook request's headers to its answer.";
    WEBHOOKS_REJECTED = "milepost_webhooks_rejected_total", Counter, None, ["provider", "reason"],
        "Webhooks not accepted, by reason.";
    CONNECTIONS_ENDED = "milepost_connections_ended_total", Counter, None, ["reason"],
        "HTTP connections ended from our side, of whichever port: their request's head was late (header_timeout), no request came (idle), they had proved nothing and made room for another one (evicted), or their peer had too many (peer_limit).";
    REFUSING_SINCE = "milepost_refusing_since_timestamp_seconds", Gauge, Some(Unit::Seconds), ["provider"],
        "Since when this receiver could take none of the provider's webhooks, as Unix time; 0 while it takes them, or was sent none.";
    LAST_ACCEPTED = "milepost_last_accepted_timestamp_seconds", Gauge, Some(Unit::Seconds), ["provider"],
        "When the provider's last webhook that this receiver accepted was received, as Unix time; 0 before the first.";
    LAST_REFUSED = "milepost_last_refused_timestamp_seconds", Gauge, Some(Unit::Seconds), ["provider"],
        "When the provider's last webhook that this receiver refused through no fault of its sender was received, as Unix time; 0 before the first.";
    GIVES_UP_AFTER = "milepost_provider_gives_up_after_seconds", Gauge, Some(Unit::Seconds), ["provider"],
        "For how long the provider keeps sending a webhook that is not taken; 0 when its documents do not say that it sends again.";
    ACCOUNTS = "milepost_accounts", Gauge, None, ["provider", "state"],
        "The provider's accounts here: usable, or without_secret (none can be read, so their webhooks get 503).";
    ACCOUNTS_DIR_UNUSABLE = "milepost_accounts_dir_unusable", Gauge, None, ["provider"],
        "Files of the provider's accounts_dir that cannot be used as they are now, the directory itself included.";
    ACCOUNT_REFUSALS = "milepost_account_refusals_total", Counter, None, ["provider", "account"],
        "Webhooks not accepted of configured accounts; beyond the first 200 accounts of which one was refused, account is (other).";
    RECEIVER_USED = "milepost_receiver_used", Gauge, None, ["of", "provider"],
        "What the receiver holds of what it bounds: of each provider, requests under way and bytes of their bodies; connections, whose provider is unknown.";
    RECEIVER_LIMIT = "milepost_receiver_limit", Gauge, None, ["of", "provider"],
        "How much it may hold of each: beyond it requests get 503, and a connection takes the place of another one.";
    PUBLISH_CONFIRMS = "milepost_publish_confirms_total", Counter, None, ["stage", "result"],
        "Publishes by what was published (raw, update, later, parked) and the broker's answer (ack, refused, unavailable, unconfirmed).";
    PUBLISH_CONFIRM_DURATION = "milepost_publish_confirm_duration_seconds", Histogram, Some(Unit::Seconds), ["stage"],
        "From a publish to the broker's confirm.";
    BROKER_CONNECTED = "milepost_broker_connected", Gauge, None, ["role"],
        "Whether the connection for this role (publish, consume) is up.";
    BROKER_RECONNECTS = "milepost_broker_reconnects_total", Counter, None, ["role"],
        "Connections to the broker made after the first.";
    SPOOL_APPENDS = "milepost_spool_appends_total", Counter, None, ["provider", "result"],
        "Webhooks that the broker did not confirm and that were to be spooled, by result: stored, full, not_durable (nothing proves that what Redis takes outlives it), unavailable (Redis is away, or proved nothing in time). All but stored got 503.";
    SPOOL_APPEND_DURATION = "milepost_spool_append_duration_seconds", Histogram, Some(Unit::Seconds), ["provider"],
        "From the broker's failure to the proof that the webhook is durable in the spool (WAITAOF), or to the failure of that.";
    SPOOL_DRAINED = "milepost_spool_drained_total", Counter, None, ["provider"],
        "Spooled webhooks that this receiver published into the intake, repeats after a crash included.";
    SPOOL_USED = "milepost_spool_used", Gauge, None, ["of", "provider"],
        "Webhooks (entries), and bytes of them, in the provider's spool, which all receivers share; as it was seen last.";
    SPOOL_LIMIT = "milepost_spool_limit", Gauge, None, ["of", "provider"],
        "How much of each it may hold; 0 if the provider's webhooks are not spooled.";
    SPOOL_OLDEST_AGE = "milepost_spool_oldest_age_seconds", Gauge, Some(Unit::Seconds), ["provider"],
        "For how long the oldest webhook has been in the provider's spool; 0 when it is empty.";
    SPOOL_DURABLE = "milepost_spool_durable", Gauge, None, ["provider"],
        "Whether Redis answers this receiver, and proves that what is spooled outlives it; without that nothing is spooled.";
    MESSAGES_SETTLED = "milepost_messages_settled_total", Counter, None, ["provider", "outcome"],
        "Messages a worker settled, by outcome.";
    PROCESS_DURATION = "milepost_process_duration_seconds", Histogram, Some(Unit::Seconds), ["provider", "outcome"],
        "From taking a message off its queue to settling it.";
    END_TO_END = "milepost_end_to_end_seconds", Histogram, Some(Unit::Seconds), ["provider"],
        "From a webhook's receipt to the broker's confirm of its update.";
    RETRIES = "milepost_retries_total", Counter, None, ["provider", "reason"],
        "Retries scheduled, by reason.";
    RETRY_DELAY = "milepost_retry_delay_seconds", Histogram, Some(Unit::Seconds), ["provider"],
        "How long scheduled retries wait.";
    PARKED = "milepost_parked_total", Counter, None, ["provider", "reason"],
        "Messages parked, by reason.";
    ACCOUNT_PARKED = "milepost_account_parked_total", Counter, None, ["provider", "account"],
        "Messages parked, by account; beyond the first 200 accounts of which one was parked, account is (other).";
    PARKS_REFUSED = "milepost_parks_refused_total", Counter, None, ["provider", "result"],
        "Messages that could not be parked because their parked queue is full: tried again later (put_off), or held in the worker (held).";
    PARKED_LIMIT_BYTES = "milepost_parked_limit_bytes", Gauge, Some(Unit::Bytes), ["provider"],
        "How many bytes the provider's parked queue holds before it refuses more: topology.parked_max_bytes. A message counts as 1 KiB at least.";
    INFLIGHT = "milepost_inflight_messages", Gauge, None, ["provider"],
        "Messages taken off the queue and not yet settled.";
    INFLIGHT_LIMIT = "milepost_inflight_limit", Gauge, None, ["provider"],
        "How many messages a worker takes off the queue before it settles one: worker.prefetch.";
    OLDEST_INFLIGHT_AGE = "milepost_oldest_inflight_age_seconds", Gauge, Some(Unit::Seconds), ["provider"],
        "Age of the oldest message taken and not yet settled.";
    PAUSED = "milepost_paused", Gauge, None, ["provider", "reason"],
        "Messages waiting for a dependency (redis, rabbitmq) to come back, or for room in the parked queue (parked); above 0 the worker is paused.";
    UNKNOWN_STATUS = "milepost_unknown_status_total", Counter, None, ["provider"],
        "Updates published with a status the provider does not document.";
    OUT_OF_ORDER = "milepost_updates_out_of_order_total", Counter, None, ["provider", "order"],
        "Updates published that do not fit what was published of their delivery before: late (older), or unexpected (a transition the provider does not have).";
    CLOCK_SKEW = "milepost_clock_skew_seconds", Gauge, Some(Unit::Seconds), [],
        "How far this machine's clock is ahead of Redis's, by which Milepost corrects it; 0 until Redis said the time.";
    FUTURE_EVENT_TIMES = "milepost_future_event_times_total", Counter, None, ["provider"],
        "Updates whose provider time lies more than 2 minutes after their receipt: it orders nothing.";
    UNREADABLE_FIELDS = "milepost_unreadable_fields_total", Counter, None, ["provider"],
        "Optional fields that could not be read and were published in extra.";
    DEDUP_CLAIMS = "milepost_dedup_claims_total", Counter, None, ["provider", "result"],
        "Claims asked of the ledger, by its answer (granted; busy: another copy is in hand; behind: another update of the delivery is; done; stale; id_reused).";
    REDIS_OP_DURATION = "milepost_redis_op_duration_seconds", Histogram, Some(Unit::Seconds), ["op"],
        "Round trips to Redis (claim, mark, wait, ping, cell_read, cell_swap).";
    REDIS_REFUSALS = "milepost_redis_refusals_total", Counter, None, ["code"],
        "Commands that Redis answered with an error, by its word for why: NOREPLICAS (fewer replicas than min-replicas-to-write), OOM (full), READONLY (a replica), CLUSTERDOWN …";
    OPEN_DELIVERIES = "milepost_open_deliveries", Gauge, None, ["provider", "phase"],
        "The provider's deliveries that are not closed, by phase, as each of its workers counts them in Redis once a minute.";
    SILENT_DELIVERIES = "milepost_silent_deliveries", Gauge, None, ["provider", "phase"],
        "Of the open deliveries those that the provider has said nothing of for longer than it usually does in that phase.";
    RECONCILER_ACTIVE = "milepost_reconciler_active", Gauge, None, [],
        "Whether this reconciler is the one that asks providers: it has the lease.";
    PULL_REQUESTS = "milepost_pull_requests_total", Counter, None, ["provider", "result"],
        "Requests that the reconciler made of a provider, by result (ok; unknown: no such delivery; denied; expired: a token that was good before; limited; unavailable; odd: an answer that its documents do not have).";
    PULLED_WEBHOOKS = "milepost_pulled_webhooks_total", Counter, None, ["provider"],
        "Webhooks that the reconciler put into the intake, made of a provider's answers.";
    PULL_PENDING = "milepost_pull_pending", Gauge, None, ["provider", "account"],
        "Deliveries that are to be asked for now.";
    REDIS_MEMORY_USED = "milepost_redis_memory_used_bytes", Gauge, Some(Unit::Bytes), [],
        "Memory that Redis uses, as it says itself, and of a Cluster its fullest node; 0 while it does not say.";
    REDIS_MEMORY_LIMIT = "milepost_redis_memory_limit_bytes", Gauge, Some(Unit::Bytes), [],
        "Memory that Redis may use (maxmemory); 0 is all there is, or it does not say.";
    PROCESS_CPU = "milepost_process_cpu_seconds", Gauge, Some(Unit::Seconds), [],
        "CPU time that the process has used; it only grows.";
    PROCESS_MEMORY = "milepost_process_resident_memory_bytes", Gauge, Some(Unit::Bytes), [],
        "Memory of the process that is really there.";
    PROCESS_MEMORY_LIMIT = "milepost_process_memory_limit_bytes", Gauge, Some(Unit::Bytes), [],
        "Memory that its container may use; 0 is no limit.";
    PROCESS_OPEN_FILES = "milepost_process_open_files", Gauge, None, [],
        "Files and connections that the process has open.";
    PROCESS_OPEN_FILES_LIMIT = "milepost_process_open_files_limit", Gauge, None, [],
        "Files and connections that it may have open.";
    SINK_DEFERRALS = "milepost_sink_deferrals_total", Counter, None, ["sink", "reason"],
        "Messages of a sink that wait without spending an attempt, by reason (interval, busy, limited, away, paused, unlinked).";
    SINK_AGE = "milepost_sink_age_seconds", Histogram, Some(Unit::Seconds), ["sink"],
        "From a webhook's receipt to the moment its update, or a newer one, is shown by the sink's system.";
    HUBRISE_REQUESTS = "milepost_hubrise_requests_total", Counter, None, ["connection", "result"],
        "Requests sent to HubRise, by connection and result (ok, not_found, no_such_path, rejected, denied, limited, no_answer).";
    HUBRISE_REQUEST_DURATION = "milepost_hubrise_request_duration_seconds", Histogram, Some(Unit::Seconds), ["request"],
        "From a request to HubRise to its answer.";
    HUBRISE_REQUESTS_LEFT = "milepost_hubrise_requests_left", Gauge, None, ["connection", "window"],
        "Requests that a connection to HubRise may still make, by window (minute, hour, day).";
    HUBRISE_PAUSED = "milepost_hubrise_paused", Gauge, None, ["connection", "reason"],
        "Whether nothing is sent on a connection to HubRise, by reason (unauthorized, forbidden, no_such_path, wrong_location, no_token).";
    CONSOLE_LOGINS = "milepost_console_logins_total", Counter, None, ["result"],
        "Passwords given to the console: accepted, or refused.";
    CONSOLE_ACTS = "milepost_console_acts_total", Counter, None, ["act"],
        "What operators did on the console (replay, edit-and-replay, discard, reveal); the audit log says who and which.";
    BUILD_INFO = "milepost_build_info", Gauge, None, ["version", "role"],
        "Always 1; its labels say what runs.";
    TRACE_SPANS = "milepost_trace_spans_total", Counter, None, ["result"],
        "Sampled spans by what became of them: exported, failed (the collector did not take them), dropped (too many waited for it).";
    DRAINING = "milepost_draining", Gauge, None, [],
        "Whether the process is draining.";
    CONFIG_LAST_RELOAD = "milepost_config_last_reload_timestamp_seconds", Gauge, Some(Unit::Seconds), [],
        "When the configuration was last read, or a secret that changed since.";
    SECRET_RELOADS = "milepost_secret_reloads_total", Counter, None, ["result"],
        "Mounted secrets read again after they changed: ok, or kept (something could not be used, and what was there before stays).";
}
