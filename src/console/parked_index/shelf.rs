//! The messages of one parked queue, and how well they are known.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::adapters::rabbit::parked::ParkedMessage;
use crate::domain::history::{Failure, History};
use crate::operator::parked::entry::Entry;
use crate::operator::parked::filter::Filter;
use crate::operator::parked::groups::GroupKey;

/// Messages of one queue that are held.
const MOST_MESSAGES: usize = 250_000;
/// Bytes of one queue's bodies that are held.
const MOST_BODY_BYTES: usize = 64 * 1024 * 1024;

/// One message, without its body.
#[derive(Debug, Clone)]
pub(in crate::console) struct IndexedMessage {
    /// What is known of it. Its history is held with the body.
    pub(in crate::console) entry: Arc<Entry>,
    /// What it has in common with others.
    pub(in crate::console) group: Arc<GroupKey>,
    /// Unless too much is held already.
    pub(super) content: Option<Arc<HeldContent>>,
}

/// What is large of a message.
#[derive(Debug)]
pub(in crate::console) struct HeldContent {
    /// The provider's bytes.
    pub(in crate::console) body: Bytes,
    pub(in crate::console) history: History,
}

/// How well a queue is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::console) struct ShelfState {
    /// When it was read last; `None` while it never was.
    pub(in crate::console) read_at: Option<Timestamp>,
    /// How many messages it had when it was counted last.
    pub(in crate::console) depth: u32,
    /// Why it cannot be read now.
    pub(in crate::console) trouble: Option<String>,
    /// Messages beyond those that are held.
    pub(in crate::console) beyond: u32,
}

/// What is known of a queue.
#[derive(Default)]
pub(super) struct ShelfContent {
    /// In the queue's order.
    pub(super) messages: BTreeMap<u64, IndexedMessage>,
    pub(super) by_id: HashMap<String, Vec<u64>>,
    groups: HashSet<Arc<GroupKey>>,
    next: u64,
    body_bytes: usize,
    pub(super) state: ShelfState,
    /// Whether there is such a queue.
    pub(super) exists: bool,
}

impl HeldContent {
    pub(super) fn of(message: &ParkedMessage) -> Self {
        Self { body: message.envelope.body.clone(), history: message.about.history.clone() }
    }

    fn bytes(&self) -> usize {
        let words = |failure: &Failure| {
            size_of_val(failure) + failure.reason.len() + failure.detail.as_ref().map_or(0, String::len)
        };
        self.body.len() + self.history.failures().iter().map(words).sum::<usize>()
    }
}

impl ShelfContent {
    /// The messages that pass, in order. What many have in common is asked once: a page must not take longer for a filter.
    pub(super) fn passing<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a IndexedMessage> {
        let accepted = self.groups.iter().filter(|group| filter.accepts_group(group));
        let accepted: HashSet<_> = accepted.map(Arc::as_ptr).collect();
        let every = filter.is_empty();
        let passes = move |message: &&IndexedMessage| {
            every || (accepted.contains(&Arc::as_ptr(&message.group)) && filter.accepts_one(&message.entry))
        };
        self.messages.values().filter(passes)
    }

    /// Adds a message at the end. What was `overheard` may have been read from the queue before.
    pub(super) fn add(&mut self, message: &ParkedMessage, overheard: bool) {
        let mut entry = Entry::read(message);
        if overheard && self.has(&entry) {
            return;
        }
        if self.messages.len() >= MOST_MESSAGES {
            self.state.beyond += 1;
            return;
        }
        entry.about.history = History::default();
        let key = GroupKey::of(&entry);
        let group = match self.groups.get(&key) {
            Some(group) => Arc::clone(group),
            None => Arc::new(key),
        };
        self.groups.insert(Arc::clone(&group));
        let content = HeldContent::of(message);
        let bytes = content.bytes();
        let content = (self.body_bytes + bytes <= MOST_BODY_BYTES).then(|| Arc::new(content));
        self.body_bytes += content.as_ref().map_or(0, |_| bytes);
        self.by_id.entry(entry.about.id.clone()).or_default().push(self.next);
        self.messages.insert(self.next, IndexedMessage { entry: Arc::new(entry), group, content });
        self.next += 1;
    }

    fn has(&self, entry: &Entry) -> bool {
        let places = self.by_id.get(&entry.about.id).into_iter().flatten();
        let mut known = places.filter_map(|place| self.messages.get(place));
        known.any(|known| known.entry.about.parked_at == entry.about.parked_at)
    }

    pub(super) fn remove(&mut self, id: &str) {
        let Some(places) = self.by_id.get_mut(id) else { return };
        let place = places.remove(0);
        if places.is_empty() {
            self.by_id.remove(id);
        }
        if let Some(content) = self.messages.remove(&place).and_then(|message| message.content) {
            self.body_bytes -= content.bytes();
        }
    }

    /// Takes note of the queue's count. Whether it is what is known.
    pub(super) fn counted(&mut self, depth: u32) -> bool {
        self.state.depth = depth;
        let known = u32::try_from(self.messages.len()).unwrap_or(u32::MAX).saturating_add(self.state.beyond);
        let same = depth == known;
        if same {
            self.state.trouble = None;
        }
        same
    }
}
