//! The trace context in and out, and a collector that is not there.

use std::future::{Future, ready};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use milepost::domain::envelope::TraceContext;
use milepost::telemetry::logging::{LogFormat, lines};
use milepost::telemetry::traces::{Traces, begin, context_of, set_parent};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use serde_json::Value;
use tracing::Dispatch;
use tracing::dispatcher::with_default;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

use super::logging::Lines;

const BOUND: Duration = Duration::from_secs(5);

/// Keeps what is exported.
#[derive(Debug, Clone, Default)]
struct Exported(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Exported {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.0.lock().expect("not poisoned").extend(batch);
        ready(Ok(()))
    }
}

impl Exported {
    fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }
}

fn tracing_to(exporter: &Exported) -> (Traces, Dispatch) {
    let traces = Traces::with_exporter(exporter.clone(), "milepost-test");
    let dispatch = Dispatch::new(Registry::default().with(traces.layer()));
    (traces, dispatch)
}

fn sent(traceparent: &str, tracestate: Option<&str>) -> TraceContext {
    TraceContext { traceparent: Some(traceparent.into()), tracestate: tracestate.map(Into::into) }
}

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[tokio::test]
async fn a_trace_goes_on_from_the_receiver_to_the_worker() {
    let exported = Exported::default();
    let (traces, dispatch) = tracing_to(&exported);
    with_default(&dispatch, || {
        let send = tracing::info_span!(target: "milepost::receive", "send", otel.kind = "producer");
        let envelope = send.in_scope(|| context_of(&tracing::Span::current())).expect("a trace");
        let process = tracing::info_span!(target: "milepost::worker", "process", otel.kind = "consumer");
        set_parent(&process, &envelope);
        process.in_scope(|| ());
    });
    traces.shutdown(BOUND).await;
    let spans = exported.take();
    let named = |name: &str| spans.iter().find(|span| span.name == name).expect("exported");
    let (send, process) = (named("send"), named("process"));
    assert_eq!(process.span_context.trace_id(), send.span_context.trace_id());
    assert_eq!(process.parent_span_id, send.span_context.span_id());
    assert!(process.parent_span_is_remote);
    assert_eq!((&send.span_kind, &process.span_kind), (&SpanKind::Producer, &SpanKind::Consumer));
}

#[tokio::test]
async fn a_senders_trace_is_taken_up_and_sent_on_with_its_state() {
    let exported = Exported::default();
    let (traces, dispatch) = tracing_to(&exported);
    let onward = with_default(&dispatch, || {
        let span = tracing::info_span!(target: "milepost", "send");
        set_parent(&span, &sent(SAMPLED, Some("vendor=1")));
        context_of(&span).expect("a trace")
    });
    traces.shutdown(BOUND).await;
    let spans = exported.take();
    assert_eq!(spans.len(), 1, "the sender chose to sample it");
    let own = spans[0].span_context.span_id();
    assert_eq!(onward, sent(&format!("00-0af7651916cd43dd8448eb211c80319c-{own}-01"), Some("vendor=1")));
}

#[tokio::test]
async fn an_unsampled_trace_keeps_its_id_and_is_not_exported() {
    let exported = Exported::default();
    let (traces, dispatch) = tracing_to(&exported);
    let onward = with_default(&dispatch, || {
        let span = tracing::info_span!(target: "milepost", "send");
        set_parent(&span, &sent(NOT_SAMPLED, None));
        context_of(&span).expect("a trace").traceparent.expect("a trace")
    });
    assert!(
        onward.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && onward.ends_with("-00"),
        "{onward}"
    );
    traces.shutdown(BOUND).await;
    assert!(exported.take().is_empty());
}

#[tokio::test]
async fn an_authentic_trace_decides_sampling_and_else_the_ratio_does() {
    let span = || tracing::info_span!(target: "milepost", "request");
    let none = TraceContext::default();
    for ratio in [0.0, 1.0] {
        let exported = Exported::default();
        let (traces, dispatch) = tracing_to(&exported);
        with_default(&dispatch, || {
            assert_eq!(begin(ratio, &none, span).is_none(), ratio == 0.0);
            assert!(begin(ratio, &sent(NOT_SAMPLED, None), span).is_none());
            // Its sender is never known: the span is there, and is not exported.
            assert!(!begin(ratio, &sent(SAMPLED, None), span).is_none());
            let authentic = begin(ratio, &sent(SAMPLED, None), span);
            set_parent(&authentic, &sent(SAMPLED, None));
            let onward = context_of(&authentic).and_then(|context| context.traceparent).expect("a trace");
            assert!(onward.starts_with(&SAMPLED[..36]) && onward.ends_with("-01"), "{onward}");
        });
        traces.shutdown(BOUND).await;
        let joined = |span: &SpanData| SAMPLED.contains(&span.span_context.trace_id().to_string());
        let (joined, own): (Vec<_>, Vec<_>) = exported.take().into_iter().partition(joined);
        assert_eq!((joined.len(), own.len()), (1, if ratio == 1.0 { 1 } else { 0 }));
    }
}

#[test]
fn a_share_of_the_traces_that_begin_here_is_sampled() {
    let (_traces, dispatch) = tracing_to(&Exported::default());
    let sampled = with_default(&dispatch, || {
        let span = || tracing::info_span!(target: "milepost", "request");
        (0..1000).filter(|_| !begin(0.5, &TraceContext::default(), span).is_none()).count()
    });
    // Further off than once in 10^30 times.
    assert!((300..700).contains(&sampled), "{sampled}");
}

#[tokio::test]
async fn nonsense_in_place_of_a_parent_is_ignored() {
    let exported = Exported::default();
    let (traces, dispatch) = tracing_to(&exported);
    with_default(&dispatch, || {
        let span = tracing::info_span!(target: "milepost", "process");
        for nonsense in ["", "00", "00-0-0-01", "zz-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"] {
            set_parent(&span, &sent(nonsense, None));
        }
        set_parent(&span, &TraceContext::default());
        span.in_scope(|| ());
    });
    traces.shutdown(BOUND).await;
    assert_eq!(exported.take()[0].parent_span_id.to_string(), "0000000000000000");
}

#[tokio::test]
async fn only_our_own_spans_are_exported() {
    let exported = Exported::default();
    let (traces, dispatch) = tracing_to(&exported);
    with_default(&dispatch, || {
        tracing::info_span!(target: "h2", "frame").in_scope(|| ());
        tracing::info_span!(target: "milepost::worker", "process").in_scope(|| tracing::info!("an event"));
    });
    traces.shutdown(BOUND).await;
    let spans = exported.take();
    assert_eq!(spans.iter().map(|span| span.name.as_ref()).collect::<Vec<_>>(), ["process"]);
    assert!(spans[0].events.is_empty());
}

#[test]
fn without_traces_a_span_has_no_context_so_the_incoming_one_passes_through() {
    with_default(&Dispatch::new(Registry::default()), || {
        let span = tracing::info_span!(target: "milepost", "process");
        set_parent(&span, &sent(SAMPLED, None));
        assert_eq!(span.in_scope(|| context_of(&tracing::Span::current())), None);
    });
    assert_eq!(context_of(&tracing::Span::none()), None);
}

#[tokio::test]
async fn a_log_line_within_a_trace_names_it() {
    let (exported, written) = (Exported::default(), Lines::default());
    let traces = Traces::with_exporter(exported.clone(), "milepost-test");
    let lines = lines(LogFormat::Json, "info", written.clone(), false).expect("a filter");
    let registry = Registry::default().with(lines).with(traces.layer());
    with_default(&Dispatch::new(registry), || {
        tracing::info!("outside");
        tracing::info_span!(target: "milepost", "process").in_scope(|| tracing::info!(n = 1, "inside"));
    });
    traces.shutdown(BOUND).await;
    let span = exported.take().remove(0).span_context;
    let text = written.text();
    let logged: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(logged[0].get("trace_id"), None);
    assert_eq!(logged[1]["message"], "inside");
    assert_eq!(logged[1]["n"], 1);
    assert_eq!(logged[1]["trace_id"], span.trace_id().to_string());
    assert_eq!(logged[1]["span_id"], span.span_id().to_string());
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_spans_and_nothing_else() {
    // Nothing listens on port 1.
    let traces = Traces::otlp("http://127.0.0.1:1", "milepost-test").expect("an endpoint");
    let started = Instant::now();
    with_default(&Dispatch::new(Registry::default().with(traces.layer())), || {
        for _ in 0..10_000 {
            tracing::info_span!(target: "milepost", "process").in_scope(|| ());
        }
    });
    let spans_took = started.elapsed();
    traces.shutdown(Duration::from_millis(300)).await;
    // Generous, for a busy machine: had anything waited for the collector, it would be the export's 5 s.
    assert!(started.elapsed() < Duration::from_secs(4), "{spans_took:?} {:?}", started.elapsed());
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_refused_without_being_quoted() {
    let error = Traces::otlp("http://user:hunter2@h :x", "milepost-test").expect_err("no endpoint");
    assert_eq!(error.to_string(), "no OTLP exporter can be made for this endpoint");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn the_sender_of_a_trace_says_whether_it_is_sampled() {
    let sampled = |traceparent: Option<&str>| TraceContext::received(traceparent, None).is_sampled();
    // Only the lowest bit of the flags counts.
    for flags in ["00", "02", "fe"] {
        let sent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        assert!(!sampled(Some(&sent)), "{flags}");
    }
    for flags in ["01", "03", "ff"] {
        let sent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        assert!(sampled(Some(&sent)), "{flags}");
    }
    assert!(!sampled(None));
    assert!(!sampled(Some("00-00000000000000000000000000000000-b7ad6b7169203331-01")));
}
