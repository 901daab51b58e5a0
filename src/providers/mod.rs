//! The providers, one file each, and the one table that registers them.

mod dash;
mod deliverect;
mod express247;
mod hubrise;
mod telyport;

use sha2::{Digest, Sha256};

use crate::domain::provider::Provider;

pub use dash::DASH;
pub use deliverect::DELIVERECT;
pub use express247::EXPRESS_247;
pub use hubrise::HUBRISE;
pub use telyport::TELYPORT;

/// Every provider. Adding one is a line here, its file, its samples, its binary, its fuzz target and its config
/// section; a test names whatever is missing.
pub static ALL: &[&dyn Provider] = &[&TELYPORT, &EXPRESS_247, &DELIVERECT, &DASH, &HUBRISE];

/// The provider named `name`.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Provider> {
    ALL.iter().copied().find(|provider| provider.id().as_str() == name)
}

/// The samples under `samples/<directory>`, each named as its file.
macro_rules! samples {
    ($directory:literal: $($name:literal),+ $(,)?) => {
        &[$($crate::domain::provider::Sample {
            name: $name,
            body: include_str!(concat!("samples/", $directory, "/", $name, ".json")),
        }),+]
    };
}
use samples;

/// What the ids of the webhook numbered `number` of the run `tag` are made of.
fn own_digest(tag: &str, number: u64) -> [u8; 32] {
    Sha256::digest(format!("{tag}/{number}")).into()
}
