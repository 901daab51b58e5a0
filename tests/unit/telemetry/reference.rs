//! `docs/metrics.md` is what the code declares.

use milepost::providers::ALL;
use milepost::telemetry::metrics as table;
use milepost::telemetry::reference::page;

#[test]
fn the_metrics_page_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let committed = std::fs::read_to_string(path).expect("docs/metrics.md");
    assert!(
        committed == page(ALL),
        "docs/metrics.md is not what the code declares: `make docs` writes it again"
    );
}

#[test]
fn the_page_says_of_each_metric_what_it_is() {
    let page = page(ALL);
    let has = |row: &str| assert!(page.lines().any(|line| line.starts_with(row)), "{row}\n{page}");
    for metric in table::ALL {
        has(&format!("| `{}` | ", metric.name));
        assert!(page.contains(metric.help));
    }
    has("| `milepost_end_to_end_seconds` | histogram | seconds | `provider` | worker | ");
    has("| `milepost_webhooks_rejected_total` | counter |  | `provider`, `reason` | receiver | ");
    has("| `milepost_publish_confirms_total` | counter |  | `stage`, `result` | receiver, worker, sink | ");
    has("| `reason` | `milepost_paused` | `parked`, `rabbitmq`, `redis` |");
    has("| `stage` | `milepost_publish_confirms_total`, `milepost_publish_confirm_duration_seconds` | \
        `later`, `parked`, `raw`, `update` |");
    has("| `version` | `milepost_build_info` | the release |");
}
