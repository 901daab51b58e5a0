//! A failover to a replica that lacks the last writes: what was done is not known any more, and is published once more if
//! its provider sends it again. docs/subscribe.md says what a subscriber may rely on then: this is its test.

use std::collections::{BTreeMap, BTreeSet};

use lapin::types::FieldTable;
use serde_json::Value;
use tokio::task::block_in_place;

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::fleet::{Real, Subscriber, drained, run, telyport, telyport_body};
use crate::support::redis_group::{Loss, RedisGroup};
use crate::support::servers::Vhost;

const DELIVERIES: usize = 30;
const STEPS: [&str; 3] = ["NEW", "STARTED", "PICKUPREACHED"];
/// What may differ between an event and its repeat.
const MAY_DIFFER: [&str; 6] =
    ["changes", "order", "previous_status", "received_at", "receipt_id", "sequence"];

async fn tell_all(real: &Real) {
    for step in STEPS {
        for delivery in 0..DELIVERIES {
            real.publish(envelope(TELYPORT, telyport_body(&format!("lost-{delivery}"), step, step))).await;
        }
        drained(real).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_lost_is_repeated_with_the_same_id_and_never_lost() {
    let (group, vhost) = (block_in_place(|| RedisGroup::sentinel("loss")), Vhost::new().await);
    let real = Real::at(&vhost.amqp_url, &group.url).await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "test.subscriber", FieldTable::default()).await;
    let worker = run(telyport(&real.backends));
    real.backends.ledger.ping().await.expect("Redis answers");

    // Replicas that have nothing from here on. Sentinels put that right only after 8 s.
    for replica in ["r2", "r3"] {
        let done: Option<String> = group.ask(replica, &["REPLICAOF", "127.0.0.1", "1"]).await;
        assert_eq!(done.as_deref(), Some("OK"));
    }
    let events = DELIVERIES * STEPS.len();
    tell_all(&real).await;
    subscriber.take_until(|seen| seen.order.len() >= events).await;
    assert_eq!((subscriber.events.len(), subscriber.order.len()), (events, events));
    block_in_place(|| group.lose("r1", Loss::Killed));
    eventually("the ledger takes writes again", || async { real.backends.ledger.ping().await.ok() }).await;

    // The provider sends everything again, each with a new receipt.
    tell_all(&real).await;
    subscriber.take_until(|seen| seen.order.len() >= 2 * events).await;
    worker.stop().await;
    assert_eq!(subscriber.unread().await, 0, "no event comes a third time");
    assert_eq!(subscriber.events.len(), events, "no event has another id");

    let mut differing = BTreeSet::new();
    for (id, bodies) in &subscriber.events {
        let [first, repeat] = &bodies[..] else { panic!("{id}: {} times", bodies.len()) };
        let [mut first, mut repeat] =
            [first, repeat].map(|body| serde_json::from_slice::<Value>(body).expect("JSON"));
        let sequence = |event: &Value| event["data"]["sequence"].as_u64().expect("a number");
        assert!(sequence(&repeat) > sequence(&first), "{id}: sequence numbers only grow");
        differing.extend(take_differing(&mut first, &mut repeat));
        assert_eq!(first, repeat, "{id}");
    }
    assert!(differing.iter().all(|field| MAY_DIFFER.contains(&field.as_str())), "{differing:?}");
    // That nothing differs would be another promise.
    assert!(["received_at", "receipt_id", "sequence"].iter().all(|field| differing.contains(*field)));

    // A subscriber that drops known ids, and otherwise goes by the sequence, has each delivery's last status.
    let (mut known, mut state) = (BTreeSet::new(), BTreeMap::new());
    let mut seen = BTreeMap::<_, usize>::new();
    for id in &subscriber.order {
        let nth = seen.entry(id).or_default();
        let event: Value = serde_json::from_slice(&subscriber.events[id][*nth]).expect("JSON");
        *nth += 1;
        let data = &event["data"];
        let delivery = data["delivery_id"].as_str().expect("text").to_owned();
        let sequence = data["sequence"].as_u64();
        let newer = |(last, _): &(Option<u64>, Value)| sequence > *last;
        if known.insert(id) && data["order"] != "late" && state.get(&delivery).is_none_or(newer) {
            state.insert(delivery, (sequence, data["raw_status"].clone()));
        }
    }
    assert_eq!(state.len(), DELIVERIES);
    assert!(state.values().all(|(_, status)| status == "PICKUPREACHED"), "{state:?}");
}

/// The names of what differs in `data`, which is taken out of both.
fn take_differing(one: &mut Value, other: &mut Value) -> Vec<String> {
    let (Value::Object(one), Value::Object(other)) = (&mut one["data"], &mut other["data"]) else {
        panic!("no data")
    };
    let names: BTreeSet<_> = one.keys().chain(other.keys()).cloned().collect();
    let differs = |name: &String| one.get(name) != other.get(name);
    let differing: Vec<_> = names.into_iter().filter(differs).collect();
    for name in &differing {
        one.remove(name);
        other.remove(name);
    }
    differing
}
