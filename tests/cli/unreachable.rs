//! A server that is away is named once, by its address, and without a password.

use std::process::Command;

const AMQP: &str = "amqp://u:hunter2@127.0.0.1:1/%2f";
const REDIS: &str = "redis://:hunter2@127.0.0.1:1/0";
const NO_RABBIT: &str = "cannot reach RabbitMQ at 127.0.0.1:1: Connection refused (os error 111)";
const NO_REDIS: &str = "cannot reach Redis at 127.0.0.1:1: Connection refused (os error 111)";

/// What the command says, on both outputs.
fn says(arguments: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_milepost"))
        .args(arguments)
        .env("MILEPOST_AMQP_URL", AMQP)
        .env("MILEPOST_REDIS_URL", REDIS)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).expect("text")).concat();
    assert!(!said.contains("hunter2"), "{said}");
    said.lines().map(str::to_owned).collect()
}

#[test]
fn a_broker_that_is_away_is_one_line() {
    for command in [
        &["parked", "list"][..],
        &["parked", "summary"],
        &["subscribe", "orders", "#"],
        &["topology", "apply"],
        &["topology", "apply", "--dry-run"],
    ] {
        assert_eq!(says(command), [format!("milepost: {NO_RABBIT}")], "{command:?}");
    }
}

#[test]
fn a_redis_that_is_away_is_one_line() {
    let expected = format!("milepost: cannot ask the ledger: the ledger is unavailable: {NO_REDIS}");
    assert_eq!(says(&["waiting"]), [expected]);
}

#[test]
fn each_unreachable_server_is_named_once_a_line() {
    let check = says(&["topology", "check"]).join("\n");
    assert!(
        check.contains(&format!("{NO_RABBIT}. Remedy: look at amqp.url, and whether RabbitMQ runs")),
        "{check}"
    );
    assert!(check.contains(&format!("{NO_REDIS}. Remedy: look at redis.url")), "{check}");
    let why = says(&["why", "x"]);
    for line in check.lines().chain(why.iter().map(String::as_str)) {
        assert!(line.matches("Connection refused").count() <= 1, "{line}");
    }
    assert_eq!(why.iter().filter(|line| line.ends_with(NO_RABBIT)).count(), 2, "{why:?}");
    assert_eq!(why.iter().filter(|line| line.ends_with(NO_REDIS)).count(), 1, "{why:?}");
}

/// Beside `make run`, which listens on no server's port, no server answers at the usual addresses.
#[test]
fn beside_a_fleet_in_memory_a_command_says_that_it_cannot_look_into_it() {
    for (words, from) in [(&["parked", "list"][..], true), (&["why", "x"], false)] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_milepost")).args(words).env_clear().output().expect("it runs");
        let said = String::from_utf8(if from { output.stderr } else { output.stdout }).expect("text");
        // A developer may have servers there, and then there is nothing to say.
        if said.contains("127.0.0.1:5672: Connection refused") {
            assert!(said.contains("keeps everything in memory: no other command can look into it"), "{said}");
        }
    }
}
