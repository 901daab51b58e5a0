//! Every bounded label set, there from the start: a counter that first appears at 1 has an increase no query
//! sees.

use std::slice;

use metrics::{Label, counter, gauge, histogram};

use super::export;
use super::metrics as table;
use super::metrics::MetricKind;
use super::recorder::Role;
use crate::domain::answer::{Rejection, RejectionKind};
use crate::domain::authentication::AuthScheme;
use crate::domain::provider::{Provider, ProviderId};
use crate::domain::silence::OPEN_PHASES;
use crate::domain::state::Order;
use crate::domain::status::Phase;
use crate::domain::verdict::{Outcome, ParkReason, RetryReason};

/// The `provider` label of a request to a path that no provider owns.
const NO_PROVIDER: &str = "unknown";
const CONFIRM_RESULTS: [&str; 4] = ["ack", "refused", "unavailable", "unconfirmed"];

/// Creates what `role` will use, for the providers it serves.
pub(super) fn create_all(role: Role, providers: &[&dyn Provider]) {
    gauge!(table::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION"), "role" => role.to_string()).set(1.0);
    create(table::DRAINING, &[]);
    create(table::CLOCK_SKEW, &[]);
    create(table::CONNECTIONS_ENDED, &[&["header_timeout", "idle", "evicted", "peer_limit"]]);
    create(table::CONFIG_LAST_RELOAD, &[]);
    create(table::SECRET_RELOADS, &[&["ok", "kept"]]);
    create(table::TRACE_SPANS, &[&export::RESULTS]);
    for metric in [
        table::PROCESS_CPU,
        table::PROCESS_MEMORY,
        table::PROCESS_MEMORY_LIMIT,
        table::PROCESS_OPEN_FILES,
        table::PROCESS_OPEN_FILES_LIMIT,
    ] {
        create(metric, &[]);
    }
    if matches!(role, Role::Console | Role::Run) {
        create(table::CONSOLE_LOGINS, &[&["accepted", "refused"]]);
        create(table::CONSOLE_ACTS, &[&["replay", "edit-and-replay", "discard", "reveal"]]);
    }
    if role != Role::Console {
        connection("publish");
    }
    if matches!(role, Role::Receiver | Role::Run) {
        receiver(providers);
    }
    if matches!(role, Role::Sink(_) | Role::Run) {
        connection("consume");
        sinks();
    }
    if matches!(role, Role::Reconciler | Role::Run) {
        reconciler(providers);
    }
    if matches!(role, Role::Worker(_) | Role::Run) {
        connection("consume");
        let served = |id: &ProviderId| !matches!(role, Role::Worker(own) if own != *id);
        let ids = providers.iter().map(|provider| provider.id()).filter(served);
        worker(&ids.map(ProviderId::as_str).collect::<Vec<_>>());
    }
}

fn connection(role: &str) {
    create(table::BROKER_CONNECTED, &[&[role]]);
    create(table::BROKER_RECONNECTS, &[&[role]]);
}

fn publishes(stages: &[&str]) {
    create(table::PUBLISH_CONFIRMS, &[stages, &CONFIRM_RESULTS]);
    create(table::PUBLISH_CONFIRM_DURATION, &[stages]);
}

fn receiver(providers: &[&dyn Provider]) {
    publishes(&["raw"]);
    let mut names = vec![NO_PROVIDER];
    for provider in providers {
        let name = provider.id().as_str();
        for (scheme, outcome) in outcomes(*provider) {
            answered(name, provider.answer(scheme, outcome.map_err(Rejection::kind)).code, outcome);
        }
        names.push(name);
    }
    answered(NO_PROVIDER, 404, Err(Rejection::UnknownProvider));
    create(table::HTTP_REQUEST_DURATION, &[&names]);
    for metric in [table::RECEIVER_USED, table::RECEIVER_LIMIT] {
        create(metric, &[&["requests", "bytes"], &names[1..]]);
        create(metric, &[&["connections"], &[NO_PROVIDER]]);
    }
    for provider in providers {
        let name = provider.id().as_str();
        for metric in [table::REFUSING_SINCE, table::LAST_ACCEPTED, table::LAST_REFUSED] {
            create(metric, &[&[name]]);
        }
        create(table::ACCOUNTS, &[&[name], &["usable", "without_secret"]]);
        create(table::ACCOUNTS_DIR_UNUSABLE, &[&[name]]);
        create(table::ACCOUNT_REFUSALS, &[&[name], &[table::OTHER_ACCOUNTS]]);
        create(table::SPOOL_APPENDS, &[&[name], &["stored", "full", "not_durable", "unavailable"]]);
        for metric in [table::SPOOL_USED, table::SPOOL_LIMIT] {
            create(metric, &[&["entries", "bytes"], &[name]]);
        }
        for metric in [
            table::SPOOL_APPEND_DURATION,
            table::SPOOL_DRAINED,
            table::SPOOL_OLDEST_AGE,
            table::SPOOL_DURABLE,
        ] {
            create(metric, &[&[name]]);
        }
        gauge!(table::GIVES_UP_AFTER, "provider" => name).set(provider.gives_up_after().as_secs_f64());
    }
}

/// Every way a request to a provider can end, with the scheme its answer may depend on: an account that is not
/// known, or not known yet, has none, and everything else happens to a known account.
fn outcomes(provider: &dyn Provider) -> impl Iterator<Item = (Option<AuthScheme>, Result<(), Rejection>)> {
    let known = provider.authentication().iter().flat_map(|authentication| {
        let refused =
            Rejection::ALL.into_iter().filter(|rejection| rejection.kind() != RejectionKind::Unknown);
        std::iter::once(Ok(()))
            .chain(refused.map(Err))
            .map(|outcome| (Some(authentication.scheme()), outcome))
    });
    known.chain([(None, Err(Rejection::UnknownAccount)), (None, Err(Rejection::NoSecret))])
}

fn answered(provider: &str, code: u16, outcome: Result<(), Rejection>) {
    let result = outcome.map_or_else(Rejection::as_str, |()| "accepted");
    create(table::HTTP_REQUESTS, &[&[provider], &[&code.to_string()], &[result]]);
    if let Err(rejection) = outcome {
        create(table::WEBHOOKS_REJECTED, &[&[provider], &[rejection.as_str()]]);
    }
}

fn reconciler(providers: &[&dyn Provider]) {
    publishes(&["raw"]);
    create(table::RECONCILER_ACTIVE, &[]);
    let names: Vec<_> = providers.iter().map(|provider| provider.id().as_str()).collect();
    create(table::PULL_REQUESTS, &[&names, &PULL_RESULTS]);
    create(table::PULLED_WEBHOOKS, &[&names]);
}

const PULL_RESULTS: [&str; 7] = ["ok", "unknown", "denied", "expired", "limited", "unavailable", "odd"];

/// The sinks' own words are not known here: `pipeline::sink` and `sinks` say them.
fn sinks() {
    publishes(&["later", "parked"]);
    for name in ["sink-hubrise", "links-hubrise"] {
        for metric in [table::RETRY_DELAY, table::INFLIGHT, table::INFLIGHT_LIMIT, table::OLDEST_INFLIGHT_AGE]
        {
            create(metric, &[&[name]]);
        }
        create(table::MESSAGES_SETTLED, &[&[name], &SINK_OUTCOMES]);
        create(table::PROCESS_DURATION, &[&[name], &SINK_OUTCOMES]);
        create(table::RETRIES, &[&[name], &["absent", "occupied", "away"]]);
        create(table::PARKED, &[&[name], &ParkReason::OF_SINKS.map(ParkReason::as_str)]);
        parks(&[name]);
    }
    let waits = ["interval", "busy", "limited", "away", "paused", "unlinked"];
    create(table::SINK_DEFERRALS, &[&["sink-hubrise"], &waits]);
    create(table::SINK_AGE, &[&["sink-hubrise"]]);
    create(table::HUBRISE_REQUEST_DURATION, &[&HUBRISE_REQUESTS]);
    create(table::REDIS_OP_DURATION, &[&["cell_read", "cell_swap"]]);
    create(table::REDIS_REFUSALS, &[&table::REDIS_REFUSAL_CODES]);
}

const SINK_OUTCOMES: [&str; 8] =
    ["shown", "ignored", "late", "unlinked", "linked", "deferred", "retried", "parked"];

const HUBRISE_REQUESTS: [&str; 6] =
    ["get_order", "get_delivery", "post_delivery", "patch_delivery", "patch_order", "get_location"];

fn worker(providers: &[&str]) {
    publishes(&["update", "later", "parked"]);
    for metric in [
        table::END_TO_END,
        table::RETRY_DELAY,
        table::INFLIGHT,
        table::INFLIGHT_LIMIT,
        table::OLDEST_INFLIGHT_AGE,
        table::UNKNOWN_STATUS,
        table::FUTURE_EVENT_TIMES,
        table::UNREADABLE_FIELDS,
    ] {
        create(metric, &[providers]);
    }
    create(table::MESSAGES_SETTLED, &[providers, &Outcome::LABELS]);
    create(table::PROCESS_DURATION, &[providers, &Outcome::LABELS]);
    create(table::OUT_OF_ORDER, &[providers, &Order::FLAGGED.map(Order::as_str)]);
    create(table::RETRIES, &[providers, &RetryReason::ALL.map(RetryReason::as_str)]);
    create(table::PARKED, &[providers, &ParkReason::ALL.map(ParkReason::as_str)]);
    parks(providers);
    create(table::DEDUP_CLAIMS, &[providers, &["granted", "busy", "behind", "done", "stale", "id_reused"]]);
    for metric in [table::OPEN_DELIVERIES, table::SILENT_DELIVERIES] {
        create(metric, &[providers, &OPEN_PHASES.map(Phase::as_str)]);
    }
    create(table::REDIS_MEMORY_USED, &[]);
    create(table::REDIS_MEMORY_LIMIT, &[]);
    create(table::REDIS_REFUSALS, &[&table::REDIS_REFUSAL_CODES]);
    create(table::REDIS_OP_DURATION, &[&["claim", "mark", "wait", "ping", "cell_read", "cell_swap"]]);
}

fn parks(names: &[&str]) {
    create(table::ACCOUNT_PARKED, &[names, &[table::OTHER_ACCOUNTS]]);
    create(table::PARKS_REFUSED, &[names, &["put_off", "held"]]);
    create(table::PARKED_LIMIT_BYTES, &[names]);
    create(table::PAUSED, &[names, &["redis", "rabbitmq", "parked"]]);
}

/// Creates a metric for every combination of `values`, one list for each of its labels.
fn create(name: &str, values: &[&[&str]]) {
    for metric in table::ALL.iter().filter(|metric| metric.name == name) {
        let mut sets: Vec<Vec<Label>> = vec![Vec::new()];
        for (&label, &values) in metric.labels.iter().zip(values) {
            let labels: Vec<_> = values.iter().map(|value| Label::new(label, (*value).to_owned())).collect();
            let with = |set: &[Label], label| [set, slice::from_ref(label)].concat();
            let extended = |set: Vec<Label>| labels.iter().map(move |label| with(&set, label));
            sets = sets.into_iter().flat_map(extended).collect();
        }
        for labels in sets {
            // Naming it creates it; one that is there keeps its value.
            match metric.kind {
                MetricKind::Counter => drop(counter!(metric.name, labels)),
                MetricKind::Gauge => drop(gauge!(metric.name, labels)),
                MetricKind::Histogram => drop(histogram!(metric.name, labels)),
            }
        }
    }
}
