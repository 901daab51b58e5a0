//! Calls that are made at once go to Redis as one request; none may notice.

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use milepost::domain::claim::{Claim, ClaimRequest, Mark};
use milepost::ports::Ledger as _;

use super::redis_values::{ask, granted};
use crate::support::fixtures::{claim, redelivery};
use crate::support::servers::{redis_ledger, redis_ledger_at};

const MANY: usize = 100;

fn many() -> Vec<ClaimRequest> {
    (0..MANY).map(|_| claim()).collect()
}

#[tokio::test]
async fn calls_made_at_once_each_get_their_own_answer() {
    let ledger = redis_ledger();
    let requests = many();
    for done in requests.iter().step_by(3) {
        let grant = granted(ledger.claim(done).await.unwrap());
        assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    }
    let again: Vec<_> = requests.iter().map(redelivery).collect();
    let answers = join_all(again.iter().map(|request| ledger.claim(request))).await;
    for (index, (request, answer)) in again.iter().zip(answers).enumerate() {
        match answer.unwrap() {
            Claim::Done => assert_eq!(index % 3, 0),
            Claim::Granted(grant) => {
                assert_eq!(grant.event.receipt, request.copy.receipt);
                assert_eq!(grant.event.token, request.copy.token);
            }
            other => panic!("{index}: {other:?}"),
        }
    }
}

/// A key that somebody else wrote is that event's trouble, and no other's.
#[tokio::test]
async fn a_call_that_redis_refuses_fails_none_of_those_beside_it() {
    let ledger = redis_ledger();
    let requests = many();
    let spoiled = &requests[MANY / 2].delivery;
    let spoiled = format!("mp:{{telyport:{}:{}}}", spoiled.account, spoiled.delivery_id);
    let () = ask(&["SET", &spoiled, "no hash"]).await;
    let answers = join_all(requests.iter().map(|request| ledger.claim(request))).await;
    let refused: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer.is_err()).collect();
    assert!(matches!(refused.as_slice(), [(at, _)] if *at == MANY / 2), "{refused:?}");
    let _: u32 = ask(&["DEL", &spoiled]).await;
}

#[tokio::test]
async fn calls_of_a_script_that_redis_forgot_are_all_answered() {
    let ledger = redis_ledger();
    let _: String = ask(&["SCRIPT", "FLUSH"]).await;
    let requests = many();
    for answer in join_all(requests.iter().map(|request| ledger.claim(request))).await {
        granted(answer.unwrap());
    }
}

#[tokio::test]
async fn a_caller_that_does_not_wait_takes_nothing_from_those_beside_it() {
    let ledger = redis_ledger();
    // The one that would have all of them sent.
    assert!(ledger.claim(&claim()).now_or_never().is_none());
    for answer in join_all(many().iter().map(|request| ledger.claim(request))).await {
        granted(answer.unwrap());
    }
}

/// Alerts tell a Redis that cannot be reached from one that refuses by whether there are round trips.
#[tokio::test]
async fn only_a_call_that_was_sent_counts_as_a_round_trip() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _measured = metrics::set_default_local_recorder(&recorder);
    let nowhere = redis_ledger_at("redis://127.0.0.1:1/");
    assert!(nowhere.claim(&claim()).await.is_err());
    assert!(!metrics.render().contains("milepost_redis_op_duration_seconds_count"), "{}", metrics.render());
    granted(redis_ledger().claim(&claim()).await.unwrap());
    let line = "milepost_redis_op_duration_seconds_count{op=\"claim\"} 1";
    assert!(metrics.render().lines().any(|said| said == line), "{}", metrics.render());
}
