//! `[recovery]` and `silent_after_seconds`: what they become, and every error's words.

use std::time::Duration;

use milepost::config::{Loaded, Sources, load};
use milepost::domain::identity::Account;
use milepost::domain::provider::Provider as _;
use milepost::domain::status::Phase;
use milepost::providers::{ALL, DASH, EXPRESS_247, TELYPORT};

use super::file;

fn loaded(toml: &str) -> Result<Loaded, String> {
    load(&Sources { base: toml.to_owned(), ..Sources::default() }, ALL).map_err(|error| error.to_string())
}

fn source(provider: &str, lines: &str, account: &str) -> String {
    format!(
        "[recovery.providers.{provider}]\n{lines}\n[recovery.providers.{provider}.accounts.paris]\n{account}\n"
    )
}

#[test]
fn a_source_has_the_documented_address_unless_another_is_said() {
    let config = loaded(&source("dash", "", "credential = \"key:secret\"")).expect("it makes sense").config;
    let dash = &config.recovery.sources[&DASH.id()];
    assert_eq!((dash.base.as_str(), dash.path.as_str()), ("https://api.dashelectric.co/v1", "deliveries/{}"));
    assert_eq!(dash.per_minute, 30);
    let paris: Account = "paris".parse().expect("a name");
    assert_eq!(dash.accounts[&paris].token().expect("a credential").expose(), b"key:secret");
    assert_eq!(dash.timeline_path, None);
    let lines = "base_url = \"http://127.0.0.1:8071\"\npath = \"v3/orders/{}\"\nrequests_per_minute = 7\n\
                 timeline_path = \"v3/timeline\"";
    let config = loaded(&source("telyport", lines, "credential = \"key\"")).expect("it makes sense").config;
    let telyport = &config.recovery.sources[&TELYPORT.id()];
    assert_eq!((telyport.base.as_str(), telyport.path.as_str()), ("http://127.0.0.1:8071/", "v3/orders/{}"));
    assert_eq!((telyport.per_minute, telyport.timeline_path.as_deref()), (7, Some("v3/timeline")));
}

#[test]
fn a_credential_may_be_in_a_file_that_is_not_there_yet() {
    let path = file("credential", b"key\n");
    let there = format!("credential_file = \"{}\"", path.display());
    let config = loaded(&source("telyport", "", &there)).expect("it makes sense");
    assert_eq!(config.warnings, []);
    let late = loaded(&source("telyport", "", "credential_file = \"/nowhere/key\"")).expect("it makes sense");
    assert_eq!(late.warnings[0].key, "recovery.providers.telyport.accounts.paris.credential_file");
    let wrong = loaded(&source("dash", "", &there)).expect("it makes sense");
    assert_eq!(wrong.warnings[0].message, "must be client_key:client_secret");
}

#[test]
fn what_makes_no_sense_says_why() {
    let key = "credential = \"key\"";
    for (toml, expected) in [
        (
            source("deliverect", "", key),
            "recovery.providers.deliverect: cannot be asked for a delivery's status",
        ),
        (source("dhl", "", key), "recovery.providers.dhl: no such provider"),
        (source("dash", "", key), "accounts.paris.credential: must be client_key:client_secret"),
        (source("telyport", "", "credential_file = 5"), "credential_file: must be a path, not a number"),
        (source("telyport", "", ""), "accounts.paris: has neither credential_file nor credential"),
        (source("telyport", "base_url = \"http://example.com\"", key), "base_url: must be an https:// URL"),
        (source("telyport", "path = \"/order\"", key), "path: must be a path without a slash at its ends"),
        (
            source("hubrise", "timeline_path = \"order\"", key),
            "timeline_path: the provider has none that is asked for",
        ),
        (
            source("telyport", "timeline_path = \"/order\"", key),
            "timeline_path: must be a path without a slash",
        ),
        (source("telyport", "requests_per_minute = 0", key), "requests_per_minute: must be from 1 to 60000"),
        ("[recovery.providers.telyport]\n".to_owned(), "telyport: has no account: nothing could be asked"),
        ("[recovery]\nlease_seconds = 1\n".to_owned(), "recovery.lease_seconds: must be from 3 to 3600"),
        ("[open]\nmax_deliveries = 0\n".to_owned(), "open.max_deliveries: must be from 1 to 10000000"),
        (
            "[providers.dash]\nsilent_after_seconds = { closed = 5 }\n".to_owned(),
            "silent_after_seconds.closed: no such phase, there is planned or pickup",
        ),
    ] {
        let said = loaded(&toml).err().unwrap_or_else(|| panic!("{toml} makes sense"));
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("\"key\""), "{said}");
    }
}

#[test]
fn what_is_usual_differs_by_provider_and_phase() {
    let toml = "[providers.telyport]\nsilent_after_seconds = { pickup = 600 }\n";
    let config = loaded(toml).expect("it makes sense").config;
    let hours = Duration::from_hours;
    let telyport = config.provider(TELYPORT.id()).usual_silence;
    let said = [Phase::Planned, Phase::Pickup, Phase::Dropoff].map(|phase| telyport.of(phase));
    assert_eq!(said, [hours(24), Duration::from_secs(600), hours(2)]);
    assert_eq!(config.provider(EXPRESS_247.id()).usual_silence.of(Phase::Transit), hours(72));
    assert_eq!(telyport.of(Phase::Closed), Duration::MAX);
}
