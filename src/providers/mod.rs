//! The providers, a file each with a directory for its parts, and the one table that registers them.

mod dash;
mod deliverect;
mod express247;
mod hubrise;
mod telyport;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::instant;
use crate::domain::journey::Personal;
use crate::domain::provider::Provider;
use crate::domain::samples::SampleSource;

pub use dash::DASH;
pub use deliverect::DELIVERECT;
pub use express247::EXPRESS_247;
pub use hubrise::HUBRISE;
pub use telyport::TELYPORT;

/// The two tables, of one list.
macro_rules! register {
    ($($provider:ident),+ $(,)?) => {
        /// Every provider, as receivers and workers use it.
        pub static ALL: &[&dyn Provider] = &[$(&$provider),+];
        /// Every provider, as what makes webhooks for trying things out uses it.
        pub static SAMPLE_SOURCES: &[&dyn SampleSource] = &[$(&$provider),+];
    };
}
// Adding a provider is a word here, its file, its samples, its binary, its fuzz target, its config section and its
// manifests (CONTRIBUTING.md); a test names what is missing.
register!(TELYPORT, EXPRESS_247, DELIVERECT, DASH, HUBRISE);

#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Provider> {
    ALL.iter().copied().find(|provider| provider.id().as_str() == name)
}

/// The provider named `name`, for making its webhooks.
#[must_use]
pub fn sample_source(name: &str) -> Option<&'static dyn SampleSource> {
    SAMPLE_SOURCES.iter().copied().find(|provider| provider.id().as_str() == name)
}

/// The samples under `samples/<directory>`, each named as its file; for `<provider>/samples.rs`.
macro_rules! samples {
    ($directory:literal: $($name:literal),+ $(,)?) => {
        &[$($crate::domain::journey::Sample {
            name: $name,
            body: include_str!(concat!("../samples/", $directory, "/", $name, ".json")),
        }),+]
    };
}
use samples;

/// Journeys by their names, each with the names of its samples.
macro_rules! journeys {
    ($($name:literal: [$($step:literal),+ $(,)?]),+ $(,)?) => {
        &[$($crate::domain::journey::Journey { name: $name, steps: &[$($step),+] }),+]
    };
}
use journeys;

/// What the ids of a delivery are made of.
fn delivery_digest(personal: &Personal<'_>) -> [u8; 32] {
    digest(&format!("{}/{}", personal.tag, personal.number))
}

/// What the id of an event is made of. The sample's own id is part of it: at one step, one journey has this sample
/// and another one that.
fn event_digest(personal: &Personal<'_>, sample_id: Option<&Value>) -> [u8; 32] {
    let sample_id = sample_id.and_then(Value::as_str).unwrap_or_default();
    digest(&format!("{}/{}/{}/{sample_id}", personal.tag, personal.number, personal.step))
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The time that a sample says as `text`, moved by as much as from `sampled` to `begun`: the samples of some providers
/// tell one delivery, whose times keep their distances.
fn moved(text: &str, sampled: Timestamp, begun: Timestamp) -> Option<Timestamp> {
    instant::from_text(text, None)?.checked_add(begun.duration_since(sampled)).ok()
}
