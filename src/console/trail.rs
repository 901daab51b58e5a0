//! The latest entries of the audit log, as they are written by any process.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::updates_log::{LogEvent, Start, UpdatesLog};
use crate::operator::audit::{AuditEntry, entry};
use crate::ports::Clock as _;

/// So many are held; `milepost audit` shows all.
const MOST_ENTRIES: usize = 2000;
/// Before a log that refused us is tried again.
const PAUSE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Trail(Mutex<TrailContent>);

#[derive(Default)]
struct TrailContent {
    entries: VecDeque<AuditEntry>,
    trouble: Option<String>,
}

impl Trail {
    /// Reads the log from its beginning, and then each new entry.
    pub(super) async fn follow(self: std::sync::Arc<Self>, url: String) {
        loop {
            let refused = self.read(&url).await;
            self.change(|content| content.trouble = Some(refused));
            sleep(PAUSE).await;
            // What is read again from the beginning is not to be there twice.
            self.change(|content| content.entries.clear());
        }
    }

    async fn read(&self, url: &str) -> String {
        let mut log = match UpdatesLog::audit(url, Start::First, SystemClock.now()) {
            Ok(log) => log,
            Err(error) => return error.to_string(),
        };
        loop {
            match log.next().await {
                Ok(LogEvent::Attached) => self.change(|content| content.trouble = None),
                Ok(LogEvent::Waiting(outage)) => {
                    self.change(|content| content.trouble = Some(outage.to_string()));
                }
                Ok(LogEvent::Update(logged)) => {
                    if let Some(entry) = entry(&logged) {
                        self.change(|content| content.push(entry));
                    }
                }
                Err(error) => {
                    log.close().await;
                    return error.to_string();
                }
            }
        }
    }

    /// Those that `wanted` are, the latest first, and why the log cannot be read now.
    pub(super) fn latest(&self, wanted: impl Fn(&AuditEntry) -> bool) -> (Vec<AuditEntry>, Option<String>) {
        let content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = content.entries.iter().rev().filter(|entry| wanted(entry)).cloned().collect();
        (entries, content.trouble.clone())
    }

    fn change(&self, change: impl FnOnce(&mut TrailContent)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl TrailContent {
    fn push(&mut self, entry: AuditEntry) {
        if self.entries.len() >= MOST_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}
