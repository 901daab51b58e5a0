//! The stand-in over HTTP: HubRise's paths below `/v1`, and below `/_fake` what a test or a newcomer tells it and asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::faults::{Fault, FaultKind, Faults, StandInLimits};
use super::world::{StandInCall, StandInOrder, StandInReply, World};
use crate::adapters::http::{Caller, Handler, Response};
use crate::ports::Clock;

/// Larger than any body that a delivery needs.
const LARGEST_BODY: usize = 1024 * 1024;
/// How many requests are remembered.
const MOST_REMEMBERED: usize = 100_000;
/// How many changes a slow watcher may be behind.
const MOST_UNSEEN: usize = 1024;

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct StandInAnswered {
    /// When, in milliseconds.
    pub at_ms: i64,
    pub method: String,
    pub path: String,
    pub body: Value,
    /// The code of its answer; 0 if it got none.
    pub code: u16,
}

pub struct Stub {
    token: String,
    clock: Arc<dyn Clock>,
    state: Mutex<StandInState>,
    changes: broadcast::Sender<String>,
}

pub struct StandInState {
    /// The location and its orders.
    pub world: World,
    /// What it does instead of answering.
    pub faults: Faults,
    /// HubRise's limits.
    pub limits: StandInLimits,
    pub requests: Vec<StandInAnswered>,
}

/// What becomes of a request.
enum StandInOutcome {
    Answer(Response),
    AfterMillis(Response, u64),
    Silence,
}

impl Stub {
    /// A stand-in that takes this token.
    #[must_use]
    pub fn new(world: World, token: &str, limits: StandInLimits, clock: Arc<dyn Clock>) -> Arc<Self> {
        let state = StandInState { world, faults: Faults::default(), limits, requests: Vec::new() };
        let (changes, _) = broadcast::channel(MOST_UNSEEN);
        Arc::new(Self { token: token.to_owned(), clock, state: Mutex::new(state), changes })
    }

    /// What it has, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, StandInState> {
        // A panic elsewhere is that request's own.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each change of a delivery, as a line for people.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<String> {
        self.changes.subscribe()
    }

    fn answer(&self, request: &Told<'_>) -> StandInOutcome {
        match request.path.strip_prefix("/v1/") {
            Some(path) => self.api(request, path),
            None => StandInOutcome::Answer(self.control(request)),
        }
    }

    fn api(&self, request: &Told<'_>, path: &str) -> StandInOutcome {
        let now = self.clock.now();
        let mut state = self.state();
        let refused = self.refuse(request, &mut state.limits, now.as_millisecond());
        let trouble = state.faults.next(request.method, request.path);
        let instead = trouble.and_then(instead);
        let mut code = 0;
        let outcome = if let Some(refusal) = refused {
            code = refusal.status().as_u16();
            StandInOutcome::Answer(refusal)
        } else if let Some(instead) = instead {
            code = instead.status().as_u16();
            StandInOutcome::Answer(instead)
        } else if trouble == Some(FaultKind::Silence) {
            StandInOutcome::Silence
        } else {
            let call =
                StandInCall { method: request.method, path: path.split('/').collect(), body: request.body };
            let reply = state.world.answer(&call, now);
            self.tell(request, &reply);
            code = reply.code;
            match trouble {
                Some(FaultKind::SilenceAfterEffect) => StandInOutcome::Silence,
                Some(FaultKind::ErrorAfterEffect) => StandInOutcome::Answer(error()),
                Some(FaultKind::Slow(ms)) => StandInOutcome::AfterMillis(json_reply(&reply), ms),
                _ => StandInOutcome::Answer(json_reply(&reply)),
            }
        };
        if state.requests.len() < MOST_REMEMBERED {
            let body = serde_json::from_slice(request.body).unwrap_or(Value::Null);
            let (method, path) = (request.method.to_owned(), request.path.to_owned());
            state.requests.push(StandInAnswered { at_ms: now.as_millisecond(), method, path, body, code });
        }
        outcome
    }

    /// What HubRise refuses before it looks at the request itself.
    fn refuse(&self, request: &Told<'_>, limits: &mut StandInLimits, now_ms: i64) -> Option<Response> {
        if request.token != Some(self.token.as_bytes()) {
            let reply =
                StandInReply::error(401, "unauthorized", "The access token is invalid or was revoked");
            return Some(json_reply(&reply));
        }
        if let Err(seconds) = limits.count(now_ms) {
            return Some(too_many(Some(seconds)));
        }
        if !request.body.is_empty() && !request.is_json {
            let reply = StandInReply::error(415, "unsupported_media_type", "Expected application/json");
            return Some(json_reply(&reply));
        }
        None
    }

    fn tell(&self, request: &Told<'_>, reply: &StandInReply) {
        if reply.code == 200 && request.method != "GET" {
            let text = |name: &str| reply.body.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
            let order = request.path.split("/orders/").nth(1).unwrap_or_default();
            let line =
                format!("{} {order}: {} {} {}", request.method, text("carrier"), text("ref"), text("status"));
            // Without a listener it is no failure.
            let _ = self.changes.send(line);
        }
    }

    fn control(&self, request: &Told<'_>) -> Response {
        let mut state = self.state();
        let path: Vec<_> = request.path.trim_start_matches('/').split('/').collect();
        let reply =
            match (request.method, &path[..]) {
                ("GET", ["_fake", "orders"]) => Ok(orders(&state.world)),
                ("PUT", ["_fake", "orders", id]) => put_order(&mut state.world, id, request.body),
                ("GET", ["_fake", "requests"]) => {
                    Ok(state.requests.iter().map(StandInAnswered::as_json).collect())
                }
                ("POST", ["_fake", "faults"]) => serde_json::from_slice::<Vec<Fault>>(request.body)
                    .map(|faults| {
                        state.faults.add(faults);
                        Value::Null
                    })
                    .map_err(|error| error.to_string()),
                ("DELETE", ["_fake", "faults"]) => {
                    state.faults.clear();
                    Ok(Value::Null)
                }
                _ => Err("the stand-in's own paths are /_fake/orders, /_fake/requests and /_fake/faults"
                    .to_owned()),
            };
        match reply {
            Ok(body) => json_reply(&StandInReply { code: 200, body }),
            Err(message) => json_reply(&StandInReply::error(404, "not_found", &message)),
        }
    }
}

impl StandInAnswered {
    fn as_json(&self) -> Value {
        let Self { at_ms, method, path, body, code } = self;
        json!({ "at_ms": at_ms, "method": method, "path": path, "body": body, "code": code })
    }
}

fn orders(world: &World) -> Value {
    let order = |(id, order): (&String, &StandInOrder)| {
        let StandInOrder { service_type, status, delivery } = order;
        (id.clone(), json!({ "service_type": service_type, "status": status, "delivery": delivery }))
    };
    Value::Object(world.orders.iter().map(order).collect())
}

fn put_order(world: &mut World, id: &str, body: &[u8]) -> Result<Value, String> {
    let said: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body).map_err(|error| error.to_string())?
    };
    let order = world.orders.entry(id.to_owned()).or_insert_with(StandInOrder::to_deliver);
    let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    order.service_type = text("service_type").unwrap_or_else(|| order.service_type.clone());
    order.status = text("status").unwrap_or_else(|| order.status.clone());
    if let Some(Value::Object(delivery)) = said.get("delivery") {
        order.delivery = Some(delivery.clone());
    }
    Ok(Value::Null)
}

struct Told<'a> {
    method: &'a str,
    path: &'a str,
    token: Option<&'a [u8]>,
    is_json: bool,
    body: &'a [u8],
}

impl Handler for Stub {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<Incoming>, _: &Caller) -> Response {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
            return json_reply(&StandInReply::error(400, "unprocessable_entity", "The body cannot be read"));
        };
        let body = body.to_bytes();
        let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
        let told = Told {
            method: head.method.as_str(),
            path: head.uri.path(),
            token: head.headers.get("x-access-token").map(HeaderValue::as_bytes),
            is_json: head.headers.get(CONTENT_TYPE).is_some_and(is_json),
            body: &body,
        };
        match self.answer(&told) {
            StandInOutcome::Answer(response) => response,
            StandInOutcome::AfterMillis(response, ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                response
            }
            // Until the caller gives up.
            StandInOutcome::Silence => std::future::pending().await,
        }
    }
}

/// The answer that takes the place of the real one, if the trouble is of that kind.
fn instead(trouble: FaultKind) -> Option<Response> {
    Some(match trouble {
        FaultKind::Error => error(),
        FaultKind::TooMany(seconds) => too_many(seconds),
        FaultKind::Page(code) => {
            response(code, "text/html", "<html><body>Sign in to our WiFi</body></html>".into())
        }
        FaultKind::Huge(bytes) => response(200, "application/json", vec![b' '; bytes]),
        FaultKind::WrongTypes => {
            let body = json!({ "id": [], "status": 5, "service_type": {}, "delivery": { "status": false } });
            json_reply(&StandInReply { code: 200, body })
        }
        FaultKind::Redirect => {
            let mut response = response(302, "text/html", Vec::new());
            response.headers_mut().insert(LOCATION, HeaderValue::from_static("http://127.0.0.1:1/elsewhere"));
            response
        }
        FaultKind::Denied(code) => {
            let kind = if code == 401 { "unauthorized" } else { "forbidden" };
            json_reply(&StandInReply::error(code, kind, "This token may not do that"))
        }
        FaultKind::Refused(field) => {
            let errors: Vec<_> = field
                .as_str()
                .iter()
                .map(|field| json!({ "field": field, "message": "is invalid" }))
                .collect();
            let mut reply = StandInReply::error(422, "unprocessable_entity", "Validation failed");
            reply.body["errors"] = json!(errors);
            json_reply(&reply)
        }
        FaultKind::ErrorAfterEffect
        | FaultKind::Silence
        | FaultKind::SilenceAfterEffect
        | FaultKind::Slow(_) => {
            return None;
        }
    })
}

fn error() -> Response {
    json_reply(&StandInReply::error(500, "internal_error", "Something went wrong"))
}

fn too_many(seconds: Option<u64>) -> Response {
    let mut response = json_reply(&StandInReply::error(429, "too_many_requests", "Too many requests"));
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json_reply(StandInReply { code, body }: &StandInReply) -> Response {
    response(*code, "application/json", body.to_string().into_bytes())
}

fn response(code: u16, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or(hyper::StatusCode::OK);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
