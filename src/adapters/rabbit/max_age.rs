//! How long a stream keeps its messages.

use std::str::FromStr;

/// An age as RabbitMQ writes it for streams, such as `7D`: a number and one of `Y M D h m s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxAge(String);

impl MaxAge {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MaxAge {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix(['Y', 'M', 'D', 'h', 'm', 's']).unwrap_or_default();
        let valid = number.bytes().all(|byte| byte.is_ascii_digit())
            && number.parse::<u32>().is_ok_and(|number| number > 0);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a number and one of Y M D h m s, such as 7D")
        }
    }
}
