//! Every bounded label set, there from the start: a counter that first appears at 1 has an increase no query sees.

use metrics::{Label, counter, gauge, histogram};

use super::metrics as table;
use super::metrics::Kind;
use super::recorder::Role;
use crate::domain::provider::Provider;
use crate::domain::verdict::{ParkReason, RetryReason, Verdict};

const CONFIRM_RESULTS: [&str; 4] = ["ack", "refused", "unavailable", "unconfirmed"];

/// Creates what `role` will use, for the providers it serves.
pub(super) fn create_all(role: Role, providers: &[&dyn Provider]) {
    gauge!(table::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION"), "role" => role.to_string()).set(1.0);
    create(table::DRAINING, &[]);
    create(table::CONFIG_LAST_RELOAD, &[]);
    connection("publish");
    if matches!(role, Role::Receiver | Role::Run) {
        // The HTTP adapter adds its own: the codes are each provider's to choose.
        publishes(&["raw"]);
    }
    if matches!(role, Role::Worker(_) | Role::Run) {
        connection("consume");
        let mine = |name: &str| !matches!(role, Role::Worker(id) if id.as_str() != name);
        worker(
            &providers
                .iter()
                .map(|provider| provider.id().as_str())
                .filter(|name| mine(name))
                .collect::<Vec<_>>(),
        );
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

fn worker(providers: &[&str]) {
    publishes(&["update", "later", "parked"]);
    for metric in [
        table::END_TO_END,
        table::RETRY_DELAY,
        table::INFLIGHT,
        table::OLDEST_INFLIGHT_AGE,
        table::UNKNOWN_STATUS,
        table::UNREADABLE_FIELDS,
    ] {
        create(metric, &[providers]);
    }
    create(table::MESSAGES_SETTLED, &[providers, &Verdict::OUTCOMES]);
    create(table::PROCESS_DURATION, &[providers, &Verdict::OUTCOMES]);
    create(table::RETRIES, &[providers, &RetryReason::ALL.map(RetryReason::as_str)]);
    create(table::PARKED, &[providers, &ParkReason::ALL.map(ParkReason::as_str)]);
    create(table::PAUSED, &[providers, &["redis", "rabbitmq"]]);
    create(table::DEDUP_CLAIMS, &[providers, &["granted", "busy", "done", "stale", "id_reused"]]);
    create(table::REDIS_OP_DURATION, &[&["claim", "settle", "ping"]]);
}

/// Creates a metric for every combination of `values`, one list for each of its labels.
fn create(name: &str, values: &[&[&str]]) {
    for metric in table::ALL.iter().filter(|metric| metric.name == name) {
        let mut sets = vec![Vec::new()];
        for (&label, &values) in metric.labels.iter().zip(values) {
            let with = |set: &Vec<Label>, value: &str| {
                [set.as_slice(), &[Label::new(label, value.to_owned())]].concat()
            };
            sets = sets
                .iter()
                .flat_map(|set| values.iter().map(|value| with(set, value)).collect::<Vec<_>>())
                .collect();
        }
        for labels in sets {
            // Naming it creates it; one that is there keeps its value.
            match metric.kind {
                Kind::Counter => drop(counter!(metric.name, labels)),
                Kind::Gauge => drop(gauge!(metric.name, labels)),
                Kind::Histogram => drop(histogram!(metric.name, labels)),
            }
        }
    }
}
