//! An OTLP/gRPC collector that keeps the spans it is sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use super::eventually;

pub use otlp::span::SpanKind;

/// A span as it arrived; ids in hex.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub schema_url: String,
    pub name: String,
    pub kind: SpanKind,
    pub trace: String,
    pub id: String,
    /// Empty at the root of a trace.
    pub parent: String,
    pub failed: bool,
    pub attributes: BTreeMap<String, String>,
}

impl Span {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }
}

/// The collector. It ends with its runtime.
pub struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    pub endpoint: String,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let sink = Sink(Arc::clone(&spans));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(TraceServiceServer::from_arc(Arc::new(sink.clone())));
                let http = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { spans, endpoint }
    }

    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("not poisoned").clone()
    }

    /// The first span that is `wanted`, waited for.
    pub async fn span(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        eventually(&format!("a span: {what}"), || {
            let found = self.spans().into_iter().find(|span| wanted(span));
            async move { found }
        })
        .await
    }

    pub async fn named(&self, name: &str) -> Span {
        self.span(name, |span| span.name == name).await
    }
}

#[derive(Clone)]
struct Sink(Arc<Mutex<Vec<Span>>>);

#[async_trait::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().expect("not poisoned");
        for resource in request.into_inner().resource_spans {
            let service = attributes(resource.resource.unwrap_or_default().attributes);
            let service = service.get("service.name").cloned().unwrap_or_default();
            for scope in resource.scope_spans {
                let schema_url = scope.schema_url;
                spans.extend(scope.spans.into_iter().map(|sent| span(&service, &schema_url, sent)));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn span(service: &str, schema_url: &str, sent: otlp::Span) -> Span {
    Span {
        service: service.to_owned(),
        schema_url: schema_url.to_owned(),
        kind: sent.kind(),
        name: sent.name,
        trace: hex::encode(sent.trace_id),
        id: hex::encode(sent.span_id),
        parent: hex::encode(sent.parent_span_id),
        failed: sent.status.is_some_and(|status| status.code() == otlp::status::StatusCode::Error),
        attributes: attributes(sent.attributes),
    }
}

fn attributes(sent: Vec<KeyValue>) -> BTreeMap<String, String> {
    sent.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
