//! Words of others, made harmless for a screen.

/// `text` in at most `width` characters, all of them harmless.
#[must_use]
pub fn shortened(text: &str, width: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// `text` without what would move the cursor, colour the terminal, or reverse the line: providers' words are
/// input of others.
#[must_use]
pub fn printable(text: &str) -> String {
    let harmless = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '·',
        c if c.is_control() => '·',
        c => c,
    };
    text.chars().map(harmless).collect()
}
