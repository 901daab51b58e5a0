//! Servers that do not answer, that answer only in part, or that forget.

use std::collections::BTreeSet;
use std::process::Command;

use super::{BY_HAND, Servers};
use crate::support::process::Program;
use crate::support::servers::{OwnServers, Vhost, client};

#[tokio::test]
async fn without_an_answer_of_the_management_api_the_rest_is_checked() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let needs_it = [
        "alarms",
        "bindings",
        "feature_flags",
        "members",
        "nodes",
        "policies",
        "rabbitmq_version",
        "subscribers",
    ];
    let said = servers.without_management().check().await;
    said.is_sound();
    let expected: BTreeSet<_> = needs_it.into_iter().chain(BY_HAND).chain(["management"]).collect();
    assert_eq!(said.checks("skipped"), expected);

    let management = servers.management.as_deref().expect("there is one");
    let wrong = management.replace("://", "://guest:not-the-password@");
    for (url, says) in [(&*wrong, "answers 401"), ("http://127.0.0.1:1", "does not answer")] {
        let servers = Servers { management: Some(url.to_owned()), ..servers.clone() };
        let (code, lines, stderr) = servers.program("topology check").output().await;
        let line = lines.iter().find(|line| line.contains("management API  ")).expect("a line");
        assert!(line.starts_with("warn") && line.contains(says), "{line}");
        assert_eq!(code, Some(0), "{lines:#?}");
        assert!(!format!("{lines:?} {stderr:?}").contains("not-the-password"));
    }
}

#[tokio::test]
async fn servers_that_do_not_answer_fail() {
    let nowhere = Servers {
        amqp: "amqp://guest:the-password@127.0.0.1:1/%2f".to_owned(),
        management: None,
        redis: "redis://:the-password@127.0.0.1:1/".to_owned(),
    };
    let said = nowhere.check().await;
    assert_eq!(said.at("fail"), [("rabbitmq", "rabbitmq"), ("redis", "redis")]);
    assert_eq!(said.code, Some(1));
    assert!(!format!("{said:?}").contains("the-password"));
}

/// A server that runs and refuses us is not said to be away.
#[tokio::test]
async fn a_wrong_password_is_said_to_be_one() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let (host, amqp_address) = {
        let url: reqwest::Url = vhost.amqp_url.parse().expect("a URL");
        (url.clone(), format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port")))
    };
    let mut amqp = host;
    amqp.set_password(Some("the-password")).expect("it may have one");
    let mut redis: reqwest::Url = servers.redis.parse().expect("a URL");
    let redis_address = format!("{}:{}", redis.host_str().expect("a host"), redis.port().expect("a port"));
    redis.set_username("stranger").expect("it may have one");
    redis.set_password(Some("the-password")).expect("it may have one");
    let wrong = Servers { amqp: amqp.to_string(), management: None, redis: redis.to_string() };
    let (code, lines, stderr) = wrong.program("topology check").output().await;
    assert_eq!(code, Some(1), "{stderr:?}");
    let says = lines.join("\n");
    assert!(!says.contains("the-password"), "{says}");
    let rabbit =
        format!("RabbitMQ at {amqp_address} refuses the user or the password. Remedy: correct the user");
    assert!(says.contains(&rabbit) && !says.contains("whether RabbitMQ runs"), "{says}");
    assert!(says.contains(&format!("Redis at {redis_address} refuses the user or the password")), "{says}");

    let refuses = format!("milepost: RabbitMQ at {amqp_address} refuses the user or the password");
    for command in ["parked list", "topology apply", "subscribe orders #", "tail --count 1"] {
        let (_, _, stderr) = Program::milepost(command).env("MILEPOST_AMQP_URL", &wrong.amqp).output().await;
        assert_eq!(stderr, [refuses.as_str()], "{command}");
    }
    let nowhere =
        vhost.amqp_url.rsplit_once('/').map(|(server, _)| format!("{server}/nowhere")).expect("a path");
    let (_, _, stderr) = Program::milepost("parked list").env("MILEPOST_AMQP_URL", &nowhere).output().await;
    let not_let_in = format!(
        "milepost: RabbitMQ at {amqp_address} does not let this user in: NOT_ALLOWED - vhost nowhere"
    );
    assert!(stderr.join("\n").starts_with(&not_let_in), "{stderr:?}");
}

fn redis_cli(servers: &OwnServers, words: &[&str]) {
    let output = Command::new("redis-cli").args(["-u", &servers.redis_url]).args(words).output();
    assert_eq!(String::from_utf8_lossy(&output.expect("redis-cli runs").stdout), "OK\n");
}

#[tokio::test]
async fn a_redis_that_may_forget_events_fails() {
    let vhost = Vhost::new().await;
    let own = OwnServers::start_with("check-redis", &["--without-rabbit"]);
    let servers = Servers { redis: own.redis_url.clone(), ..Servers::sound(&vhost).await };
    servers.check().await.is_sound();

    redis_cli(&own, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    redis_cli(&own, &["CONFIG", "SET", "appendonly", "no"]);
    let said = servers.check().await;
    assert_eq!(said.at("fail"), [("redis_maxmemory_policy", "redis maxmemory-policy")]);
    assert_eq!(said.at("warn"), [("redis_persistence", "redis persistence")]);
    assert_eq!(said.code, Some(1));

    // As on hosts that forbid it.
    redis_cli(&own, &["ACL", "SETUSER", "blind", "on", ">a-password", "~*", "+@all", "-config", "-info"]);
    let redis = own.redis_url.replace("redis://", "redis://blind:a-password@");
    let said = Servers { redis, ..servers }.check().await;
    said.is_sound();
    let unseen = ["redis_maxmemory_policy", "redis_persistence", "redis_role", "redis_version"];
    assert!(said.checks("skipped").is_superset(&BTreeSet::from(unseen)), "{said:?}");
}

#[tokio::test]
async fn a_memory_that_is_too_short_is_refused_before_anything_is_checked() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let program = servers.program("topology check");
    let program = program.env("MILEPOST__PROVIDERS__TELYPORT__DEDUP_TTL_SECONDS", "7200");
    let (code, stdout, stderr) = program.output().await;
    assert_eq!((code, stdout.len()), (Some(78), 0));
    assert!(stderr.join("\n").contains("providers.telyport.dedup_ttl_seconds"), "{stderr:?}");

    let said = servers.check().await;
    let says = &said.on("memory of telyport")["says"];
    assert_eq!(says, "sends again for 2 h; a delivery's events are remembered for 14 d");
}

/// Asks the management API for something, as its administrator.
async fn administer(vhost: &Vhost, method: reqwest::Method, path: &str, body: &str) {
    let url = format!("{}/api/{path}", vhost.management);
    let request = client().request(method, url).basic_auth("guest", Some("guest")).body(body.to_owned());
    let code = request.send().await.expect("management answers").status();
    assert!(code.is_success(), "{path}: {code}");
}

#[tokio::test]
async fn a_user_with_few_rights_gets_the_checks_that_it_may_see() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let name = vhost.amqp_url.rsplit('/').next().expect("a virtual host");
    let (user, rights) = (format!("users/{name}"), format!("permissions/{name}/{name}"));
    let put = reqwest::Method::PUT;
    administer(&vhost, put.clone(), &user, r#"{"password": "p", "tags": "management"}"#).await;
    administer(&vhost, put, &rights, r#"{"configure": "", "write": "", "read": ".*"}"#).await;
    let as_user = |url: &str| {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        format!("{scheme}://{name}:p@{}", rest.trim_start_matches("guest:guest@"))
    };
    let servers = Servers {
        amqp: as_user(&servers.amqp),
        management: servers.management.as_deref().map(as_user),
        ..servers
    };

    // The flags were for administrators before RabbitMQ 4, but a stream is there.
    let said = servers.check().await;
    said.is_sound();
    let says = said.on("feature flag stream_queue")["says"].as_str().expect("text");
    assert!(says == "enabled" || says.starts_with("enabled, as the stream"), "{says}");

    let said = servers.without_management().check().await;
    said.is_sound();
    for kind in ["exchanges", "queues"] {
        let says = said.on(kind)["says"].as_str().expect("text");
        assert!(says.ends_with("without the right to configure it cannot be compared"), "{says}");
    }
    administer(&vhost, reqwest::Method::DELETE, &user, "").await;
}
