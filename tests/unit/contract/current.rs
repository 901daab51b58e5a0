//! What is committed is what the code makes.

use std::collections::{BTreeMap, BTreeSet};

use milepost::contract;
use milepost::providers::ALL;

use super::{files_under, here};

#[test]
fn the_committed_files_are_what_the_code_makes() {
    let stale: Vec<_> = contract::files()
        .into_iter()
        .filter(|(name, text)| std::fs::read_to_string(here("docs").join(name)).ok().as_ref() != Some(text))
        .map(|(name, _)| format!("docs/{name}"))
        .collect();
    assert!(
        stale.is_empty(),
        "not what the code makes; run `make docs` and look at what it changes: {stale:#?}"
    );
}

#[test]
fn nothing_else_is_committed_beside_them() {
    let made: BTreeSet<_> = contract::files().into_keys().map(|name| format!("docs/{name}")).collect();
    let committed = files_under("docs/contract").into_iter();
    let left_over: Vec<_> =
        committed.filter(|path| !path.contains("/released/") && !made.contains(path)).collect();
    assert!(left_over.is_empty(), "no longer made; remove them: {left_over:#?}");
}

/// The statuses of a provider are those that its transitions name, and `unknown`.
#[test]
fn each_status_of_each_provider_has_an_example() {
    let mut examples = BTreeMap::<_, BTreeSet<_>>::new();
    for name in contract::files().into_keys() {
        let Some(example) = name.strip_prefix("contract/v1/examples/") else { continue };
        let (provider, file) = example.split_once('/').expect("a folder for each provider");
        let status = file.strip_suffix(".json").expect("JSON");
        examples.entry(provider.to_owned()).or_default().insert(status.to_owned());
    }
    for provider in ALL {
        let transitions = provider.transitions();
        let named = transitions.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]);
        let expected: BTreeSet<_> = named.chain(["unknown"]).map(str::to_owned).collect();
        assert_eq!(examples[provider.id().as_str()], expected, "{}", provider.id());
    }
    assert_eq!(examples.len(), ALL.len());
}
