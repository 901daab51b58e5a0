//! The providers, one file each, and the one table that registers them.

mod telyport;

use crate::domain::provider::Provider;

pub use telyport::TELYPORT;

/// Every provider. Adding one is a line here, its file, its samples, its binary and its config section; a test
/// names whatever is missing.
pub static ALL: &[&dyn Provider] = &[];

/// The provider named `name`.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Provider> {
    ALL.iter().copied().find(|provider| provider.id().as_str() == name)
}
