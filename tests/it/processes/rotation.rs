//! Secrets rotated as Kubernetes does it, under running processes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::future::poll_immediate;
use milepost::domain::authentication::AuthScheme;
use milepost::domain::samples::{SampleSource as _, Signing};
use milepost::domain::secret::Secret;
use milepost::providers::TELYPORT;

use crate::support::eventually;
use crate::support::fleet::telyport_body;
use crate::support::process::{Process, Program, RECEIVER, TELYPORT_WORKER};
use crate::support::servers::{OwnServers, Vhost, client};

/// A Secret as Kubernetes mounts it: the files are links into the directory that the link `..data` names, and an update
/// swaps that link.
struct Mounted {
    place: PathBuf,
    version: u32,
}

impl Mounted {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&place).expect("writable");
        let mut mounted = Self { place, version: 0 };
        mounted.update(files);
        for (file, _) in files {
            symlink(Path::new("..data").join(file), mounted.place.join(file)).expect("writable");
        }
        mounted
    }

    /// Files that are new get no link here: the tests do without.
    fn update(&mut self, files: &[(&str, &str)]) {
        self.version += 1;
        let version = format!("..version_{}", self.version);
        fs::create_dir(self.place.join(&version)).expect("writable");
        for (file, content) in files {
            fs::write(self.place.join(&version).join(file), content).expect("writable");
        }
        symlink(&version, self.place.join("..data_tmp")).expect("writable");
        fs::rename(self.place.join("..data_tmp"), self.place.join("..data")).expect("it replaces the link");
    }

    fn file(&self, name: &str) -> String {
        self.place.join(name).to_str().expect("text").to_owned()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// Posts a webhook signed with `secret`; the answer's code.
async fn post(receiver: &Process, secret: &str, id: &str) -> u16 {
    let secret = Secret::new(secret.as_bytes()).expect("not empty");
    let body = telyport_body("order", id, "DELIVERED").into();
    let signing = Signing { scheme: AuthScheme::Hmac, header: None, secret: &secret };
    let webhook = TELYPORT.sign(body, &signing);
    let mut request = client().post(format!("http://{}/webhooks/telyport", receiver.webhooks().await));
    for (name, value) in webhook.headers {
        request = request.header(name, value);
    }
    let answer = request.body(webhook.body).send().await.expect("the receiver answers");
    answer.status().as_u16()
}

/// Posts until the answer is `code`.
async fn until(receiver: &Process, secret: &str, code: u16) {
    eventually(&format!("a webhook gets {code}"), || async {
        (post(receiver, secret, "until").await == code).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_provider_secret_is_rotated_by_swapping_a_link_without_a_restart() {
    let vhost = Vhost::new().await;
    let mut secret = Mounted::new("rotated-secret", &[("current", "sentinel-1\n"), ("next", "sentinel-1\n")]);
    let mut receiver = Program::bare(RECEIVER)
        .env("MILEPOST_AMQP_URL", &vhost.amqp_url)
        .env(
            "MILEPOST__PROVIDERS__TELYPORT__ACCOUNTS__DEFAULT__SECRET_DIR",
            secret.place.to_str().expect("text"),
        )
        .spawn();
    receiver.ready().await;
    assert_eq!(post(&receiver, "sentinel-1", "first").await, 200);
    assert_eq!(post(&receiver, "sentinel-2", "first").await, 401);

    secret.update(&[("current", "sentinel-1\n"), ("next", "sentinel-2\n")]);
    until(&receiver, "sentinel-2", 200).await;
    assert_eq!(post(&receiver, "sentinel-1", "second").await, 200);

    secret.update(&[("current", ""), ("next", "sentinel-2\n")]);
    receiver.measures(r#"milepost_secret_reloads_total{result="kept"} 1"#).await;
    let line = receiver.says("a secret cannot be used").await;
    assert_eq!(
        (line["level"].as_str(), line["path"].as_str()),
        (Some("WARN"), Some(&*secret.file("current")))
    );
    assert_eq!(post(&receiver, "sentinel-1", "third").await, 200);

    secret.update(&[("current", "sentinel-3\n"), ("next", "sentinel-2\n")]);
    until(&receiver, "sentinel-3", 200).await;
    assert_eq!(post(&receiver, "sentinel-1", "fourth").await, 401);
    assert_eq!(post(&receiver, "sentinel-2", "fourth").await, 200);
    receiver.measures(r#"milepost_secret_reloads_total{result="ok"} 2"#).await;

    receiver.signal("TERM");
    assert_eq!(receiver.exit().await, Some(0));
    assert!(!receiver.stderr.all().join("\n").contains("sentinel"));
}

/// A user of both servers whose password changes.
struct User(OwnServers);

impl User {
    fn new() -> Self {
        let servers = OwnServers::start("rotation");
        servers.run(&["ctl", "add_user", "fleet", "sentinel-1"]);
        servers.run(&["ctl", "set_permissions", "fleet", ".*", ".*", ".*"]);
        let user = Self(servers);
        user.change_redis("sentinel-1");
        user
    }

    fn change_rabbit(&self, password: &str) {
        self.0.run(&["ctl", "change_password", "fleet", password]);
    }

    fn change_redis(&self, password: &str) {
        let rule = format!(">{password}");
        let words = ["ACL", "SETUSER", "fleet", "on", "resetpass", rule.as_str(), "~*", "&*", "+@all"];
        let output = Command::new("redis-cli").args(["-u", &self.0.redis_url]).args(words).output();
        assert_eq!(String::from_utf8_lossy(&output.expect("redis-cli runs").stdout), "OK\n");
    }

    /// The files of a Secret with this password.
    fn urls(&self, password: &str) -> [String; 2] {
        [&self.0.amqp_url, &self.0.redis_url].map(|url| {
            let mut url = url::Url::parse(url).expect("a URL");
            url.set_username("fleet").expect("it has a host");
            url.set_password(Some(password)).expect("it has a host");
            format!("{url}\n")
        })
    }

    fn starts(&self, path: &str, secret: &Mounted) -> Process {
        Program::bare(path)
            .env("MILEPOST__AMQP__URL_FILE", &secret.file("amqp"))
            .env("MILEPOST__REDIS__URL_FILE", &secret.file("redis"))
            .env("MILEPOST__PROVIDERS__TELYPORT__ACCOUNTS__DEFAULT__SECRETS", r#"["sentinel-hmac"]"#)
            .spawn()
    }
}

/// Posts one event after the other, each of which must be taken, until `done`; how many.
async fn post_until<T>(receiver: &Process, name: &str, done: impl Future<Output = T>) -> u32 {
    let mut done = std::pin::pin!(done);
    let mut posted = 0;
    while poll_immediate(&mut done).await.is_none() {
        // To its end: one that is dropped may be stored, or not.
        let id = format!("{name}-{posted}");
        assert_eq!(post(receiver, "sentinel-hmac", &id).await, 200, "{id}");
        posted += 1;
    }
    posted
}

#[tokio::test]
async fn the_passwords_of_both_servers_are_changed_under_a_working_fleet() {
    let user = User::new();
    let [amqp, redis] = user.urls("sentinel-1");
    let mut secret = Mounted::new("rotated-urls", &[("amqp", &amqp), ("redis", &redis)]);
    let mut receiver = user.starts(RECEIVER, &secret);
    let mut worker = user.starts(TELYPORT_WORKER, &secret);
    receiver.ready().await;
    worker.ready().await;

    // What is no URL is not tried.
    secret.update(&[("amqp", "sentinel-nonsense"), ("redis", &redis)]);
    receiver.says("a secret cannot be used").await;
    let mut posted = post_until(
        &receiver,
        "nonsense",
        receiver.measures(r#"milepost_secret_reloads_total{result="kept"} 1"#),
    )
    .await;

    // What the servers do not take yet is tried until they do, on the side.
    let [amqp, redis] = user.urls("sentinel-2");
    secret.update(&[("amqp", &amqp), ("redis", &redis)]);
    posted += post_until(&receiver, "early", async {
        receiver.says("cannot connect with the new URL yet").await;
        worker.says("cannot connect with the new URL yet").await;
        worker.says("redis: cannot connect with the new URL yet").await;
    })
    .await;
    user.change_rabbit("sentinel-2");
    user.change_redis("sentinel-2");
    posted += post_until(&receiver, "changed", async {
        receiver.says("publishing: the URL changed").await;
        worker.says("publishing: the URL changed").await;
        worker.says("subscribing anew: the URL changed").await;
        worker.says("redis: the URL changed").await;
    })
    .await;

    // From here on only the new passwords connect.
    user.0.run(&["ctl", "close_all_user_connections", "fleet", "rotated"]);
    eventually("the receiver takes webhooks again", || async {
        (post(&receiver, "sentinel-hmac", "again").await == 200).then_some(())
    })
    .await;
    let all = f64::from(posted + 1);
    eventually("every webhook was published", || async {
        let published = worker.metric("milepost_messages_settled_total", &[r#"outcome="published""#]).await;
        (published >= all).then_some(())
    })
    .await;
    let published = worker.metric("milepost_messages_settled_total", &[r#"outcome="published""#]).await;
    assert!(published <= all, "{published} of {all}");
    for process in [&mut receiver, &mut worker] {
        process.signal("TERM");
        assert_eq!(process.exit().await, Some(0));
        assert!(!process.stderr.all().join("\n").contains("sentinel"));
    }
}

/// The new connection needs room beside the old one, which stays until there is. The log names the limit.
#[tokio::test]
async fn a_rotation_waits_for_a_virtual_host_at_its_connection_limit() {
    let vhost = Vhost::new().await;
    let mut secret = Mounted::new("rotated-limit", &[("amqp", &vhost.amqp_url)]);
    let receiver = Program::bare(RECEIVER)
        .env("MILEPOST__AMQP__URL_FILE", &secret.file("amqp"))
        .env("MILEPOST__PROVIDERS__TELYPORT__ACCOUNTS__DEFAULT__SECRETS", r#"["sentinel-hmac"]"#)
        .spawn();
    receiver.ready().await;
    vhost.limit_connections(1).await;
    secret.update(&[("amqp", &format!("{}?heartbeat=20", vhost.amqp_url))]);
    let refused = async {
        let line = receiver.says("cannot connect with the new URL yet: the old connection stays").await;
        let error = line["error"].as_str().expect("text").to_owned();
        assert!(error.contains("connection limit (1) is reached"), "{error}");
    };
    let posted = post_until(&receiver, "full", refused).await;
    assert!(posted > 0);
    vhost.limit_connections(2).await;
    post_until(&receiver, "room", receiver.says("publishing: the URL changed")).await;
    assert_eq!(post(&receiver, "sentinel-hmac", "after").await, 200);
}
