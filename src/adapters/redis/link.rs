//! A connection as commands are sent on it: to one server, or to a Cluster.
//!
//! A Cluster's is a connection to each of its nodes, and follows its slots by itself. It has no limit of time of its own.

use std::time::Duration;

use deadpool_redis::cluster::ClusterConnection;
use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::cluster_routing::{
    MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo, SingleNodeRoutingInfo,
};
use deadpool_redis::redis::{
    Cmd, FromRedisValue as _, Pipeline, RedisError, RedisFuture, RedisResult, Value, cmd,
};
use tokio::time::timeout;

/// A connection. Cheap to clone; what is under way on one clone does not wait for another.
#[derive(Clone)]
pub enum RedisLink {
    Server(MultiplexedConnection),
    Cluster {
        connection: ClusterConnection,
        /// How long an answer may take, redirections and failovers included.
        limit: Duration,
    },
}

impl RedisLink {
    /// Whether commands that are sent together must be of one slot.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }

    /// Every node that takes writes, by its address; the one server has none.
    pub(super) async fn nodes(&mut self) -> RedisResult<Vec<Option<String>>> {
        let Self::Cluster { connection, limit } = self else { return Ok(vec![None]) };
        // Without a rule for putting the answers together there is one for each address.
        let everyone = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None::<ResponsePolicy>));
        let answers = within(*limit, connection.route_command(cmd("PING"), everyone)).await?;
        let Value::Map(answers) = answers else { return Ok(Vec::new()) };
        let address = |(address, _): (Value, Value)| String::from_redis_value(address).ok().map(Some);
        let mut nodes: Vec<_> = answers.into_iter().filter_map(address).collect();
        nodes.sort();
        Ok(nodes)
    }

    /// Asks one of [`Self::nodes`].
    pub(super) async fn ask(&mut self, node: Option<&str>, command: Cmd) -> RedisResult<Value> {
        let by_address = node.and_then(|node| {
            let (host, port) = node.rsplit_once(':')?;
            Some(SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? })
        });
        match (self, by_address) {
            (Self::Cluster { connection, limit }, Some(node)) => {
                within(*limit, connection.route_command(command, RoutingInfo::SingleNode(node))).await
            }
            (link, _) => link.req_packed_command(&command).await,
        }
        .and_then(Value::extract_error)
    }

    /// Sends commands whose keys may be anywhere, all at once: a server gets one request, a Cluster a request for each.
    pub(super) async fn ask_all(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        if self.is_cluster() {
            let each = commands.cmd_iter().map(|command| {
                let mut link = self.clone();
                async move { link.req_packed_command(command).await }
            });
            futures_util::future::try_join_all(each).await
        } else {
            self.req_packed_commands(commands, 0, commands.len()).await
        }
    }
}

async fn within<T>(limit: Duration, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(limit, answer).await.unwrap_or_else(|_| {
        Err(RedisError::from(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "a node of the Cluster did not answer in time, or a shard has no primary",
        )))
    })
}

impl ConnectionLike for RedisLink {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
            Self::Cluster { connection, limit } => {
                Box::pin(within(*limit, connection.req_packed_command(command)))
            }
        }
    }

    /// Of a Cluster, the commands must be of one slot.
    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster { connection, limit } => {
                Box::pin(within(*limit, connection.req_packed_commands(commands, offset, count)))
            }
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster { connection, .. } => connection.get_db(),
        }
    }
}
