//! `[sinks.hubrise]`: what it becomes, and every error's words.

use super::{file, from_toml, refusal, report};

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

/// Each makes one problem of the connection `paris`.
const OF_A_CONNECTION: &[&str] = &[
    "#token =",
    "#token =\ntoken_file = 5",
    "locations = 5",
    "accounts = 5",
    "token = \"a b\"",
    "locations = []",
    "locations = [\"3R4S3\"]",
    "locations = [\"a-1\", \"a-2\"]\npattern = \"{order}\"",
    "accounts = []",
    "accounts = [\"telyport\"]",
    "accounts = [\"dhl/a\"]",
    "accounts = [\"hubrise/a\"]",
    "references = [\"phone\"]",
    "pattern = \"x\"",
    "pattern = \"{order}{location}\"",
    "statuses.delivered = \"keep\"",
    "statuses.picked_up = \"delivered\"",
    "per_day = 0",
    "base_url = \"http://api.hubrise.com/v1\"",
    "base_url = \"https://user:secret@api.hubrise.com/v1\"",
];

const OF_THE_SINK: &[&str] = &[
    "sinks.hubrise.lease_ms = 20000",
    "sinks.hubrise.interval_seconds = 0",
    "sinks.hubrise.reserve = 1.0",
    "sinks.hubrise.prefetch = 0",
    "sinks.hubrise.patterns = [\"\"]",
    "sinks.hubrise.base_url = \"http://h\"",
    "sinks.hubrise.lease_ms = \"x\"",
    "retry.jitter = 2\nsinks.hubrise.retry.initial_ms = 2000",
    "sinks.hubrise.retry.jitter = 2",
];

#[test]
fn every_problem_of_a_connection_has_its_words() {
    insta::assert_snapshot!(report(OF_A_CONNECTION, connection));
}

#[test]
fn a_connection_has_one_token() {
    let path = file("hubrise-token", b"t");
    let toml = connection(&format!("token_file = {:?}", path.display().to_string()));
    let problem = "sinks.hubrise.connections.paris: has token_file and token: leave one out (from built in)";
    assert_eq!(refusal(&toml), format!("the configuration is not valid:\n  {problem}"));
}

#[test]
fn every_problem_of_the_sink_has_its_words() {
    insta::assert_snapshot!(report(OF_THE_SINK, str::to_owned));
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
