//! The patterns of an AMQP topic exchange, for filtering what was already received.
//!
//! The updates log is read whole, so the filter that a topic exchange would apply is
//! applied here.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Words in every routing key of an update: provider, account, phase and status.
const WORDS_OF_AN_UPDATE: usize = 4;

/// The longest routing key, and so the longest pattern, that AMQP can carry.
const LONGEST: usize = 255;

/// A topic pattern: words between dots, `*` for exactly one of them, `#` for any number, none included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingPattern(Vec<Word>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Literal(String),
    One,
    Any,
}

/// Text that is no pattern, or one that could never match.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoutingPatternError {
    #[error("a pattern has at most {LONGEST} bytes")]
    TooLong,
    /// A broker would take such a word literally, and no routing key of ours has one.
    #[error("`*` and `#` stand for whole words: they go alone between dots")]
    PartOfWord,
}

impl FromStr for RoutingPattern {
    type Err = RoutingPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST {
            return Err(RoutingPatternError::TooLong);
        }
        let word = |word: &str| match word {
            "*" => Ok(Word::One),
            "#" => Ok(Word::Any),
            _ if word.contains(['*', '#']) => Err(RoutingPatternError::PartOfWord),
            _ => Ok(Word::Literal(word.to_owned())),
        };
        words(text).into_iter().map(word).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for RoutingPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(Word::text).collect();
        f.write_str(&words.join("."))
    }
}

/// Reads a pattern for updates: one that can match none would be waited for in vain.
///
/// # Errors
/// What is wrong with it.
pub(super) fn of_updates(text: &str) -> Result<RoutingPattern, String> {
    let pattern: RoutingPattern = text.parse().map_err(|error| format!("{error}"))?;
    if pattern.fits(WORDS_OF_AN_UPDATE) {
        return Ok(pattern);
    }
    Err("it can match nothing: a routing key has the four words <provider>.<account>.<phase>.<status>"
        .to_owned())
}

impl RoutingPattern {
    /// Whether it matches any routing key at all that has so many words.
    #[must_use]
    pub fn fits(&self, words: usize) -> bool {
        let needed = self.0.iter().filter(|word| **word != Word::Any).count();
        needed == words || (needed < words && self.0.contains(&Word::Any))
    }

    /// Whether a topic exchange would route `routing_key` to a queue bound by this pattern.
    ///
    /// At most (words of the pattern) × (words of the key) steps: only the last `#` seen is ever tried again, with
    /// one word more: what an earlier one could take instead, the last one can take too.
    #[must_use]
    pub fn matches(&self, routing_key: &str) -> bool {
        let key = words(routing_key);
        let (mut in_pattern, mut in_key) = (0, 0);
        let mut last_any: Option<(usize, usize)> = None;
        while in_key < key.len() {
            match self.0.get(in_pattern) {
                Some(Word::Any) => {
                    in_pattern += 1;
                    last_any = Some((in_pattern, in_key));
                }
                Some(word) if word.is(key[in_key]) => {
                    in_pattern += 1;
                    in_key += 1;
                }
                _ => {
                    let Some((after, taken)) = &mut last_any else { return false };
                    *taken += 1;
                    (in_pattern, in_key) = (*after, *taken);
                }
            }
        }
        self.0[in_pattern..].iter().all(|word| *word == Word::Any)
    }
}

impl Word {
    fn text(&self) -> &str {
        match self {
            Self::Literal(literal) => literal,
            Self::One => "*",
            Self::Any => "#",
        }
    }

    fn is(&self, word: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == word,
            Self::One => true,
            Self::Any => false,
        }
    }
}

/// Empty text has no word at all, as for the broker: `*` does not match it, `#` does.
fn words(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('.').collect() }
}
