//! JSON's escapes taken away, wherever they are: to look for a secret in what a reader would decode.

use std::borrow::Cow;

/// Texts of JSON may be inside texts of JSON, each time with more escapes. Deeper than this is no provider's.
const DEEPEST: usize = 8;

/// Whether one of `secrets` is in `body`, as it is or behind escapes. What has more levels of escapes than can be
/// looked at counts as holding one.
pub(super) fn holds_any(body: &[u8], secrets: &[&[u8]]) -> bool {
    let mut text = Cow::Borrowed(body);
    for _ in 0..=DEEPEST {
        if secrets.iter().any(|secret| text.windows(secret.len()).any(|bytes| bytes == *secret)) {
            return true;
        }
        if !text.contains(&b'\\') {
            return false;
        }
        text = Cow::Owned(unescaped(&text));
    }
    true
}

/// The text with one level of escapes taken away, whether they are in a JSON string or not. What is no valid escape
/// loses its backslash alone.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
        } else if let Some((character, after)) = code_point(rest) {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = after;
        } else if let Some((&escaped, after)) = rest.split_first() {
            out.push(short(escaped));
            rest = after;
        }
    }
    out
}

/// What a backslash and one character say.
const fn short(escaped: u8) -> u8 {
    match escaped {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        other => other,
    }
}

/// The character of `uXXXX`, or of two of them that are a pair, and what follows. Half a pair is no character: a
/// secret that is text has none.
fn code_point(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = unit(text)?;
    let second = rest.strip_prefix(b"\\").and_then(unit);
    let pair = |(second, rest)| Some((char::decode_utf16([first, second]).next()?.ok()?, rest));
    match first {
        0xd800..=0xdbff => Some(second.and_then(pair).unwrap_or((char::REPLACEMENT_CHARACTER, rest))),
        _ => Some((char::from_u32(first.into()).unwrap_or(char::REPLACEMENT_CHARACTER), rest)),
    }
}

fn unit(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = text.strip_prefix(b"u")?.split_at_checked(4)?;
    let mut unit = [0; 2];
    hex::decode_to_slice(digits, &mut unit).ok()?;
    Some((u16::from_be_bytes(unit), rest))
}
