//! `docs/metrics.md` is what the code declares.

use std::path::Path;

use milepost::providers::ALL;
use milepost::telemetry::metrics as table;
use milepost::telemetry::reference::page;

/// After a change, `MILEPOST_WRITE_DOCS=1 cargo test --test unit metrics_page` writes it anew.
#[test]
#[allow(clippy::disallowed_methods)] // Tests have no configuration.
fn the_metrics_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = page(ALL);
    if std::env::var_os("MILEPOST_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let committed = std::fs::read_to_string(&path).expect("docs/metrics.md");
    assert!(
        committed == page,
        "docs/metrics.md is not what the code declares: see the comment at {}:{}",
        file!(),
        line!()
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
    has("| `milepost_publish_confirms_total` | counter |  | `stage`, `result` | both | ");
    has("| `reason` | `milepost_paused` | `rabbitmq`, `redis` |");
    has("| `stage` | `milepost_publish_confirms_total`, `milepost_publish_confirm_duration_seconds` | \
        `later`, `parked`, `raw`, `update` |");
    has("| `version` | `milepost_build_info` | the release |");
}
