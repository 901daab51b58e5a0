//! Exchanges, queues and bindings: whether they are there, and as they are needed.

use super::finding::{Finding, Level};
use crate::adapters::rabbit::compare::{Compared, ObjectKind, ObjectState};

const APPLY: &str = "milepost topology apply";
const REPLACE: &str =
    "what exists cannot be changed: stop what uses it, empty it, delete it, then milepost topology apply";

/// One finding for each thing that is not as needed, and one for all that are.
pub(super) fn findings(things: &[Compared]) -> Vec<Finding> {
    [(ObjectKind::Exchange, "exchanges"), (ObjectKind::Queue, "queues"), (ObjectKind::Binding, "bindings")]
        .into_iter()
        .flat_map(|(kind, check)| of(check, things.iter().filter(move |thing| thing.kind == kind)))
        .collect()
}

fn of<'a>(check: &'static str, things: impl Iterator<Item = &'a Compared>) -> Vec<Finding> {
    let (mut findings, mut there, mut unknown) = (Vec::new(), 0, Vec::new());
    for Compared { kind, name, state } in things {
        let subject = format!("{kind} {name}");
        match state {
            ObjectState::There => there += 1,
            ObjectState::Missing => {
                findings.push(Finding::new(Level::Fail, check, subject, "is missing", APPLY));
            }
            ObjectState::Differs(how) => {
                findings.push(Finding::new(Level::Fail, check, subject, how, REPLACE));
            }
            ObjectState::Unknown(why) => unknown.push(why),
        }
    }
    if let Some(why) = unknown.first() {
        let says = format!("{} not compared: {why}", unknown.len());
        findings.push(Finding::new(Level::Skipped, check, check, says, "set amqp.management_url"));
    }
    if there > 0 {
        findings.push(Finding::ok(check, check, format!("{there} as needed")));
    }
    findings
}
