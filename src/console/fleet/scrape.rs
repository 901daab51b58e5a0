//! Reads the metrics of receivers and workers, as Prometheus does, as far as they are about providers.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Client;
use url::Url;

use crate::telemetry::metrics as m;

/// How long one process may take.
const TIMEOUT: Duration = Duration::from_secs(1);
/// More than any process has to say.
const LARGEST: usize = 4 * 1024 * 1024;
/// Processes behind one name.
const MOST_PROCESSES: usize = 64;
/// What is refused with a 5xx and is not our fault: HubRise deletes what it gets a 4xx for.
const NOT_OUR_FAULT: [&str; 8] = [
    "wrong_method",
    "too_large",
    "too_slow",
    "broken_body",
    "evicted",
    "ambiguous_length",
    "unsupported_encoding",
    "unknown_account",
];
const ENDED_WELL: [&str; 3] = ["published", "duplicate", "ignored"];

/// What one process says of one provider.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counters {
    /// Whether it takes its webhooks.
    pub(super) receives: bool,
    pub(super) requests: f64,
    pub(super) failed: f64,
    pub(super) accepted: f64,
    pub(super) ended_well: f64,
    pub(super) refusing_since: f64,
    pub(super) last_accepted: f64,
    pub(super) last_refused: f64,
    pub(super) gives_up_after: f64,
}

impl Counters {
    /// Adds what grew from `before` to `now`. A process that began anew counts from nothing.
    pub(super) fn add_growth(&mut self, before: &Self, now: &Self) {
        let grown = |before: f64, now: f64| if now < before { now } else { now - before };
        self.requests += grown(before.requests, now.requests);
        self.failed += grown(before.failed, now.failed);
        self.accepted += grown(before.accepted, now.accepted);
        self.ended_well += grown(before.ended_well, now.ended_well);
    }

    fn take(&mut self, name: &str, labels: &HashMap<&str, &str>, value: f64) {
        let label = |name: &str| labels.get(name).copied().unwrap_or_default();
        match name {
            m::HTTP_REQUESTS => {
                self.requests += value;
                if label("result") == "accepted" {
                    self.accepted += value;
                } else if label("code").starts_with('5') && !NOT_OUR_FAULT.contains(&label("result")) {
                    self.failed += value;
                }
            }
            m::MESSAGES_SETTLED if ENDED_WELL.contains(&label("outcome")) => self.ended_well += value,
            m::REFUSING_SINCE => self.refusing_since = value,
            m::LAST_ACCEPTED => self.last_accepted = value,
            m::LAST_REFUSED => self.last_refused = value,
            m::GIVES_UP_AFTER => (self.receives, self.gives_up_after) = (true, value),
            _ => {}
        }
    }
}

/// What asks.
///
/// # Errors
/// When the system does not let it.
pub(super) fn client() -> reqwest::Result<Client> {
    Client::builder().no_proxy().timeout(TIMEOUT).tls_certs_only([]).build()
}

/// Asks every process behind these URLs. One that does not answer is a trouble.
pub(super) async fn scrape(
    client: &Client,
    urls: &[Url],
    troubles: &mut Vec<String>,
) -> HashMap<String, BTreeMap<String, Counters>> {
    let mut asking = Vec::new();
    for url in urls {
        let host = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        match tokio::net::lookup_host(host).await {
            Ok(addresses) => {
                let each = addresses.take(MOST_PROCESSES).map(|address| ask(client, url.clone(), address));
                asking.extend(each);
            }
            Err(_) => troubles.push(format!("{} has no address (console.metrics)", host.0)),
        }
    }
    let mut found = HashMap::new();
    for (address, answer) in join_all(asking).await {
        match answer {
            Some(text) => drop(found.insert(address.to_string(), read(&text))),
            None => troubles.push(format!("{address} does not say how it does (console.metrics)")),
        }
    }
    found
}

async fn ask(client: &Client, mut url: Url, address: SocketAddr) -> (SocketAddr, Option<String>) {
    let set = url.set_ip_host(address.ip()).and_then(|()| url.set_port(Some(address.port())));
    let asking = async {
        set.ok()?;
        let response = client.get(url).send().await.ok()?.error_for_status().ok()?;
        let text = response.text().await.ok()?;
        (text.len() <= LARGEST).then_some(text)
    };
    (address, asking.await)
}

/// Prometheus's text format, as far as it has a provider.
fn read(text: &str) -> BTreeMap<String, Counters> {
    let mut found: BTreeMap<String, Counters> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let Some((labels, value)) = rest.rsplit_once('}') else { continue };
        // Our own labels have neither quotes nor commas in them, but for accounts, which are not read.
        let labels: HashMap<_, _> = labels
            .split(',')
            .filter_map(|label| label.split_once('='))
            .map(|(name, value)| (name, value.trim_matches('"')))
            .collect();
        let (Some(provider), Ok(value)) = (labels.get("provider"), value.trim().parse()) else { continue };
        found.entry((*provider).to_owned()).or_default().take(name, &labels, value);
    }
    found
}
