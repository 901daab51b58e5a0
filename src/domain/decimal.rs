//! Exact decimals: money, coordinates and weights, which never pass through a float.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use thiserror::Error;

/// Longer than this is no coordinate, weight or amount.
const MOST_BYTES: usize = 40;

/// A decimal number exactly as it was sent, digits and trailing zeros included. A JSON string in events: most JSON
/// readers would make a float of a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(extend("pattern" = r"^-?[0-9]+(\.[0-9]+)?$", "maxLength" = MOST_BYTES))]
pub struct Decimal(String);

/// Text that is no decimal number.
#[derive(Debug, Error)]
#[error("not a decimal number")]
pub struct DecimalError;

impl Decimal {
    /// Whether its value is from `-limit` to `limit`. A float decides this alone, and is thrown away.
    #[must_use]
    pub fn within(&self, limit: f64) -> bool {
        self.0.parse::<f64>().is_ok_and(|value| value.abs() <= limit)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Digits with an optional sign and fraction, as JSON and people write them; no exponent.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if text.len() <= MOST_BYTES && digits(whole) && digits(fraction) {
            Ok(Self(text.to_owned()))
        } else {
            Err(DecimalError)
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
