//! What a log line looks like.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use milepost::telemetry::logging::{LogFormat, lines};
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, fmt::MakeWriter};

/// Keeps what is written.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text")
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What `log` writes under `directives`.
fn logged(format: LogFormat, directives: &str, log: impl FnOnce()) -> String {
    let written = Lines::default();
    let layer = lines(format, directives, written.clone(), false).expect("a filter");
    tracing::subscriber::with_default(Registry::default().with(layer), log);
    written.text()
}

#[test]
fn a_json_line_is_one_flat_object() {
    let text = logged(LogFormat::Json, "info", || {
        let span = tracing::info_span!("process", secret = "no");
        let _entered = span.enter();
        tracing::info!(target: "milepost::app", { provider.id = "telyport", attempt = 3 }, "taken \"on\"\n");
    });
    assert_eq!(text.matches('\n').count(), 1);
    let mut line: Value = serde_json::from_str(&text).expect("JSON");
    let timestamp = line["timestamp"].take();
    assert!(timestamp.as_str().expect("a time").parse::<jiff::Timestamp>().is_ok());
    let expected = serde_json::json!({
        "timestamp": null, "level": "INFO", "target": "milepost::app", "message": "taken \"on\"\n",
        "provider.id": "telyport", "attempt": 3,
    });
    assert_eq!(line, expected);
}

#[test]
fn text_has_no_colours_unless_asked() {
    let text =
        logged(LogFormat::Text, "info", || tracing::warn!(target: "milepost::app", port = 8080, "listening"));
    assert!(text.ends_with("WARN milepost::app: listening port=8080\n"), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn talkative_libraries_are_quiet_unless_they_are_named() {
    let talk = || {
        tracing::info!(target: "lapin::channel", "open");
        tracing::error!(target: "lapin::io_loop", "broken pipe");
        tracing::warn!(target: "hyper::proto", "closed");
        tracing::debug!(target: "h2::codec", "frame");
        tracing::warn!(target: "opentelemetry-otlp", "a batch failed");
        tracing::debug!(target: "milepost::pipeline", "ours");
    };
    let messages = |directives: &str| {
        let text = logged(LogFormat::Json, directives, talk);
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.map(|line| line["message"].as_str().expect("a message").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(messages("info"), ["closed"]);
    assert_eq!(messages("debug"), ["closed", "ours"]);
    assert_eq!(messages("info,lapin=info"), ["open", "broken pipe", "closed"]);
    assert_eq!(messages("info,milepost=debug"), ["closed", "ours"]);
}

#[test]
fn without_traces_no_span_is_made() {
    logged(LogFormat::Text, "trace", || assert!(tracing::error_span!("process").is_disabled()));
}

#[test]
fn a_filter_that_is_none_is_refused() {
    let error = lines::<Registry, _>(LogFormat::Json, "a=b=c", io::stderr, false).err().expect("no filter");
    assert_eq!(error.to_string(), "the log filter is not valid");
}
