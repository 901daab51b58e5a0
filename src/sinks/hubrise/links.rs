//! Which order a delivery belongs to, where no rule tells: links that operators and services make, and the updates that
//! wait for one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::core::rule::{OrderId, named};
use super::keys;
use super::settings::{Connection, Settings};
use crate::ports::{Cells, CellsError};
use crate::sinks::cells;
use crate::sinks::update::UpdatedDelivery;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// What the sink knows of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownDelivery {
    /// The order it was linked to.
    pub link: Option<Link>,
    /// The order its updates go to.
    pub shown_at: Option<Link>,
    /// Since when updates of it wait to be linked, in milliseconds.
    pub unlinked_since_ms: Option<i64>,
    /// How many of its updates were dropped as nothing linked them.
    pub dropped: u32,
}

/// An order of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub connection: String,
    pub location: String,
    pub order: String,
}

/// How many updates of a connection wait to be linked, by the hour in which they began to. What should be taken off and
/// is not, as a replica was killed, goes with its hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Waiting(BTreeMap<i64, u32>);

impl Waiting {
    /// Counts one of `first_ms` that begins to wait, if there are fewer than `most`. One that waits longer than `longest`
    /// does not count.
    pub fn begin(&mut self, first_ms: i64, now_ms: i64, longest: Duration, most: u32) -> bool {
        let longest_ms = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
        let oldest = now_ms.saturating_sub(longest_ms).div_euclid(HOUR_MS);
        self.0.retain(|hour, count| *hour >= oldest && *count > 0);
        let room = self.0.values().sum::<u32>() < most;
        if room {
            *self.0.entry(first_ms.div_euclid(HOUR_MS)).or_default() += 1;
        }
        room
    }

    /// One that began to wait at `first_ms` does so no more.
    pub fn end(&mut self, first_ms: i64) {
        if let Some(count) = self.0.get_mut(&first_ms.div_euclid(HOUR_MS)) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Link {
    #[must_use]
    pub fn order_id(&self) -> OrderId {
        OrderId { location: self.location.clone(), order: self.order.clone() }
    }
}

/// Links a delivery to an order of one of `connections`, which is named as in [`named`]; of the only connection that the
/// delivery's account feeds unless `connection` names one.
///
/// # Errors
/// Why it cannot be, in words.
pub fn link(
    connections: &[Connection],
    delivery: &UpdatedDelivery,
    order: &str,
    connection: Option<&str>,
) -> Result<Link, String> {
    let of_name = |known: &&Connection| connection.is_none_or(|name| known.name == name);
    let fed: Vec<_> = connections.iter().filter(|known| known.is_fed_by(delivery)).filter(of_name).collect();
    let UpdatedDelivery { provider, account, .. } = delivery;
    let connection = match fed[..] {
        [only] => only,
        [] => return Err(format!("no such connection is fed by {provider}/{account}")),
        _ => {
            let names: Vec<_> = fed.iter().map(|connection| connection.name.as_str()).collect();
            return Err(format!("{provider}/{account} feeds {}: say which", names.join(" and ")));
        }
    };
    let Some(OrderId { location, order }) = named(order, &connection.locations) else {
        let example = connection.locations.first().map(String::as_str).unwrap_or_default();
        return Err(format!("{order:?} is no order: expected an id such as 5dpm9, or {example}/5dpm9"));
    };
    Ok(Link { connection: connection.name.clone(), location, order })
}

/// Keeps a link.
///
/// # Errors
/// When Redis is away.
pub async fn keep(
    store: &dyn Cells,
    settings: &Settings,
    delivery: &UpdatedDelivery,
    link: Link,
) -> Result<(), CellsError> {
    let key = keys::delivery(delivery);
    let put = |known: &mut KnownDelivery, _| known.link = Some(link.clone());
    cells::update(store, &key, settings.memory, put).await
}
