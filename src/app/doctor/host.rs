//! The servers themselves: whether they answer, their versions, alarms, and what must be looked at by hand.

use super::facts::{Broker, Facts, ManagementFacts, NoBroker};
use super::finding::{Finding, Level};
use crate::adapters::rabbit::compare::{Compared, ObjectKind, ObjectState};
use crate::adapters::rabbit::management::Found;
use crate::adapters::rabbit::topology::{UNROUTED, UPDATES_LOG};

/// The oldest RabbitMQ with all that is needed: its 3.10 was the first with at-least-once dead-lettering.
const OLDEST: (u32, u32) = (3, 10);
/// What the tests run on.
const TESTED: [(u32, u32); 2] = [(3, 10), (4, 0)];

/// Whether the broker, its management API and Redis answer.
pub(super) fn connections(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![match &facts.broker {
        Ok(_) => Finding::ok("rabbitmq", "rabbitmq", "can be connected to"),
        Err(NoBroker { says, remedy }) => Finding::new(Level::Fail, "rabbitmq", "rabbitmq", says, *remedy),
    }];
    if let Ok(broker) = &facts.broker {
        let (check, subject) = ("management", "management API");
        findings.push(match &broker.management {
            ManagementFacts::NotConfigured => Finding::new(
                Level::Skipped,
                check,
                subject,
                "not configured: only what AMQP tells is checked",
                "set amqp.management_url",
            ),
            ManagementFacts::Failed(error) => {
                Finding::new(Level::Warn, check, subject, error, "look at amqp.management_url")
            }
            ManagementFacts::Silent => Finding::new(
                Level::Fail,
                check,
                subject,
                "does not answer in time: it asks every node, and waits for one that hangs",
                "rabbitmq-diagnostics check_running on each node; look at amqp.management_url if all are well",
            ),
            ManagementFacts::Found(_) => Finding::ok(check, subject, "answers"),
        });
    }
    findings
}

/// The broker's version, feature flag and alarms, and what it caught.
pub(super) fn broker(broker: &Broker) -> Vec<Finding> {
    let mut findings = match &broker.management {
        ManagementFacts::Found(found) => vec![version(&found.version), alarms(found)],
        _ => vec![
            Finding::needs_management("rabbitmq_version", "rabbitmq version"),
            Finding::needs_management("alarms", "alarms"),
        ],
    };
    findings.push(stream_queue(broker));
    findings.extend(unrouted(broker.unrouted));
    findings
}

fn version(version: &str) -> Finding {
    let (check, subject) = ("rabbitmq_version", "rabbitmq version");
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => {
            let tested = if TESTED.contains(&(major, minor)) { "one of" } else { "beside" };
            let says = format!("{version}: {tested} those that Milepost's tests run on, 3.10 and 4.0");
            Finding::ok(check, subject, says)
        }
        _ => Finding::new(Level::Fail, check, subject, version, "use RabbitMQ 3.10 or later"),
    }
}

fn alarms(found: &Found) -> Finding {
    match &found.alarm {
        None => Finding::ok("alarms", "alarms", "none in effect"),
        Some(alarm) => {
            Finding::new(Level::Fail, "alarms", "alarms", alarm, "give the broker's nodes memory or disk")
        }
    }
}

/// A broker without the flag takes no stream, so one that is there says that the flag is enabled.
fn stream_queue(broker: &Broker) -> Finding {
    let (check, subject) = ("stream_queue", "feature flag stream_queue");
    let stream = |thing: &Compared| {
        thing.kind == ObjectKind::Queue && thing.name == UPDATES_LOG && thing.state == ObjectState::There
    };
    let flags = match &broker.management {
        ManagementFacts::Found(found) => found.feature_flags.as_deref(),
        _ => None,
    };
    let flag = flags.and_then(|flags| flags.iter().find(|flag| flag.name == "stream_queue"));
    match flag.map(|flag| flag.state == "enabled") {
        Some(true) => Finding::ok(check, subject, "enabled"),
        Some(false) => Finding::new(
            Level::Fail,
            check,
            subject,
            "disabled: delayed and dead messages can be lost",
            "rabbitmqctl enable_feature_flag stream_queue",
        ),
        None if broker.things.iter().any(stream) => {
            Finding::ok(check, subject, format!("enabled, as the stream {UPDATES_LOG} is there"))
        }
        None => Finding::new(
            Level::Skipped,
            check,
            subject,
            "not to be seen by this user",
            "rabbitmqctl list_feature_flags",
        ),
    }
}

fn unrouted(waiting: Option<u32>) -> Option<Finding> {
    let waiting = waiting?;
    Some(if waiting == 0 {
        Finding::ok("unrouted", UNROUTED, "empty")
    } else {
        let says = format!("holds {waiting} messages that no queue was bound for");
        let remedy = "restore the bindings, then move them to the exchange they were published to";
        Finding::new(Level::Warn, "unrouted", UNROUTED, says, remedy)
    })
}

/// The broker's own settings, which no API tells.
pub(super) fn by_hand(broker: &Broker) -> [Finding; 2] {
    let version = match &broker.management {
        ManagementFacts::Found(found) => format!(" of RabbitMQ {}", found.version),
        _ => String::new(),
    };
    let setting = |check, subject: &str, name: &str, needs: &str| {
        let says = format!("no API{version} tells it: {needs}");
        let remedy = format!("look by hand: rabbitmqctl eval 'application:get_env(rabbit, {name}).'");
        Finding::new(Level::Skipped, check, subject, says, remedy)
    };
    [
        setting(
            "consumer_timeout",
            "consumer timeout",
            "consumer_timeout",
            "must be 1800000 (30 min, the default) or more",
        ),
        setting(
            "dead_letter_confirm_timeout",
            "dead-letter confirm timeout",
            "dead_letter_worker_publisher_confirm_timeout",
            "should be 5000; at its default a delayed message can be 180 s late after a restart",
        ),
    ]
}
