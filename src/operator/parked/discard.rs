//! Takes messages off the queue for good, after writing them down.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::ParkedQueues;
use super::entry::Entry;
use super::export::Writer;
use super::filter::Selection;
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::parked::ParkedQueue;

/// The file that is written when none is named.
#[must_use]
pub fn file_name(now: Timestamp) -> PathBuf {
    format!("milepost-discarded-{}.jsonl", now.strftime("%Y%m%dT%H%M%SZ")).into()
}

/// Discards what is selected. Returns the ids of what is gone; the file is there only if there are any.
///
/// # Errors
/// When a queue cannot be looked at, or the file cannot be written: what was not written is still parked.
pub async fn discard(
    settings: &RabbitSettings,
    selection: &Selection,
    file: &Path,
) -> anyhow::Result<Vec<String>> {
    let mut writer = Writer::into(file.to_owned());
    let mut queues = ParkedQueues::new(settings, &selection.filter);
    let mut discarded = Vec::new();
    while let Some(mut queue) = queues.next().await? {
        discarded.extend(of_queue(&mut queue, selection, &mut writer).await?);
        queue.close().await?;
    }
    Ok(discarded)
}

async fn of_queue(
    queue: &mut ParkedQueue,
    selection: &Selection,
    writer: &mut Writer,
) -> anyhow::Result<Vec<String>> {
    let (mut tags, mut ids) = (Vec::new(), Vec::new());
    while let Some(message) = queue.next().await? {
        let entry = Entry::read(&message);
        if selection.accepts(&entry) {
            writer.write(&message)?;
            tags.push(message.tag);
            ids.push(entry.about.id);
        }
    }
    writer.sync()?;
    for tag in tags {
        queue.ack(tag).await?;
    }
    Ok(ids)
}
