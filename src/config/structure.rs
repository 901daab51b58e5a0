//! From text and tables to sections: every unknown key and every value of the wrong type is found, not only the first.

use figment::error::{Actual, Kind};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::alike;
use super::findings::Findings;
use super::load::Flag;
use super::sections::Sections;

/// The sections. What cannot be read is a problem, and has its default, so that the rest can be judged.
pub(super) fn read(figment: &Figment, flags: &[Flag], findings: &mut Findings) -> Sections {
    let mut whole: Dict = figment.extract().unwrap_or_default();
    for flag in flags {
        // A URL that is typed replaces the file that holds one.
        let file: Vec<_> = format!("{}_file", flag.key).split('.').map(str::to_owned).collect();
        remove(&mut whole, &file);
    }
    // Each round takes a key away. The parser stops at the first that it does not understand.
    loop {
        match Figment::from(Whole(&whole)).extract::<Sections>() {
            Ok(sections) => return sections,
            Err(error) => {
                findings.unread(&error.path.join("."), describe(&error.kind));
                if !remove(&mut whole, &error.path) {
                    whole.clear();
                }
            }
        }
    }
}

/// Takes away what is at `path`; of a list, the whole list.
fn remove(dict: &mut Dict, path: &[String]) -> bool {
    let Some((name, rest)) = path.split_first() else { return false };
    match dict.get_mut(name) {
        Some(Value::Dict(_, inner)) if !rest.is_empty() => remove(inner, rest),
        _ => dict.remove(name).is_some(),
    }
}

/// Tables and values that are merged already.
struct Whole<'a>(&'a Dict);

impl Provider for Whole<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::default()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}

/// A type error in words, without the value.
fn describe(kind: &Kind) -> String {
    match kind {
        Kind::UnknownField(name, known) => match alike::nearest(name, known.iter().copied()) {
            Some(known) => format!("no such key, did you mean {known}?"),
            None => "no such key".to_owned(),
        },
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("must be {}, not {}", expected_type(expected), actual_type(actual))
        }
        _ => "cannot be read".to_owned(),
    }
}

fn expected_type(expected: &str) -> &str {
    match expected {
        "u64" => "a whole number from 0",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "a table",
        "a sequence" => "a list",
        "path string" => "a path",
        other => other,
    }
}

fn actual_type(actual: &Actual) -> &'static str {
    match actual {
        Actual::Bool(_) => "true or false",
        Actual::Signed(number) if *number < 0 => "a negative number",
        Actual::Signed(_) | Actual::Unsigned(_) => "a number",
        Actual::Float(_) => "a fraction",
        Actual::Str(_) | Actual::Char(_) => "a string",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "that",
    }
}
