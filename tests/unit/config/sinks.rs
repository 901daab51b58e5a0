//! `[sinks.hubrise]`: what it becomes, and every error's words.

use super::{file, from_toml, refusal};

/// A connection that has all it needs, with these lines over it.
fn connection(lines: &str) -> String {
    let mut keys = vec![
        ("token =", "token = \"t\""),
        ("locations", "locations = [\"3r4s3-1\"]"),
        ("accounts", "accounts = [\"telyport/default\"]"),
    ];
    keys.retain(|(key, _)| !lines.lines().any(|line| line.trim_start_matches('#').starts_with(key)));
    let keys: Vec<_> = keys.into_iter().map(|(_, line)| line).collect();
    format!("[sinks.hubrise.connections.paris]\n{}\n{lines}\n", keys.join("\n"))
}

/// Each makes exactly one problem of the connection `paris`.
const OF_A_CONNECTION: &[(&str, &str)] = &[
    ("#token =", "sinks.hubrise.connections.paris: has neither token_file nor token"),
    ("#token =\ntoken_file = 5", "sinks.hubrise.connections.paris.token_file: must be a path, not a number"),
    ("locations = 5", "sinks.hubrise.connections.paris.locations: must be a list, not a number"),
    ("accounts = 5", "sinks.hubrise.connections.paris.accounts: must be a list, not a number"),
    ("token = \"a b\"", "sinks.hubrise.connections.paris.token: must be letters, digits and signs alone"),
    ("locations = []", "sinks.hubrise.connections.paris.locations: has no location"),
    (
        "locations = [\"3R4S3\"]",
        "sinks.hubrise.connections.paris.locations.0: must be a location's id, such as 3r4s3-1",
    ),
    (
        "locations = [\"a-1\", \"a-2\"]\npattern = \"{order}\"",
        "sinks.hubrise.connections.paris.pattern: must have {location}, as the connection has several",
    ),
    ("accounts = []", "sinks.hubrise.connections.paris.accounts: has no account: nothing would be written"),
    (
        "accounts = [\"telyport\"]",
        "sinks.hubrise.connections.paris.accounts.0: must be a provider and an account: telyport/default",
    ),
    ("accounts = [\"dhl/a\"]", "sinks.hubrise.connections.paris.accounts.0: no such provider: dhl"),
    (
        "accounts = [\"hubrise/a\"]",
        "sinks.hubrise.connections.paris.accounts.0: what HubRise told us is not told to HubRise",
    ),
    (
        "references = [\"phone\"]",
        "sinks.hubrise.connections.paris.references.0: must be merchant_order, merchant_reference or order",
    ),
    ("pattern = \"x\"", "sinks.hubrise.connections.paris.pattern: must have {order} once"),
    (
        "pattern = \"{order}{location}\"",
        "sinks.hubrise.connections.paris.pattern: must have something between {order} and {location}",
    ),
    (
        "statuses.delivered = \"keep\"",
        "sinks.hubrise.connections.paris.statuses.delivered: cannot be chosen: HubRise has a status for it",
    ),
    (
        "statuses.picked_up = \"delivered\"",
        "sinks.hubrise.connections.paris.statuses.picked_up: must be keep or pickup_waiting",
    ),
    ("per_day = 0", "sinks.hubrise.connections.paris.per_day: must be from 1 to 1000000"),
    (
        "base_url = \"http://api.hubrise.com/v1\"",
        "sinks.hubrise.connections.paris.base_url: must be an https:// URL",
    ),
    (
        "base_url = \"https://user:secret@api.hubrise.com/v1\"",
        "sinks.hubrise.connections.paris.base_url: must have no credentials and no parameters",
    ),
];

const OF_THE_SINK: &[(&str, &str)] = &[
    ("sinks.hubrise.lease_ms = 20000", "sinks.hubrise.lease_ms: must be above twice request_timeout_ms"),
    ("sinks.hubrise.interval_seconds = 0", "sinks.hubrise.interval_seconds: must be from 1 to 3600"),
    ("sinks.hubrise.reserve = 1.0", "sinks.hubrise.reserve: must be from 0 to 0.9"),
    ("sinks.hubrise.prefetch = 0", "sinks.hubrise.prefetch: must be from 1 to 65535"),
    ("sinks.hubrise.patterns = [\"\"]", "sinks.hubrise.patterns.0: must be a pattern, such as telyport.#"),
    ("sinks.hubrise.base_url = \"http://h\"", "sinks.hubrise.base_url: must be an https:// URL"),
    ("sinks.hubrise.lease_ms = \"x\"", "sinks.hubrise.lease_ms: must be a whole number from 0, not a string"),
    (
        "retry.jitter = 2\nsinks.hubrise.retry.initial_ms = 2000",
        "retry.jitter: the jitter must be from 0 to 0.9",
    ),
    ("sinks.hubrise.retry.jitter = 2", "sinks.hubrise.retry.jitter: the jitter must be from 0 to 0.9"),
];

fn assert_refused(toml: &str, expected: &str) {
    let expected = format!("the configuration is not valid:\n  {expected} (from built in)");
    assert_eq!(refusal(toml), expected, "{toml}");
}

#[test]
fn every_problem_of_a_connection_has_its_words() {
    for (lines, expected) in OF_A_CONNECTION {
        assert_refused(&connection(lines), expected);
    }
}

#[test]
fn a_connection_has_one_token() {
    let path = file("hubrise-token", b"t");
    let toml = connection(&format!("token_file = {:?}", path.display().to_string()));
    assert_refused(&toml, "sinks.hubrise.connections.paris: has token_file and token: leave one out");
}

#[test]
fn every_problem_of_the_sink_has_its_words() {
    for (toml, expected) in OF_THE_SINK {
        assert_refused(toml, expected);
    }
}

#[test]
fn without_a_connection_the_sink_is_not_used() {
    assert!(!from_toml("").expect("usable").config.hubrise_sink.is_used());
}

#[test]
fn a_connection_is_what_its_section_says() {
    let toml = connection("per_day = 500\nstatuses.picked_up = \"keep\"\npattern = \"HR-{order}\"");
    let config = from_toml(&toml).expect("usable").config;
    let [paris] = &config.hubrise_sink.settings.connections[..] else { panic!("one connection") };
    assert_eq!(paris.name, "paris");
    assert_eq!(paris.accounts, [("telyport".to_owned(), "default".to_owned())]);
    let limits: Vec<_> = paris.budget.limits.iter().map(|limit| (limit.name, limit.requests)).collect();
    assert_eq!(limits, [("minute", 500), ("hour", 2_500), ("day", 500)]);
    assert_eq!(paris.style.overrides.len(), 1);
    let remote = &config.hubrise_sink.remotes["paris"];
    assert_eq!(remote.base.as_str(), "https://api.hubrise.com/v1");
}

/// On this machine a stand-in may speak plain HTTP.
#[test]
fn loopback_needs_no_https() {
    for host in ["127.0.0.1:8070", "[::1]:8070", "localhost:8070"] {
        let toml = connection(&format!("base_url = \"http://{host}/v1\""));
        assert!(from_toml(&toml).is_ok(), "{host}");
    }
}

/// The file may be mounted late. The other connections must work meanwhile.
#[test]
fn a_token_file_that_is_not_there_is_a_warning() {
    let loaded = from_toml(&connection("token_file = \"/no/such/file\"\n#token =")).expect("usable");
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let expected = "sinks.hubrise.connections.paris.token_file: no token from /no/such/file: ";
    assert!(warnings[0].starts_with(expected), "{warnings:?}");
}
