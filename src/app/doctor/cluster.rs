//! The cluster: its nodes, and where the queues are on them.
//!
//! A node that hangs is not told from one that works until the others miss it (`net_ticktime`, 60 s): until then each
//! place that the URL names is asked, and the management API, which waits for every node.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Broker, HostFacts, ManagementFacts, NoBroker};
use super::finding::{Finding, Level};
use crate::adapters::rabbit::compare::{Compared, ObjectKind};
use crate::adapters::rabbit::management::{FeatureFlag, Found, FoundNode, FoundQueue};

/// Fewer queues are on one node by chance.
const ENOUGH_QUEUES: usize = 6;

/// Every place of the URL, every node, and Milepost's queues on them.
pub(super) fn findings(broker: &Broker) -> Vec<Finding> {
    let mut findings = hosts(&broker.hosts);
    let ManagementFacts::Found(found) = &broker.management else {
        for (check, subject) in
            [("nodes", "nodes"), ("members", "members"), ("feature_flags", "feature flags")]
        {
            findings.push(Finding::needs_management(check, subject));
        }
        return findings;
    };
    findings.extend(nodes(found));
    findings.extend(members(&broker.things, found));
    findings.push(feature_flags(found));
    findings
}

fn hosts(hosts: &[HostFacts]) -> Vec<Finding> {
    let check = "hosts";
    if let [] | [_] = hosts {
        return Vec::new();
    }
    let failing = hosts.iter().filter_map(|HostFacts { address, answer }| {
        let NoBroker { says, remedy } = answer.as_ref().err()?;
        Some(Finding::new(Level::Fail, check, address, says, *remedy))
    });
    let failing: Vec<_> = failing.collect();
    if failing.is_empty() {
        return vec![Finding::ok(check, "hosts", format!("all {} of amqp.url answer", hosts.len()))];
    }
    failing
}

fn nodes(found: &Found) -> Vec<Finding> {
    let check = "nodes";
    let Some(nodes) = &found.nodes else {
        let remedy = "give amqp.management_url's user the tag \"monitoring\"";
        return vec![Finding::new(Level::Skipped, check, "nodes", "not to be seen by this user", remedy)];
    };
    let mut findings: Vec<_> = nodes.iter().flat_map(node).collect();
    let versions: BTreeSet<_> = nodes.iter().filter_map(FoundNode::version).collect();
    if versions.len() > 1 {
        let says = format!("of several versions: {}", versions.into_iter().collect::<Vec<_>>().join(", "));
        let remedy = "end the upgrade of all nodes, then rabbitmqctl enable_feature_flag all";
        findings.push(Finding::new(Level::Warn, check, "nodes", says, remedy));
    }
    if findings.is_empty() {
        let says = format!("{} running, none parted from the others or in maintenance", nodes.len());
        findings.push(Finding::ok(check, "nodes", says));
    }
    let khepri =
        found.feature_flags.iter().flatten().any(|flag| flag.name == "khepri_db" && is_enabled(flag));
    if nodes.len() > 1 && !khepri {
        let says = "no API tells it: must be pause_minority; with ignore, the default, both halves of a network \
                    that parts go on and differ afterwards";
        let remedy =
            "look by hand: rabbitmqctl eval 'application:get_env(rabbit, cluster_partition_handling).'";
        let (check, subject) = ("partition_handling", "partition handling");
        findings.push(Finding::new(Level::Skipped, check, subject, says, remedy));
    }
    findings
}

/// What is wrong with a node.
fn node(node: &FoundNode) -> Vec<Finding> {
    let finding = |level, says: String, remedy: &str| {
        Finding::new(level, "nodes", format!("node {}", node.name), says, remedy)
    };
    let mut findings = Vec::new();
    if !node.running {
        let says = "is down, or the others cannot reach it: the loss of one node more may stop everything";
        let remedy = "start it, or rabbitmqctl forget_cluster_node if it will not come back";
        findings.push(finding(Level::Fail, says.to_owned(), remedy));
    }
    if !node.partitions.is_empty() {
        let says =
            format!("was parted from {}: the two may hold different messages", node.partitions.join(", "));
        let remedy = "restart the nodes of the side that you trust less; set cluster_partition_handling = pause_minority";
        findings.push(finding(Level::Fail, says, remedy));
    }
    if node.being_drained == Some(true) {
        let says = "is in maintenance: it leads nothing and takes no clients";
        findings.push(finding(Level::Warn, says.to_owned(), "rabbitmq-upgrade revive, once it is done"));
    }
    findings
}

/// How many members Milepost's queues have, how many of them run, and where the leaders are.
fn members(things: &[Compared], found: &Found) -> Vec<Finding> {
    let check = "members";
    let is_ours = |queue: &&FoundQueue| {
        let name = &queue.definition.name;
        !queue.members.is_empty()
            && things.iter().any(|thing| thing.kind == ObjectKind::Queue && thing.name == *name)
    };
    let ours: Vec<_> = found.queues.iter().filter(is_ours).collect();
    // Without the right to see the nodes: as many as the queue with most members has.
    let nodes = found.nodes.as_ref().map(Vec::len);
    let nodes = nodes.or_else(|| ours.iter().map(|queue| queue.members.len()).max()).unwrap_or(1);
    let wanted = nodes.min(3);
    let mut findings: Vec<_> = ours.iter().filter_map(|queue| of_queue(queue, wanted)).collect();
    findings.extend(leaders(&ours, nodes));
    if findings.is_empty() && !ours.is_empty() {
        let says = format!("{} queues with {wanted} each, all online", ours.len());
        findings.push(Finding::ok(check, "members", says));
    }
    findings
}

fn of_queue(queue: &FoundQueue, wanted: usize) -> Option<Finding> {
    let name = &queue.definition.name;
    let (members, online) = (queue.members.len(), queue.online.len());
    let finding = |level, says: String, remedy: String| {
        Some(Finding::new(level, "members", format!("queue {name}"), says, remedy))
    };
    if online * 2 <= members {
        let says =
            format!("{online} of {members} members online: no majority, it neither takes nor gives messages");
        return finding(Level::Fail, says, "start the nodes that are down".to_owned());
    }
    if members < wanted {
        let tool = if queue.kind == "stream" {
            format!("rabbitmq-streams add_replica {name} NODE, for each node that it lacks")
        } else {
            format!(
                "rabbitmq-queues grow NODE all --queue-pattern '^{}$', for each node that it lacks",
                name.replace('.', "\\.")
            )
        };
        return finding(
            Level::Fail,
            format!("{members} of {wanted} members: the loss of one node stops it, or loses what it holds"),
            tool,
        );
    }
    if online < members {
        let says = format!("{online} of {members} members online");
        let remedy = "start the nodes that are down; those that run catch up by themselves";
        return finding(Level::Warn, says, remedy.to_owned());
    }
    None
}

/// All leaders on one of several nodes: its loss stops everything for seconds, and it does all the work.
fn leaders(queues: &[&FoundQueue], nodes: usize) -> Option<Finding> {
    let mut leaders: BTreeMap<&str, usize> = BTreeMap::new();
    for leader in
        queues.iter().filter_map(|queue| queue.leader.as_deref()).filter(|leader| !leader.is_empty())
    {
        *leaders.entry(leader).or_default() += 1;
    }
    let (leader, led) = leaders.first_key_value()?;
    if nodes < 2 || leaders.len() > 1 || *led < ENOUGH_QUEUES {
        return None;
    }
    let says = format!("{leader} leads all {led} queues: its loss stops everything for a moment");
    let remedy = "rabbitmq-queues rebalance all, at a quiet time";
    Some(Finding::new(Level::Warn, "members", "leaders", says, remedy))
}

fn feature_flags(found: &Found) -> Finding {
    let (check, subject) = ("feature_flags", "feature flags");
    let Some(flags) = &found.feature_flags else {
        let remedy = "rabbitmqctl list_feature_flags";
        return Finding::new(Level::Skipped, check, subject, "not to be seen by this user", remedy);
    };
    let disabled = flags.iter().filter(|flag| flag.stability == "stable" && !is_enabled(flag));
    let disabled: Vec<_> = disabled.map(|flag| flag.name.as_str()).collect();
    if disabled.is_empty() {
        return Finding::ok(check, subject, "every stable one is enabled");
    }
    let says =
        format!("disabled although stable: {}; a later version may not start without", disabled.join(", "));
    let remedy = "rabbitmqctl enable_feature_flag all, once every node has the new version";
    Finding::new(Level::Warn, check, subject, says, remedy)
}

fn is_enabled(flag: &FeatureFlag) -> bool {
    flag.state == "enabled"
}
