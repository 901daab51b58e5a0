//! Exact decimals: money, coordinates and weights, which never pass through a float.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::number::Number;

/// Longer than this is no coordinate, weight or amount.
const MOST_BYTES: usize = 40;

/// A decimal number exactly as it was sent, digits and trailing zeros included; an exponent is written out (`-3.8e-05`
/// is `-0.000038`). A JSON string in events: most JSON readers would make a float of a number.
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

    /// Digits with an optional minus, fraction and exponent, as JSON and people write them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = Number::parse(text).filter(|_| !text.starts_with('+')).ok_or(DecimalError)?;
        let plain = if text.contains(['e', 'E']) { number.plain() } else { Some(text.to_owned()) };
        plain.filter(|plain| plain.len() <= MOST_BYTES).map(Self).ok_or(DecimalError)
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
