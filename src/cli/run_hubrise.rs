//! The stand-in for HubRise of `milepost run --play`: what is played arrives there.

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::fake::hubrise::{self, Args, SAMPLE_LOCATION, SAMPLE_TOKEN};
use crate::app::life::Life;

/// How each provider's played deliveries name their orders. The order's id is a number of the run's.
const REFERENCES: [(&str, &str); 4] = [
    ("telyport", "{order}-0"),
    ("deliverect", "{order}-0"),
    ("dash", "awb-{order}-0"),
    ("247express", "{order}"),
];

/// A stand-in that listens already.
pub(super) struct StandIn {
    listener: TcpListener,
    url: String,
}

impl StandIn {
    /// Listens on any port of loopback.
    pub(super) async fn listen() -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("the stand-in for HubRise cannot listen")?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        Ok(Self { listener, url })
    }

    /// The connections to it, as configuration.
    pub(super) fn connections(&self) -> String {
        let connection = |(provider, pattern): (&str, &str)| {
            format!(
                "[sinks.hubrise.connections.sample-{provider}]\nbase_url = \"{}\"\ntoken = \"{SAMPLE_TOKEN}\"\n\
                 locations = [\"{SAMPLE_LOCATION}\"]\naccounts = [\"{provider}/default\"]\npattern = \"{pattern}\"\n",
                self.url
            )
        };
        REFERENCES.map(connection).concat()
    }

    /// Serves, and shows what arrives: beside the updates where these are for people, and not among their `json`.
    pub(super) fn serve(self, life: &mut Life, json: bool) {
        eprintln!("milepost: a stand-in for HubRise on {}", self.url);
        let stub = hubrise::stub(&Args::sample());
        let closing = life.closing.clone();
        let showing = hubrise::show(stub.changes(), json);
        life.plumbing("hubrise stand-in", async move {
            let shown = tokio::spawn(showing);
            hubrise::serve(self.listener, stub, closing).await;
            shown.abort();
        });
    }
}
