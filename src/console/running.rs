//! Acts under way, and the last that are over: each in a task of its own, so that a page that is closed stops nothing.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::parked_index::ParkedIndex;
use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::RabbitSettings;
use crate::domain::provider::ProviderId;
use crate::operator::audit::{Act, AuditEntry, AuditLog, Surface, words};
use crate::operator::parked::discard::{discard, file_name};
use crate::operator::parked::filter::Selection;
use crate::operator::parked::replay::{self, Ended, Options, ReplayProgress, Watcher};
use crate::ports::Clock as _;
use crate::telemetry::metrics as m;

/// So many acts are remembered.
const MOST_REMEMBERED: usize = 100;
/// So many run at once; beyond that a new one is refused.
const MOST_RUNNING: usize = 16;

/// How far an act is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ActState {
    /// Whether its turn has come: one act a queue at a time.
    pub(super) begun: bool,
    /// How far it is; a discard has none.
    pub(super) progress: ReplayProgress,
    pub(super) ended: Option<ActResult>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActResult {
    pub(super) at: Timestamp,
    /// Whether all that was meant was done.
    pub(super) well: bool,
    /// In words.
    pub(super) says: String,
    /// The file that it wrote.
    pub(super) file: Option<String>,
}

pub(super) struct RunningAct {
    pub(super) id: Uuid,
    pub(super) who: String,
    pub(super) act: Act,
    pub(super) provider: ProviderId,
    pub(super) which: String,
    /// When it was asked for.
    pub(super) asked_at: Timestamp,
    state: watch::Sender<ActState>,
    stop: CancellationToken,
}

impl RunningAct {
    /// How far it is, now and whenever that changes.
    #[must_use]
    pub(super) fn state(&self) -> watch::Receiver<ActState> {
        self.state.subscribe()
    }

    /// Ends it as soon as nothing is half done.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

/// What is to be done.
pub(super) enum Job {
    Replay(Options),
    /// A discard, written first to a file in this directory.
    Discard(Selection, PathBuf),
}

impl Job {
    fn act(&self) -> Act {
        match self {
            Self::Replay(options) if options.edited.is_some() => Act::EditAndReplay,
            Self::Replay(_) => Act::Replay,
            Self::Discard(..) => Act::Discard,
        }
    }

    fn selection(&self) -> &Selection {
        match self {
            Self::Replay(options) => &options.selection,
            Self::Discard(selection, _) => selection,
        }
    }
}

/// There are too many acts under way.
#[derive(Debug, thiserror::Error)]
#[error("{MOST_RUNNING} acts are under way: wait until one has ended")]
pub(super) struct TooManyActs;

/// All acts of this console.
pub(super) struct RunningActs {
    settings: RabbitSettings,
    index: Arc<ParkedIndex>,
    audit: AsyncMutex<AuditLog>,
    acts: Mutex<VecDeque<Arc<RunningAct>>>,
    tasks: TaskTracker,
}

impl RunningActs {
    #[must_use]
    pub(super) fn new(settings: RabbitSettings, index: Arc<ParkedIndex>) -> Arc<Self> {
        let audit = AsyncMutex::new(AuditLog::new(settings.clone()));
        Arc::new(Self { settings, index, audit, acts: Mutex::default(), tasks: TaskTracker::new() })
    }

    /// Writes something down that is done at once.
    ///
    /// # Errors
    /// When it is not known to be written.
    pub(super) async fn note(&self, entry: &AuditEntry) -> anyhow::Result<()> {
        self.audit.lock().await.write(entry).await
    }

    /// The acts, the latest first.
    #[must_use]
    pub(super) fn all(&self) -> Vec<Arc<RunningAct>> {
        self.lock().iter().rev().cloned().collect()
    }

    #[must_use]
    pub(super) fn find(&self, id: Uuid) -> Option<Arc<RunningAct>> {
        self.lock().iter().find(|act| act.id == id).cloned()
    }

    /// Begins an act on the messages of one provider. It is written to the audit log before anything is done.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn begin(
        self: &Arc<Self>,
        who: &str,
        provider: ProviderId,
        wanted: Job,
    ) -> Result<Arc<RunningAct>, TooManyActs> {
        let act = Arc::new(RunningAct {
            id: Uuid::new_v4(),
            who: who.to_owned(),
            act: wanted.act(),
            provider,
            which: words(wanted.selection()),
            asked_at: SystemClock.now(),
            state: watch::Sender::default(),
            stop: CancellationToken::new(),
        });
        {
            let mut acts = self.lock();
            if acts.iter().filter(|act| act.state.borrow().ended.is_none()).count() >= MOST_RUNNING {
                return Err(TooManyActs);
            }
            if acts.len() >= MOST_REMEMBERED
                && let Some(over) = acts.iter().position(|act| act.state.borrow().ended.is_some())
            {
                acts.remove(over);
            }
            acts.push_back(Arc::clone(&act));
        }
        let (all, running) = (Arc::clone(self), Arc::clone(&act));
        self.tasks.spawn(async move { all.run(&running, wanted).await });
        Ok(act)
    }

    async fn run(&self, act: &RunningAct, wanted: Job) {
        let _reserved = self.index.reserve(act.provider).await;
        act.state.send_modify(|state| state.begun = true);
        let entry = AuditEntry::begun(
            &act.who,
            Surface::Console,
            act.act,
            act.which.clone(),
            &wanted.selection().ids,
        );
        let (count, result) = match self.note(&entry).await {
            Err(error) => (0, failed(&error)),
            Ok(()) if act.stop.is_cancelled() => (0, ended(true, "stopped before it began".to_owned())),
            Ok(()) => {
                metrics::counter!(m::CONSOLE_ACTS, "act" => act.act.as_str()).increment(1);
                match wanted {
                    Job::Replay(options) => self.replay(act, &options).await,
                    Job::Discard(selection, directory) => self.discard(act, &selection, directory).await,
                }
            }
        };
        if let Err(error) = self.note(&entry.ended(count, result.says.clone())).await {
            tracing::error!(
                error = format!("{error:#}"),
                act = act.act.as_str(),
                who = act.who,
                "an act's end is not in the audit log"
            );
        }
        act.state.send_modify(|state| state.ended = Some(result));
        self.index.read_again(act.provider);
    }

    async fn replay(&self, act: &RunningAct, options: &Options) -> (u64, ActResult) {
        let watcher = ActWatcher { act, index: &self.index };
        let (total, how) = replay::run(&self.settings, options, &act.stop, &watcher).await;
        let well = matches!(how, Ok(Ended::Through)) && total.failed == 0;
        (total.replayed, ended(well, replay::told(&total, &how)))
    }

    async fn discard(&self, act: &RunningAct, selection: &Selection, directory: PathBuf) -> (u64, ActResult) {
        let file = file_name(SystemClock.now());
        match discard(&self.settings, selection, &directory.join(&file)).await {
            Ok(ids) if ids.is_empty() => (0, ended(false, "nothing to discard".to_owned())),
            Ok(ids) => {
                for id in &ids {
                    self.index.remove(act.provider, id);
                }
                let file = file.to_string_lossy().into_owned();
                let says = format!("discarded {}, written to {file}", ids.len());
                (ids.len() as u64, ActResult { file: Some(file), ..ended(true, says) })
            }
            Err(error) => (0, failed(&error)),
        }
    }

    /// Stops every act, and waits until nothing is half done.
    pub(super) async fn drain(&self) {
        self.lock().iter().for_each(|act| act.stop());
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<RunningAct>>> {
        // Each change is one push or removal.
        self.acts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended(well: bool, says: String) -> ActResult {
    ActResult { at: SystemClock.now(), well, says, file: None }
}

fn failed(error: &anyhow::Error) -> ActResult {
    ended(false, format!("failed: {error:#}"))
}

struct ActWatcher<'a> {
    act: &'a RunningAct,
    index: &'a ParkedIndex,
}

impl Watcher for ActWatcher<'_> {
    fn progress(&self, progress: ReplayProgress) {
        self.act.state.send_modify(|state| state.progress = progress);
    }

    fn taken(&self, provider: ProviderId, id: &str) {
        self.index.remove(provider, id);
    }
}
