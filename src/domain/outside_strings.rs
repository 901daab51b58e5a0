//! JSON text without its strings: its brackets, commas, numbers and white space.

/// What lies between the strings of `json`. Of text that is no JSON something, in linear time.
pub(super) fn outside_strings(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = json;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|byte| *byte == b'"').unwrap_or(rest.len());
        let (part, string) = rest.split_at(end);
        rest = after_string(string);
        Some(part)
    })
}

/// What follows the string that `json` begins with; nothing if that does not end.
fn after_string(json: &[u8]) -> &[u8] {
    let mut rest = json.get(1..).unwrap_or_default();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        let is_end = rest[at] == b'"';
        // What is behind a backslash ends nothing.
        rest = rest.get(at + if is_end { 1 } else { 2 }..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::outside_strings;

    fn parts(json: &str) -> Vec<&str> {
        outside_strings(json.as_bytes()).map(|part| std::str::from_utf8(part).expect("text")).collect()
    }

    #[test]
    fn what_is_in_a_string_is_left_out() {
        assert_eq!(parts(r#"{"a": [1, "b]"], "c": 2}"#), ["{", ": [1, ", "], ", ": 2}"]);
        assert_eq!(parts(r#"["\"", "\\", "\\\""]"#), ["[", ", ", ", ", "]"]);
        assert_eq!(parts(r#""""#), [""]);
    }

    #[test]
    fn a_string_without_an_end_reaches_to_the_end() {
        assert_eq!(parts(r#"[1, "2]"#), ["[1, "]);
        assert_eq!(parts(r#"["\"#), ["["]);
    }
}
