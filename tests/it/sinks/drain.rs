//! How the sink ends, and what it leaves to the next.

use milepost::cli::fake::hubrise::faults::FaultKind;
use milepost::providers::TELYPORT;

use super::stand_in::{StandIn, parked, publish, quiet, ready, sink, update};
use crate::support::eventually;
use crate::support::servers::Vhost;

#[tokio::test]
async fn a_stopping_sink_finishes_its_request_and_leaves_the_rest() {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let mut first = ready(hubrise.connected(sink(&vhost), "shop", &TELYPORT)).await;
    hubrise.trouble(FaultKind::Slow(800), 1000);
    for number in 0..5 {
        publish(&vhost, &update(&format!("D{number}"), &format!("o{number}"), 1, "assigned")).await;
    }
    eventually("a request is under way", || async {
        (!hubrise.stub.state().requests.is_empty()).then_some(())
    })
    .await;
    first.signal("TERM");
    assert_eq!(first.exit().await, Some(0));
    hubrise.stub.state().faults.clear();
    let _second = ready(hubrise.connected(sink(&vhost), "shop", &TELYPORT)).await;
    for number in 0..5 {
        hubrise.shows(&format!("o{number}"), "pickup_enroute").await;
    }
    quiet(&vhost).await;
    assert_eq!(hubrise.stub.state().world.posts, 5);
    assert_eq!(parked(&vhost).await, 0);
}

#[tokio::test]
async fn a_sink_without_a_connection_does_not_start() {
    let vhost = Vhost::new().await;
    let (code, _, stderr) = sink(&vhost).output().await;
    assert_eq!(code, Some(1), "{stderr:?}");
    assert!(stderr.iter().any(|line| line.contains("sinks.hubrise.connections")), "{stderr:?}");
}
