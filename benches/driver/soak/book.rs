//! Who came in and who came out. A receipt tells which webhook an update is from; an update may come out more than
//! once, but always with the same id.

use std::collections::HashMap;

use anyhow::Context as _;
use lapin::message::Delivery;
use uuid::Uuid;

use crate::table::aligned;
use crate::worker::{id, receipt};

/// All events of a run, by their numbers.
pub struct Book {
    /// Which event a request was about, by its receipt.
    receipts: HashMap<u128, u32>,
    /// The id that each event came out with.
    ids: Vec<Option<u128>>,
    out: usize,
    /// Requests that were accepted, those sent twice included.
    pub accepted: usize,
    /// Requests that were answered 503, and sent again.
    pub refused: usize,
    /// Connections that ended between two requests; the second was sent again on another.
    pub connections_ended: usize,
    /// Updates that came out again.
    pub repeated: usize,
    /// Events that came out with two ids: published twice in effect.
    pub contradicted: usize,
    /// Updates that are from no request of ours.
    pub strange: usize,
    /// Updates that came out before their request was answered, and are looked up later.
    early: Vec<(u128, u128)>,
}

impl Book {
    pub fn of(count: usize) -> Self {
        Self {
            receipts: HashMap::with_capacity(count),
            ids: vec![None; count],
            out: 0,
            accepted: 0,
            refused: 0,
            connections_ended: 0,
            repeated: 0,
            contradicted: 0,
            strange: 0,
            early: Vec::new(),
        }
    }

    /// Enters an answer. Even a refused request may have been stored.
    pub fn answered(&mut self, receipt: &str, event: usize, accepted: bool) -> anyhow::Result<()> {
        self.receipts.insert(number(receipt)?, u32::try_from(event)?);
        if accepted {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
        Ok(())
    }

    /// Enters an update.
    pub fn came_out(&mut self, update: &Delivery) -> anyhow::Result<()> {
        let receipt = number(receipt(&update.data).context("an event without a receipt")?)?;
        let id = number(id(&update.data).context("an event without an id")?)?;
        if self.receipts.contains_key(&receipt) {
            self.enter(receipt, id);
        } else {
            self.early.push((receipt, id));
        }
        Ok(())
    }

    fn enter(&mut self, receipt: u128, id: u128) {
        let Some(&event) = self.receipts.get(&receipt) else {
            self.strange += 1;
            return;
        };
        let slot = &mut self.ids[event as usize];
        match *slot {
            None => {
                *slot = Some(id);
                self.out += 1;
            }
            Some(before) if before == id => self.repeated += 1,
            Some(_) => self.contradicted += 1,
        }
    }

    /// Looks those up that came out before their request was answered.
    pub fn settle(&mut self) {
        for (receipt, id) in std::mem::take(&mut self.early) {
            self.enter(receipt, id);
        }
    }

    /// How many events have not come out.
    pub fn missing(&self) -> usize {
        self.ids.len() - self.out
    }

    pub fn table(&self, parked: usize) -> String {
        let lines = [
            ("events", self.ids.len()),
            ("webhooks accepted, duplicates included", self.accepted),
            ("webhooks answered 503 and sent again", self.refused),
            ("connections that ended between two requests", self.connections_ended),
            ("events that came out", self.out),
            ("updates that came out again, with the same id", self.repeated),
            ("events that came out with two ids", self.contradicted),
            ("updates from no webhook of ours", self.strange),
            ("parked", parked),
            ("missing", self.missing()),
        ];
        let heading = ["accounted for by id", "number"].map(str::to_owned).to_vec();
        let lines = lines.map(|(name, number)| vec![name.to_owned(), number.to_string()]);
        aligned(&[vec![heading], lines.to_vec()].concat())
    }
}

/// 128 bits, written as a UUID or as plain hex.
fn number(text: &str) -> anyhow::Result<u128> {
    Ok(text.parse::<Uuid>()?.as_u128())
}
