//! RabbitMQ's management API, as much of it as is of use here: it reads, and changes nothing.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use url::Url;

use super::definitions::{BindingDefinition, Definitions, ExchangeDefinition, QueueDefinition};
use super::parked::parked_lock;
use super::places::uris;
use crate::domain::provider::ProviderId;

/// How long one answer may take. All questions are asked at once, so that a look takes no longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What is asked of each queue.
const QUEUE_COLUMNS: &str = "name,type,durable,auto_delete,arguments,policy,operator_policy,\
    effective_policy_definition,consumers,leader,members,online";
/// Some tens of thousands of queues.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

/// Asks one broker about one virtual host.
pub struct Management {
    client: Client,
    /// With the credentials; never printed.
    api: Url,
    vhost: String,
}

/// There is no answer that could be used. Never says a URL, which would have the credentials in it.
#[derive(Debug, Error)]
pub enum ManagementError {
    #[error("the management API does not answer: {0}")]
    Unreachable(String),
    /// It can be reached, or seems so, and gives no answer in time. It asks every node of the cluster itself.
    #[error("the management API does not answer within {TIMEOUT:?}")]
    Silent,
    /// It answers with this code instead.
    #[error("the management API answers {0}{hint}", hint = hint(*.0))]
    Refused(StatusCode),
    /// It says more than we are ready to read, or not what it should.
    #[error("the management API's answer cannot be used: {0}")]
    Unusable(String),
}

/// A queue, and what applies to it beyond its own arguments.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FoundQueue {
    #[serde(flatten)]
    pub definition: QueueDefinition,
    /// `quorum`, `classic` or `stream`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The policy that applies to it.
    #[serde(default)]
    pub policy: Option<String>,
    /// The operator's policy that applies to it.
    #[serde(default)]
    pub operator_policy: Option<String>,
    /// What the two say together; an empty list, or object, when they say nothing. It is of the broker's statistics,
    /// and so up to some seconds old, and `None` for a new queue or while they are off.
    #[serde(default)]
    pub effective_policy_definition: Option<Value>,
    /// Its consumers. Counted every few seconds, so that a new queue has none yet.
    #[serde(default)]
    pub consumers: Option<u64>,
    /// The node that leads it; empty, or absent, while none does.
    #[serde(default)]
    pub leader: Option<String>,
    /// The nodes that keep a copy of it. A classic queue has none.
    #[serde(default)]
    pub members: Vec<String>,
    /// Those of them that run.
    #[serde(default)]
    pub online: Vec<String>,
}

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FoundNode {
    /// Its name, such as `rabbit@one`.
    pub name: String,
    /// Whether the node that was asked sees it.
    #[serde(default)]
    pub running: bool,
    /// Whether it is in maintenance mode; `None` before RabbitMQ 3.13, which does not say.
    #[serde(default)]
    pub being_drained: Option<bool>,
    /// The nodes that it was parted from and has not rejoined.
    #[serde(default)]
    pub partitions: Vec<String>,
    /// What runs on it; empty of a node that does not run.
    #[serde(default)]
    applications: Vec<Application>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Application {
    name: String,
    version: String,
}

impl FoundNode {
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        let rabbit = self.applications.iter().find(|application| application.name == "rabbit")?;
        Some(&rabbit.version)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FeatureFlag {
    pub name: String,
    /// `enabled`, `disabled`, or on the way.
    pub state: String,
    /// `stable`, `experimental` or `required`.
    #[serde(default)]
    pub stability: String,
}

impl FoundQueue {
    /// What the policies say under `name`.
    #[must_use]
    pub fn by_policy(&self, name: &str) -> Option<&Value> {
        self.effective_policy_definition.as_ref()?.get(name)
    }
}

/// What a broker has and is.
#[derive(Debug, Clone)]
pub struct Found {
    /// The broker's version, such as `3.10.8`.
    pub version: String,
    /// What is in the virtual host.
    pub definitions: Definitions,
    /// Its queues again, with their policies.
    pub queues: Vec<FoundQueue>,
    /// What is wrong if an alarm is in effect anywhere in the cluster.
    pub alarm: Option<String>,
    /// The nodes; `None` if the user may not see them.
    pub nodes: Option<Vec<FoundNode>>,
    /// The feature flags; `None` if the user may not see them.
    pub feature_flags: Option<Vec<FeatureFlag>>,
}

#[derive(Deserialize)]
struct Overview {
    rabbitmq_version: String,
}

impl Management {
    /// For the API at `url`, credentials included, and the virtual host that `amqp_url` names.
    ///
    /// # Errors
    /// When one of the URLs, or TLS, cannot be used.
    pub fn new(url: &str, amqp_url: &str) -> Result<Self, ManagementError> {
        let mut api = Url::parse(url).map_err(unusable)?;
        // What follows is relative to it, and so it must end in a slash.
        let path = format!("{}/api/", api.path().trim_end_matches('/'));
        api.set_path(&path);
        let mut client = Client::builder().redirect(Policy::none()).no_proxy().timeout(TIMEOUT);
        if api.scheme() == "http" {
            // Without this, a machine without any certificate authority could not even use plain HTTP.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(unreachable)?;
        Ok(Self { client, api, vhost: vhost(amqp_url)? })
    }

    /// All that is asked of it.
    ///
    /// # Errors
    /// When it gives no answer, or none that can be used.
    pub async fn look(&self) -> Result<Found, ManagementError> {
        let (Overview { rabbitmq_version }, exchanges, queues, bindings, alarm, nodes, feature_flags) = tokio::try_join!(
            self.get(&["overview"], "rabbitmq_version"),
            self.list::<Vec<ExchangeDefinition>>(
                "exchanges",
                "name,type,durable,auto_delete,internal,arguments"
            ),
            self.list::<Vec<FoundQueue>>("queues", QUEUE_COLUMNS),
            self.list::<Vec<BindingDefinition>>(
                "bindings",
                "source,destination,destination_type,routing_key,arguments"
            ),
            self.alarm(),
            self.if_allowed(&["nodes"], "name,running,being_drained,partitions,applications"),
            self.if_allowed(&["feature-flags"], ""),
        )?;
        let of_queues = queues.iter().map(|queue| queue.definition.clone()).collect();
        Ok(Found {
            version: rabbitmq_version,
            definitions: Definitions { exchanges, queues: of_queues, bindings },
            queues,
            alarm,
            nodes,
            feature_flags,
        })
    }

    /// The virtual host's queues, each with these columns. What the broker counts it counts every few seconds.
    ///
    /// # Errors
    /// When it gives no answer, or none that can be used.
    pub async fn queues<T: DeserializeOwned>(&self, columns: &str) -> Result<T, ManagementError> {
        self.list("queues", columns).await
    }

    /// What is bound to an exchange. Of one that does not exist it says that nothing is.
    ///
    /// # Errors
    /// When it gives no answer, or none that can be used.
    pub async fn bindings_of<T: DeserializeOwned>(&self, exchange: &str) -> Result<T, ManagementError> {
        self.get(&["exchanges", &self.vhost, exchange, "bindings", "source"], "").await
    }

    /// The name of the connection that looks at a provider's parked messages; `None` if none does.
    ///
    /// # Errors
    /// When it gives no answer, or none that can be used.
    pub async fn looks_at_parked(&self, provider: ProviderId) -> Result<Option<String>, ManagementError> {
        #[derive(Deserialize)]
        struct OwningConnection {
            client_properties: ClientProperties,
        }
        #[derive(Deserialize)]
        struct ClientProperties {
            connection_name: Option<String>,
        }
        let lock = parked_lock(provider);
        let owned: Value = match self.get(&["queues", &self.vhost, &lock], "owner_pid_details.name").await {
            Err(ManagementError::Refused(StatusCode::NOT_FOUND)) => return Ok(None),
            answer => answer?,
        };
        let Some(name) = owned.pointer("/owner_pid_details/name").and_then(Value::as_str) else {
            return Ok(None);
        };
        let connection: OwningConnection = self.get(&["connections", name], "client_properties").await?;
        Ok(connection.client_properties.connection_name)
    }

    async fn list<T: DeserializeOwned>(&self, kind: &str, columns: &str) -> Result<T, ManagementError> {
        self.get(&[kind, &self.vhost], columns).await
    }

    /// A health check answers 503 when it fails.
    async fn alarm(&self) -> Result<Option<String>, ManagementError> {
        match self.get::<Value>(&["health", "checks", "alarms"], "").await {
            Ok(_) => Ok(None),
            Err(ManagementError::Refused(StatusCode::SERVICE_UNAVAILABLE)) => {
                Ok(Some("memory or disk is short, so it takes no messages".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// Of what not every user may see; which that is depends on the version.
    async fn if_allowed<T: DeserializeOwned>(
        &self,
        path: &[&str],
        columns: &str,
    ) -> Result<Option<T>, ManagementError> {
        match self.get(path, columns).await {
            Ok(answer) => Ok(Some(answer)),
            Err(ManagementError::Refused(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], columns: &str) -> Result<T, ManagementError> {
        let mut url = self.api.clone();
        // Unwrap safety: only a URL that cannot have a path refuses one, and this one has one.
        url.path_segments_mut().expect("has a path").pop_if_empty().extend(path);
        if !columns.is_empty() {
            url.query_pairs_mut().append_pair("columns", columns);
        }
        let response = self.client.get(url).send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(ManagementError::Refused(response.status()));
        }
        serde_json::from_slice(&read(response).await?).map_err(unusable)
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, ManagementError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(unusable(format_args!("it is larger than {LARGEST_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The virtual host that an AMQP URL names.
///
/// # Errors
/// When it is not an AMQP URL.
pub fn vhost(amqp_url: &str) -> Result<String, ManagementError> {
    let uri = uris(amqp_url).and_then(|uris| uris.into_iter().next());
    uri.map(|uri| uri.vhost).ok_or_else(|| unusable("not an AMQP URL"))
}

/// The innermost error says what happened; those around it only that a request failed, and to which URL.
#[allow(clippy::needless_pass_by_value)] // As `map_err` gives it.
fn unreachable(error: reqwest::Error) -> ManagementError {
    if error.is_timeout() {
        return ManagementError::Silent;
    }
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    ManagementError::Unreachable(innermost.to_string())
}

fn unusable(error: impl std::fmt::Display) -> ManagementError {
    ManagementError::Unusable(error.to_string())
}

fn hint(code: StatusCode) -> &'static str {
    match code {
        StatusCode::UNAUTHORIZED => {
            ": its user needs the tag \"management\" and a right in this virtual host"
        }
        StatusCode::NOT_FOUND => ": there is no such virtual host",
        _ => "",
    }
}
