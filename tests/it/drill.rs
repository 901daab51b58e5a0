//! `milepost drill broker-outage` against a fleet of processes on servers of its own: three minutes without a broker in fast
//! motion, all five providers with their real patience.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lapin::types::FieldTable;
use milepost::cli::fake::provider::dialect::Dialect;
use milepost::cli::fake::provider::{SAMPLE_CREDENTIAL, every_stub, serve};
use milepost::providers::ALL;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::fixtures::account;
use crate::support::fleet::Subscriber;
use crate::support::process::{Process, Program, SECRET};
use crate::support::servers::OwnServers;

const RECONCILER: &str = env!("CARGO_BIN_EXE_milepost-reconciler");
/// The drill, its broker's start included. Generous: it only bounds a failing test.
const LONGEST: Duration = Duration::from_mins(5);

/// A receiver, the five workers and the reconciler, with stand-ins for the providers' APIs.
struct DrilledFleet {
    servers: OwnServers,
    directory: PathBuf,
    _roles: Vec<Process>,
    _stand_ins: DropGuard,
}

impl DrilledFleet {
    async fn start() -> Self {
        let servers = OwnServers::start("drill");
        if !servers.has_waitaof() {
            assert_eq!(servers.redis_cli(&["CONFIG", "SET", "appendfsync", "always"]), "OK");
        }
        let (listener, stop) =
            (TcpListener::bind("127.0.0.1:0").await.expect("a port"), CancellationToken::new());
        let stand_ins = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(serve(listener, every_stub(SAMPLE_CREDENTIAL), stop.clone()));
        let on = |program: Program| on_fleet(program, &servers, &stand_ins);
        let receiver = on(Program::receiver(&servers.amqp_url)).spawn();
        let (webhooks, admin) = (receiver.webhooks().await, receiver.operators().await);
        let mut roles = vec![receiver, on(Program::role(RECONCILER, &servers.amqp_url)).spawn()];
        for provider in ALL {
            roles.push(on(Program::worker(provider.id(), &servers.amqp_url)).spawn());
        }
        for role in &roles {
            role.ready().await;
        }
        for spooling in ["247express", "deliverect"] {
            roles[0].measures(&format!(r#"milepost_spool_durable{{provider="{spooling}"}} 1"#)).await;
        }
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("drill-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("writable");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/local/servers");
        let description = json!({
            "webhooks": format!("http://{webhooks}"), "receivers": [format!("http://{admin}")], "stand_ins": stand_ins,
            "script": script, "servers": servers.directory(), "account": account().as_str(), "secret": SECRET,
            "spools": ["247express", "deliverect"],
        });
        fs::write(directory.join("fleet.json"), description.to_string()).expect("writable");
        Self { servers, directory, _roles: roles, _stand_ins: stop.drop_guard() }
    }

    /// Drills: the exit code, and the account.
    async fn drill(&self, words: &str) -> (Option<i32>, Value) {
        let drill = Program::milepost("drill broker-outage").arg(self.directory.to_str().expect("text"));
        let mut drill = drill.args(words).env("PATH", &std::env::var("PATH").expect("a path")).spawn();
        let ending = async {
            while drill.is_running() {
                tokio::time::sleep(Duration::from_millis(50)).await; // The interval of a poll.
            }
        };
        tokio::time::timeout(LONGEST, ending).await.expect("the drill ends");
        let code = drill.exit().await;
        let (said, stderr) = (drill.stdout.all(), drill.stderr.all());
        let account = said.first().unwrap_or_else(|| panic!("{stderr:?}"));
        (code, serde_json::from_str(account).expect("JSON"))
    }
}

impl Drop for DrilledFleet {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn on_fleet(program: Program, servers: &OwnServers, stand_ins: &str) -> Program {
    let mut program = program
        .env("MILEPOST_REDIS_URL", &servers.redis_url)
        .env("MILEPOST__RECOVERY__LOOK_EVERY_SECONDS", "1")
        // In fast motion: what comes again does so before.
        .env("MILEPOST__RECOVERY__AFTER_GAP_SECONDS", "10")
        .env("MILEPOST__RECOVERY__LEASE_SECONDS", "3");
    for provider in ALL {
        let name = provider.id().as_str().to_uppercase();
        program = program.without(&format!("MILEPOST__PROVIDERS__{name}__SPOOL"));
    }
    for provider in Dialect::ALL.map(Dialect::provider) {
        let source = format!("MILEPOST__RECOVERY__PROVIDERS__{}", provider.as_str().to_uppercase());
        program = program
            .env(&format!("{source}__BASE_URL"), &format!("{stand_ins}/{provider}"))
            .env(&format!("{source}__REQUESTS_PER_MINUTE"), "6000")
            .env(&format!("{source}__ACCOUNTS__{}__CREDENTIAL", account()), SAMPLE_CREDENTIAL);
    }
    program
}

/// A provider's webhooks by what became of them, and the lists.
fn row<'a>(account: &'a Value, provider: &str) -> &'a Value {
    let rows = account["providers"].as_array().expect("a list");
    rows.iter().find(|row| row["provider"] == provider).expect("a row of each provider")
}

fn counts(row: &Value) -> [u64; 4] {
    ["sent", "at_once", "spooled", "came_again"].map(|name| row[name].as_u64().expect("a number"))
}

/// The statuses in a list, of all deliveries.
fn listed(row: &Value, name: &str) -> u64 {
    let list = row[name].as_object().expect("deliveries");
    list.values().map(|statuses| statuses.as_array().map_or(0, Vec::len) as u64).sum()
}

/// Out of reach is what neither a store nor a pull can recover.
///
/// A delivery of each provider begins every 12 s, and has a webhook every 12 s: of every second one six to nine in all, of the
/// others two to four. The broker goes after 60 s and comes after 240. What Dash sends in the first minute of that it gives up.
/// Of its 20 deliveries one alone begins and ends in that minute, so that none of its four webhooks ever comes: the sixth. The
/// ends of three others are in it, too, and are asked for.
#[tokio::test]
async fn three_minutes_without_a_broker_lose_only_what_is_out_of_reach() {
    let fleet = DrilledFleet::start().await;
    let amqp = fleet.servers.amqp_url.clone();
    drop(Subscriber::bind(&amqp, "of-the-drill", FieldTable::default()).await);
    let words = "--for 180s --speed 20 --deliveries 20 --seed 7 --settle 90s --json";
    let (code, account) = fleet.drill(words).await;
    assert_eq!(code, Some(0), "{account}");

    for (provider, expected) in [
        ("telyport", [90, 22, 0, 68]),
        ("247express", [70, 18, 52, 0]),
        ("deliverect", [130, 35, 95, 0]),
        ("hubrise", [120, 32, 0, 88]),
    ] {
        let row = row(&account, provider);
        let [sent, at_once, spooled, came_again] = counts(row);
        let pulled = row["pulled"].as_u64().expect("a number");
        // What comes again after its provider was asked is a duplicate of the answer.
        assert_eq!([sent, at_once, spooled, came_again + pulled], expected, "{provider}");
        for list in ["passed_over", "lost_in_reach", "lost_out_of_reach"] {
            assert_eq!(row[list], json!({}), "{provider}: {list}");
        }
    }
    let dash = row(&account, "dash");
    // 27 were given up, of which 4 are lost. A webhook that comes again after Dash was asked is a duplicate of the answer.
    let [sent, at_once, spooled, came_again] = counts(dash);
    assert_eq!([sent, at_once, spooled], [110, 28, 0], "{dash}");
    let (pulled, passed_over) = (dash["pulled"].as_u64().expect("a number"), listed(dash, "passed_over"));
    assert!(pulled >= 3 && came_again <= 55 && passed_over <= 20, "{dash}");
    assert_eq!(came_again + pulled + passed_over, 78, "{dash}");
    assert_eq!(dash["lost_in_reach"], json!({}));
    let lost = json!({ "DE-0000000000000007-5": ["QUEUEING", "ALLOCATING", "PENDING_PICKUP", "CANCELLED"] });
    assert_eq!(dash["lost_out_of_reach"], lost);

    // What a subscriber has says the same: of each provider every delivery but that one, at its end.
    let mut subscriber = Subscriber::bind(&amqp, "of-the-drill", FieldTable::default()).await;
    let unread = subscriber.unread().await as usize;
    subscriber.take_until(|taken| taken.order.len() >= unread).await;
    let mut ended: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for bodies in subscriber.events.values() {
        let event: Value = serde_json::from_slice(&bodies[0]).expect("JSON");
        let data = &event["data"];
        let of = data["provider"].as_str().expect("a provider").to_owned();
        let delivery = data["delivery_id"].as_str().expect("an id").to_owned();
        let ended = ended.entry(of).or_default();
        if matches!(data["status"].as_str(), Some("delivered" | "cancelled")) && !ended.contains(&delivery) {
            ended.push(delivery);
        }
    }
    let numbers: BTreeMap<_, _> =
        ended.iter().map(|(provider, ended)| (provider.as_str(), ended.len())).collect();
    let expected = [("247express", 20), ("dash", 19), ("deliverect", 20), ("hubrise", 20), ("telyport", 20)];
    assert_eq!(numbers, BTreeMap::from(expected));
    assert!(!ended["dash"].contains(&"DE-0000000000000007-5".to_owned()));
}

#[tokio::test]
async fn nothing_but_a_test_fleet_of_this_machine_is_drilled() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("no-fleet-{}", std::process::id()));
    let drill = || {
        let drill = Program::milepost("drill broker-outage").arg(directory.to_str().expect("text"));
        async move {
            let (code, _, stderr) = drill.output().await;
            (code, stderr.join("\n"))
        }
    };
    let (code, said) = drill().await;
    assert!(code == Some(1) && said.contains("no test fleet runs in"), "{said}");
    fs::create_dir_all(&directory).expect("writable");
    for (webhooks, amqp, says) in [
        (
            "http://127.0.0.1:1",
            "amqp://guest:guest@rabbit.example:5672/%2f",
            "rabbit.example is not this machine",
        ),
        ("https://hooks.example", "amqp://guest:guest@127.0.0.1:1/%2f", "hooks.example is not this machine"),
    ] {
        let description = json!({
            "webhooks": webhooks, "receivers": ["http://127.0.0.1:1"], "stand_ins": "http://127.0.0.1:1", "script": "/bin/false",
            "servers": &directory, "account": "default", "secret": null, "spools": [],
        });
        fs::write(directory.join("fleet.json"), description.to_string()).expect("writable");
        fs::write(directory.join("env"), format!("MILEPOST_AMQP_URL={amqp}\n")).expect("writable");
        let (code, said) = drill().await;
        assert!(code == Some(1) && said.contains(says), "{said}");
    }
    fs::remove_dir_all(&directory).expect("it is there");
}
