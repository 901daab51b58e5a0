//! Policies on our queues, and the overflow of subscribers' queues.

use milepost::app::doctor::Level;
use serde_json::{Value, json};

use super::{of, on_broker, queue, wrong};

/// What is wrong when a queue of ours has this policy.
fn with_policy(name: &str, policy: &Value) -> Vec<String> {
    let findings = on_broker(|found| {
        let queue = found.queues.iter_mut().find(|queue| queue.definition.name == name).expect("ours");
        queue.effective_policy_definition = Some(policy.clone());
    });
    assert!(wrong(&findings).iter().all(|wrong| wrong.1 == "policies"), "{findings:?}");
    let bad = findings.into_iter().filter(|finding| finding.level == Level::Fail);
    bad.map(|finding| finding.says.trim_start_matches("policy theirs: ").to_owned()).collect()
}

#[test]
fn a_policy_fails_only_where_it_costs_messages() {
    let (work, parked) = ("milepost.webhooks.telyport", "milepost.parked.telyport");
    for (queue, policy) in [
        (work, json!([])),
        (work, json!({ "max-length": 5 })),
        (work, json!({ "overflow": "reject-publish", "max-length-bytes": 5 })),
        (work, json!({ "delivery-limit": 1_000_000_000 })),
        (work, json!({ "consumer-timeout": 1_800_000 })),
        (parked, json!({ "max-length": 5 })),
        ("milepost.updates.log", json!({ "max-length-bytes": 5, "max-age": "1D", "message-ttl": 1 })),
    ] {
        assert_eq!(with_policy(queue, &policy), [""; 0], "{queue} {policy}");
    }
    for (queue, policy, begins) in [
        (work, json!({ "overflow": "drop-head" }), "overflow"),
        (work, json!({ "message-ttl": 5 }), "message-ttl"),
        (work, json!({ "expires": 5 }), "expires"),
        (work, json!({ "delivery-limit": 99 }), "delivery-limit"),
        (work, json!({ "consumer-timeout": 1_799_999 }), "consumer-timeout"),
        ("milepost.unrouted", json!({ "max-length": 5 }), "a bound"),
        ("milepost.unrouted", json!({ "max-length-bytes": 5 }), "a bound"),
        ("milepost.unrouted", json!({ "delivery-limit": 20 }), "delivery-limit"),
        ("milepost.updates.log", json!({ "expires": 5 }), "expires"),
    ] {
        let said = with_policy(queue, &policy);
        assert!(matches!(&said[..], [harm] if harm.starts_with(begins)), "{queue} {policy}: {said:?}");
    }
    assert_eq!(with_policy(work, &json!({ "message-ttl": 5, "expires": 5 })).len(), 2);
}

#[test]
fn policies_without_statistics_are_not_known() {
    let findings = on_broker(|found| found.queues[0].effective_policy_definition = None);
    assert_eq!(of(&findings, "policies").level, Level::Skipped);
}

#[test]
fn which_overflow_of_a_subscriber_counts_depends_on_its_type() {
    let (rejects, drops) = (json!({ "x-overflow": "reject-publish" }), json!({ "x-overflow": "drop-head" }));
    let (reject, drop) = (json!({ "overflow": "reject-publish" }), json!({ "overflow": "drop-head" }));
    for (kind, arguments, policy, fails) in [
        ("classic", &rejects, &drop, true),
        ("classic", &drops, &reject, false),
        ("quorum", &rejects, &drop, false),
        ("quorum", &drops, &reject, true),
        ("classic", &json!({ "x-overflow": "reject-publish-dlx" }), &json!({}), true),
        ("classic", &json!({}), &reject, true),
        ("classic", &json!({}), &json!([]), false),
    ] {
        let findings = on_broker(|found| {
            found.queues.push(queue("theirs", kind, arguments.clone(), policy.clone()));
            let mut binding = found.definitions.bindings[0].clone();
            (binding.source, binding.destination) = ("milepost.updates".to_owned(), "theirs".to_owned());
            found.definitions.bindings.push(binding);
        });
        let expected = [(Level::Fail, "subscribers", "queue theirs")];
        assert_eq!(wrong(&findings) == expected, fails, "{kind} {arguments} {policy}");
        assert_eq!(wrong(&findings).is_empty(), !fails);
    }
}

#[test]
fn exchanges_bound_in_a_circle_end() {
    let findings = on_broker(|found| {
        for (source, destination) in [("milepost.updates", "theirs"), ("theirs", "milepost.updates")] {
            let mut binding = found.definitions.bindings[0].clone();
            (binding.source, binding.destination) = (source.to_owned(), destination.to_owned());
            binding.destination_type = "exchange".to_owned();
            found.definitions.bindings.push(binding);
        }
    });
    assert_eq!(wrong(&findings), []);
}

#[test]
fn a_queue_that_grows_for_ever_is_worth_a_warning() {
    for (kind, arguments, policy, consumers, warned) in [
        ("quorum", json!({}), json!({}), Some(0), true),
        ("classic", json!({ "x-queue-mode": "lazy" }), json!([]), Some(0), true),
        ("quorum", json!({}), json!({}), Some(1), false),
        ("quorum", json!({}), json!({}), None, false),
        ("quorum", json!({ "x-max-length-bytes": 5 }), json!({}), Some(0), false),
        ("quorum", json!({}), json!({ "max-length": 5 }), Some(0), false),
        ("stream", json!({}), json!({}), Some(0), false),
    ] {
        let findings = on_broker(|found| {
            let mut theirs = queue("theirs", kind, arguments.clone(), policy.clone());
            theirs.consumers = consumers;
            found.queues.push(theirs);
            let mut binding = found.definitions.bindings[0].clone();
            (binding.source, binding.destination) = ("milepost.updates".to_owned(), "theirs".to_owned());
            found.definitions.bindings.push(binding);
        });
        let expected = [(Level::Warn, "subscribers", "queue theirs")];
        assert_eq!(wrong(&findings) == expected, warned, "{kind} {arguments} {policy} {consumers:?}");
        assert_eq!(wrong(&findings).is_empty(), !warned);
    }
}
