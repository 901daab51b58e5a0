//! What is there, what is not, and what `apply` and an import do about it.

use std::collections::BTreeSet;

use lapin::types::AMQPValue;
use milepost::adapters::rabbit::topology::{PARKED, parked_queue, work_queue};

use super::{BY_HAND, Servers, declare, delete, text};
use crate::support::eventually;
use crate::support::fixtures::{EXPRESS, TELYPORT};
use crate::support::servers::{OwnServers, Vhost};

#[tokio::test]
async fn on_sound_servers_everything_is_ok() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    // What policies apply is known with the broker's next statistics.
    let said = eventually("every check has an answer but those by hand", || async {
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
    assert!(lines.contains(&"ok       queues                       25 as needed".to_owned()), "{lines:#?}");
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
    assert!(how.contains("x-delivery-limit is 7, not 1000000000"), "{how}");
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
