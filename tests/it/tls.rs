//! `amqps://` and `rediss://`, on servers whose certificates a throw-away CA signed.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use milepost::adapters::rabbit::{Place, connect_to_first};
use milepost::domain::authentication::AuthScheme;
use milepost::domain::samples::{SampleSource as _, Signing};
use milepost::domain::secret::Secret;
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;

use crate::support::eventually;
use crate::support::fleet::{Subscriber, telyport_body};
use crate::support::process::{Process, RECEIVER, TELYPORT_WORKER, start};
use crate::support::servers::{OwnServers, client};

const SECRET: &str = "a secret of this test";
const ACCOUNT: (&str, &str) =
    ("MILEPOST__PROVIDERS__TELYPORT__ACCOUNTS__DEFAULT__SECRETS", "[\"a secret of this test\"]");

/// Sends a webhook to a receiver, signed; it must be taken.
async fn send(receiver: &Process, body: Vec<u8>) {
    let secret = Secret::new(SECRET.as_bytes()).expect("not empty");
    let signed = TELYPORT_PROVIDER
        .sign(Bytes::from(body), &Signing { scheme: AuthScheme::Hmac, header: None, secret: &secret });
    let mut request = client().post(format!("http://{}/webhooks/telyport", receiver.webhooks().await));
    for (name, value) in &signed.headers {
        request = request.header(name, value);
    }
    let answer = request.body(signed.body).send().await.expect("the receiver answers");
    assert_eq!(answer.status().as_u16(), 200);
}

#[tokio::test]
async fn both_connections_are_encrypted_when_the_urls_say_so() {
    let servers = OwnServers::start_with("tls", &["--tls"]);
    let (amqps, rediss) = (servers.value("MILEPOST_AMQPS_URL"), servers.value("MILEPOST_REDISS_URL"));
    assert!(amqps.starts_with("amqps://") && rediss.starts_with("rediss://"), "{amqps} {rediss}");
    a_webhook_is_published_and_marked_done(&servers, &amqps, &rediss).await;
    without_the_ca_neither_server_is_trusted(&amqps, &rediss).await;
}

async fn a_webhook_is_published_and_marked_done(servers: &OwnServers, amqps: &str, rediss: &str) {
    let ca = servers.value("MILEPOST_TLS_CA");
    let urls =
        [("MILEPOST_AMQP_URL", amqps), ("MILEPOST_REDIS_URL", rediss), ("SSL_CERT_FILE", &ca), ACCOUNT];
    let (receiver, worker) = (start(RECEIVER, &urls), start(TELYPORT_WORKER, &urls));
    receiver.ready().await;
    worker.ready().await;
    let mut subscriber = Subscriber::bind(&servers.amqp_url, "subscriber", FieldTable::default()).await;

    send(&receiver, telyport_body("OVER-TLS", "event-1", "DROPCOMPLETED")).await;
    subscriber.take_until(|subscriber| subscriber.order.len() == 1).await;
    assert_eq!(subscriber.keys, ["telyport.default.closed.delivered"]);
    worker.measures("milepost_messages_settled_total{provider=\"telyport\",outcome=\"published\"} 1").await;

    // Only an event that is marked done makes its resend a duplicate.
    send(&receiver, telyport_body("OVER-TLS", "event-1", "DROPCOMPLETED")).await;
    worker.measures("milepost_messages_settled_total{provider=\"telyport\",outcome=\"duplicate\"} 1").await;
    assert_eq!(subscriber.unread().await, 0);
}

async fn without_the_ca_neither_server_is_trusted(amqps: &str, rediss: &str) {
    let amqps = amqps.replace("guest:guest", "guest:amqp-password");
    let rediss = rediss.replace("rediss://", "rediss://:redis-password@");
    let urls = [("MILEPOST_AMQP_URL", &*amqps), ("MILEPOST_REDIS_URL", &*rediss), ACCOUNT];
    let (receiver, worker) = (start(RECEIVER, &urls), start(TELYPORT_WORKER, &urls));
    let broker = receiver.says("cannot publish yet").await;
    let ledger = worker.says("not subscribing: the ledger does not answer").await;
    for refusal in [broker, ledger] {
        let error = refusal["error"].as_str().expect("an error");
        assert!(error.contains("invalid peer certificate: UnknownIssuer"), "{error}");
    }
    for program in [receiver, worker] {
        assert_eq!(program.ask("/readyz").await.0, 503);
        let log = program.stderr.all().join("\n");
        assert!(!log.contains("amqp-password") && !log.contains("redis-password"), "{log}");
    }
}

/// What the child below connects to.
const CHILDS_URL: &str = "MILEPOST_TEST_CHILDS_AMQPS_URL";

/// As a name with several addresses has one, of which the first hangs. The CA is trusted by a variable, so this runs itself
/// again as a child.
#[tokio::test]
async fn with_tls_each_address_of_a_name_has_its_share_of_the_time() {
    if let Ok(url) = std::env::var(CHILDS_URL) {
        return each_address_has_its_share(&url).await;
    }
    let servers = OwnServers::start_with("tls-addresses", &["--tls", "--without-redis"]);
    let amqps = servers.value("MILEPOST_AMQPS_URL").replace("127.0.0.1", "localhost");
    let test = "tls::with_tls_each_address_of_a_name_has_its_share_of_the_time";
    let mut child = Command::new(std::env::current_exe().expect("this binary"));
    child.args(["--exact", test]).env(CHILDS_URL, amqps);
    let output = child.env("SSL_CERT_FILE", servers.value("MILEPOST_TLS_CA")).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn each_address_has_its_share(url: &str) {
    const LIMIT: Duration = Duration::from_secs(4);
    milepost::adapters::tls::install_crypto_provider();
    let uri: AMQPUri = url.parse().expect("a URL");
    // It takes connections, and does not shake hands.
    let silent = TcpListener::bind("127.0.0.2:0").expect("a port");
    let alive = format!("127.0.0.1:{}", uri.authority.port).parse().expect("an address");
    let addresses = [silent.local_addr().expect("bound"), alive];
    let places = addresses.map(|address| Place::new(uri.clone(), address)).to_vec();
    let connected = connect_to_first(places, "tls", LIMIT).await;
    let (connection, link) = connected.expect("the second one");
    assert!(connection.status().connected() && link.address() == alive, "{link:?}");

    // The certificate is for `localhost` and for the address: it is the name that counts.
    let mut other = uri;
    other.authority.host = "other.example".to_owned();
    let refused = connect_to_first(vec![Place::new(other, alive)], "tls", LIMIT).await;
    let error = refused.expect_err("another name").to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn certificates_and_their_ca_are_replaced_while_roles_run() {
    let servers = OwnServers::start_with("tls-renewed", &["--tls"]);
    let (amqps, rediss) = (servers.value("MILEPOST_AMQPS_URL"), servers.value("MILEPOST_REDISS_URL"));
    let ca = servers.value("MILEPOST_TLS_CA");
    let trusted = std::env::temp_dir().join(format!("milepost-trusted-{}.pem", std::process::id()));
    let first = std::fs::read_to_string(&ca).expect("the first CA");
    std::fs::write(&trusted, &first).expect("written");
    let path = trusted.to_str().expect("text");
    let urls =
        [("MILEPOST_AMQP_URL", &*amqps), ("MILEPOST_REDIS_URL", &*rediss), ("SSL_CERT_FILE", path), ACCOUNT];
    let (receiver, worker) = (start(RECEIVER, &urls), start(TELYPORT_WORKER, &urls));
    receiver.ready().await;
    worker.ready().await;
    let published = |count: u32| {
        format!("milepost_messages_settled_total{{provider=\"telyport\",outcome=\"published\"}} {count}")
    };
    send(&receiver, telyport_body("BEFORE", "event-1", "NEW")).await;
    worker.measures(&published(1)).await;

    // Connections that are there stay.
    servers.run(&["renew-tls"]);
    send(&receiver, telyport_body("BETWEEN", "event-2", "NEW")).await;
    worker.measures(&published(2)).await;

    // New ones do not trust the new certificates, until the file has both CAs.
    end_connections(&servers);
    let refusal = receiver.says("cannot publish yet").await;
    assert!(refusal["error"].as_str().expect("an error").contains("UnknownIssuer"), "{refusal}");
    let second = std::fs::read_to_string(&ca).expect("the second CA");
    assert_ne!(first, second);
    std::fs::write(&trusted, first + &second).expect("written");
    eventually("webhooks are taken again", || async {
        (receiver.metric("milepost_broker_connected", &["publish"]).await > 0.0).then_some(())
    })
    .await;
    send(&receiver, telyport_body("AFTER", "event-3", "NEW")).await;
    worker.measures(&published(3)).await;
    std::fs::remove_file(&trusted).expect("removed");
}

/// Every connection ends, as when the servers restart.
fn end_connections(servers: &OwnServers) {
    servers.run(&["ctl", "-q", "close_all_connections", "renewed"]);
    let words = ["-u", &servers.redis_url, "client", "kill", "type", "normal"];
    let status = Command::new("redis-cli").args(words).stdout(Stdio::null()).status();
    assert!(status.expect("redis-cli runs").success());
}
