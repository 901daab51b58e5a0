//! The doctor's rules, each on facts recorded from a sound broker with one thing changed.

mod cluster;
mod policies;
mod spool;

use std::time::Duration;

use milepost::adapters::rabbit::compare::{Compared, ObjectKind, ObjectState, compare};
use milepost::adapters::rabbit::definitions::Definitions;
use milepost::adapters::rabbit::management::{FeatureFlag, Found, FoundNode, FoundQueue};
use milepost::adapters::rabbit::topology::{Topology, TopologySettings};
use milepost::adapters::redis::{NodeFacts, RedisFacts};
use milepost::app::doctor::{Broker, Facts, Finding, Level, ManagementFacts, Memory, NoBroker, diagnose};
use milepost::domain::provider::ProviderId;
use serde_json::{Value, json};

const TELYPORT: ProviderId = ProviderId::new("telyport");

fn topology() -> Topology {
    let settings = TopologySettings {
        updates_max_age: "7D".parse().expect("an age"),
        updates_max_bytes: 1 << 32,
        updates_segment_bytes: 1 << 22,
        parked_max_bytes: 1 << 28,
        delay_unit: Duration::from_secs(1),
    };
    Topology::new(&settings, &[TELYPORT])
}

/// As RabbitMQ 3.10's management API says it.
fn queue(name: &str, kind: &str, arguments: Value, policy: Value) -> FoundQueue {
    serde_json::from_value(json!({
        "name": name, "type": kind, "durable": true, "auto_delete": false, "arguments": arguments,
        "policy": "theirs", "operator_policy": null, "effective_policy_definition": policy,
        "leader": "rabbit@one", "members": ["rabbit@one"], "online": ["rabbit@one"],
    }))
    .expect("a queue")
}

fn found() -> Found {
    let definitions = Definitions::from(&topology());
    let of = |name: &str, arguments| queue(name, "quorum", Value::Object(arguments), json!({}));
    let queues = definitions.queues.iter().map(|queue| of(&queue.name, queue.arguments.clone())).collect();
    Found {
        version: "3.10.8".to_owned(),
        definitions,
        queues,
        alarm: None,
        nodes: Some(vec![node("rabbit@one", &json!({}))]),
        feature_flags: Some(vec![flag("stream_queue", "enabled", "stable")]),
    }
}

/// A node that is well, but for what is said here.
fn node(name: &str, but: &Value) -> FoundNode {
    let mut node = json!({
        "name": name, "running": true, "being_drained": false, "partitions": [],
        "applications": [{ "name": "mnesia", "version": "4.21" }, { "name": "rabbit", "version": "3.10.8" }],
    });
    for (key, value) in but.as_object().expect("an object") {
        node[key] = value.clone();
    }
    serde_json::from_value(node).expect("a node")
}

fn flag(name: &str, state: &str, stability: &str) -> FeatureFlag {
    FeatureFlag { name: name.to_owned(), state: state.to_owned(), stability: stability.to_owned() }
}

fn broker(found: Found) -> Broker {
    Broker {
        hosts: Vec::new(),
        things: compare(&Definitions::from(&topology()), &found.definitions),
        unrouted: Some(0),
        management: ManagementFacts::Found(found),
    }
}

fn redis() -> RedisFacts {
    RedisFacts { nodes: vec![redis_node()], refusals: vec![] }
}

fn redis_node() -> NodeFacts {
    let text = |text: &str| Some(text.to_owned());
    NodeFacts {
        address: None,
        version: text("7.0.15"),
        valkey: None,
        role: text("master"),
        replicas: Some(0),
        policy: text("noeviction"),
        append_only: Some(true),
        snapshots: text(""),
        used_bytes: Some(100 << 20),
        max_bytes: Some(0),
    }
}

fn facts(broker: Broker, redis: RedisFacts) -> Facts {
    let memory = Memory {
        provider: TELYPORT,
        resend_horizon: Duration::from_secs(90),
        dedup_ttl: Duration::from_secs(180),
    };
    Facts { broker: Ok(broker), redis: Some(Ok(redis)), memories: vec![memory], spool: None }
}

fn on_broker(change: impl FnOnce(&mut Found)) -> Vec<Finding> {
    let mut found = found();
    change(&mut found);
    diagnose(&facts(broker(found), redis()))
}

fn on_redis(change: impl FnOnce(&mut RedisFacts)) -> Vec<Finding> {
    let mut redis = redis();
    change(&mut redis);
    diagnose(&facts(broker(found()), redis))
}

/// The checks and subjects of what is worse than skipped, and its level.
fn wrong(findings: &[Finding]) -> Vec<(Level, &str, &str)> {
    let bad = |finding: &&Finding| matches!(finding.level, Level::Warn | Level::Fail);
    findings.iter().filter(bad).map(|finding| (finding.level, finding.check, &*finding.subject)).collect()
}

fn of<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.check == check).expect(check)
}

#[test]
fn nothing_is_wrong_with_sound_servers_and_each_remedy_is_said() {
    let findings = on_broker(|_| {});
    assert_eq!(wrong(&findings), []);
    for finding in findings {
        assert_eq!(finding.remedy.is_none(), finding.level == Level::Ok, "{finding:?}");
    }
}

#[test]
fn an_old_broker_fails() {
    for (version, fails) in [
        ("3.9.29", true),
        ("3.10.0", false),
        ("3.13.7", false),
        ("4.1.0-rc.1", false),
        ("4.0.2+2.gabcdef", false),
        ("unknown", true),
    ] {
        let findings = on_broker(|found| found.version = version.to_owned());
        assert_eq!(of(&findings, "rabbitmq_version").level == Level::Fail, fails, "{version}");
    }
}

#[test]
fn a_disabled_stream_queue_fails_and_a_stream_shows_that_it_is_enabled() {
    let findings =
        on_broker(|found| found.feature_flags = Some(vec![flag("stream_queue", "disabled", "experimental")]));
    assert_eq!(wrong(&findings), [(Level::Fail, "stream_queue", "feature flag stream_queue")]);
    let findings = on_broker(|found| found.feature_flags = None);
    assert_eq!(of(&findings, "stream_queue").level, Level::Ok);
    let findings = on_broker(|found| {
        found.feature_flags = None;
        found.definitions.queues.retain(|queue| queue.name != "milepost.updates.log");
    });
    assert_eq!(of(&findings, "stream_queue").level, Level::Skipped);
}

#[test]
fn an_exchange_without_its_alternate_differs_and_placement_does_not() {
    let findings = on_broker(|found| {
        for exchange in &mut found.definitions.exchanges {
            if exchange.name == "milepost.webhooks" {
                exchange.arguments.clear();
            }
        }
        for queue in &mut found.definitions.queues {
            queue.arguments.insert("x-quorum-initial-group-size".to_owned(), json!(3));
        }
    });
    assert_eq!(wrong(&findings), [(Level::Fail, "exchanges", "exchange milepost.webhooks")]);
    assert_eq!(of(&findings, "exchanges").says, "alternate-exchange is unset, not milepost.unrouted");
}

#[test]
fn an_argument_too_many_differs() {
    let findings = on_broker(|found| {
        found.definitions.queues[0].arguments.insert("x-expires".to_owned(), json!(1000));
    });
    assert_eq!(wrong(&findings), [(Level::Fail, "queues", "queue milepost.unrouted")]);
    assert_eq!(of(&findings, "queues").says, "x-expires is 1000, not unset");
}

#[test]
fn a_receiver_is_not_judged_by_subscribers_or_redis() {
    let facts = Facts {
        broker: Ok(Broker {
            hosts: Vec::new(),
            things: vec![Compared {
                kind: ObjectKind::Queue,
                name: "milepost.webhooks.telyport".to_owned(),
                state: ObjectState::There,
            }],
            unrouted: None,
            management: ManagementFacts::NotConfigured,
        }),
        redis: None,
        memories: Vec::new(),
        spool: None,
    };
    let findings = diagnose(&facts);
    assert!(
        findings.iter().all(|finding| finding.check != "subscribers" && !finding.check.contains("redis"))
    );
}

#[test]
fn alarms_unrouted_messages_and_outages() {
    let findings = on_broker(|found| found.alarm = Some("memory is short".to_owned()));
    assert_eq!(wrong(&findings), [(Level::Fail, "alarms", "alarms")]);
    let mut caught = broker(found());
    caught.unrouted = Some(3);
    let findings = diagnose(&facts(caught, redis()));
    assert_eq!(wrong(&findings), [(Level::Warn, "unrouted", "milepost.unrouted")]);
    let no_broker = NoBroker { says: "refused".to_owned(), remedy: "look" };
    let down = Facts {
        broker: Err(no_broker),
        redis: Some(Err("refused".to_owned())),
        memories: vec![],
        spool: None,
    };
    assert_eq!(
        wrong(&diagnose(&down)),
        [(Level::Fail, "rabbitmq", "rabbitmq"), (Level::Fail, "redis", "redis")]
    );
}

#[test]
fn a_redis_that_forgets_or_cannot_write_fails() {
    let text = |text: &str| Some(text.to_owned());
    for (check, level, node) in [
        ("redis_version", Level::Fail, NodeFacts { version: text("6.2.14"), ..redis_node() }),
        ("redis_version", Level::Skipped, NodeFacts { version: None, ..redis_node() }),
        ("redis_memory", Level::Fail, NodeFacts { max_bytes: Some(100 << 20), ..redis_node() }),
        ("redis_memory", Level::Warn, NodeFacts { max_bytes: Some(124 << 20), ..redis_node() }),
        ("redis_memory", Level::Ok, NodeFacts { max_bytes: Some(126 << 20), ..redis_node() }),
        ("redis_memory", Level::Skipped, NodeFacts { used_bytes: None, ..redis_node() }),
        ("redis_role", Level::Fail, NodeFacts { role: text("slave"), ..redis_node() }),
        ("redis_maxmemory_policy", Level::Fail, NodeFacts { policy: text("volatile-ttl"), ..redis_node() }),
        ("redis_persistence", Level::Warn, NodeFacts { append_only: Some(false), ..redis_node() }),
        (
            "redis_persistence",
            Level::Warn,
            NodeFacts { append_only: Some(false), snapshots: text("3600 1"), ..redis_node() },
        ),
        (
            "redis_persistence",
            Level::Skipped,
            NodeFacts { append_only: None, snapshots: None, ..redis_node() },
        ),
    ] {
        let findings = on_redis(|facts| facts.nodes = vec![node.clone()]);
        assert_eq!(of(&findings, check).level, level, "{node:?}");
        assert!(wrong(&findings).len() <= 1, "{node:?}");
    }
}

#[test]
fn a_redis_that_refuses_writes_fails_by_its_word() {
    for (word, remedy) in [
        ("NOREPLICAS: Not enough good replicas to write.", "min-replicas-to-write"),
        ("OOM: command not allowed", "maxmemory"),
        ("slots 0 to 5460: CLUSTERDOWN: The cluster is down", "CLUSTER INFO"),
    ] {
        let findings = on_redis(|facts| facts.refusals = vec![word.to_owned()]);
        assert_eq!(wrong(&findings), [(Level::Fail, "redis_writes", "redis writes")]);
        let finding = of(&findings, "redis_writes");
        assert!(finding.says.contains(word), "{finding:?}");
        assert!(finding.remedy.as_ref().is_some_and(|said| said.contains(remedy)), "{finding:?}");
    }
    assert_eq!(of(&on_redis(|_| {}), "redis_writes").level, Level::Ok);
}

/// A primary without a replica is a warning.
#[test]
fn each_primary_of_a_cluster_is_checked() {
    let address = |port: u16| Some(format!("10.0.0.1:{port}"));
    let findings = on_redis(|facts| {
        let forgets = Some("allkeys-lru".to_owned());
        facts.nodes = vec![
            NodeFacts { address: address(1), replicas: Some(1), ..redis_node() },
            NodeFacts { address: address(2), replicas: Some(0), ..redis_node() },
            NodeFacts { address: address(3), replicas: Some(2), policy: forgets, ..redis_node() },
        ];
    });
    assert_eq!(of(&findings, "redis").says, "answers: a Cluster of 3 primaries");
    assert_eq!(
        wrong(&findings),
        [
            (Level::Warn, "redis_replicas", "redis 10.0.0.1:2 replicas"),
            (Level::Fail, "redis_maxmemory_policy", "redis 10.0.0.1:3 maxmemory-policy"),
        ]
    );
}

#[test]
fn valkey_is_called_by_its_name() {
    let valkey =
        NodeFacts { version: Some("7.2.4".to_owned()), valkey: Some("8.1.1".to_owned()), ..redis_node() };
    let findings = on_redis(|facts| facts.nodes = vec![valkey]);
    assert_eq!(of(&findings, "redis_version").says, "Valkey 8.1.1, like Redis 7.2.4");
}

#[test]
fn a_memory_is_said_in_units_that_divide_it() {
    assert_eq!(
        of(&on_broker(|_| {}), "dedup_ttl").says,
        "sends again for 90 s; a delivery's events are remembered for 3 min"
    );
}
