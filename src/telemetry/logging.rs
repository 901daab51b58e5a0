//! Log lines, to standard error: JSON for machines or text for people.

use std::fmt;
use std::io::{self, IsTerminal as _};

use opentelemetry::trace::TraceContextExt as _;
use thiserror::Error;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, ParseError, filter_fn};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::traces::Traces;

/// Libraries that have much to say: only their warnings, unless the configured filter names them. The exporter of spans
/// would warn with each batch that fails, and lapin says of a lost connection several times what we say once ourselves,
/// with its cause (`adapters::rabbit`): of these two nothing.
const QUIET: &str = "amq_protocol=off,h2=warn,hyper=warn,lapin=off,opentelemetry=warn,opentelemetry-otlp=off,\
    redis=warn,rustls=warn,tonic=warn,tower=warn";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    Text,
}

#[derive(Debug, Error)]
pub enum LoggingError {
    /// The filter has a directive that is none.
    #[error("the log filter is not valid")]
    Filter(#[source] ParseError),
    /// This process has one already.
    #[error("logs are already set up in this process")]
    AlreadySet(#[source] TryInitError),
}

/// What is logged: `directives` over our own for talkative libraries.
///
/// # Errors
/// When a directive is none.
pub fn filter(directives: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{QUIET},{directives}"))
}

/// Sends this process's log lines to standard error, and its spans to `traces`. Colours are for terminals.
///
/// # Errors
/// When the filter is not valid, or this was done before.
pub fn init(format: LogFormat, directives: &str, traces: Option<&Traces>) -> Result<(), LoggingError> {
    let lines = lines(format, directives, io::stderr, io::stderr().is_terminal())?;
    let registry = Registry::default().with(lines).with(traces.map(Traces::layer));
    registry.try_init().map_err(LoggingError::AlreadySet)
}

/// Writes log lines to `writer`. Spans are for traces alone: a line says what it has to say, and without a
/// collector no span is ever made.
///
/// # Errors
/// When the filter is not valid.
pub fn lines<S, W>(
    format: LogFormat,
    directives: &str,
    writer: W,
    colours: bool,
) -> Result<impl Layer<S> + Send + Sync + use<S, W>, LoggingError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = filter(directives).map_err(LoggingError::Filter)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    // Left as it is, the layer has colours unless `NO_COLOR` is set.
    let layer = if colours { layer } else { layer.with_ansi(false) };
    let layer = match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => {
            let json = tracing_subscriber::fmt::format().json().flatten_event(true);
            let json = json.with_current_span(false).with_span_list(false);
            layer.fmt_fields(JsonFields::new()).event_format(WithTraceIds(json)).boxed()
        }
    };
    Ok(layer.with_filter(filter.and(filter_fn(|metadata| !metadata.is_span()))))
}

/// Adds `trace_id` and `span_id` to a line of JSON that is written within a trace.
struct WithTraceIds<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithTraceIds<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let span = opentelemetry::Context::map_current(|current| current.span().span_context().clone());
        if !span.is_valid() {
            return self.0.format_event(ctx, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        let object = line.trim_end().strip_suffix('}').ok_or(fmt::Error)?;
        writeln!(writer, r#"{object},"trace_id":"{}","span_id":"{}"}}"#, span.trace_id(), span.span_id())
    }
}
