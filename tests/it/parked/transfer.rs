//! Exporting, discarding, importing.

use std::path::PathBuf;

use base64::Engine as _;
use milepost::domain::verdict::ParkReason;
use milepost::ports::Outbound;
use serde_json::Value;
use uuid::Uuid;

use super::{ask, drained, exhausted, json, listed, park, parked};
use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::fleet::{Real, header};
use crate::support::servers::Vhost;

/// A file of a test's own. Removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("milepost-parked-{}.jsonl", Uuid::new_v4())))
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("text")
    }

    fn ids(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).expect("the file");
        let record = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
        text.lines().map(|line| record(line)["id"].as_str().expect("an id").to_owned()).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn what_is_exported_can_be_parked_elsewhere_exactly() {
    let (vhost, elsewhere) = (Vhost::new().await, Vhost::new().await);
    let (real, other) = (Real::on(&vhost).await, Real::on(&elsewhere).await);
    let ids = park(&real, (0..20).map(exhausted).collect()).await;
    let file = Scratch::new();
    assert_eq!(ask(&real, &format!("export --file {}", file.name())).await.0, Some(0));
    assert_eq!(file.ids(), ids);
    assert_eq!(listed(&real, "").await, ids, "they stay");
    assert_eq!(ask(&real, &format!("export --file {}", file.name())).await.0, Some(1), "never overwritten");
    assert_eq!(json(&real, "export --delivery D3").await[0]["id"], ids[3]);

    let before = json(&real, "list --json").await;
    let (code, _, errors) = ask(&other, &format!("import {}", file.name())).await;
    assert_eq!(code, Some(0), "{errors:?}");
    assert!(errors.join("").contains("parked 20, left out 0"), "{errors:?}");
    assert_eq!(json(&other, "list --json").await, before);
    let (_, _, errors) = ask(&other, &format!("import {}", file.name())).await;
    assert!(errors.join("").contains("parked 0, left out 20"), "{errors:?}");
    let (here, there) = (real.parked(TELYPORT).await, other.parked(TELYPORT).await);
    assert_eq!(here.len(), 20);
    for ((was, body), (is, copy)) in here.iter().zip(&there) {
        assert_eq!(body, copy);
        for name in ["mp-attempt", "mp-crashes", "mp-reason", "mp-detail", "mp-history"] {
            assert_eq!(header(was, name), header(is, name), "{name}");
            assert!(header(is, name).is_some(), "{name}");
        }
        assert_eq!(
            (was.message_id(), was.correlation_id(), was.content_type()),
            (is.message_id(), is.correlation_id(), is.content_type())
        );
    }
}

#[tokio::test]
async fn what_is_discarded_is_written_down_first() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let ids = park(&real, (0..6).map(exhausted).collect()).await;
    let poison = envelope(TELYPORT, &b"\x00\xff no JSON"[..]);
    let poison_id = poison.receipt.to_string();
    let parking = Outbound::Parked(poison, ParkReason::Malformed, "not one JSON object".into());
    real.backends.publisher.publish(parking).await.expect("confirmed");
    let file = Scratch::new();
    for unmeant in ["discard --all", "discard --yes"] {
        assert_eq!(ask(&real, unmeant).await.0, Some(2), "{unmeant}");
    }
    let words = format!("discard --reason malformed --yes --file {}", file.name());
    assert_eq!(ask(&real, &words).await.0, Some(0));
    assert_eq!(file.ids(), std::slice::from_ref(&poison_id));
    let text = std::fs::read_to_string(&file.0).expect("the file");
    let record: Value = serde_json::from_str(&text).expect("JSON");
    let body = base64::engine::general_purpose::STANDARD.decode(record["body"].as_str().expect("text"));
    assert_eq!(body.expect("base64"), b"\x00\xff no JSON");
    assert_eq!(listed(&real, "").await, ids);
    // Its file is not overwritten, and so nothing more is discarded into it.
    let words = format!("discard --all --yes --file {}", file.name());
    assert_eq!(ask(&real, &words).await.0, Some(1));
    assert_eq!(listed(&real, "").await, ids);
    assert_eq!(ask(&real, &format!("import {}", file.name())).await.0, Some(0));
    assert_eq!(drained(&real).await, [ids, vec![poison_id]].concat());
}

#[tokio::test]
async fn a_file_that_is_not_ours_parks_nothing() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    park(&real, vec![exhausted(0)]).await;
    let sound = parked(&real, "export").output().await.1.remove(0);
    real.parked(TELYPORT).await;
    for wrong in [
        "hunter2".to_owned(),
        sound.replace("\"provider\":\"telyport\"", "\"provider\":\"no-such-provider\""),
        sound.replace("mp-reason", "x-death"),
        sound.replace("\"body\":\"", "\"body\":\"!"),
    ] {
        let file = Scratch::new();
        std::fs::write(&file.0, format!("{sound}\n{wrong}\n")).expect("written");
        let (code, _, errors) = ask(&real, &format!("import {}", file.name())).await;
        assert_eq!(code, Some(1), "{wrong}");
        assert!(errors.join("").contains("line 2") && !errors.join("").contains("hunter2"), "{errors:?}");
        assert_eq!(listed(&real, "").await, Vec::<String>::new());
    }
}
