//! The topic pattern, by examples and against the plainest matcher there is.

use milepost::cli::pattern::{RoutingPattern, RoutingPatternError};
use proptest::prelude::*;

fn matches(pattern: &str, key: &str) -> bool {
    pattern.parse::<RoutingPattern>().expect("a pattern").matches(key)
}

#[test]
fn as_a_topic_exchange_does() {
    let key = "telyport.default.closed.delivered";
    for pattern in [
        "telyport.default.closed.delivered",
        "#",
        "telyport.#",
        "#.delivered",
        "*.*.closed.*",
        "*.*.*.delivered",
        "telyport.#.delivered",
        "#.default.#",
        "telyport.default.closed.delivered.#",
        "#.#.#.#.#.#",
    ] {
        assert!(matches(pattern, key), "{pattern}");
    }
    for pattern in ["", "*", "telyport", "*.*.*", "*.*.*.*.*", "telyport.*", "#.closed", "telyport.#.*.*.*.*"]
    {
        assert!(!matches(pattern, key), "{pattern}");
    }
}

#[test]
fn an_empty_key_has_no_word_and_words_may_be_empty() {
    assert!(matches("#", ""));
    assert!(matches("", ""));
    assert!(!matches("*", ""));
    assert!(matches("*.*", "."));
    assert!(matches("a.*.b", "a..b"));
    assert!(!matches("a.b", "a..b"));
}

#[test]
fn what_could_never_match_is_refused() {
    assert_eq!("tely*".parse::<RoutingPattern>(), Err(RoutingPatternError::PartOfWord));
    assert_eq!("a.b#.c".parse::<RoutingPattern>(), Err(RoutingPatternError::PartOfWord));
    assert_eq!("**".parse::<RoutingPattern>(), Err(RoutingPatternError::PartOfWord));
    assert_eq!("a".repeat(256).parse::<RoutingPattern>(), Err(RoutingPatternError::TooLong));
    assert!("a".repeat(255).parse::<RoutingPattern>().is_ok());
}

#[test]
fn some_fit_no_key_of_so_many_words() {
    let fits = |pattern: &str| pattern.parse::<RoutingPattern>().expect("a pattern").fits(4);
    for pattern in ["#", "a.b.c.d", "*.*.*.*", "a.#", "#.a", "a.#.d", "a.b.c.d.#", "#.#.a.#.b"] {
        assert!(fits(pattern), "{pattern}");
    }
    for pattern in ["", "*", "a.b.c", "*.closed.*", "a.b.c.d.e", "*.*.*.*.*.#"] {
        assert!(!fits(pattern), "{pattern}");
    }
}

/// The definition, word for word: exponential, and so obviously right.
fn naive(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), None) => naive(rest, key),
        (Some((&"#", rest)), Some((_, others))) => naive(rest, key) || naive(pattern, others),
        (None, Some(_)) | (Some(_), None) => false,
        (Some((&word, rest)), Some((&other, others))) => {
            (word == "*" || word == other) && naive(rest, others)
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_the_definition(
        pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "#"]), 1..8),
        key in prop::collection::vec(prop::sample::select(vec!["a", "b"]), 1..8),
    ) {
        prop_assert_eq!(matches(&pattern.join("."), &key.join(".")), naive(&pattern, &key));
    }

    #[test]
    fn any_text_is_a_pattern_or_refused(pattern in ".{0,40}", key in ".{0,40}") {
        if let Ok(parsed) = pattern.parse::<RoutingPattern>() {
            prop_assert_eq!(parsed.matches(&pattern), true);
            let _ = parsed.matches(&key);
            prop_assert_eq!(parsed.to_string(), pattern);
        }
    }
}
