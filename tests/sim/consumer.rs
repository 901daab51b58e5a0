//! A subscription by way of a connection.

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use milepost::domain::envelope::Envelope;
use milepost::ports::{Delivery, Subscription, SubscriptionEnded, Tag};
use tokio::time::{Instant, sleep, sleep_until};

use crate::plan::Weather;
use crate::planted::Planted;
use crate::ports::Ports;

/// A subscription by way of a connection. An acknowledgement is not answered: it is lost if the connection ends first.
pub struct Consumer {
    ports: Ports,
    inner: Option<Box<dyn Subscription>>,
    cuts: u64,
    taken: BTreeMap<Tag, Envelope>,
    acknowledged: VecDeque<(Instant, Tag)>,
}

impl Consumer {
    pub fn new(ports: Ports, inner: Box<dyn Subscription>) -> Self {
        let cuts = ports.process.slot.broker.cuts();
        Self { ports, inner: Some(inner), cuts, taken: BTreeMap::new(), acknowledged: VecDeque::new() }
    }

    fn is_cut(&self) -> bool {
        self.ports.process.slot.broker.cuts() != self.cuts
    }

    /// What arrived of the acknowledgements by now.
    fn arrive(&mut self, now: Option<Instant>) {
        let Some(inner) = self.inner.as_mut() else { return };
        let mut tags = Vec::new();
        while let Some((at, tag)) = self.acknowledged.front().copied() {
            if now.is_some_and(|now| at > now) {
                break;
            }
            self.acknowledged.pop_front();
            tags.push(tag);
        }
        for tag in &tags {
            if let Some(envelope) = self.taken.remove(tag) {
                self.ports.world.book().gone(&self.ports.process, &envelope);
            }
        }
        inner.acknowledge(&mut tags);
    }
}

#[async_trait]
impl Subscription for Consumer {
    async fn next(&mut self) -> Result<Delivery, SubscriptionEnded> {
        let ports = self.ports.clone();
        let link = &ports.process.slot.broker;
        loop {
            let mut changed = std::pin::pin!(link.changed.notified());
            changed.as_mut().enable();
            ports.process.alive().await;
            if self.is_cut() {
                // The broker gives its messages back at once; the process notices later.
                self.inner = None;
                sleep(link.with_dice(|dice, _| dice.latency() * 4)).await;
                return Err(SubscriptionEnded);
            }
            if link.weather() == Weather::Hanging {
                tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(link.until()) => {}
                }
                continue;
            }
            self.arrive(Some(Instant::now()));
            let next_ack = self.acknowledged.front().map(|(at, _)| *at);
            let inner = self.inner.as_mut().ok_or(SubscriptionEnded)?;
            let delivery = tokio::select! {
                biased;
                () = changed => continue,
                () = sleep_until(next_ack.unwrap_or_else(Instant::now)), if next_ack.is_some() => continue,
                delivery = inner.next() => delivery?,
            };
            self.taken.insert(delivery.tag, delivery.envelope.clone());
            ports.world.book().taken(&ports.process, &delivery.envelope);
            if ports.has(Planted::AcknowledgesWhatItTakes) {
                self.acknowledge(&mut vec![delivery.tag]);
                self.arrive(None);
            }
            return Ok(delivery);
        }
    }

    fn acknowledge(&mut self, tags: &mut Vec<Tag>) {
        let on_the_way = self.ports.process.slot.broker.with_dice(|dice, _| dice.latency());
        for tag in tags.drain(..) {
            if let Some(envelope) = self.taken.get(&tag) {
                self.ports.world.book().acknowledged(&self.ports.process, envelope);
            }
            let earliest = self.acknowledged.back().map_or_else(Instant::now, |(at, _)| *at);
            self.acknowledged.push_back((earliest.max(Instant::now() + on_the_way), tag));
        }
    }

    async fn stop(&mut self) {
        if let Some(inner) = self.inner.as_mut() {
            inner.stop().await;
        }
    }

    async fn close(mut self: Box<Self>) {
        self.ports.process.alive().await;
        if !self.is_cut() {
            self.arrive(None);
        }
    }
}
