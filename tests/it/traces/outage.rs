//! A collector that does not answer.

use tokio::net::TcpListener;

use super::fleet;
use crate::support::eventually;
use crate::support::fixtures::account;
use crate::support::process::{Process, Program, SECRET};
use crate::support::servers::Vhost;

const WEBHOOKS: u32 = 1_200;

async fn spans(process: &Process, result: &str) -> f64 {
    process.metric("milepost_trace_spans_total", &[&format!(r#"result="{result}""#)]).await
}

/// The collector accepts connections and never answers. More webhooks pass than the queue of spans holds.
#[tokio::test]
async fn a_collector_that_hangs_costs_spans_which_are_counted_and_no_webhook() {
    let hangs = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", hangs.local_addr().expect("bound"));
    let vhost = Vhost::new().await;
    let (mut receiver, worker) = fleet(&vhost, &endpoint, "1.0").await;
    let to = receiver.webhooks().await;
    let send =
        format!("send telyport --count {WEBHOOKS} --rate 1000 --to http://{to} --account {}", account());
    let (code, _, stderr) = Program::milepost(&send).env("MILEPOST_SEND_SECRET", SECRET).output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    eventually("all are published", || async {
        let published = worker.metric("milepost_messages_settled_total", &[r#"outcome="published""#]).await;
        (published == f64::from(WEBHOOKS)).then_some(())
    })
    .await;
    assert!(spans(&receiver, "dropped").await > 0.0, "there is room for 2048 of 2400");
    assert_eq!(spans(&receiver, "exported").await, 0.0);
    eventually("an export fails", || async { (spans(&receiver, "failed").await > 0.0).then_some(()) }).await;
    receiver.signal("TERM");
    assert_eq!(receiver.exit().await, Some(0));
    let lines = receiver.stderr.all();
    let said = lines.iter().filter(|line| line.contains("the collector does not take spans")).count();
    assert_eq!(said, 1, "once, however often it fails");
    let library: Vec<_> = lines.iter().filter(|line| line.contains("opentelemetry")).collect();
    assert!(library.len() <= 1, "the library says only that it could not end in time: {library:?}");
}
