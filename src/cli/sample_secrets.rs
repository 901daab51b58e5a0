//! The secrets of the sample accounts. They exist only here: `milepost run` accepts them while it listens on
//! loopback alone, and `milepost send` signs with them when it sends to loopback and was given no other. No
//! configuration file has them, and no other role knows them.

use crate::domain::provider::ProviderId;

#[must_use]
pub fn sample_secret(provider: ProviderId) -> String {
    format!("sample-secret-{provider}")
}
