//! The command line itself, and the exit codes of the binary.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use clap::{CommandFactory, Parser};
use jiff::Timestamp;
use milepost::adapters::clock::SystemClock;
use milepost::adapters::rabbit::subscriptions::{QueueName, QueueNameError};
use milepost::cli::{self, Cli, tail};
use milepost::ports::Clock as _;

fn tail(arguments: &[&str]) -> Result<tail::Args, clap::Error> {
    let cli = Cli::try_parse_from(["milepost", "tail"].iter().chain(arguments))?;
    match cli.command {
        cli::Command::Tail(args) => Ok(args),
        _ => unreachable!("asked for tail"),
    }
}

pub fn milepost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_milepost")).args(arguments).output().expect("it runs")
}

#[test]
fn the_definitions_fit_together() {
    Cli::command().debug_assert();
}

#[test]
fn tail_begins_and_ends_with_a_time() {
    let args = |words: &[&str]| tail(words).ok();
    let since = |text| args(&["--since", text]).and_then(|args| args.since);
    assert_eq!(since("all"), Some(tail::Since::All));
    let time: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
    assert_eq!(since("2026-01-02T03:04:05Z"), Some(tail::Since::At(time)));
    let ago = |since| match since {
        Some(tail::Since::At(time)) => SystemClock.now().duration_since(time).as_secs(),
        other => panic!("{other:?}"),
    };
    assert!((5400..5460).contains(&ago(since("1h30m"))));
    for wrong in ["", "5", "h", "-1h", "1h ago", "1 parsec"] {
        assert_eq!(since(wrong), None, "{wrong}");
    }
    assert_eq!(args(&[]).and_then(|args| args.since), None);
    let between = args(&["--delivery", "X", "--from", "2026-01-02 03:04:05", "--until", "2026-01-02 04:00"]);
    let between = between.expect("understood");
    assert_eq!((between.delivery.as_deref(), between.since), (Some("X"), Some(tail::Since::At(time))));
    assert_eq!(between.until.map(|until| until.to_string()).as_deref(), Some("2026-01-02T04:00:00Z"));
}

#[test]
fn a_misuse_ends_with_2() {
    for wrong in [
        &["send", "no-such-provider"][..],
        &["send"],
        &["send", "telyport", "--reorder", "0.5"],
        &["send", "telyport", "--duplicates", "1.1"],
        &["send", "telyport", "--journey", "--sample", "started"],
        &["send", "telyport", "--journey", "nowhere"],
        &["send", "telyport", "--header", "x-mine"],
        &["send", "dash", "--header", "not a name"],
        &["tail", "tely*"],
        &["tail", "*.closed"],
        &["tail", "--count", "0"],
        &["tail", "--until", "soon"],
        &["why"],
        &["why", "X", "--from", "11:00", "--since", "1m"],
        &["why", "X", "--from", "1h", "--until", "2h"],
        &["tail", "--since", "yesterday"],
        &["subscribe"],
        &["subscribe", "orders"],
        &["subscribe", "orders", "*.delivered"],
        &["subscribe", "orders", "tely*"],
        &["subscribe", "orders", "#", "--max-length", "0"],
        &["subscribe", "orders", "#", "--delivery-limit", "3"],
        &["subscribe", "orders", "#", "--force"],
        &["subscribe", "orders", "#", "--remove", "--park"],
        &["subscribe", "orders", "#", "--remove", "--force"],
        &["subscribe", "orders", "--list"],
        &["subscribe", "--list"],
        &["subscribe", "--remove"],
        &["fly"],
        &[],
    ] {
        let output = milepost(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{wrong:?}");
    }
    assert_eq!(milepost(&["--help"]).status.code(), Some(0));
}

#[test]
fn a_subscribers_queue_has_a_name_of_its_own() {
    let longest = "a".repeat(128);
    for name in ["orders", "Orders_2:eu.closed-ones", "milepost-audit", "mymilepost.orders", &longest] {
        assert_eq!(name.parse::<QueueName>().map(|name| name.to_string()).as_deref(), Ok(name));
    }
    for reserved in ["milepost", "milepost.", "milepost.updates.log", "milepost.orders", "amq.gen-1"] {
        assert_eq!(reserved.parse::<QueueName>(), Err(QueueNameError::Reserved), "{reserved}");
    }
    for other in ["", "two words", "a/b", "caf\u{e9}", "a\n", &"a".repeat(129)] {
        assert_eq!(other.parse::<QueueName>(), Err(QueueNameError::Form), "{other:?}");
    }
}

#[test]
fn an_unusable_configuration_ends_with_78_and_no_password_is_repeated() {
    let output = milepost(&["tail", "--amqp", "amqp://guest:hunter2@[::/"]);
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr.contains("amqp.url: must be an amqp:// or amqps:// URL (from --amqp)"), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn topology_export_takes_a_virtual_host_and_needs_no_server() {
    for (words, vhost) in
        [(&["topology", "export"][..], "the/shop"), (&["topology", "export", "--vhost", "other"], "other")]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_milepost"))
            .args(words)
            .env("MILEPOST_AMQP_URL", "amqp://user:the-password@127.0.0.1:1/the%2Fshop")
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(!text.contains("the-password"));
        let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(file["vhosts"], serde_json::json!([{ "name": vhost }]));
        for kind in ["exchanges", "queues", "bindings"] {
            let things = file[kind].as_array().expect("a list");
            assert!(!things.is_empty() && things.iter().all(|thing| thing["vhost"] == vhost), "{kind}");
        }
        let work = file["queues"].as_array().into_iter().flatten();
        let work = work.filter(|queue| queue["name"] == "milepost.webhooks.telyport").collect::<Vec<_>>();
        assert_eq!(
            work,
            [&serde_json::json!({
                "name": "milepost.webhooks.telyport", "vhost": vhost, "durable": true, "auto_delete": false,
                "arguments": {
                    "x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000, "x-overflow": "reject-publish",
                    "x-queue-leader-locator": "balanced",
                    "x-dead-letter-exchange": "milepost.parked", "x-dead-letter-routing-key": "telyport",
                    "x-dead-letter-strategy": "at-least-once",
                },
            })]
        );
    }
}

#[test]
fn a_check_is_coloured_only_where_colours_are_wanted() {
    let check = |variables: &[(&str, &str)]| {
        let output = Command::new(env!("CARGO_BIN_EXE_milepost"))
            .args(["topology", "check"])
            .env_clear()
            .env("MILEPOST_AMQP_URL", "amqp://127.0.0.1:1/%2f")
            .env("MILEPOST_REDIS_URL", "redis://127.0.0.1:1/")
            .envs(variables.iter().copied())
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert!(check(&[]).starts_with("fail     rabbitmq"), "{}", check(&[]));
    assert!(check(&[("CLICOLOR_FORCE", "1")]).starts_with("\u{1b}["));
    assert!(check(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).starts_with("fail     rabbitmq"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut export = Command::new(env!("CARGO_BIN_EXE_milepost"));
    let mut export = export.args(["topology", "export"]).stdout(Stdio::piped()).spawn().expect("it runs");
    drop(export.stdout.take());
    assert_eq!(export.wait().expect("it ends").code(), Some(0));
}

#[test]
fn wait_ends_on_sigterm() {
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_milepost"));
    let mut waiting = waiting.arg("wait").env_clear().spawn().expect("it runs");
    // Both handlers are there once /proc says that SIGTERM (bit 14) is caught.
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", waiting.id())).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:").map(str::trim));
        mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & 1 << 14 != 0)
    };
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while !caught() && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(waiting.try_wait().expect("it is ours").is_none(), "it waits");
    let pid = waiting.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    assert_eq!(waiting.wait().expect("it ends").code(), Some(0));
}

#[test]
fn called_by_a_roles_name_it_is_that_role() {
    let roles = [
        ("receiver", env!("CARGO_BIN_EXE_milepost-receiver")),
        ("worker-telyport", env!("CARGO_BIN_EXE_milepost-worker-telyport")),
        ("worker-247express", env!("CARGO_BIN_EXE_milepost-worker-247express")),
        ("worker-deliverect", env!("CARGO_BIN_EXE_milepost-worker-deliverect")),
        ("worker-dash", env!("CARGO_BIN_EXE_milepost-worker-dash")),
        ("worker-hubrise", env!("CARGO_BIN_EXE_milepost-worker-hubrise")),
    ];
    assert_eq!(roles.len(), milepost::providers::ALL.len() + 1);
    let unusable = |program: &Path| {
        let ended = Command::new(program).args(["--config", "/none"]).output().expect("it runs");
        (ended.status.code(), String::from_utf8(ended.stderr).expect("text"))
    };
    let named = |name: &str| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory of this test's own");
        let program = path.join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_milepost"), &program).expect("a name");
        let ended = unusable(&program);
        std::fs::remove_dir_all(path).expect("it is there");
        ended
    };
    for (role, binary) in roles {
        let (code, said) = named(&format!("milepost-{role}"));
        assert_eq!(code, Some(78), "{role}");
        assert!(said.starts_with(&format!("milepost {role}: ")), "{said}");
        assert_eq!(said, unusable(Path::new(binary)).1);
    }
    // No role: the operator's binary, which misses a command.
    assert_eq!(named("milepost-worker-unknown").0, Some(2));
}
