//! Invariant 1's second half: nothing is spooled on a Redis that does not prove that it is durable.

use std::collections::BTreeMap;
use std::time::Duration;

use milepost::domain::provider::Provider as _;
use milepost::ports::{DurabilityProof, Next, Spool, SpoolError, SpoolLimits};
use milepost::providers::DELIVERECT;
use serde_json::Value;

use crate::contract::spool::redis_spool;
use crate::support::fixtures::envelope;
use crate::support::process::Program;
use crate::support::servers::{OwnServers, Vhost};

const LIMITS: SpoolLimits = SpoolLimits { max_entries: 10, max_bytes: 1 << 20 };

/// What becomes of an append, with what a look says of the proof.
async fn appended(spool: &dyn Spool) -> (Result<DurabilityProof, &'static str>, Result<(), SpoolError>) {
    let proof = spool.look().await.expect("it answers").proof;
    (proof, spool.append(&envelope(DELIVERECT.id(), "{}")).await)
}

fn set(servers: &OwnServers, name: &str, value: &str) {
    assert_eq!(servers.redis_cli(&["CONFIG", "SET", name, value]), "OK");
}

#[tokio::test]
async fn nothing_is_spooled_without_a_proof() {
    let servers = OwnServers::start_with("spool-proof", &["--without-rabbit"]);
    let spool = redis_spool(&servers.redis_url, DELIVERECT.id(), LIMITS);
    let waits = servers.has_waitaof();
    let (proof, result) = appended(&spool).await;
    if waits {
        assert_eq!((proof, result), (Ok(DurabilityProof::EachWrite), Ok(())));
    } else {
        let why = proof.expect_err("everysec answers before the disk has it");
        assert!(why.contains("appendfsync always"), "{why}");
        assert_eq!(result, Err(SpoolError::NotDurable(why)));
        set(&servers, "appendfsync", "always");
        assert_eq!(appended(&spool).await, (Ok(DurabilityProof::EveryAnswer), Ok(())));
        // It was looked at and found sound a moment ago.
        set(&servers, "appendfsync", "everysec");
        let unproved = spool.append(&envelope(DELIVERECT.id(), "{}")).await;
        assert!(matches!(unproved, Err(SpoolError::Unavailable(_))), "{unproved:?}");
        let unproved = spool.append(&envelope(DELIVERECT.id(), "{}")).await;
        assert!(matches!(unproved, Err(SpoolError::NotDurable(_))), "{unproved:?}");
        set(&servers, "appendfsync", "always");
        appended(&spool).await.1.expect("it is sound again");
    }
    set(&servers, "appendonly", "no");
    let unproved = spool.append(&envelope(DELIVERECT.id(), "{}")).await;
    assert!(matches!(unproved, Err(SpoolError::Unavailable(_))), "{unproved:?}");
    let (proof, result) = appended(&spool).await;
    let why = proof.expect_err("there is no file");
    assert!(why.contains("appendonly"), "{why}");
    assert_eq!(result, Err(SpoolError::NotDurable(why)));
    set(&servers, "appendonly", "yes");
    set(&servers, "maxmemory-policy", "allkeys-lru");
    let (proof, result) = appended(&spool).await;
    assert!(proof.is_err_and(|why| why.contains("maxmemory-policy")), "{proof:?}");
    assert!(matches!(result, Err(SpoolError::NotDurable(_))), "{result:?}");
}

#[tokio::test]
async fn a_user_who_may_see_no_settings_spools_by_waitaof_alone() {
    let servers = OwnServers::proving_redis("spool-no-config");
    let user = ["ACL", "SETUSER", "blind", "on", ">a-password", "~*", "+@all", "-config"];
    assert_eq!(servers.redis_cli(&user), "OK");
    let url = servers.redis_url.replace("redis://", "redis://blind:a-password@");
    let (proof, result) = appended(&redis_spool(&url, DELIVERECT.id(), LIMITS)).await;
    if servers.has_waitaof() {
        assert_eq!((proof, result), (Ok(DurabilityProof::EachWrite), Ok(())));
    } else {
        let why = proof.expect_err("nothing is to be seen");
        assert!(why.contains("CONFIG GET"), "{why}");
        assert_eq!(result, Err(SpoolError::NotDurable(why)));
    }
}

#[tokio::test]
async fn the_shipped_user_of_the_receiver_may_spool_and_nothing_else() {
    let servers = OwnServers::proving_redis("spool-acl");
    let url = servers.with_shipped_user("receiver", "RECEIVER");
    let spool = redis_spool(&url, DELIVERECT.id(), LIMITS);
    let (proof, result) = appended(&spool).await;
    assert_eq!((proof.is_ok(), result), (true, Ok(())));
    let Ok(Next::Entry(taken)) = spool.next(Duration::from_secs(5), None).await else { panic!("no entry") };
    assert!(matches!(spool.next(Duration::from_secs(5), Some(&taken)).await, Ok(Next::Empty)));
    spool.release(None).await.expect("it answers");
    let denied = servers.redis_cli(&["ACL", "LOG"]);
    assert!(denied.is_empty(), "denied: {denied}");
    for words in
        [&["HGETALL", "mp:{telyport:default:D1}"][..], &["XADD", "other", "*", "a", "b"], &["KEYS", "*"]]
    {
        let theirs = ["--user", "receiver", "--pass", "RECEIVER", "--no-auth-warning"];
        let answer = servers.redis_cli(&[&theirs[..], words].concat());
        assert!(answer.starts_with("NOPERM"), "{words:?}: {answer}");
    }
}

/// The levels of what `milepost topology check` says of the spools, by check.
async fn checked(servers: &OwnServers, spools: bool) -> BTreeMap<String, String> {
    let vhost = Vhost::new().await;
    let program = Program::milepost("topology check --json").env("MILEPOST_AMQP_URL", &vhost.amqp_url);
    let program = program.env("MILEPOST_REDIS_URL", &servers.redis_url);
    let program =
        program.env("MILEPOST__PROVIDERS__DELIVERECT__SPOOL", if spools { "true" } else { "false" });
    let (_, lines, stderr) = program.env("MILEPOST__PROVIDERS__247EXPRESS__SPOOL", "false").output().await;
    let report: Value =
        serde_json::from_str(lines.first().unwrap_or_else(|| panic!("{stderr:?}"))).expect("JSON");
    let text = |finding: &Value, name: &str| finding[name].as_str().expect("text").to_owned();
    let findings = report["findings"].as_array().expect("a list").iter();
    let of_spools = findings.filter(|finding| text(finding, "check").starts_with("spool"));
    of_spools.map(|finding| (text(finding, "check"), text(finding, "level"))).collect()
}

#[tokio::test]
async fn topology_check_says_what_is_proved_and_what_waits() {
    let servers = OwnServers::proving_redis("spool-doctor");
    let level = |level: &str| Some(level.to_owned());
    assert_eq!(checked(&servers, false).await, BTreeMap::new());
    assert_eq!(checked(&servers, true).await.get("spool_durable").cloned(), level("ok"));
    let spool = redis_spool(&servers.redis_url, DELIVERECT.id(), LIMITS);
    spool.append(&envelope(DELIVERECT.id(), "{}")).await.expect("durable");
    assert_eq!(checked(&servers, true).await.get("spool_waiting").cloned(), level("warn"));
    assert_eq!(checked(&servers, false).await.get("spool_waiting").cloned(), level("fail"));
    set(&servers, "appendonly", "no");
    assert_eq!(checked(&servers, true).await.get("spool_durable").cloned(), level("warn"));
}
