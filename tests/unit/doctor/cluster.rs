//! The cluster's nodes, the places of the URL, the queues' members and leaders, versions, feature flags, and the stream's
//! segments.

use milepost::app::doctor::{Finding, HostFacts, Level, ManagementFacts, NoBroker, diagnose};
use serde_json::{Value, json};

use super::{broker, facts, flag, found, node, of, on_broker, redis, wrong};

const NODES: [&str; 3] = ["rabbit@one", "rabbit@two", "rabbit@three"];
const QUEUE: &str = "milepost.webhooks.telyport";

/// Of a sound cluster of three, of which the third node is like this.
fn with_third(but: &Value) -> Vec<Finding> {
    on_broker(|found| {
        found.nodes = Some(vec![node(NODES[0], &json!({})), node(NODES[1], &json!({})), node(NODES[2], but)]);
        for (number, queue) in found.queues.iter_mut().enumerate() {
            queue.members = NODES.map(str::to_owned).to_vec();
            queue.online.clone_from(&queue.members);
            queue.leader = Some(NODES[number % 3].to_owned());
        }
    })
}

/// Of a sound cluster of three, with one queue that has so many members, of which so many are online.
fn with_members(members: usize, online: usize) -> Vec<Finding> {
    on_broker(|found| {
        found.nodes = Some(NODES.map(|name| node(name, &json!({}))).to_vec());
        for (number, queue) in found.queues.iter_mut().enumerate() {
            let (members, online) = if queue.definition.name == QUEUE { (members, online) } else { (3, 3) };
            queue.members = NODES[..members].iter().map(|&name| name.to_owned()).collect();
            queue.online = NODES[..online].iter().map(|&name| name.to_owned()).collect();
            queue.leader = Some(NODES[number % 3].to_owned());
        }
    })
}

#[test]
fn three_nodes_are_sound() {
    let findings = with_third(&json!({}));
    assert_eq!(wrong(&findings), []);
    assert_eq!(of(&findings, "nodes").says, "3 running, none parted from the others or in maintenance");
    assert_eq!(of(&findings, "members").says, "16 queues with 3 each, all online");
    let look = of(&findings, "partition_handling");
    assert!(look.level == Level::Skipped && look.says.contains("must be pause_minority"), "{look:?}");
}

#[test]
fn one_node_has_no_partitions_and_khepri_does_not_ask() {
    let has_it = |findings: &[Finding]| findings.iter().any(|finding| finding.check == "partition_handling");
    assert!(!has_it(&on_broker(|_| {})));
    let findings = on_broker(|found| {
        found.nodes = Some(NODES.map(|name| node(name, &json!({}))).to_vec());
        found.feature_flags.as_mut().expect("flags").push(flag("khepri_db", "enabled", "stable"));
    });
    assert!(!has_it(&findings));
}

#[test]
fn each_trouble_of_a_node_is_reported() {
    for (but, level, says) in [
        (json!({ "running": false, "applications": [] }), Level::Fail, "is down"),
        (json!({ "partitions": ["rabbit@one"] }), Level::Fail, "was parted from rabbit@one"),
        (json!({ "being_drained": true }), Level::Warn, "is in maintenance"),
    ] {
        let findings = with_third(&but);
        assert_eq!(wrong(&findings), [(level, "nodes", "node rabbit@three")], "{but}");
        assert!(of(&findings, "nodes").says.starts_with(says), "{findings:?}");
    }
    let other = json!({ "applications": [{ "name": "rabbit", "version": "4.0.5" }] });
    let findings = with_third(&other);
    assert_eq!(wrong(&findings), [(Level::Warn, "nodes", "nodes")]);
    assert_eq!(of(&findings, "nodes").says, "of several versions: 3.10.8, 4.0.5");
    // RabbitMQ before 3.13 does not say whether a node is in maintenance.
    assert_eq!(wrong(&with_third(&json!({ "being_drained": null }))), []);
}

#[test]
fn too_few_members_fail_with_the_command_that_adds_one() {
    for (members, online, expected) in [
        (3, 3, None),
        (1, 1, Some((Level::Fail, "1 of 3 members"))),
        (2, 2, Some((Level::Fail, "2 of 3 members"))),
        (3, 2, Some((Level::Warn, "2 of 3 members online"))),
        (3, 1, Some((Level::Fail, "1 of 3 members online: no majority"))),
        (2, 1, Some((Level::Fail, "1 of 2 members online: no majority"))),
    ] {
        let findings = with_members(members, online);
        let Some((level, says)) = expected else {
            assert_eq!(wrong(&findings), []);
            continue;
        };
        let subject = format!("queue {QUEUE}");
        assert_eq!(wrong(&findings), [(level, "members", &*subject)], "{members} {online}");
        assert!(of(&findings, "members").says.starts_with(says), "{findings:?}");
    }
    let remedy = of(&with_members(1, 1), "members").remedy.clone().expect("a remedy");
    let grow = r"rabbitmq-queues grow NODE all --queue-pattern '^milepost\.webhooks\.telyport$'";
    assert!(remedy.starts_with(grow), "{remedy}");
}

#[test]
fn one_node_that_leads_all_of_several_queues_is_a_warning() {
    let findings = on_broker(|found| {
        found.nodes = Some(NODES.map(|name| node(name, &json!({}))).to_vec());
        for queue in &mut found.queues {
            queue.members = NODES.map(str::to_owned).to_vec();
            queue.online.clone_from(&queue.members);
        }
    });
    assert_eq!(wrong(&findings), [(Level::Warn, "members", "leaders")]);
    assert!(of(&findings, "members").says.starts_with("rabbit@one leads all 16 queues"), "{findings:?}");
}

/// The check of the nodes is skipped.
#[test]
fn without_rights_to_see_nodes_queues_are_compared_with_each_other() {
    let findings = on_broker(|found| {
        found.nodes = None;
        for (number, queue) in found.queues.iter_mut().enumerate() {
            let members = if queue.definition.name == QUEUE { 1 } else { 3 };
            queue.members = NODES[..members].iter().map(|&name| name.to_owned()).collect();
            queue.online.clone_from(&queue.members);
            queue.leader = Some(NODES[number % 3].to_owned());
        }
    });
    assert_eq!(of(&findings, "nodes").level, Level::Skipped);
    assert_eq!(wrong(&findings), [(Level::Fail, "members", "queue milepost.webhooks.telyport")]);
}

#[test]
fn stable_flags_that_are_disabled_are_a_warning() {
    let findings = on_broker(|found| {
        let flags = found.feature_flags.as_mut().expect("flags");
        flags.push(flag("rabbitmq_4.0.0", "disabled", "stable"));
        flags.push(flag("khepri_db", "disabled", "experimental"));
    });
    assert_eq!(wrong(&findings), [(Level::Warn, "feature_flags", "feature flags")]);
    assert!(of(&findings, "feature_flags").says.starts_with("disabled although stable: rabbitmq_4.0.0;"));
}

#[test]
fn a_place_of_the_url_that_is_silent_fails_and_a_role_is_not_held_back() {
    let host = |address: &str, answer| HostFacts { address: address.to_owned(), answer };
    let silent =
        || NoBroker { says: "does not answer within 5s".to_owned(), remedy: "look for a node that hangs" };
    let with = |hosts| {
        let mut broker = broker(found());
        broker.hosts = hosts;
        diagnose(&facts(broker, redis()))
    };
    let findings = with(vec![host("one:5672", Ok(())), host("two:5672", Err(silent()))]);
    assert_eq!(wrong(&findings), [(Level::Fail, "hosts", "two:5672")]);
    assert!(of(&findings, "hosts").is_of_the_cluster());
    let findings = with(vec![host("one:5672", Ok(())), host("two:5672", Ok(()))]);
    assert_eq!(of(&findings, "hosts").says, "all 2 of amqp.url answer");
    // Of one place the line on rabbitmq says it.
    assert!(with(vec![host("one:5672", Ok(()))]).iter().all(|finding| finding.check != "hosts"));

    let mut waiting = broker(found());
    waiting.management = ManagementFacts::Silent;
    let findings = diagnose(&facts(waiting, redis()));
    assert_eq!(wrong(&findings), [(Level::Fail, "management", "management API")]);
    assert!(of(&findings, "management").is_of_the_cluster());
    assert!(!of(&findings, "queues").is_of_the_cluster());
}

#[test]
fn large_segments_of_the_stream_are_a_warning() {
    let with = |policy: Value| {
        on_broker(|found| {
            let stream = |queue: &&mut milepost::adapters::rabbit::management::FoundQueue| {
                queue.definition.name == "milepost.updates.log"
            };
            found.queues.iter_mut().find(stream).expect("the stream").effective_policy_definition =
                Some(policy);
        })
    };
    let findings = with(json!([]));
    assert_eq!(wrong(&findings), []);
    let says = "keeps an update for 7D, and for as long again as 4096 KiB of updates take to come";
    assert_eq!(of(&findings, "updates_kept").says, says);
    let findings = with(json!({ "max-age": "1D", "stream-max-segment-size-bytes": 500_000_000 }));
    assert_eq!(wrong(&findings), [(Level::Warn, "updates_kept", "milepost.updates.log")]);
    assert!(of(&findings, "updates_kept").says.starts_with("keeps an update for 1D"));
}
