//! Secrets rotated as Kubernetes does it, under running processes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use milepost::domain::provider::{AuthScheme, Provider as _, Signing};
use milepost::domain::secret::Secret;
use milepost::providers::TELYPORT;

use crate::support::eventually;
use crate::support::fleet::telyport_body;
use crate::support::process::{Process, Program, RECEIVER};
use crate::support::servers::{Vhost, client};

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
