//! `milepost parked export` and `import`: parked messages as JSON lines, whole and exact.
//!
//! A file holds the webhooks as they were sent, personal data included: only its owner may read it.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::filter::Filter;
use super::{Broker, look};
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::parked::{Outlet, ParkedMessage, ParkedQueue, Record};
use crate::cli::{Exit, Global};
use crate::domain::parked::Parked;
use crate::domain::provider::{Provider, ProviderId};
use crate::ports::PublishError;
use crate::{providers, sinks};

/// Messages that wait for their confirm at once.
const UNCONFIRMED: usize = 256;

/// What `milepost parked export` is asked.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// A new file [default: standard output]
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Where.
    #[command(flatten)]
    pub broker: Broker,
    /// Which messages.
    #[command(flatten)]
    pub filter: Filter,
}

/// What `milepost parked import` is asked.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// The file; `-` is standard input. A message whose id is parked already is left out
    pub file: PathBuf,
    /// Where.
    #[command(flatten)]
    pub broker: Broker,
}

/// Writes records.
pub(super) struct Writer {
    path: Option<PathBuf>,
    file: Option<BufWriter<File>>,
}

impl Writer {
    /// Into a file that is not there yet. It is made for the first record.
    pub(super) const fn into(path: PathBuf) -> Self {
        Self { path: Some(path), file: None }
    }

    const fn stdout() -> Self {
        Self { path: None, file: None }
    }

    pub(super) fn write(&mut self, message: &ParkedMessage) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(&Record::from(message))?;
        line.push(b'\n');
        let Some(path) = &self.path else { return Ok(io::stdout().write_all(&line)?) };
        let file = match self.file.take() {
            Some(file) => file,
            None => BufWriter::new(create(path)?),
        };
        Ok(self.file.insert(file).write_all(&line)?)
    }

    /// Until it is on the disk.
    pub(super) fn sync(&mut self) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            file.flush()?;
            file.get_ref().sync_all()?;
        }
        Ok(())
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot create {}", path.display()))
}

pub(super) async fn export(args: &ExportArgs, global: Global) -> anyhow::Result<Exit> {
    let settings = args.broker.settings(global)?;
    let mut writer = match &args.file {
        Some(path) => Writer::into(path.clone()),
        None => Writer::stdout(),
    };
    let mut exported = 0;
    look(&settings, &args.filter, |_, message| {
        exported += 1;
        writer.write(message)
    })
    .await?;
    writer.sync()?;
    eprintln!("milepost: exported {exported}");
    Ok(Exit::Done)
}

pub(super) async fn import(args: &ImportArgs, global: Global) -> anyhow::Result<Exit> {
    let settings = args.broker.settings(global)?;
    // All of it is read before any of it is parked: half a file is of no use.
    let records = read(&args.file)?;
    let outlet = Outlet::open(&settings).await?;
    let mut there: HashMap<ProviderId, HashSet<String>> = HashMap::new();
    let mut confirms: FuturesUnordered<BoxFuture<'_, Result<(), PublishError>>> = FuturesUnordered::new();
    let (mut parked, mut left_out) = (0, 0);
    for (provider, record) in &records {
        if !there.contains_key(provider) {
            there.insert(*provider, ids(&settings, *provider).await?);
        }
        if !there.entry(*provider).or_default().insert(record.id.clone()) {
            left_out += 1;
            continue;
        }
        if confirms.len() >= UNCONFIRMED {
            parked += confirmed(confirms.next().await)?;
        }
        confirms.push(Box::pin(outlet.park(record).await??));
    }
    while !confirms.is_empty() {
        parked += confirmed(confirms.next().await)?;
    }
    outlet.close().await;
    eprintln!("milepost: parked {parked}, left out {left_out} that were parked already");
    Ok(Exit::Done)
}

fn confirmed(result: Option<Result<(), PublishError>>) -> anyhow::Result<u64> {
    match result.unwrap_or(Ok(())) {
        Err(error @ PublishError::Refused) => {
            Err(error).context("the parked queue is full: make room in it; it is safe to run it again")
        }
        result => result.context("cut short; it is safe to run it again").map(|()| 1),
    }
}

/// The ids on a parked queue.
async fn ids(settings: &RabbitSettings, provider: ProviderId) -> anyhow::Result<HashSet<String>> {
    let mut queue = ParkedQueue::open(settings, provider).await?;
    let mut ids = HashSet::new();
    while let Some(message) = queue.next().await? {
        ids.insert(message.about.id);
    }
    queue.close().await?;
    Ok(ids)
}

fn read(path: &Path) -> anyhow::Result<Vec<(ProviderId, Record)>> {
    let file: Box<dyn io::Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?)
    };
    let mut records = Vec::new();
    for (line, number) in BufReader::new(file).lines().zip(1..) {
        let line = line.context("cannot read the file")?;
        // serde_json's errors may quote the value at fault, so only the place is told.
        let record: Record = serde_json::from_str(&line).map_err(|error| {
            anyhow::anyhow!("line {number}, column {}: no record of ours", error.column())
        })?;
        let known = providers::by_name(&record.provider).map(Provider::id);
        let Some(provider) = known.or_else(|| sinks::by_name(&record.provider)) else {
            bail!("line {number}: the provider {:?} is not known", record.provider);
        };
        let (_, body) = record.message().with_context(|| format!("line {number}"))?;
        let id = Parked::id_of(record.message_id.as_deref(), &body);
        records.push((provider, Record { id, ..record }));
    }
    Ok(records)
}
