//! What is parked, as the pages show it: read once, then kept current by what is overheard and by the queue's count.
//!
//! A look locks a parked queue, and reading a long one takes seconds. So each queue is read when the console begins, and
//! again only when the count says that someone else took messages off. Memory is bounded: so many messages, and of
//! their bodies so many bytes; a body that is not held is read from the queue when it is asked for.

mod shelf;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Notify};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use self::shelf::ShelfContent;
pub(super) use self::shelf::{HeldContent, IndexedMessage, ShelfState};
use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::management::Management;
use crate::adapters::rabbit::parked::{Arrivals, ParkedError};
use crate::domain::provider::ProviderId;
use crate::domain::retry::reconnect_delay;
use crate::operator::parked::entry::Entry;
use crate::operator::parked::filter::Filter;
use crate::operator::parked::groups::{Group, GroupKey};
use crate::operator::parked::look;
use crate::operator::why::Sought;
use crate::ports::Clock as _;

/// Between two counts of a queue.
const COUNT_EVERY: Duration = Duration::from_secs(2);
/// A count that differs for so many counts in a row is believed: a message may be on its way to us.
const BELIEVED_AFTER: u32 = 3;
/// The trend has so many hours, the last one now.
pub(super) const TREND_HOURS: usize = 24;

/// A group, with how many of it were parked in each of the last hours, oldest first.
#[derive(Debug, Clone)]
pub(super) struct GroupTrend {
    /// What its messages have in common.
    pub(super) key: Arc<GroupKey>,
    /// How many, and since when.
    pub(super) group: Group,
    pub(super) hours: [u32; TREND_HOURS],
}

struct Shelf {
    provider: ProviderId,
    content: Mutex<ShelfContent>,
    again: Notify,
    /// Held by the request of this console that looks at the queue.
    looking: AsyncMutex<()>,
}

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
        let mut fresh = ShelfContent::default();
        fresh.exists = true;
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

    /// Waits until no request of this console looks at the queue, and keeps others away until it is dropped.
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
        for shelf in &self.shelves {
            let content = shelf.lock();
            for message in content.passing(filter) {
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
        let (mut passed, mut page) = (0, Vec::new());
        let providers = filter.providers();
        for shelf in self.shelves.iter().filter(|shelf| providers.contains(&shelf.provider)) {
            let content = shelf.lock();
            for message in content.passing(filter) {
                if passed >= skip && page.len() < most {
                    page.push(message.clone());
                }
                passed += 1;
            }
        }
        (passed, page)
    }

    /// The messages that a search finds.
    #[must_use]
    pub(super) fn found(&self, sought: &Sought) -> Vec<Entry> {
        let of = |shelf: &Arc<Shelf>| {
            let content = shelf.lock();
            let found = content.messages.values().filter(|message| sought.finds_parked(&message.entry));
            found.map(|message| (*message.entry).clone()).collect::<Vec<_>>()
        };
        self.shelves.iter().flat_map(of).collect()
    }

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

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, ShelfContent> {
        // A panic while it is changed leaves a message out, which the next count finds.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
