//! `milepost topology check`, `apply --dry-run` and `export` on real servers, sound and broken; and the gate.

use std::collections::BTreeSet;
use std::process::Command;

use lapin::ExchangeKind;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use milepost::adapters::rabbit::topology::{PARKED, UPDATES, WEBHOOKS, parked_queue, work_queue};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::fixtures::{EXPRESS, TELYPORT};
use crate::support::process::Program;
use crate::support::servers::{OwnServers, Vhost, channel, redis_url};

/// What no API can tell, on any broker.
const BY_HAND: [&str; 2] = ["consumer_timeout", "dead_letter_confirm_timeout"];

/// The servers that a command is run on.
#[derive(Clone)]
struct Servers {
    amqp: String,
    management: Option<String>,
    redis: String,
}

/// What the doctor said, and the exit code.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    findings: Vec<Value>,
}

impl Servers {
    /// The shared ones, with a virtual host that has the whole topology.
    async fn sound(vhost: &Vhost) -> Self {
        let servers = Self {
            amqp: vhost.amqp_url.clone(),
            management: Some(vhost.management_url().to_owned()),
            redis: redis_url(),
        };
        servers.apply().await;
        servers
    }

    fn without_management(&self) -> Self {
        Self { management: None, ..self.clone() }
    }

    fn program(&self, words: &str) -> Program {
        let program = Program::milepost(words)
            .env("MILEPOST_AMQP_URL", &self.amqp)
            .env("MILEPOST_REDIS_URL", &self.redis);
        match &self.management {
            Some(url) => program.env("MILEPOST_AMQP_MANAGEMENT_URL", url),
            None => program,
        }
    }

    async fn apply(&self) {
        let (code, _, stderr) = self.program("topology apply").output().await;
        assert_eq!(code, Some(0), "{stderr:?}");
    }

    async fn check(&self) -> Said {
        let (code, stdout, stderr) = self.program("topology check --json").output().await;
        let [line] = &stdout[..] else { panic!("one line: {stdout:?} {stderr:?}") };
        let mut report: Value = serde_json::from_str(line).expect("JSON");
        let Value::Array(findings) = report["findings"].take() else { panic!("a list: {line}") };
        assert_eq!(report["healthy"], code == Some(0), "{line}");
        Said { code, findings }
    }
}

impl Said {
    /// The checks and subjects of a level.
    fn at(&self, level: &str) -> Vec<(&str, &str)> {
        let of = self.findings.iter().filter(|finding| finding["level"] == level);
        of.map(|finding| {
            (finding["check"].as_str().expect("text"), finding["subject"].as_str().expect("text"))
        })
        .collect()
    }

    fn checks(&self, level: &str) -> BTreeSet<&str> {
        self.at(level).into_iter().map(|(check, _)| check).collect()
    }

    /// The one finding on `subject`.
    fn on(&self, subject: &str) -> &Value {
        let found: Vec<_> = self.findings.iter().filter(|finding| finding["subject"] == subject).collect();
        let [finding] = found[..] else { panic!("one finding on {subject}: {:?}", self.findings) };
        finding
    }

    #[track_caller]
    fn is_sound(&self) {
        assert_eq!(self.at("fail"), []);
        assert_eq!(self.at("warn"), []);
        assert_eq!(self.code, Some(0));
    }
}

async fn declare(channel: &Channel, queue: &str, arguments: &[(&str, AMQPValue)]) {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue.into(), options, table).await.expect("declared");
}

async fn delete(channel: &Channel, queue: &str) {
    channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.expect("deleted");
}

async fn bind(channel: &Channel, queue: &str, exchange: &str) {
    let options = QueueBindOptions::default();
    let bound = channel.queue_bind(queue.into(), exchange.into(), "#".into(), options, FieldTable::default());
    bound.await.expect("bound");
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[tokio::test]
async fn on_sound_servers_everything_is_ok() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    // What policies apply is known with the broker's next statistics.
    let said = eventually("all that can be told is told", || async {
        let said = servers.check().await;
        (said.checks("skipped") == BTreeSet::from(BY_HAND)).then_some(said)
    })
    .await;
    said.is_sound();
    for subject in
        ["exchanges", "queues", "bindings", "policies", "subscribers", "milepost.unrouted", "alarms"]
    {
        assert_eq!(said.on(subject)["level"], "ok", "{subject}");
    }

    let (code, lines, _) = servers.program("topology check").output().await;
    assert_eq!((code, lines.len()), (Some(0), said.findings.len()));
    assert!(lines.contains(&"ok       queues                       24 as needed".to_owned()), "{lines:#?}");
}

#[tokio::test]
async fn what_is_missing_or_different_is_named_with_its_remedy() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let channel = vhost.channel().await;
    let (missing, different) = (parked_queue(EXPRESS), work_queue(TELYPORT));
    delete(&channel, &missing).await;
    delete(&channel, &different).await;
    let arguments = [("x-queue-type", text("quorum")), ("x-delivery-limit", AMQPValue::LongLongInt(7))];
    declare(&channel, &different, &arguments).await;

    let (missing, different) = (format!("queue {missing}"), format!("queue {different}"));
    let said = servers.check().await;
    assert_eq!(said.code, Some(1));
    assert_eq!(said.checks("fail"), BTreeSet::from(["bindings", "queues"]));
    assert_eq!(said.on(&missing)["remedy"], "milepost topology apply");
    let how = said.on(&different)["says"].as_str().expect("text");
    assert!(how.contains("x-delivery-limit is 7, not 100"), "{how}");
    assert!(how.contains("x-overflow is unset, not reject-publish"), "{how}");
    let binding = r#"binding milepost.parked to milepost.parked.247express by "247express""#;
    assert_eq!(said.on(binding)["says"], "is missing");
    // The queue that was declared anew lost both its bindings.
    assert_eq!(said.at("fail").len(), 2 + 3);

    let said = servers.without_management().check().await;
    assert_eq!((said.code, said.at("fail").len()), (Some(1), 2));
    assert_eq!(said.on(&missing)["says"], "is missing");
    let how = said.on(&different)["says"].as_str().expect("text");
    assert!(how.contains("inequivalent arg 'x-"), "{how}");
    assert_eq!(said.on("bindings")["level"], "skipped");
}

#[tokio::test]
async fn a_dry_run_shows_what_would_be_declared_and_declares_nothing() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let channel = vhost.channel().await;
    let queue = parked_queue(EXPRESS);
    delete(&channel, &queue).await;
    let queues = || async { vhost.list("queues").await.as_array().expect("a list").len() };
    let before = queues().await;
    for servers in [servers.clone(), servers.without_management()] {
        let (code, lines, _) = servers.program("topology apply --dry-run").output().await;
        assert_eq!(code, Some(0), "{lines:#?}");
        let declared: Vec<_> = lines.iter().filter(|line| line.starts_with("would be declared  ")).collect();
        assert_eq!(declared[0], &format!("would be declared        queue     {queue}"));
        assert!(lines.contains(&format!("exists                   exchange  {PARKED}")), "{lines:#?}");
        assert_eq!(declared.len(), if servers.management.is_some() { 2 } else { 1 }, "{declared:#?}");
    }
    assert_eq!(queues().await, before);

    declare(&channel, &queue, &[]).await;
    let (code, lines, _) = servers.without_management().program("topology apply --dry-run").output().await;
    let in_the_way = format!("cannot be declared       queue     {queue}: ");
    assert!(code == Some(1) && lines.iter().any(|line| line.starts_with(&in_the_way)), "{code:?} {lines:#?}");
}

#[tokio::test]
async fn a_subscriber_that_would_refuse_updates_fails() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let channel = vhost.channel().await;
    declare(&channel, "drops", &[("x-overflow", text("drop-head"))]).await;
    declare(&channel, "refuses", &[("x-overflow", text("reject-publish"))]).await;
    declare(&channel, "elsewhere", &[("x-overflow", text("reject-publish"))]).await;
    // Behind an exchange of their own, as some subscribers have it.
    let options = ExchangeDeclareOptions::default();
    let table = FieldTable::default;
    channel
        .exchange_declare("theirs".into(), ExchangeKind::Fanout, options, table())
        .await
        .expect("declared");
    let options = ExchangeBindOptions::default();
    channel
        .exchange_bind("theirs".into(), UPDATES.into(), "#".into(), options, table())
        .await
        .expect("bound");
    bind(&channel, "drops", UPDATES).await;
    servers.check().await.is_sound();

    bind(&channel, "refuses", "theirs").await;
    let said = servers.check().await;
    assert_eq!(said.at("fail"), [("subscribers", "queue refuses")]);
    assert_eq!(said.code, Some(1));
}

#[tokio::test]
async fn a_message_that_nothing_was_bound_for_is_a_warning() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let channel = vhost.channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let publish = channel.basic_publish(WEBHOOKS.into(), "nobody".into(), options, b"lost?", properties);
    assert!(publish.await.expect("sent").await.expect("answered").is_ack());
    for servers in [servers.clone(), servers.without_management()] {
        let said = servers.check().await;
        assert_eq!((said.at("warn"), said.code), (vec![("unrouted", "milepost.unrouted")], Some(0)));
        let says = said.on("milepost.unrouted")["says"].as_str().expect("text");
        assert!(says.starts_with("holds 1 messages"), "{says}");
        let (code, ..) = servers.program("topology check --strict").output().await;
        assert_eq!(code, Some(1));
    }
}

#[tokio::test]
async fn a_policy_that_costs_messages_fails_and_a_bound_does_not() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let (work, parked) = (work_queue(TELYPORT), parked_queue(TELYPORT));
    let bound = json!({ "max-length": 1_000_000 });
    vhost.set_policy("mine", r"^milepost\.webhooks\.", bound.clone()).await;
    let subject = format!("queue {work}");
    // The broker says so with its next statistics.
    let said = eventually("the policy is seen", || async {
        let said = servers.check().await;
        said.findings.iter().any(|finding| finding["subject"] == subject).then_some(said)
    })
    .await;
    said.is_sound();
    assert_eq!(said.on(&subject)["says"], "policy mine: max-length 1000000");

    for (queue, definition, says) in [
        (&work, json!({ "overflow": "drop-head" }), "overflow is not reject-publish"),
        (&work, json!({ "message-ttl": 60_000 }), "message-ttl takes messages out"),
        (&work, json!({ "delivery-limit": 3 }), "delivery-limit takes a message out"),
        (&work, json!({ "expires": 3_600_000 }), "expires deletes the queue"),
        (&parked, bound, "a bound without overflow reject-publish"),
    ] {
        vhost.set_policy("mine", &format!("^{queue}$"), definition).await;
        let subject = format!("queue {queue}");
        let said = eventually(says, || async {
            let said = servers.check().await;
            let alone = said.at("fail") == [("policies", &*subject)];
            (alone && said.on(&subject)["says"].as_str()?.contains(says)).then_some(said)
        })
        .await;
        assert_eq!(said.code, Some(1));
    }
}

#[tokio::test]
async fn without_an_answer_of_the_management_api_the_rest_is_checked() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let needs_it = ["alarms", "bindings", "policies", "rabbitmq_version", "subscribers"];
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
    assert_eq!(says, "sends again for 2 h; events are remembered for 14 d by their id, 1 d by their content");
}

#[tokio::test]
async fn an_alarm_fails_and_what_was_exported_and_imported_is_sound() {
    let own = OwnServers::start("check-own");
    let servers = Servers {
        amqp: own.amqp_url.replace("%2f", "imported"),
        management: Some(own.value("MILEPOST_RABBIT_MANAGEMENT_URL")),
        redis: own.redis_url.clone(),
    };
    let (code, lines, _) = servers.program("topology export").output().await;
    assert_eq!(code, Some(0));
    let file = std::env::temp_dir().join(format!("milepost-definitions-{}.json", std::process::id()));
    std::fs::write(&file, lines.join("\n")).expect("written");
    own.run(&["ctl", "-q", "import_definitions", file.to_str().expect("UTF-8")]);
    std::fs::remove_file(&file).expect("removed");
    own.run(&["ctl", "-q", "set_permissions", "-p", "imported", "guest", ".*", ".*", ".*"]);
    let said = servers.check().await;
    said.is_sound();
    assert_eq!(said.on("bindings")["says"], "41 as needed");
    // The broker itself takes what was imported for what would be declared.
    servers.without_management().check().await.is_sound();
    servers.apply().await;

    own.run(&["ctl", "-q", "set_vm_memory_high_watermark", "absolute", "1"]);
    let said = eventually("there is an alarm", || async {
        let said = servers.check().await;
        (said.code == Some(1)).then_some(said)
    })
    .await;
    assert_eq!(said.at("fail"), [("alarms", "alarms")]);
    own.run(&["ctl", "-q", "set_vm_memory_high_watermark", "absolute", "2GB"]);
    eventually("it is over", || async { (servers.check().await.code == Some(0)).then_some(()) }).await;
}

#[tokio::test]
async fn the_gate_holds_a_role_back_until_the_broker_is_in_order() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let unbind = |queue: String, exchange: &'static str, key: &'static str| async {
        let channel = channel(&vhost.amqp_url).await;
        let table = FieldTable::default();
        channel.queue_unbind(queue.into(), exchange.into(), key.into(), table).await.expect("unbound");
    };
    // Neither `verify` nor anything else of the role's sees that a binding is missing.
    unbind(parked_queue(TELYPORT), PARKED, "telyport").await;
    let receiver = || {
        Program::receiver(&servers.amqp)
            .env("MILEPOST_AMQP_MANAGEMENT_URL", servers.management.as_deref().expect("there is one"))
            .env("MILEPOST__TOPOLOGY__MODE", "verify")
    };
    receiver().spawn().ready().await;

    let held = receiver().env("MILEPOST__TOPOLOGY__GATE", "true").spawn();
    let line = held.says("topology gate: not ready").await;
    assert_eq!(
        (line["check"].as_str(), line["remedy"].as_str()),
        (Some("bindings"), Some("milepost topology apply"))
    );
    eventually("the broker is no longer what it waits for", || async {
        let (code, body) = held.ask("/readyz").await;
        let conditions: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((code, &conditions["conditions"]["topology"]), (503, &Value::Bool(false)));
        (conditions["conditions"]["broker"] == true).then_some(())
    })
    .await;

    servers.apply().await;
    held.ready().await;
    // A fleet at work is not taken away.
    held.says("topology gate: open").await;
    unbind(parked_queue(TELYPORT), PARKED, "telyport").await;
    assert_eq!(held.ask("/readyz").await.0, 200);
}
