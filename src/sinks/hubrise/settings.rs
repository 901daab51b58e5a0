//! The HubRise sink's settings: its connections, and its bounds.

use std::time::Duration;

use super::core::desk::Budget;
use super::core::record::Style;
use super::core::rule::Rule;
use super::core::windows::Limit;
use crate::sinks::update::UpdatedDelivery;

/// HubRise's documented limits of one connection.
pub const LIMITS: [Limit; 3] = [
    Limit { name: "minute", per: Duration::from_mins(1), requests: 500 },
    Limit { name: "hour", per: Duration::from_hours(1), requests: 2_500 },
    Limit { name: "day", per: Duration::from_hours(24), requests: 10_000 },
];

/// A HubRise token, and what is written with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Its name in the configuration, in metrics and in Redis.
    pub name: String,
    /// The locations that the token is for.
    pub locations: Vec<String>,
    /// Whose deliveries go there: providers and accounts.
    pub accounts: Vec<(String, String)>,
    /// How its orders are recognised.
    pub rule: Rule,
    pub style: Style,
    pub budget: Budget,
    /// How far apart positions and estimates of one delivery are sent.
    pub interval: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its connections, by their names.
    pub connections: Vec<Connection>,
    /// How long a request may hold an order. Longer than a request may take.
    pub lease: Duration,
    /// How long an order is remembered after it last changed.
    pub memory: Duration,
    /// How long an update waits for its delivery to be linked to an order.
    pub unlinked_for: Duration,
    /// How many updates of a connection wait for that at most.
    pub unlinked_most: u32,
}

impl Connection {
    /// Whether a delivery's account feeds it.
    #[must_use]
    pub fn is_fed_by(&self, delivery: &UpdatedDelivery) -> bool {
        let UpdatedDelivery { provider, account, .. } = delivery;
        self.accounts.iter().any(|(fed, by)| fed == provider && by == account)
    }
}
