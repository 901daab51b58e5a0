//! The stand-in over HTTP, and below `/_fake` what a test or a newcomer tells it: `PUT /_fake/deliveries/ID`, `timelines/ID` or
//! `events/ID` with what the API says, in its own form, and `POST /_fake/faults` with what it does to the next requests.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dialect::{ApiRequest, Dialect, WantedResource};
use crate::adapters::http::{Caller, Handler, Response};

/// Events on a page of the list.
const PAGE: usize = 100;

/// Larger than any body that it is sent.
const LARGEST_BODY: usize = 64 * 1024;

/// What it does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    Error,
    /// Too many requests, with `Retry-After` if there are seconds.
    TooMany(Option<u64>),
    /// The credential is refused, and a token that was given out forgotten.
    Denied,
    /// 200, and a web page.
    Page,
    /// 200, and a body of so many bytes.
    Huge(usize),
    /// A redirect to somewhere else.
    Redirect,
    Silence,
    /// The answer, after so many milliseconds.
    Slow(u64),
}

pub struct ProviderStub {
    dialect: Dialect,
    credential: String,
    state: Mutex<StubState>,
}

#[derive(Default)]
pub struct StubState {
    /// The state of each delivery by its id, as the API says it.
    pub deliveries: HashMap<String, Value>,
    /// The steps of each delivery, as the API says them.
    pub timelines: HashMap<String, Value>,
    /// The events that were not acknowledged, by their ids.
    pub events: BTreeMap<String, Value>,
    /// What it does to the next requests, one each.
    pub troubles: VecDeque<Trouble>,
    /// The ids that were asked for, and answered or not.
    pub asked: Vec<String>,
    /// The tokens that were given out.
    pub tokens: u32,
}

/// What becomes of a request.
enum StubReply {
    Answer(Response),
    After(Response, Duration),
    Silence,
}

impl ProviderStub {
    /// A stand-in that takes this credential.
    #[must_use]
    pub fn new(dialect: Dialect, credential: &str) -> Arc<Self> {
        Arc::new(Self { dialect, credential: credential.to_owned(), state: Mutex::default() })
    }

    /// The provider's API that it imitates.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What it has, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, StubState> {
        // A panic elsewhere is that request's own.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &ApiRequest<'_>) -> StubReply {
        if request.path.starts_with("/_fake/") {
            return StubReply::Answer(self.control(request));
        }
        let (dialect, mut state) = (self.dialect, self.state());
        let wanted = dialect.wanted(request, &self.credential, state.tokens);
        if let WantedResource::Delivery(id) | WantedResource::Event(id) = &wanted {
            state.asked.push(id.clone());
        }
        let trouble = state.troubles.pop_front();
        let instead = match trouble {
            Some(Trouble::Error) => Some(dialect.error()),
            Some(Trouble::TooMany(_)) => Some(dialect.limited()),
            Some(Trouble::Denied) => {
                state.tokens += 1;
                Some(dialect.denied())
            }
            Some(Trouble::Silence) => return StubReply::Silence,
            Some(Trouble::Page) => return StubReply::Answer(response(200, "text/html", b"<html>".to_vec())),
            Some(Trouble::Huge(bytes)) => {
                return StubReply::Answer(response(200, "application/json", vec![b' '; bytes]));
            }
            Some(Trouble::Redirect) => {
                let mut response = response(302, "text/html", Vec::new());
                let elsewhere = HeaderValue::from_static("http://127.0.0.1:1/elsewhere");
                response.headers_mut().insert(LOCATION, elsewhere);
                return StubReply::Answer(response);
            }
            Some(Trouble::Slow(_)) | None => None,
        };
        let mut next_cursor = None;
        let (code, body) = instead.unwrap_or_else(|| match wanted {
            WantedResource::Timeline(id) => {
                state.timelines.get(&id).map_or_else(|| dialect.unknown(), |steps| dialect.delivery(steps))
            }
            WantedResource::Events(after) => {
                let mut events = state.events.range((Bound::Excluded(after), Bound::Unbounded));
                let page: Vec<_> = events.by_ref().take(PAGE).collect();
                next_cursor = page.last().map(|(id, _)| (*id).clone()).filter(|_| events.next().is_some());
                (200, page.into_iter().map(|(_, event)| Dialect::listed(event)).collect())
            }
            WantedResource::Event(id) => {
                state.events.get(&id).map_or_else(|| dialect.unknown(), |event| (200, event.clone()))
            }
            WantedResource::Delivery(id) => {
                state.deliveries.get(&id).map_or_else(|| dialect.unknown(), |state| dialect.delivery(state))
            }
            WantedResource::Token => {
                state.tokens += 1;
                Dialect::token(state.tokens)
            }
            WantedResource::Forbidden => dialect.denied(),
            WantedResource::Nothing => (404, json!({ "message": "no such path" })),
        });
        let mut response = response(code, "application/json", body.to_string().into_bytes());
        if let Some(cursor) = next_cursor.and_then(|cursor| HeaderValue::from_str(&cursor).ok()) {
            response.headers_mut().insert("x-cursor-next", cursor);
        }
        if let Some(Trouble::TooMany(Some(seconds))) = trouble {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        match trouble {
            Some(Trouble::Slow(ms)) => StubReply::After(response, Duration::from_millis(ms)),
            _ => StubReply::Answer(response),
        }
    }

    fn control(&self, request: &ApiRequest<'_>) -> Response {
        let mut state = self.state();
        let path: Vec<_> = request.path.trim_start_matches('/').split('/').collect();
        let done = match (request.method, &path[..]) {
            ("PUT", ["_fake", kind @ ("deliveries" | "timelines" | "events"), id @ ..]) => {
                serde_json::from_slice(request.body).is_ok_and(|said: Value| {
                    let id = id.join("/");
                    match *kind {
                        "deliveries" => state.deliveries.insert(id, said),
                        "timelines" => state.timelines.insert(id, said),
                        _ => state.events.insert(id, said),
                    };
                    true
                })
            }
            ("POST", ["_fake", "faults"]) => {
                serde_json::from_slice(request.body).is_ok_and(|troubles: Vec<Trouble>| {
                    state.troubles.extend(troubles);
                    true
                })
            }
            _ => false,
        };
        response(if done { 200 } else { 400 }, "application/json", b"{}".to_vec())
    }
}

/// Stand-ins for several APIs on one port, each below its provider's name.
pub struct ProviderStubs(pub Vec<Arc<ProviderStub>>);

impl Handler for ProviderStubs {
    type Body = Full<Bytes>;

    async fn handle(&self, mut request: Request<Incoming>, caller: &Caller) -> Response {
        let path_and_query = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let below = self.0.iter().find_map(|stub| {
            let rest = path_and_query.strip_prefix('/')?.strip_prefix(stub.dialect.provider().as_str())?;
            Some((stub, rest.parse().ok().filter(|_| rest.starts_with('/'))?))
        });
        match below {
            Some((stub, uri)) => {
                *request.uri_mut() = uri;
                stub.handle(request, caller).await
            }
            None => response(404, "application/json", b"{}".to_vec()),
        }
    }
}

impl Handler for ProviderStub {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<Incoming>, _: &Caller) -> Response {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
            return response(400, "application/json", b"{}".to_vec());
        };
        let body = body.to_bytes();
        let outcome = {
            let query = head.uri.query().unwrap_or_default();
            let header = |name: &str| head.headers.get(name)?.to_str().ok().map(str::to_owned);
            self.answer(&ApiRequest {
                method: head.method.as_str(),
                path: head.uri.path(),
                query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
                header: &header,
                body: &body,
            })
        };
        match outcome {
            StubReply::Answer(response) => response,
            StubReply::After(response, pause) => {
                tokio::time::sleep(pause).await;
                response
            }
            // Until the caller gives up.
            StubReply::Silence => std::future::pending().await,
        }
    }
}

fn response(code: u16, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or(hyper::StatusCode::OK);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
