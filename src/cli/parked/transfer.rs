//! `milepost parked export` and `import`: parked messages as JSON lines, whole and exact.
//!
//! A file holds the webhooks as they were sent, personal data included: only its owner may read it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::{BrokerArgs, Site, until_signalled};
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::parked::{ParkedQueue, Record, ReplayPublisher};
use crate::cli::Exit;
use crate::domain::parked::Parked;
use crate::domain::provider::{Provider, ProviderId};
use crate::operator::audit::{Act, AuditEntry, Surface, filter_words};
use crate::operator::parked::export::Writer;
use crate::operator::parked::filter::Filter;
use crate::operator::parked::look;
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
    #[command(flatten)]
    pub broker: BrokerArgs,
    #[command(flatten)]
    pub filter: Filter,
}

/// What `milepost parked import` is asked.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// The file; `-` is standard input. A message whose id is parked already is left out
    pub file: PathBuf,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

pub(super) async fn export(args: &ExportArgs, site: &Site) -> anyhow::Result<Exit> {
    let mut writer = match &args.file {
        Some(path) => Writer::into(path.clone()),
        None => Writer::stdout(),
    };
    let stop = until_signalled()?;
    let exporting = async {
        let mut exported = 0;
        look(&site.rabbit, &args.filter, &stop, |_, message| {
            exported += 1;
            writer.write(message)
        })
        .await?;
        writer.sync()?;
        Ok(exported)
    };
    let entry = AuditEntry::begun(&site.who, Surface::Command, Act::Export, filter_words(&args.filter), &[]);
    let told = |exported: &u64| (*exported, "written".to_owned());
    let exported = site.audit().done(&entry, exporting, told).await?;
    eprintln!("milepost: exported {exported}");
    Ok(Exit::Done)
}

pub(super) async fn import(args: &ImportArgs, site: &Site) -> anyhow::Result<Exit> {
    // All of it is read before any of it is parked: half a file is of no use.
    let records = read(&args.file)?;
    let which = format!("{} of {}", records.len(), args.file.display());
    let entry = AuditEntry::begun(&site.who, Surface::Command, Act::Import, which, &[]);
    let told = |(parked, left_out): &(u64, u64)| (*parked, format!("{left_out} were parked already"));
    let (parked, left_out) = site.audit().done(&entry, park(&records, &site.rabbit), told).await?;
    eprintln!("milepost: parked {parked}, left out {left_out} that were parked already");
    Ok(Exit::Done)
}

/// Parks what is not parked yet. Returns how many were, and how many were left out.
async fn park(records: &[(ProviderId, Record)], settings: &RabbitSettings) -> anyhow::Result<(u64, u64)> {
    let publisher = ReplayPublisher::open(settings).await?;
    let mut there: HashMap<ProviderId, HashSet<String>> = HashMap::new();
    let mut confirms: FuturesUnordered<BoxFuture<'_, Result<(), PublishError>>> = FuturesUnordered::new();
    let (mut parked, mut left_out) = (0, 0);
    for (provider, record) in records {
        if !there.contains_key(provider) {
            there.insert(*provider, ids(settings, *provider).await?);
        }
        if !there.entry(*provider).or_default().insert(record.id.clone()) {
            left_out += 1;
            continue;
        }
        if confirms.len() >= UNCONFIRMED {
            parked += confirmed(confirms.next().await)?;
        }
        confirms.push(Box::pin(publisher.park(record).await??));
    }
    while !confirms.is_empty() {
        parked += confirmed(confirms.next().await)?;
    }
    publisher.close().await;
    Ok((parked, left_out))
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
        // serde_json's errors may quote the value at fault, so only the place is shown.
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
