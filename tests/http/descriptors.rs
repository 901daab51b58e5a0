//! The accept loop survives a process without file descriptors.

use std::process::Command;

use tokio::net::TcpSocket;
use tokio::task::yield_now;

use crate::support::{Client, Setup, log, signed, start, within};

/// The limit counts for a whole process, so the scene plays in one of its own: this test binary again.
#[test]
fn running_out_of_file_descriptors_does_not_end_the_accept_loop() {
    let binary = std::env::current_exe().unwrap();
    let scene = "exec \"$0\" --exact descriptors::scene --ignored";
    let status = Command::new("sh").args(["-c", &format!("ulimit -n 64 && {scene}")]).arg(binary).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
#[ignore = "started by the test above, under a limit on descriptors"]
async fn scene() {
    let (server, _publisher) = start(Setup { provider: "starved", ..Setup::default() }).await;
    let (log, _guard) = log();
    let mut spare = Vec::new();
    let error = loop {
        match TcpSocket::new_v4() {
            Ok(socket) => spare.push(socket),
            Err(error) => break error,
        }
        assert!(spare.len() < 64, "the limit on descriptors is not in force");
    };
    // 24: EMFILE, Linux's "too many open files".
    assert_eq!(error.raw_os_error(), Some(24));
    let mut client = Client(within(spare.pop().unwrap().connect(server.address)).await.unwrap());
    client.send(signed("/webhooks/starved", "", b"{}")).await;
    within(async {
        while !log.take().contains("cannot accept a connection") {
            yield_now().await;
        }
    })
    .await;
    drop(spare);
    assert_eq!(client.reply().await.code, 200);
}
