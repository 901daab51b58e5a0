//! A provider and a receiver that a test controls.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response};
use hyper_util::rt::TokioIo;
use milepost::adapters::tls::install_crypto_provider;
use milepost::cli::Exit;
use milepost::cli::send::plan::Share;
use milepost::cli::send::{self, Args};
use milepost::domain::answer::{Answer, RejectionKind};
use milepost::domain::authentication::{AuthScheme, Authentication};
use milepost::domain::identity::Account;
use milepost::domain::journey::{Journey, Personal, Sample};
use milepost::domain::provider::{Decoded, Provider, ProviderId};
use milepost::domain::samples::{SampleSource, SignedWebhook, Signing};
use milepost::domain::verdict::Poison;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};

/// Its success is the code 200, or, when it is `strict`, the code and a body.
pub struct Fake {
    strict: bool,
}

pub static FAKE: Fake = Fake { strict: false };
pub static STRICT: Fake = Fake { strict: true };

impl Provider for Fake {
    fn id(&self) -> ProviderId {
        ProviderId::new("fake")
    }

    fn authentication(&self) -> &'static [Authentication] {
        &[
            Authentication::Hmac { header: "x-fake-signature" },
            Authentication::Basic,
            Authentication::Header { name: Cow::Borrowed("x-fake-signature") },
        ]
    }

    fn resend_horizon(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn gives_up_after(&self) -> Duration {
        Duration::ZERO
    }

    fn answer(&self, scheme: Option<AuthScheme>, outcome: Result<(), RejectionKind>) -> Answer {
        match (self.strict, scheme, outcome) {
            (true, Some(AuthScheme::Hmac), Ok(())) => Answer::json(200, r#"{"IsError":false}"#.into()),
            _ => Answer::plain(outcome),
        }
    }

    fn decode(&self, _: &[u8]) -> Result<Decoded, Poison> {
        Ok(Decoded::Ignored)
    }

    fn transitions(&self) -> &'static milepost::domain::transitions::Transitions {
        &milepost::domain::transitions::Transitions { table: &[], steps: &[], ends: &[] }
    }
}

impl SampleSource for Fake {
    fn samples(&self) -> &'static [Sample] {
        &[
            Sample { name: "new", body: r#"{"status":"NEW","id":"1"}"# },
            Sample { name: "moved", body: r#"{"status":"MOVED","id":"1"}"# },
            Sample { name: "done", body: r#"{"status":"DONE","id":"1"}"# },
        ]
    }

    fn journeys(&self) -> &'static [Journey] {
        &[
            Journey { name: "whole", steps: &["new", "done"] },
            Journey { name: "reopened", steps: &["new", "done", "new", "moved", "done"] },
        ]
    }

    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>) {
        sample["id"] = json!(format!("{}-{}", personal.tag, personal.number));
        sample["at"] = json!(personal.time());
    }

    fn sign(&self, body: Bytes, signing: &Signing<'_>) -> SignedWebhook {
        let signature = hex::encode(signing.secret.hmac_sha256(&body));
        let header = signing.header.unwrap_or("x-fake-signature").to_owned();
        SignedWebhook { headers: vec![(header, signature)], body }
    }
}

/// A request as the receiver saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub path: String,
    pub content_type: String,
    pub signature: String,
    /// The header `x-mine`.
    pub mine: String,
    pub body: String,
}

/// Answers each request with the next of a list, the last one again and again.
#[derive(Clone)]
pub struct Receiver {
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    pub fn new(answers: &[(u16, &'static str)]) -> Self {
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
        Self { answers, requests: Arc::default() }
    }

    /// Starts on a port of its own.
    pub async fn started(answers: &[(u16, &'static str)]) -> (Self, SocketAddr) {
        let receiver = Self::new(answers);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        receiver.serve(listener);
        (receiver, address)
    }

    pub fn serve(&self, listener: TcpListener) {
        let receiver = self.clone();
        serve(listener, move |request| answer(receiver.clone(), request));
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }
}

async fn answer(receiver: Receiver, request: HttpRequest<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let header = |name| parts.headers.get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
    let mut requests = receiver.requests.lock().expect("no panic");
    requests.push(Request {
        path: parts.uri.path().to_owned(),
        content_type: header("content-type"),
        signature: header("x-fake-signature"),
        mine: header("x-mine"),
        body: String::from_utf8(body.to_vec()).expect("text"),
    });
    let mut answers = receiver.answers.lock().expect("no panic");
    let (code, body) = if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() }
        .expect("an answer for each request");
    let receipt = format!("receipt-{}", requests.len());
    let response = Response::builder().status(code).header("milepost-receipt", receipt);
    response.body(Full::from(body)).expect("a response")
}

/// Answers every request to `listener`.
pub fn serve<F>(listener: TcpListener, answer: impl Fn(HttpRequest<Incoming>) -> F + Clone + Send + 'static)
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
}

/// A port that refuses connections until it listens. It is bound, so no other process can take it.
pub fn closed_port() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// What `milepost send fake --seed 7 --json --to http://<address>` asks.
pub fn args(to: &str) -> Args {
    install_crypto_provider();
    Args {
        provider: Some(&FAKE),
        sample: None,
        journey: None,
        file: None,
        list: false,
        count: 1,
        rate: None,
        duplicates: share("0"),
        reorder: share("0"),
        account: Account::default_account(),
        to: to.parse().expect("a URL"),
        seed: Some(7),
        secret_file: None,
        secret: None,
        auth: None,
        header: None,
        give_up: Duration::from_mins(1),
        concurrency: 64,
        json: true,
    }
}

pub fn share(text: &str) -> Share {
    Share::parse(text).expect("a share")
}

/// Sends, and returns what was shown, one JSON object for each webhook; `elapsed_ms` must be there and is taken out.
pub async fn sent(args: &Args) -> (Exit, Vec<Value>) {
    let mut out = Vec::new();
    let exit = send::run_into(args, &mut out).await.expect("it can be sent");
    let out = String::from_utf8(out).expect("text");
    let lines = out.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        let elapsed = line.as_object_mut().and_then(|line| line.remove("elapsed_ms"));
        assert!(elapsed.is_some_and(|elapsed| elapsed.is_u64()));
        line
    });
    (exit, lines.collect())
}
