//! Who subscribes to updates, as RabbitMQ's management API tells it: bindings cannot be listed over AMQP.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::is_reserved;
use crate::adapters::rabbit::topology::UPDATES;

/// No more is read of any answer: far above what tens of thousands of queues need.
const ANSWER_CAP: usize = 16 * 1024 * 1024;

/// A queue that is bound to updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subscription {
    /// Its name.
    pub queue: String,
    /// What it is bound by, in order.
    pub patterns: Vec<String>,
    /// Messages in it, ready or with a consumer. The broker counts every few seconds, so a new queue has none yet.
    pub messages: Option<u64>,
    /// Its consumers, counted likewise.
    pub consumers: Option<u64>,
}

/// Why the management API did not tell.
#[derive(Debug, Error)]
pub enum ListError {
    /// No whole answer came.
    #[error("no answer")]
    NoAnswer(#[source] reqwest::Error),
    /// It has no such virtual host. Of a missing exchange it says that nothing is bound to it.
    #[error("there is no such virtual host")]
    NoVhost,
    /// We are not who may ask.
    #[error("this user may not ask: it needs the tag `management` and a right in that virtual host")]
    Denied,
    /// Another code of HTTP.
    #[error("it answers {0}")]
    Answer(u16),
    /// The answer is not RabbitMQ's, or too long.
    #[error("the answer cannot be read")]
    Unreadable,
}

#[derive(Deserialize)]
struct Binding {
    destination: String,
    destination_type: String,
    routing_key: String,
}

#[derive(Deserialize)]
struct Queue {
    name: String,
    messages: Option<u64>,
    consumers: Option<u64>,
}

/// The queues of the virtual host `vhost` that are bound to updates, but for Milepost's own. `management` has the
/// credentials to use; each of the two questions is given `timeout`. TLS must have been set up for the process.
///
/// # Errors
/// See [`ListError`]; none of them shows the credentials.
pub async fn list(management: &Url, vhost: &str, timeout: Duration) -> Result<Vec<Subscription>, ListError> {
    let mut client = Client::builder().redirect(Policy::none()).no_proxy().timeout(timeout);
    if management.scheme() == "http" {
        // Without this, a machine without any certificate authority could not even ask over plain HTTP.
        client = client.tls_certs_only([]);
    }
    let client = client.build().map_err(ListError::NoAnswer)?;
    let bindings = ["exchanges", vhost, UPDATES, "bindings", "source"];
    let bindings: Vec<Binding> = get(&client, endpoint(management, &bindings)).await?;
    let mut columns = endpoint(management, &["queues", vhost]);
    columns.set_query(Some("columns=name,messages,consumers"));
    let queues: Vec<Queue> = get(&client, columns).await?;
    Ok(join(bindings, queues))
}

fn join(bindings: Vec<Binding>, queues: Vec<Queue>) -> Vec<Subscription> {
    let mut patterns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for binding in bindings {
        if binding.destination_type == "queue" && !is_reserved(&binding.destination) {
            patterns.entry(binding.destination).or_default().push(binding.routing_key);
        }
    }
    let mut counts: BTreeMap<_, _> =
        queues.into_iter().map(|queue| (queue.name, (queue.messages, queue.consumers))).collect();
    let subscription = |(queue, mut patterns): (String, Vec<String>)| {
        patterns.sort();
        let (messages, consumers) = counts.remove(&queue).unwrap_or_default();
        Subscription { queue, patterns, messages, consumers }
    };
    patterns.into_iter().map(subscription).collect()
}

fn endpoint(management: &Url, path: &[&str]) -> Url {
    let mut url = management.clone();
    // Unwrap safety: only a URL that cannot be a base has no path, and one of HTTP can be.
    url.path_segments_mut().expect("a path").pop_if_empty().push("api").extend(path);
    url
}

async fn get<T: DeserializeOwned>(client: &Client, url: Url) -> Result<T, ListError> {
    let no_answer = |error: reqwest::Error| ListError::NoAnswer(error.without_url());
    let mut response = client.get(url).send().await.map_err(no_answer)?;
    match response.status().as_u16() {
        200 => {}
        401 | 403 => return Err(ListError::Denied),
        404 => return Err(ListError::NoVhost),
        code => return Err(ListError::Answer(code)),
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_CAP {
            return Err(ListError::Unreadable);
        }
    }
    serde_json::from_slice(&body).map_err(|_| ListError::Unreadable)
}
