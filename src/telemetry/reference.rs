//! The page `docs/metrics.md`: what is declared in `metrics.rs`, and the values of labels as `zero.rs` creates them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::metrics::{self as table, Metric};
use super::recorder::{Role, prepare};
use crate::domain::provider::{Provider, ProviderId};

/// What a person has to say about them.
const INTRODUCTION: &str = include_str!("reference.md");

/// Any sink: all have the same metrics.
const SINK: ProviderId = ProviderId::new("sink-hubrise");

type Values = BTreeSet<String>;
/// Metrics by their names, each with its labels and their values.
type Created = BTreeMap<String, BTreeMap<String, Values>>;

#[must_use]
pub fn page(providers: &[&dyn Provider]) -> String {
    let receiver = created(&[Role::Receiver], providers);
    let workers: Vec<_> = providers.iter().map(|provider| Role::Worker(provider.id())).collect();
    let worker = created(&workers, providers);
    let sinks = [Role::Sink(SINK)];
    let sink = created(&sinks, providers);
    let console = created(&[Role::Console], providers);
    let mut page = INTRODUCTION.to_owned();
    page.push_str(
        "\n## Every metric\n\n| metric | type | unit | labels | role | |\n|---|---|---|---|---|---|\n",
    );
    for metric in table::ALL {
        let roles = [("receiver", &receiver), ("worker", &worker), ("sink", &sink), ("console", &console)];
        let roles: Vec<_> =
            roles.iter().filter(|(_, has)| has.contains_key(metric.name)).map(|(role, _)| *role).collect();
        // What a sink has of a connection of its own it creates when it begins with that.
        let role = match roles[..] {
            [] => "sink".to_owned(),
            [_, _, _, _] => "all".to_owned(),
            _ => roles.join(", "),
        };
        let _ = writeln!(page, "{} {role} | {} |", row(metric), metric.help);
    }
    let every = [Role::Receiver, Role::Console, Role::Run].into_iter().chain(workers).chain(sinks);
    page.push_str("\n## Every label\n\n| label | of | values |\n|---|---|---|\n");
    page + &labels(&created(&every.collect::<Vec<_>>(), providers))
}

fn row(metric: &Metric) -> String {
    let unit = metric.unit.map_or("", |unit| unit.as_str());
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    format!("| `{}` | {} | {unit} | {} |", metric.name, metric.kind.as_str(), labels.join(", "))
}

/// A row for each label and set of values, with the metrics that have it so.
fn labels(created: &Created) -> String {
    let mut shared: BTreeMap<(&str, &Values), Vec<&str>> = BTreeMap::new();
    for metric in table::ALL {
        for (label, values) in created.get(metric.name).into_iter().flatten() {
            shared.entry((label, values)).or_default().push(metric.name);
        }
    }
    let mut rows = String::new();
    for ((label, values), metrics) in shared {
        // The page need not change with each release.
        let values = match label {
            "version" => "the release".to_owned(),
            _ => code(values.iter().map(String::as_str)),
        };
        let _ = writeln!(rows, "| `{label}` | {} | {values} |", code(metrics.into_iter()));
    }
    rows
}

fn code<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// What these roles create when they start.
fn created(roles: &[Role], providers: &[&dyn Provider]) -> Created {
    let noted = CreatedMetrics::default();
    metrics::with_local_recorder(&noted, || roles.iter().for_each(|role| prepare(*role, providers)));
    noted.0.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Takes note of what is created, and measures nothing.
#[derive(Default)]
struct CreatedMetrics(Mutex<Created>);

impl CreatedMetrics {
    fn note(&self, key: &Key) {
        let mut created = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let metric = created.entry(key.name().to_owned()).or_default();
        for label in key.labels() {
            metric.entry(label.key().to_owned()).or_default().insert(label.value().to_owned());
        }
    }
}

impl Recorder for CreatedMetrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key);
        Histogram::noop()
    }
}
