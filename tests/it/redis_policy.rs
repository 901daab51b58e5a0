//! A Redis that may forget events is warned of, by a worker, when it starts.

use std::process::Command;

use serde_json::Value;

use crate::support::process::{TELYPORT_WORKER, start};
use crate::support::servers::OwnServers;

const MESSAGE: &str = "redis: its maxmemory-policy";

fn redis_cli(servers: &OwnServers, words: &[&str]) {
    let output = Command::new("redis-cli").args(["-u", &servers.redis_url]).args(words).output();
    let output = output.expect("redis-cli runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "OK\n");
}

/// What a worker that logs in as `user` says of the policy. It needs no broker for that.
async fn said(servers: &OwnServers, user: Option<&str>) -> (Value, String) {
    let url = match user {
        Some(user) => servers.redis_url.replace("redis://", &format!("redis://{user}:a-password@")),
        None => servers.redis_url.clone(),
    };
    let variables = [
        ("MILEPOST_AMQP_URL", "amqp://127.0.0.1:1/%2f"),
        ("MILEPOST_REDIS_URL", &url),
        ("MILEPOST__LOG__FILTER", "info,milepost=debug"),
    ];
    let worker = start(TELYPORT_WORKER, &variables);
    let line = worker.says(MESSAGE).await;
    assert!(!worker.stderr.all().join("\n").contains("a-password"));
    (line, worker.stderr.all().join("\n"))
}

#[tokio::test]
async fn a_redis_that_may_forget_events_is_warned_of() {
    let servers = OwnServers::start_with("redis-policy", &["--without-rabbit"]);
    let (line, log) = said(&servers, None).await;
    assert_eq!(
        (&line["level"], &line["message"]),
        (&Value::from("DEBUG"), &Value::from("redis: its maxmemory-policy is noeviction"),),
        "{log}"
    );

    redis_cli(&servers, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    redis_cli(&servers, &["ACL", "SETUSER", "no-config", "on", ">a-password", "~*", "+@all", "-config"]);
    for user in [None, Some("no-config")] {
        let (line, log) = said(&servers, user).await;
        assert_eq!(
            (line["level"].as_str(), line["policy"].as_str()),
            (Some("ERROR"), Some("allkeys-lru")),
            "{log}"
        );
        let message = line["message"].as_str().expect("a message");
        assert!(message.contains("set maxmemory-policy to noeviction"), "{message}");
    }

    redis_cli(
        &servers,
        &["ACL", "SETUSER", "neither", "on", ">a-password", "~*", "+@all", "-config", "-info"],
    );
    let (line, log) = said(&servers, Some("neither")).await;
    assert_eq!(line["level"], "INFO", "{log}");
    assert!(line["message"].as_str().is_some_and(|message| message.contains("cannot be read")), "{log}");
}
