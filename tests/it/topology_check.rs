//! `milepost topology check`, `apply --dry-run` and `export` on real servers, sound and broken; and the gate.

mod answers;
mod gate;
mod loss;
mod shape;

use std::collections::BTreeSet;

use lapin::Channel;
use lapin::options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;

use crate::support::process::Program;
use crate::support::servers::{Vhost, redis_url};

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
            management: Some(vhost.management.clone()),
            redis: redis_url(),
        };
        servers.apply().await;
        servers
    }

    fn without_management(&self) -> Self {
        Self { management: None, ..self.clone() }
    }

    fn program(&self, words: &str) -> Program {
        // What the doctor says of the second store is in `it::spool::proof`.
        let program = Program::milepost(words)
            .env("MILEPOST_AMQP_URL", &self.amqp)
            .env("MILEPOST_REDIS_URL", &self.redis)
            .env("MILEPOST__PROVIDERS__DELIVERECT__SPOOL", "false")
            .env("MILEPOST__PROVIDERS__247EXPRESS__SPOOL", "false");
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
