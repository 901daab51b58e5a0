//! A parked message's body, as far as it may be seen.

use serde_json::Value;

use super::mask::mask;
use crate::domain::document::without_mark;

#[derive(Debug, Clone, PartialEq)]
pub enum ShownBody {
    /// JSON: masked, or with nothing but credentials masked.
    Json(Value),
    Text(String),
    /// What cannot be read cannot be masked.
    Hidden,
}

impl ShownBody {
    /// Personal data is shown only if it is to `reveal`; credentials never.
    #[must_use]
    pub fn read(body: &[u8], reveal: bool) -> Self {
        match serde_json::from_slice(without_mark(body)) {
            Ok(mut value) => {
                mask(&mut value, reveal);
                Self::Json(value)
            }
            Err(_) if reveal => Self::Text(body.escape_ascii().to_string()),
            Err(_) => Self::Hidden,
        }
    }
}
