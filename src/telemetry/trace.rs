//! What a piece of work is traced by. A span that nobody will ever see costs more than much of the work, so of a trace
//! that is not sampled only the context is kept: log lines name it, and messages pass it on.

use std::future::Future;

use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::TraceContextExt as _;
use tracing::{Instrument as _, Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::traces;
use crate::domain::envelope::TraceContext;

/// What a piece of work is traced by.
#[derive(Debug, Clone)]
pub enum Trace {
    /// A span. Without traces it is disabled, and costs nothing.
    Span(Span),
    /// The context of a trace that is not sampled.
    Unsampled(Context),
}

impl Trace {
    /// The trace that `sent` names, as it came, if whoever sent it chose not to sample it. `None` for any other, and
    /// without traces.
    #[must_use]
    pub fn passed_on(sent: &TraceContext) -> Option<Self> {
        if !sent.is_unsampled() || !tracing::span_enabled!(target: traces::OURS, Level::INFO) {
            return None;
        }
        traces::remote(sent).map(Self::Unsampled)
    }

    /// Makes the work a part of the trace that `sent` names, if it names one. To be called before anything is done in it.
    pub fn join(&mut self, sent: &TraceContext) {
        match self {
            Self::Span(span) => traces::set_parent(span, sent),
            Self::Unsampled(context) => {
                if let Some(remote) = traces::remote(sent) {
                    *context = remote;
                }
            }
        }
    }

    /// Its context, to be sent along; `None` without traces, when whatever came in is to be passed on as it is.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        match self {
            Self::Span(span) => traces::context_of(span),
            Self::Unsampled(context) => traces::written(context),
        }
    }

    /// Whether nobody chose to sample it. Not so without traces.
    #[must_use]
    pub fn is_unsampled(&self) -> bool {
        match self {
            Self::Span(span) => is_unsampled(&span.context()),
            Self::Unsampled(_) => true,
        }
    }

    /// Does `work` in it. A large future is better passed as a pinned reference: it is moved here.
    pub async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        match self {
            Self::Span(span) => work.instrument(span.clone()).await,
            Self::Unsampled(context) => work.with_context(context.clone()).await,
        }
    }

    /// Does `work` in it.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        match self {
            Self::Span(span) => span.in_scope(work),
            Self::Unsampled(context) => {
                let _in_context = context.clone().attach();
                work()
            }
        }
    }

    /// Its span, which there is none of when it is not sampled.
    #[must_use]
    pub fn span(&self) -> &Span {
        const NONE: &Span = &Span::none();
        match self {
            Self::Span(span) => span,
            Self::Unsampled(_) => NONE,
        }
    }

    /// Links `span` to it.
    pub fn link_from(&self, span: &Span) {
        let context = match self {
            Self::Span(own) => own.context(),
            Self::Unsampled(context) => context.clone(),
        };
        span.add_link(context.span().span_context().clone());
    }
}

/// Whether what is being done belongs to a trace that nobody chose to sample. Not so without traces.
#[must_use]
pub fn is_unsampled_now() -> bool {
    Context::map_current(is_unsampled)
}

/// The trace context of what is being done; `None` without traces.
#[must_use]
pub fn current() -> Option<TraceContext> {
    Context::map_current(traces::written)
}

fn is_unsampled(context: &Context) -> bool {
    let span = context.span();
    let span = span.span_context();
    span.is_valid() && !span.is_sampled()
}
