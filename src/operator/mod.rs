//! What an operator does: each act once, for the commands and for the pages of the console.
//!
//! Nothing in here prints, reads a command line or draws a page.

pub mod account;
pub mod audit;
pub mod open;
pub mod pace;
pub mod parked;
pub mod printable;
pub mod waiting;
pub mod when;
pub mod why;

use crate::domain::provider::{Provider, ProviderId};
use crate::{providers, sinks};

/// Finds a provider by its name.
///
/// # Errors
/// What the names are.
pub fn provider(name: &str) -> Result<&'static dyn Provider, String> {
    providers::by_name(name).ok_or_else(|| {
        let names: Vec<_> = providers::ALL.iter().map(|provider| provider.id().as_str()).collect();
        format!("the providers are {}", names.join(", "))
    })
}

/// Finds a provider, or a sink, that has a parked queue, by its name.
///
/// # Errors
/// What the providers' names are.
pub fn parked_of(name: &str) -> Result<ProviderId, String> {
    sinks::by_name(name).map_or_else(|| provider(name).map(Provider::id), Ok)
}
