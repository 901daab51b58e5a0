//! What waits for a retry, read from the ledger: looking disturbs no delay level.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::adapters::redis::WaitingEvent;

/// Events of one provider that wait for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingGroup<'a> {
    pub provider: &'a str,
    pub reason: &'a str,
    pub count: usize,
    /// When the first of them is retried.
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

/// How many wait, by provider and reason. They are expected in the order of their return.
#[must_use]
pub fn groups(waiting: &[WaitingEvent]) -> Vec<WaitingGroup<'_>> {
    let mut groups: BTreeMap<(&str, &str), Vec<&WaitingEvent>> = BTreeMap::new();
    for event in waiting {
        groups.entry((&event.delivery.provider, reason(event))).or_default().push(event);
    }
    let group = |((provider, reason), events): ((_, _), Vec<&WaitingEvent>)| WaitingGroup {
        provider,
        reason,
        count: events.len(),
        first: events.first().and_then(|event| event.record.deadline),
        last: events.last().and_then(|event| event.record.deadline),
    };
    groups.into_iter().map(group).collect()
}

/// Why it is retried, or `-`.
#[must_use]
pub fn reason(event: &WaitingEvent) -> &str {
    event.record.reason.as_deref().unwrap_or("-")
}

/// How long until `then`, in words: "in 35m", "5s ago".
#[must_use]
pub fn until(then: Timestamp, now: Timestamp) -> String {
    let apart = then.duration_since(now);
    let span = span(apart.abs());
    if apart.is_negative() { format!("{span} ago") } else { format!("in {span}") }
}

/// A length of time in its largest useful unit.
#[must_use]
pub fn span(duration: SignedDuration) -> String {
    match duration.as_secs() {
        seconds @ 0..100 => format!("{seconds}s"),
        seconds @ 100..6000 => format!("{}m", seconds / 60),
        seconds @ 6000..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
