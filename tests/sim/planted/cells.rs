//! The sink's cells, as a store or a sink with a planted bug would have them.

use std::time::Duration;

use milepost::ports::{Cell, Swap};
use serde_json::Value;

use super::Planted;
use crate::ports::Ports;
use crate::process::{Process, lock};
use crate::world::World;

/// A cell's key. With limits of its own, each replica has a desk of its own.
pub fn planted_key(ports: &Ports, key: &str) -> String {
    let own = ports.has(Planted::LimitsOfOneReplica) && key.ends_with(":desk");
    if own { format!("{key}:{}", ports.process.slot.number) } else { key.to_owned() }
}

pub fn planted_read(world: &World, process: &Process, key: &str) -> Cell {
    seen(world, process, world.redis.read(key))
}

pub fn planted_swap(
    world: &World,
    process: &Process,
    key: &str,
    old: Option<&str>,
    new: &str,
    ttl: Duration,
) -> Swap {
    match process.planted {
        Some(Planted::AnswerIsNotLearned) if lease(old).is_some() && lease(Some(new)).is_none() => {
            return Swap::Done;
        }
        Some(Planted::LeaseIsIgnored) => {
            if let Some(token) = lease(Some(new)) {
                lock(&world.redis.planted).leases.insert((process.id, token));
            }
            let there = world.redis.read(key);
            if seen(world, process, there.clone()).value.as_deref() == old {
                return world.redis.swap(key, there.value.as_deref(), new, ttl);
            }
        }
        _ => {}
    }
    match world.redis.swap(key, old, new, ttl) {
        Swap::Done => Swap::Done,
        Swap::Conflict(cell) => Swap::Conflict(seen(world, process, cell)),
    }
}

/// A cell without another process's lease, for one that does not look at it.
fn seen(world: &World, process: &Process, cell: Cell) -> Cell {
    if process.planted != Some(Planted::LeaseIsIgnored) {
        return cell;
    }
    let Some(token) = lease(cell.value.as_deref()) else { return cell };
    if lock(&world.redis.planted).leases.contains(&(process.id, token)) {
        return cell;
    }
    let mut record: Value =
        cell.value.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    record["lease"] = Value::Null;
    Cell { value: Some(record.to_string()), ..cell }
}

/// Names the lease in an order's record.
fn lease(record: Option<&str>) -> Option<String> {
    let record: Value = serde_json::from_str(record?).ok()?;
    Some(record.get("lease")?.get("token")?.as_str()?.to_owned())
}
