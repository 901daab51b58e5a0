//! What the pages say, and that what others wrote stays text.

use milepost::domain::verdict::ParkReason;
use milepost::ports::Outbound;

use super::acts::{park, parked};
use super::{Served, three_users};
use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::fleet::{Real, telyport_body};
use crate::support::process::Program;
use crate::support::servers::Vhost;

#[tokio::test]
async fn personal_data_is_masked_until_it_is_revealed() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let body = serde_json::json!({"deliveryId": "D1", "riderName": "Asha", "token": "sesame"}).to_string();
    let id = park(&real, &parked(1, body.into_bytes())).await;
    let served = Served::with(&vhost, &three_users("masked").await, &[]).await;
    let alice = served.user("alice").await;
    let page = alice.sees(&format!("/parked/telyport/{id}"), "retries_exhausted").await;
    assert!(page.contains("D1") && !page.contains("Asha") && !page.contains("sesame"), "{page}");
    let answer = alice.submit(&format!("/parked/telyport/{id}/reveal"), &[]).await;
    let page = answer.text().await.expect("text");
    assert!(page.contains("Asha") && !page.contains("sesame"), "a credential is never shown: {page}");
    assert!(!page.contains("<textarea"), "editing would show it");
    alice.sees("/audit", "reveal").await;
}

#[tokio::test]
async fn words_of_others_stay_text() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let hostile = "\"><script>alert(1)</script><img src=x onerror=alert(1)>\r\ndata: x\u{202e}";
    let id = park(
        &real,
        &parked(
            1,
            telyport_body(
                &hostile.replace('"', "\\\"").replace('\r', "\\r").replace('\n', "\\n"),
                "e1",
                "STARTED",
            ),
        ),
    )
    .await;
    let unread = envelope(TELYPORT, hostile.as_bytes().to_vec());
    let outbound = Outbound::Parked(unread.clone(), ParkReason::Malformed, "not_json".into());
    real.backends.publisher.publish(outbound).await.expect("confirmed");
    let served = Served::with(&vhost, &three_users("hostile").await, &[]).await;
    let alice = served.user("alice").await;
    alice.sees("/parked", "<strong>2</strong> parked").await;
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("id", hostile).finish();
    let search = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("error", hostile)
        .append_pair("who", hostile)
        .finish();
    let pages = [
        "/parked?view=messages".to_owned(),
        format!("/parked/telyport/{id}"),
        format!("/parked/telyport/{}", unread.receipt),
        format!("/delivery?since=1h&{query}"),
        format!("/parked?{search}"),
        format!("/audit?{search}"),
        format!("/waiting?provider={}", &query[3..]),
        format!("/parked/replay?provider=telyport&{search}"),
    ];
    for path in pages {
        let page = alice.page(&path).await;
        for raw in ["<script>alert", "<img src=x", "\u{202e}"] {
            let typed_back = raw == "\u{202e}" && page.contains("value=\"");
            assert!(!page.contains(raw) || typed_back, "{path} has {raw:?} in it: {page}");
        }
    }
    let revealed = alice.submit(&format!("/parked/telyport/{}/reveal", unread.receipt), &[]).await;
    assert!(!revealed.text().await.expect("text").contains("<script>alert"));
}

#[tokio::test]
async fn each_page_says_how_things_stand() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let id = park(&real, &parked(1, telyport_body("D-known", "e1", "STARTED"))).await;
    let served = Served::with(&vhost, &three_users("pages").await, &[]).await;
    let seer = served.user("seer").await;
    let now = seer.sees("/", "telyport").await;
    assert!(now.contains("Loss clock") && now.contains("href=\"/parked?provider=telyport\""));
    let delivery = seer.sees("/delivery?since=1h&id=D-known", &id).await;
    assert!(delivery.contains("not published") && delivery.contains("Look at the webhook"), "{delivery}");
    let by_reference = seer.page("/delivery?since=1h&id=%231").await;
    assert!(by_reference.contains("is a reference of") && by_reference.contains(&id), "{by_reference}");
    assert!(seer.page("/delivery?since=1h&id=never-heard-of").await.contains("was not found"));
    assert!(seer.page("/health").await.contains("Remedy"));
    seer.page("/subscribers").await;
    seer.page("/waiting").await;
    assert_eq!(seer.get("/parked/telyport/none").await.status(), 404);
    assert_eq!(seer.get("/parked/dhl/none").await.status(), 404);
    assert_eq!(seer.get("/parked?provider=dhl").await.status(), 400);
    served.process.ready().await;
    served.process.measures("milepost_console_logins_total{result=\"accepted\"} 1").await;
}

#[tokio::test]
async fn a_fleet_in_memory_has_pages_that_say_what_they_cannot_ask() {
    let program = Program::milepost("run --play --http 127.0.0.1:0 --admin 127.0.0.1:0")
        .env("MILEPOST__CONSOLE__ADDR", "127.0.0.1:0")
        .env("MILEPOST__CONSOLE__USERS_FILE", three_users("memory").await.to_str().expect("text"));
    let process = program.spawn();
    let line = process.stderr.with("the operator's pages on http://").await;
    let (_, url) = line.split_once("pages on ").expect("an address");
    let served = Served { process, url: url.trim_end_matches('/').to_owned() };
    let alice = served.user("alice").await;
    // Whether the deliveries are played before or after the first look: it is a rate.
    let now = alice.sees("/", "/s</td>").await;
    assert!(now.contains("telyport") && now.contains("tolerates") && !now.contains("notice bad"), "{now}");
    for path in ["/delivery?id=x", "/parked", "/waiting", "/subscribers", "/health", "/acts", "/audit"] {
        let page = alice.page(path).await;
        assert!(page.contains("This fleet is in memory") && page.contains("make up"), "{path}: {page}");
    }
    assert_eq!(alice.get("/parked/replay?provider=telyport&all=1").await.status(), 404);
}
