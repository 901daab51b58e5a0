//! The table in docs/statuses.md is what the providers' files say.

use std::collections::BTreeSet;

use milepost::domain::provider::Decoded;
use milepost::domain::samples::SampleSource;
use milepost::providers::{SAMPLE_SOURCES, sample_source};
use serde_json::Value;

use super::read;
use crate::support::update;

/// A provider, its word, and the phase and status that this becomes.
type Row = (String, String, String, String);

#[test]
fn the_words_in_the_table_become_the_statuses_beside_them() {
    let rows = rows();
    assert!(rows.len() > 40, "{rows:#?}");
    for (provider, word, phase, status) in rows {
        let provider = sample_source(&provider).unwrap_or_else(|| panic!("a column for {provider}"));
        let says = said_of(provider, &word);
        assert!(
            says.contains(&(phase.clone(), status.clone())),
            "{provider} {word}: {phase} {status}, not {says:?}",
            provider = provider.id()
        );
    }
}

#[test]
fn every_status_of_a_provider_is_in_the_table() {
    let rows = rows();
    for provider in SAMPLE_SOURCES {
        let id = provider.id().as_str();
        for sample in provider.samples() {
            let update = update(*provider, sample.body).update;
            let (phase, status) = (update.phase.as_str(), update.status.as_str());
            let row = (id.to_owned(), update.raw_status, phase.to_owned(), status.to_owned());
            assert!(rows.contains(&row), "docs/statuses.md lacks {row:?}");
        }
        let named = provider.transitions().iter().flat_map(|(from, to)| [from, to]);
        for status in named.map(|status| status.as_str()) {
            assert!(
                rows.iter().any(|row| row.0 == id && row.3 == status),
                "docs/statuses.md lacks {status} of {id}"
            );
        }
    }
}

fn rows() -> BTreeSet<Row> {
    let page = read("docs/statuses.md");
    let mut lines = page.lines().skip_while(|line| !line.starts_with("| phase | status |"));
    let providers: Vec<_> = cells(lines.next().expect("the table")).into_iter().skip(2).collect();
    let mut rows = BTreeSet::new();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let cells = cells(line);
        let statuses: Vec<_> = cells[1].split(" / ").collect();
        for (provider, words) in providers.iter().zip(&cells[2..]) {
            for (status, word) in statuses.iter().zip(words.split(" / ")) {
                // What a service says is marked with its name.
                let word = word.split(" (").next().unwrap_or_default();
                if !matches!(word, "" | "–" | "anything else") {
                    let row = [&provider.to_lowercase(), word, &cells[0], status].map(str::to_owned);
                    rows.insert(row.into());
                }
            }
        }
    }
    rows
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What the provider's samples become with `word` as their status.
fn said_of(provider: &dyn SampleSource, word: &str) -> BTreeSet<(String, String)> {
    let reworded = provider.samples().iter().filter_map(|sample| {
        let said = update(provider, sample.body).update.raw_status;
        let mut body = serde_json::from_str(sample.body).expect("JSON");
        replace(&mut body, &said, word);
        match provider.decode(body.to_string().as_bytes()) {
            Ok(Decoded::Update(decoded)) => Some(decoded.update),
            _ => None,
        }
    });
    reworded.map(|update| (update.phase.as_str().to_owned(), update.status.as_str().to_owned())).collect()
}

fn replace(value: &mut Value, said: &str, word: &str) {
    match value {
        Value::String(text) if text == said => word.clone_into(text),
        Value::Number(number) if number.to_string() == said => *value = word.into(),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, said, word)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, said, word)),
        _ => {}
    }
}
