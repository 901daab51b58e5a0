//! The paths that a source file names, such as `std::fs::read`, however its `use` lines group them. Reads as
//! much of Rust as that takes; renaming (`use a as b`) is not followed.

use std::iter::Peekable;
use std::str::Chars;

/// A path, in segments, and the line that it ends on. A lone word is a path of one segment.
#[derive(Debug, PartialEq)]
pub struct NamedPath {
    pub line: usize,
    pub segments: Vec<String>,
}

/// Every path of `source`, without those in comments and literals.
pub fn paths(source: &str) -> Vec<NamedPath> {
    let mut found = Vec::new();
    // The path before each open brace: that of a `use` group, or nothing.
    let mut groups = vec![Vec::new()];
    let mut path: Vec<String> = Vec::new();
    let mut continues = false;
    let mut line = 1;
    for token in tokens(source) {
        let prefix = || groups.last().cloned().unwrap_or_default();
        match token {
            Token::Word(word) => {
                if !continues {
                    finish(&mut found, std::mem::replace(&mut path, prefix()), line);
                }
                path.push(word);
                continues = false;
            }
            Token::PathSeparator => continues = true,
            Token::Line => line += 1,
            Token::Other(other) => {
                let ended = std::mem::take(&mut path);
                if other == '{' {
                    groups.push(if continues { ended.clone() } else { Vec::new() });
                }
                if other == '}' {
                    groups.pop();
                }
                finish(&mut found, ended, line);
                continues = false;
            }
        }
    }
    finish(&mut found, path, line);
    found
}

fn finish(found: &mut Vec<NamedPath>, segments: Vec<String>, line: usize) {
    if !segments.is_empty() {
        found.push(NamedPath { line, segments });
    }
}

enum Token {
    Word(String),
    PathSeparator,
    Line,
    Other(char),
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\n' => tokens.push(Token::Line),
            '/' if rest.next_if_eq(&'/').is_some() => while rest.next_if(|next| *next != '\n').is_some() {},
            '/' if rest.next_if_eq(&'*').is_some() => skip_comment(&mut rest, &mut tokens),
            ':' if rest.next_if_eq(&':').is_some() => tokens.push(Token::PathSeparator),
            '"' => skip_string(&mut rest, &mut tokens),
            '\'' => skip_character(&mut rest),
            _ if next.is_alphanumeric() || next == '_' => {
                let mut word = String::from(next);
                while let Some(more) = rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
                    word.push(more);
                }
                if matches!(word.as_str(), "r" | "br") && matches!(rest.peek(), Some('"' | '#')) {
                    skip_raw_string(&mut rest, &mut tokens);
                } else {
                    tokens.push(Token::Word(word));
                }
            }
            _ if next.is_whitespace() => {}
            _ => tokens.push(Token::Other(next)),
        }
    }
    tokens
}

fn line_of(skipped: char, tokens: &mut Vec<Token>) {
    if skipped == '\n' {
        tokens.push(Token::Line);
    }
}

/// Behind `/*`; comments nest.
fn skip_comment(rest: &mut Peekable<Chars<'_>>, tokens: &mut Vec<Token>) {
    let mut depth = 1;
    while let Some(next) = rest.next() {
        line_of(next, tokens);
        match next {
            '/' if rest.next_if_eq(&'*').is_some() => depth += 1,
            '*' if rest.next_if_eq(&'/').is_some() => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

fn skip_string(rest: &mut Peekable<Chars<'_>>, tokens: &mut Vec<Token>) {
    while let Some(next) = rest.next() {
        line_of(next, tokens);
        match next {
            '"' => return,
            '\\' => rest.next().into_iter().for_each(|escaped| line_of(escaped, tokens)),
            _ => {}
        }
    }
}

/// Behind `r`.
fn skip_raw_string(rest: &mut Peekable<Chars<'_>>, tokens: &mut Vec<Token>) {
    let mut hashes = 0;
    while rest.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if rest.next_if_eq(&'"').is_none() {
        return; // A raw identifier: the word follows.
    }
    while let Some(next) = rest.next() {
        line_of(next, tokens);
        if next == '"' && (0..hashes).all(|_| rest.next_if_eq(&'#').is_some()) {
            return;
        }
    }
}

/// Behind `'`: a character's rest; or a lifetime, of which nothing is skipped.
fn skip_character(rest: &mut Peekable<Chars<'_>>) {
    let mut ahead = rest.clone();
    let escaped = ahead.next() == Some('\\');
    if escaped {
        rest.next();
        rest.next();
        while rest.next().is_some_and(|next| next != '\'') {}
    } else if ahead.next() == Some('\'') {
        rest.next();
        rest.next();
    }
}
