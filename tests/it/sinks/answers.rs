//! What HubRise may answer, and what becomes of the updates then.

use std::collections::BTreeMap;
use std::fs;

use milepost::cli::fake::hubrise::faults::{Fault, FaultKind, FieldName};
use milepost::cli::fake::hubrise::{Args, SAMPLE_TOKEN};
use milepost::providers::{DASH, TELYPORT};

use super::stand_in::{StandIn, connection, parked, publish, quiet, ready, sink, update, variable};
use crate::support::eventually;
use crate::support::process::Program;
use crate::support::servers::Vhost;

/// Every answer that says nothing useful, each to a delivery's every kind of request: in the end HubRise shows its last
/// state, and no attempt was spent that would have parked it.
#[tokio::test]
async fn odd_answers_and_outages_cost_time_and_nothing_else() {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let _sink = ready(hubrise.connected(sink(&vhost), "shop", &TELYPORT)).await;
    let troubles = [
        FaultKind::Error,
        FaultKind::ErrorAfterEffect,
        FaultKind::Silence,
        FaultKind::SilenceAfterEffect,
        FaultKind::TooMany(Some(1)),
        FaultKind::Page(200),
        FaultKind::Page(502),
        FaultKind::Huge(3_000_000),
        FaultKind::WrongTypes,
        FaultKind::Redirect,
        FaultKind::Slow(300),
    ];
    for (number, trouble) in troubles.into_iter().enumerate() {
        let order = format!("o{number}");
        hubrise.trouble(trouble, 2);
        publish(&vhost, &update(&format!("D{number}"), &order, 1, "created")).await;
        publish(&vhost, &update(&format!("D{number}"), &order, 2, "delivered")).await;
        hubrise.shows(&order, "delivered").await;
        assert_eq!(hubrise.stub.state().faults.next("GET", ""), None, "{trouble:?} met no request");
    }
    quiet(&vhost).await;
    assert_eq!(parked(&vhost).await, 0);
    let posts = hubrise.writes().into_iter().filter(|(method, _, _)| method == "POST");
    let effects = hubrise.stub.state().world.posts;
    assert_eq!(effects, 11, "one delivery an order");
    // Those whose answer was lost are no writes that were answered with 200.
    assert!(posts.count() <= 11);
}

/// What is wrong with an update is the operator's to see, in HubRise's own words, and holds nothing else up.
#[tokio::test]
async fn a_refused_update_is_parked_with_hubrises_own_words() {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let _sink = ready(hubrise.connected(sink(&vhost), "shop", &TELYPORT)).await;
    let fault = Fault {
        trouble: FaultKind::Refused(FieldName::Status),
        method: Some("POST".to_owned()),
        path_ends: None,
        times: 10,
    };
    hubrise.stub.state().faults.add([fault]);
    publish(&vhost, &update("D1", "o1", 1, "assigned")).await;
    eventually("it is parked", || async { (parked(&vhost).await == 1).then_some(()) }).await;
    let program = Program::milepost("parked list --provider sink-hubrise --json")
        .env("MILEPOST_AMQP_URL", &vhost.amqp_url);
    let (code, said, stderr) = program.output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    let said = said.join("\n");
    assert!(said.contains("sink_refused") && said.contains("is invalid"), "{said}");
    hubrise.stub.state().faults.clear();
    publish(&vhost, &update("D2", "o2", 1, "assigned")).await;
    hubrise.shows("o2", "pickup_enroute").await;
}

/// A token that is refused pauses its own connection alone; the right one, put in its file, is used without a restart.
#[tokio::test]
async fn a_wrong_token_pauses_one_connection_until_its_file_has_the_right_one() {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let folder = std::env::temp_dir().join(format!("milepost-hubrise-token-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("token");
    fs::write(&file, "not-the-right-one").expect("written");
    let program = hubrise.connected(sink(&vhost), "one", &TELYPORT);
    // A file in the place of the token.
    let program = program
        .without(&variable("one", "TOKEN"))
        .env(&variable("one", "TOKEN_FILE"), file.to_str().expect("text"));
    let program = hubrise.connected(program, "two", &DASH);
    let sink = ready(program).await;
    publish(&vhost, &update("D1", "o1", 1, "assigned")).await;
    let one = connection("one");
    let paused = format!("milepost_hubrise_paused{{connection=\"{one}\",reason=\"unauthorized\"}}");
    sink.measures(&format!("{paused} 1")).await;
    let mut dash = update("D2", "o2", 1, "assigned");
    dash["data"]["provider"] = "dash".into();
    publish(&vhost, &dash).await;
    hubrise.shows("o2", "pickup_enroute").await;
    assert_eq!(hubrise.delivery("o1"), None);

    fs::write(&file, SAMPLE_TOKEN).expect("written");
    hubrise.shows("o1", "pickup_enroute").await;
    sink.measures(&format!("{paused} 0")).await;
    assert_eq!(parked(&vhost).await, 0);
    let secrets = ["not-the-right-one", SAMPLE_TOKEN];
    let told = sink.stderr.all();
    assert!(told.iter().all(|line| secrets.iter().all(|secret| !line.contains(secret))));
    fs::remove_dir_all(&folder).expect("removed");
}

/// HubRise's limits hold for all replicas together, which count in Redis.
#[tokio::test]
async fn two_replicas_keep_the_limits_together() {
    const MOST: usize = 12;
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let program = hubrise.connected(sink(&vhost), "shop", &TELYPORT);
        replicas.push(ready(program.env(&variable("shop", "PER_MINUTE"), &MOST.to_string())).await);
    }
    for number in 0..20 {
        publish(&vhost, &update(&format!("D{number}"), &format!("o{number}"), 1, "assigned")).await;
    }
    for replica in &replicas {
        eventually("updates wait for the limit", || async {
            let waits = replica.metric("milepost_sink_deferrals_total", &["reason=\"limited\""]).await;
            (waits > 0.0).then_some(())
        })
        .await;
    }
    let mut minutes: BTreeMap<i64, usize> = BTreeMap::new();
    for request in &hubrise.stub.state().requests {
        *minutes.entry(request.at_ms / 60_000).or_default() += 1;
    }
    assert!(!minutes.is_empty() && minutes.values().all(|requests| *requests <= MOST), "{minutes:?}");
}

/// HubRise's own limits are obeyed: an update that waits for one arrives later, and spends no attempt.
#[tokio::test]
async fn updates_that_hubrise_has_no_room_for_wait_and_arrive() {
    let args = Args { per_minute: 20, per_hour: 10_000, per_day: 10_000, faster: 20, ..Args::sample() };
    let (vhost, hubrise) = (Vhost::new().await, StandIn::with(args).await);
    let mut replicas = Vec::new();
    for _ in 0..2 {
        replicas.push(ready(hubrise.connected(sink(&vhost), "shop", &TELYPORT)).await);
    }
    for number in 0..15 {
        for (sequence, status) in [(1, "created"), (2, "assigned"), (3, "delivered")] {
            let (delivery, order) = (format!("D{number}"), format!("o{number}"));
            publish(&vhost, &update(&delivery, &order, sequence, status)).await;
        }
    }
    for number in 0..15 {
        hubrise.shows(&format!("o{number}"), "delivered").await;
    }
    quiet(&vhost).await;
    let refused = hubrise.stub.state().requests.iter().filter(|request| request.code == 429).count();
    assert!(refused > 0, "the limit was never met");
    assert_eq!(hubrise.stub.state().world.posts, 15);
    assert_eq!(parked(&vhost).await, 0);
}
