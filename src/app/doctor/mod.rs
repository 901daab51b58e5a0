//! The doctor: compares the broker and Redis with what Milepost needs.
//!
//! [`Probe::facts`] asks the servers; the rules, one idea a file, are pure. A finding fails only if messages can be
//! lost, duplicated or held up by it; what merely needs a look is a warning.

mod cluster;
mod facts;
mod finding;
mod host;
mod policies;
mod redis;
mod retention;
mod shape;
mod spool;
mod subscribers;

pub use facts::{Broker, Facts, HostFacts, ManagementFacts, Memory, NoBroker, Probe, SpoolFacts};
pub use finding::{Finding, Level};

/// All findings, in the order in which they are best fixed.
#[must_use]
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut findings = host::connections(facts);
    if let Ok(broker) = &facts.broker {
        findings.extend(host::broker(broker));
        findings.extend(cluster::findings(broker));
        findings.extend(shape::findings(&broker.things));
        findings.extend(policies::findings(broker));
        findings.extend(retention::finding(broker));
        findings.extend(subscribers::findings(broker));
        findings.extend(host::by_hand(broker));
    }
    findings.extend(redis::findings(facts));
    findings.extend(spool::findings(facts));
    findings
}
