//! The table of statuses, read from the least body of each provider.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::cases::SHAPES;
use crate::support::published;

/// Every status a provider documents (Deliverect's 88: seen elsewhere), and Milepost's word for it.
/// Dash's PENDING_DELIVERY is two: `dash.rs` tells them apart.
const DOCUMENTED: [(&str, &[(&str, &str)]); 5] = [
    (
        "telyport",
        &[
            ("NEW", "created"),
            ("STARTED", "assigned"),
            ("PICKUPREACHED", "pickup_arrived"),
            ("PICKUPCOMPLETED", "picked_up"),
            ("WH_DROP", "hub_arrived"),
            ("WH_PICK", "hub_departed"),
            ("DROPREACHED", "dropoff_arrived"),
            ("DROPCOMPLETED", "delivered"),
            ("RETURN_INITIATED", "return_initiated"),
            ("RETURNED", "returned"),
            ("CANCELLED", "cancelled"),
        ],
    ),
    (
        "247express",
        &[
            ("21", "created"),
            ("23", "picked_up"),
            ("24", "in_transit"),
            ("25", "dropoff_en_route"),
            ("16", "on_hold"),
            ("27", "return_initiated"),
            ("30", "delivered"),
            ("28", "returned"),
            ("18", "cancelled"),
            ("19", "lost"),
            ("32", "confiscated"),
        ],
    ),
    (
        "deliverect",
        &[
            ("81", "created"),
            ("80", "assigned"),
            ("83", "pickup_en_route"),
            ("84", "pickup_approaching"),
            ("85", "pickup_arrived"),
            ("87", "dropoff_en_route"),
            ("88", "dropoff_approaching"),
            ("89", "dropoff_arrived"),
            ("90", "delivered"),
            ("115", "cancelled"),
        ],
    ),
    (
        "dash",
        &[
            ("QUEUEING", "scheduled"),
            ("PREPARING", "preparing"),
            ("VERIFIED", "verified"),
            ("ALLOCATING", "allocating"),
            ("PENDING_PICKUP", "assigned"),
            ("PICKING_UP", "pickup_en_route"),
            ("PENDING_DELIVERY", "staged_for_delivery"),
            ("IN_DELIVERY", "dropoff_en_route"),
            ("NOT_VERIFIED", "on_hold"),
            ("COMPLETED", "delivered"),
            ("FAILED", "failed"),
            ("CANCELLED", "cancelled"),
        ],
    ),
    (
        "hubrise",
        &[
            ("pending", "created"),
            ("pickup_enroute", "pickup_en_route"),
            ("pickup_approaching", "pickup_approaching"),
            ("pickup_waiting", "pickup_arrived"),
            ("dropoff_enroute", "dropoff_en_route"),
            ("dropoff_approaching", "dropoff_approaching"),
            ("dropoff_waiting", "dropoff_arrived"),
            ("delivered", "delivered"),
            ("cancelled", "cancelled"),
        ],
    ),
];

/// The phase of each status: the table's first column.
const PHASES: [(&str, &[&str]); 7] = [
    ("planned", &["scheduled", "created", "preparing", "verified", "allocating"]),
    ("pickup", &["assigned", "pickup_en_route", "pickup_approaching", "pickup_arrived"]),
    ("transit", &["picked_up", "hub_arrived", "hub_departed", "in_transit", "staged_for_delivery"]),
    ("dropoff", &["dropoff_en_route", "dropoff_approaching", "dropoff_arrived"]),
    ("exception", &["on_hold", "return_initiated"]),
    ("closed", &["delivered", "returned", "failed", "cancelled", "lost", "confiscated"]),
    ("unknown", &["unknown"]),
];

fn phase(status: &str) -> &'static str {
    PHASES.iter().find(|(_, statuses)| statuses.contains(&status)).expect("a status of the table").0
}

#[test]
fn documented_statuses_map_one_to_one() {
    for (shape, (provider, table)) in SHAPES.iter().zip(DOCUMENTED) {
        assert_eq!(shape.provider.id().as_str(), provider);
        let said = |raw: Value| {
            let mut body: Value = serde_json::from_str(shape.least).expect("JSON");
            *body.pointer_mut(shape.status).expect("a status") = raw;
            let (update, unreadable) = published(shape.provider, &body);
            let word = |name: &str| update[name].as_str().expect("text").to_owned();
            (word("raw_status"), word("phase"), word("status"), unreadable)
        };
        for (raw, status) in table {
            let expected = ((*raw).to_owned(), phase(status).to_owned(), (*status).to_owned(), 0);
            assert_eq!(said(json!(raw)), expected, "{provider} {raw}");
            if let Ok(number) = raw.parse::<u32>() {
                assert_eq!(said(json!(number)), expected, "{provider} {raw} as a number");
            }
        }
        for number in (-200..1000).map(|number: i32| number.to_string()) {
            let documented = table.iter().any(|(raw, _)| *raw == number);
            assert_eq!(said(json!(number)).2 != "unknown", documented, "{provider} {number}");
        }
        let statuses: BTreeSet<_> = table.iter().map(|row| row.1).collect();
        assert_eq!(statuses.len(), table.len(), "two of {provider}'s statuses became one");
    }
}

/// Each sample's status is one of the table, and each of the table has a sample but those that have none.
#[test]
fn the_table_has_the_samples_statuses() {
    const WITHOUT_SAMPLE: [(&str, &str); 1] = [("deliverect", "88")];
    for (shape, (provider, table)) in SHAPES.iter().zip(DOCUMENTED) {
        let mut unseen: BTreeMap<_, _> = table.iter().copied().collect();
        for sample in shape.provider.samples() {
            let update = crate::support::update(shape.provider, sample.body).update;
            unseen.remove(update.raw_status.as_str());
            assert!(table.iter().any(|(raw, _)| *raw == update.raw_status), "{provider} {}", sample.name);
        }
        let unseen: Vec<_> = unseen.into_keys().map(|raw| (provider, raw)).collect();
        assert!(unseen.iter().all(|row| WITHOUT_SAMPLE.contains(row)), "{unseen:?}");
    }
}
