//! The sink's keys in Redis. What is in braces decides the slot of a Redis Cluster.

use super::core::rule::OrderId;
use crate::sinks::update::UpdatedDelivery;

#[must_use]
pub fn order(connection: &str, OrderId { location, order }: &OrderId) -> String {
    format!("mp:sink:hubrise:{{{connection}:{location}:{order}}}:order")
}

#[must_use]
pub fn desk(connection: &str) -> String {
    format!("mp:sink:hubrise:{{{connection}}}:desk")
}

/// Of the count of a connection's updates that wait to be linked.
#[must_use]
pub fn unlinked(connection: &str) -> String {
    format!("mp:sink:hubrise:{{{connection}}}:unlinked")
}

/// Of what is known of a delivery: its link, and what became of it.
#[must_use]
pub fn delivery(UpdatedDelivery { provider, account, id }: &UpdatedDelivery) -> String {
    format!("mp:sink:hubrise:{{{provider}:{account}:{id}}}:delivery")
}
