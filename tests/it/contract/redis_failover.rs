//! A Redis that was demoted while we were connected to it.

use std::net::TcpListener as PortFinder;
use std::process::{Child, Command, Stdio};

use milepost::ports::Ledger as _;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::support::eventually;
use crate::support::fixtures::claim;
use crate::support::servers::{redis_ledger_at, redis_url};

/// A replica whose primary does not exist: it answers, and refuses every write.
struct Replica(Child, String);

impl Replica {
    async fn start() -> Self {
        let free = PortFinder::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let port = address.port().to_string();
        let options = ["--bind", "127.0.0.1", "--save", "", "--replicaof", "127.0.0.1 1", "--port", &port];
        let server = Command::new("redis-server").args(options).stdout(Stdio::null()).spawn();
        let replica = Self(server.expect("redis-server starts"), address.to_string());
        eventually("it listens", || async { TcpStream::connect(&replica.1).await.ok() }).await;
        replica
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A service's address: the first connection leads to the replica, every later one to the shared Redis.
async fn address_that_moves_on(replica: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let shared = redis_url().trim_start_matches("redis://").trim_end_matches('/').to_owned();
    tokio::spawn(async move {
        let mut target = replica;
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&target).await.expect("Redis listens");
            target.clone_from(&shared);
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    format!("redis://{address}/")
}

/// Invariant 5: the ledger resumes by itself. A demoted primary keeps its connections and answers PING.
#[tokio::test]
async fn a_ledger_leaves_a_primary_that_was_demoted() {
    let replica = Replica::start().await;
    let ledger = redis_ledger_at(&address_that_moves_on(replica.1.clone()).await);
    let refused = ledger.claim(&claim()).await.expect_err("a replica refuses writes");
    assert!(refused.0.contains("READONLY") || refused.0.contains("read only"), "{refused}");
    ledger.claim(&claim()).await.expect("the next connection leads to the new primary");
}
