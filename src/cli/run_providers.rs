//! The stand-ins for the providers' APIs of `milepost run --play`: whom the reconciler asks, and who know what was played.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::Value;
use tokio::net::TcpListener;

use super::fake::provider::dialect::Dialect;
use super::fake::provider::server::ProviderStubs;
use super::fake::provider::{SAMPLE_CREDENTIAL, every_stub, serve};
use crate::app::life::Life;
use crate::domain::provider::ProviderId;

pub(super) struct AskedStandIns {
    listener: TcpListener,
    url: String,
    stubs: Arc<ProviderStubs>,
}

impl AskedStandIns {
    /// Listens on any port of loopback.
    pub(super) async fn listen() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("the stand-ins for the providers' APIs cannot listen")?;
        let url = format!("http://{}", listener.local_addr()?);
        Ok(Self { listener, url, stubs: every_stub(SAMPLE_CREDENTIAL) })
    }

    /// That they are asked, as configuration.
    pub(super) fn sources(&self) -> String {
        let source = |dialect: Dialect| {
            let (provider, url) = (dialect.provider(), &self.url);
            format!(
                "[recovery.providers.{provider}]\nbase_url = \"{url}/{provider}\"\n\
                 accounts.default.credential = \"{SAMPLE_CREDENTIAL}\"\n"
            )
        };
        Dialect::ALL.map(source).concat()
    }

    /// Serves. Returns the stand-ins, which are given the deliveries to know.
    pub(super) fn serve(self, life: &mut Life) -> Arc<ProviderStubs> {
        eprintln!("milepost: stand-ins for the providers' APIs on {}", self.url);
        let (closing, stubs) = (life.closing.clone(), Arc::clone(&self.stubs));
        life.plumbing("providers' stand-ins", serve(self.listener, self.stubs, closing));
        stubs
    }
}

/// A webhook was played: its provider says the same from now on.
pub(super) fn played(stubs: &ProviderStubs, provider: ProviderId, webhook: &[u8]) {
    let stub = stubs.0.iter().find(|stub| stub.dialect().provider() == provider);
    let said: Result<Value, _> = serde_json::from_slice(webhook);
    if let (Some(stub), Ok(said)) = (stub, said)
        && let Some((address, state)) = stub.dialect().state_by(&said)
    {
        stub.state().deliveries.insert(address, state);
    }
}
