//! What is parked, as the pages show it: read once, then kept current by what is overheard and by the queue's count.
//!
//! A look locks a parked queue, and reading a long one takes seconds. So each queue is read when the console begins, and
//! again only when the count says that someone else took messages off. Memory is bounded: so many messages, and of
//! their bodies so many bytes; a body that is not held is read from the queue when it is asked for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Notify};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::management::Management;
use crate::adapters::rabbit::parked::{Arrivals, ParkedError, ParkedMessage};
use crate::domain::history::History;
use crate::domain::provider::ProviderId;
use crate::domain::retry::reconnect_delay;
use crate::operator::parked::entry::Entry;
use crate::operator::parked::filter::Filter;
use crate::operator::parked::groups::{Group, GroupKey};
use crate::operator::parked::look;
use crate::operator::why::is_about;
use crate::ports::Clock as _;

/// Messages of one queue that are held.
const MOST_MESSAGES: usize = 250_000;
/// Bytes of one queue's bodies that are held.
const MOST_BODY_BYTES: usize = 64 * 1024 * 1024;
/// Between two counts of a queue.
const COUNT_EVERY: Duration = Duration::from_secs(2);
/// A count that differs for so many counts in a row is believed: a message may be on its way to us.
const BELIEVED_AFTER: u32 = 3;
/// The trend has so many hours, the last one now.
pub(super) const TREND_HOURS: usize = 24;

/// One message, without its body.
#[derive(Debug, Clone)]
pub(super) struct IndexedMessage {
    /// What is known of it. Its history is held with the body.
    pub(super) entry: Arc<Entry>,
    /// What it has in common with others.
    pub(super) group: Arc<GroupKey>,
    content: Option<Arc<HeldContent>>,
}

/// What is large of a message.
#[derive(Debug)]
pub(super) struct HeldContent {
    /// The provider's bytes.
    pub(super) body: Bytes,
    /// Its failed attempts.
    pub(super) history: History,
}

/// A group, with how many of it were parked in each of the last hours, oldest first.
#[derive(Debug, Clone)]
pub(super) struct GroupTrend {
    /// What its messages have in common.
    pub(super) key: Arc<GroupKey>,
    /// How many, and since when.
    pub(super) group: Group,
    /// By the hour.
    pub(super) hours: [u32; TREND_HOURS],
}

/// How well a queue is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ShelfState {
    /// When it was read last; `None` while it never was.
    pub(super) read_at: Option<Timestamp>,
    /// How many messages it had when it was counted last.
    pub(super) depth: u32,
    /// Why it cannot be read now.
    pub(super) trouble: Option<String>,
    /// Messages beyond those that are held.
    pub(super) beyond: u32,
}

/// One queue's messages.
struct Shelf {
    provider: ProviderId,
    content: Mutex<ShelfContent>,
    again: Notify,
    /// Held by whoever of this console looks at the queue.
    looking: AsyncMutex<()>,
}

#[derive(Default)]
struct ShelfContent {
    /// In the queue's order.
    messages: BTreeMap<u64, IndexedMessage>,
    by_id: HashMap<String, Vec<u64>>,
    groups: HashSet<Arc<GroupKey>>,
    next: u64,
    body_bytes: usize,
    state: ShelfState,
    exists: bool,
}

/// Every parked queue's messages.
pub(super) struct ParkedIndex {
    shelves: Vec<Arc<Shelf>>,
    settings: RabbitSettings,
    management: Option<Management>,
}

impl ParkedIndex {
    /// Of every provider and sink.
    #[must_use]
    pub(super) fn new(settings: RabbitSettings, management: Option<Management>) -> Arc<Self> {
        let shelf = |provider| {
            let (content, again, looking) = (Mutex::default(), Notify::new(), AsyncMutex::new(()));
            Arc::new(Shelf { provider, content, again, looking })
        };
        let shelves = Filter::default().providers().into_iter().map(shelf).collect();
        Arc::new(Self { shelves, settings, management })
    }

    /// Keeps all of them current until it is dropped.
    pub(super) async fn follow(self: Arc<Self>) {
        let following = self.shelves.iter().map(|shelf| self.follow_one(shelf));
        futures_util::future::join_all(following).await;
    }

    async fn follow_one(&self, queue: &Shelf) {
        let mut tries = 0;
        loop {
            if let Err(error) = self.session(queue, &mut tries).await {
                let no_queue = matches!(error.downcast_ref::<ParkedError>(), Some(ParkedError::NoQueue(_)));
                let mut content = queue.lock();
                content.exists = !no_queue && content.exists;
                content.state.trouble = Some(format!("{error:#}")).filter(|_| !no_queue);
            }
            sleep(reconnect_delay(tries, rand::random())).await;
            tries += 1;
        }
    }

    async fn session(&self, queue: &Shelf, tries: &mut u32) -> anyhow::Result<()> {
        let mut arrivals = Arrivals::of(&self.settings, queue.provider).await?;
        queue.lock().exists = true;
        self.read(queue).await?;
        *tries = 0;
        let mut count = interval(COUNT_EVERY);
        count.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut differing = 0;
        loop {
            tokio::select! {
                message = arrivals.next() => queue.lock().add(&message?, true),
                () = queue.again.notified() => self.read(queue).await?,
                _ = count.tick() => {
                    let depth = arrivals.depth().await?;
                    // What a look of ours holds is not counted.
                    if queue.looking.try_lock().is_err() {
                        continue;
                    }
                    differing = if queue.lock().counted(depth) { 0 } else { differing + 1 };
                    if differing >= BELIEVED_AFTER {
                        differing = 0;
                        self.read(queue).await?;
                    }
                }
            }
        }
    }

    /// Reads the whole queue. One that another operator looks at is left as it is known, and read later.
    async fn read(&self, queue: &Shelf) -> anyhow::Result<()> {
        let _looking = queue.looking.lock().await;
        let mut fresh = ShelfContent { exists: true, ..ShelfContent::default() };
        let filter = Filter { provider: vec![queue.provider], ..Filter::default() };
        let never = CancellationToken::new();
        let looked = look(&self.settings, &filter, &never, |_, message| {
            fresh.add(message, false);
            Ok(())
        });
        match looked.await {
            Ok(()) => {
                fresh.state.read_at = Some(SystemClock.now());
                fresh.state.depth =
                    u32::try_from(fresh.messages.len()).unwrap_or(u32::MAX) + fresh.state.beyond;
                *queue.lock() = fresh;
                Ok(())
            }
            Err(error) if matches!(error.downcast_ref(), Some(ParkedError::Busy(_))) => {
                let who = self.holder(queue.provider).await;
                queue.lock().state.trouble = Some(format!("{error}{who}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Who looks at a queue, as far as the management API tells.
    pub(super) async fn holder(&self, provider: ProviderId) -> String {
        let Some(management) = &self.management else { return String::new() };
        match management.looks_at_parked(provider).await {
            Ok(Some(who)) => format!(": it is {who}"),
            _ => String::new(),
        }
    }

    fn shelf(&self, provider: ProviderId) -> Option<&Arc<Shelf>> {
        self.shelves.iter().find(|shelf| shelf.provider == provider)
    }

    /// Waits until nobody of this console looks at the queue, and keeps others away until it is dropped.
    pub(super) async fn reserve(&self, provider: ProviderId) -> Option<AsyncMutexGuard<'_, ()>> {
        Some(self.shelf(provider)?.looking.lock().await)
    }

    /// Reads a queue again soon.
    pub(super) fn read_again(&self, provider: ProviderId) {
        if let Some(shelf) = self.shelf(provider) {
            shelf.again.notify_one();
        }
    }

    /// A message is off its queue.
    pub(super) fn remove(&self, provider: ProviderId, id: &str) {
        if let Some(shelf) = self.shelf(provider) {
            shelf.lock().remove(id);
        }
    }

    /// How well each queue that exists is known.
    #[must_use]
    pub(super) fn states(&self) -> Vec<(ProviderId, ShelfState)> {
        let state = |shelf: &Arc<Shelf>| {
            let content = shelf.lock();
            content.exists.then(|| (shelf.provider, content.state.clone()))
        };
        self.shelves.iter().filter_map(state).collect()
    }

    /// All messages that pass, group by group, the largest group first.
    #[must_use]
    pub(super) fn groups(&self, filter: &Filter) -> Vec<GroupTrend> {
        let now = SystemClock.now().as_second();
        let mut groups: HashMap<*const GroupKey, GroupTrend> = HashMap::new();
        let every = filter.is_empty();
        for shelf in &self.shelves {
            let content = shelf.lock();
            for message in content.messages.values().filter(|it| every || filter.accepts(&it.entry)) {
                let trend = groups.entry(Arc::as_ptr(&message.group)).or_insert_with(|| GroupTrend {
                    key: Arc::clone(&message.group),
                    group: Group::default(),
                    hours: [0; TREND_HOURS],
                });
                let since = message.entry.since();
                trend.group.add(since);
                let ago = since.map(|since| (now - since.as_second()).max(0) / 3600);
                let hour = ago.and_then(|ago| usize::try_from(ago).ok()).filter(|ago| *ago < TREND_HOURS);
                if let Some(ago) = hour {
                    trend.hours[TREND_HOURS - 1 - ago] += 1;
                }
            }
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by(|a, b| b.group.count.cmp(&a.group.count).then_with(|| a.key.cmp(&b.key)));
        groups
    }

    /// How many pass, and of these those from `skip` on, `most` at most, queue by queue in order.
    #[must_use]
    pub(super) fn page(&self, filter: &Filter, skip: usize, most: usize) -> (usize, Vec<IndexedMessage>) {
        let (mut passed, mut page, every) = (0, Vec::new(), filter.is_empty());
        let providers = filter.providers();
        for shelf in self.shelves.iter().filter(|shelf| providers.contains(&shelf.provider)) {
            let content = shelf.lock();
            for message in content.messages.values().filter(|it| every || filter.accepts(&it.entry)) {
                if passed >= skip && page.len() < most {
                    page.push(message.clone());
                }
                passed += 1;
            }
        }
        (passed, page)
    }

    /// The messages about an id.
    #[must_use]
    pub(super) fn about(&self, id: &str) -> Vec<Entry> {
        let of = |shelf: &Arc<Shelf>| {
            let content = shelf.lock();
            let about = content.messages.values().filter(|message| is_about(&message.entry, id));
            about.map(|message| (*message.entry).clone()).collect::<Vec<_>>()
        };
        self.shelves.iter().flat_map(of).collect()
    }

    /// One message.
    #[must_use]
    pub(super) fn message(&self, provider: ProviderId, id: &str) -> Option<IndexedMessage> {
        let content = self.shelf(provider)?.lock();
        let place = content.by_id.get(id)?.first()?;
        content.messages.get(place).cloned()
    }

    /// What is large of it: what is held, or else what the queue has.
    ///
    /// # Errors
    /// When the queue cannot be looked at.
    pub(super) async fn content(&self, message: &IndexedMessage) -> anyhow::Result<Option<Arc<HeldContent>>> {
        if let Some(content) = &message.content {
            return Ok(Some(Arc::clone(content)));
        }
        let about = &message.entry.about;
        let Some(_reserved) = self.reserve(about.provider).await else { return Ok(None) };
        let filter = Filter { provider: vec![about.provider], ..Filter::default() };
        let (mut found, never) = (None, CancellationToken::new());
        look(&self.settings, &filter, &never, |entry, message| {
            if entry.about.id == about.id {
                found = Some(HeldContent::of(message));
            }
            Ok(())
        })
        .await?;
        Ok(found.map(Arc::new))
    }
}

impl HeldContent {
    fn of(message: &ParkedMessage) -> Self {
        Self { body: message.envelope.body.clone(), history: message.about.history.clone() }
    }

    fn bytes(&self) -> usize {
        let words = |failure: &crate::domain::history::Failure| {
            size_of_val(failure) + failure.reason.len() + failure.detail.as_ref().map_or(0, String::len)
        };
        self.body.len() + self.history.failures().iter().map(words).sum::<usize>()
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, ShelfContent> {
        // A panic while it is changed leaves a message out, which the next count finds.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ShelfContent {
    /// Adds a message at the end. What was `overheard` may have been read from the queue before.
    fn add(&mut self, message: &ParkedMessage, overheard: bool) {
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

    fn remove(&mut self, id: &str) {
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
    fn counted(&mut self, depth: u32) -> bool {
        self.state.depth = depth;
        let known = u32::try_from(self.messages.len()).unwrap_or(u32::MAX).saturating_add(self.state.beyond);
        let same = depth == known;
        if same {
            self.state.trouble = None;
        }
        same
    }
}
