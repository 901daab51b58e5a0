//! What `milepost send` is asked.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderName;

use super::plan::Share;
use super::target;
use crate::cli::sample_source;
use crate::domain::identity::Account;
use crate::domain::samples::SampleSource;
use crate::operator::when::duration;

/// What `milepost send` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// The provider to send as
    #[arg(value_parser = sample_source, required_unless_present = "list")]
    pub provider: Option<&'static dyn SampleSource>,
    /// Send this one of the provider's documented payloads, each time as another event of another delivery
    /// [default: the first of --list]
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub sample: Option<String>,
    /// Send whole deliveries: the webhooks of this one of the provider's journeys in order, each after the one before
    /// it was accepted [default: the first journey of --list]
    #[arg(long, value_name = "NAME", num_args = 0..=1, conflicts_with_all = ["sample", "file"])]
    pub journey: Option<Option<String>>,
    /// Send this file's bytes as the body, each time the same
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Show the provider's documented payloads, one name a line, and its journeys with their steps, and end; those of
    /// every provider, when none is given
    #[arg(long)]
    pub list: bool,
    /// How many webhooks; with --journey, how many deliveries
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
    /// How many webhooks a second [default: as many as are accepted]
    #[arg(long, value_name = "R", value_parser = rate)]
    pub rate: Option<f64>,
    /// What share of the webhooks, from 0 to 1, is sent a second time, byte for byte, after it was accepted
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = Share::parse)]
    pub duplicates: Share,
    /// What share of a journey's steps, from 0 to 1, is swapped with the next one
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = Share::parse, requires = "journey")]
    pub reorder: Share,
    /// For which account of ours
    #[arg(long, default_value = "default")]
    pub account: Account,
    /// Where to: a URL, or only its origin, to which the provider's path is added
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = target::parse)]
    pub to: Url,
    /// What the webhooks' ids and times are made from, and which are swapped or sent twice: the same seed makes the same
    /// bytes, in the same order for each delivery
    /// [default: random, and shown]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Sign with the secret in this file; a line break at its end does not count
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Sign with this secret; a command line shows it to other users, the environment does not [default, to this
    /// machine only: the sample secret of `milepost run`]
    #[arg(long, env = "MILEPOST_SEND_SECRET", hide_env_values = true, conflicts_with = "secret_file")]
    pub secret: Option<String>,
    /// How to prove who we are: `hmac`, `api_key`, `basic`, `bearer` or `header` [default: the first that the provider documents]
    #[arg(long, value_name = "SCHEME")]
    pub auth: Option<String>,
    /// Sign in the header of this name, where the account chose one (`header`) [default: the one in the provider's
    /// examples]
    #[arg(long, value_name = "NAME")]
    pub header: Option<HeaderName>,
    /// Send again, within seconds, what is not accepted, until so long after its first try
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = duration)]
    pub give_up: Duration,
    /// How many at once, those that wait to be sent again included
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// Show what became of each as one JSON object a line
    #[arg(long)]
    pub json: bool,
}

pub(in crate::cli) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1_000_000.0).contains(rate));
    rate.ok_or_else(|| "expected from 0.001 to 1000000 a second".to_owned())
}
