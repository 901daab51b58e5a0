//! Secrets in files that change while requests run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::support::{Server, log, metric, signed_with, start_configured, within};

const PACE: Duration = Duration::from_millis(10);
const RELOADS: &str = "milepost_secret_reloads_total";

struct Rotated {
    server: Server,
    provider: &'static str,
    place: PathBuf,
    files: Vec<String>,
}

impl Rotated {
    /// A receiver whose one account has these files, each with its secret.
    async fn start(provider: &'static str, files: &[(&str, &str)]) -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(provider);
        fs::create_dir_all(&place).unwrap();
        for (name, secret) in files {
            fs::write(place.join(name), secret).unwrap();
        }
        let files: Vec<_> =
            files.iter().map(|(name, _)| place.join(name).to_str().unwrap().to_owned()).collect();
        let base = format!("[providers.{provider}.accounts.default]\nsecret_files = {files:?}");
        let server = start_configured(provider, base).await;
        Self { server, provider, place, files }
    }

    fn write(&self, name: &str, secret: &str) {
        fs::write(self.place.join(name), secret).unwrap();
    }

    /// Posts, at a pace: each request is a connection, and some tens of thousands of them within seconds would leave
    /// the machine without ports.
    async fn answer(&self, secret: &str) -> u16 {
        tokio::time::sleep(PACE).await;
        let path = format!("/webhooks/{}", self.provider);
        self.server.exchange(signed_with(secret, &path, "", b"{}")).await.code
    }

    /// Posts until the answer is `code`.
    async fn until(&self, secret: &str, code: u16) {
        within(async { while self.answer(secret).await != code {} }).await;
    }
}

/// No request fails meanwhile.
#[tokio::test]
async fn an_old_secret_is_accepted_until_no_file_holds_it() {
    let rotated =
        Rotated::start("rotated", &[("current", "old"), ("next", "old"), ("other", "steady")]).await;
    let done = CancellationToken::new();
    let steady = async {
        while !done.is_cancelled() {
            assert_eq!(rotated.answer("steady").await, 200);
        }
    };
    let rotating = async {
        assert_eq!([rotated.answer("old").await, rotated.answer("new").await], [200, 401]);
        rotated.write("next", "new\n");
        rotated.until("new", 200).await;
        assert_eq!(rotated.answer("old").await, 200);
        rotated.write("current", "newer");
        rotated.until("newer", 200).await;
        assert_eq!([rotated.answer("old").await, rotated.answer("new").await], [401, 200]);
        done.cancel();
    };
    tokio::join!(steady, rotating);
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_secret_and_a_good_one_is_taken_later() {
    let (log, _guard) = log();
    let rotated = Rotated::start("kept", &[("secret", "0ld-sentinel")]).await;
    let kept = || metric(&format!(r#"{RELOADS}{{result="kept"}}"#)).unwrap_or(0);
    rotated.write("secret", "\n");
    // The only test of this binary that spoils a secret.
    within(async {
        while kept() == 0 {
            assert_eq!(rotated.answer("0ld-sentinel").await, 200);
        }
    })
    .await;
    assert_eq!(rotated.answer("0ld-sentinel").await, 200);
    let text = log.take();
    let said: Vec<_> = text.lines().filter(|line| line.contains(&rotated.files[0])).collect();
    let [line] = said.as_slice() else { panic!("{said:?}") };
    assert!(line.contains("WARN") && line.contains("must not be empty"), "{line}");
    rotated.write("secret", "n3w-sentinel");
    rotated.until("n3w-sentinel", 200).await;
    assert_eq!(rotated.answer("0ld-sentinel").await, 401);
    assert!(!(text + &log.take()).contains("-sentinel"));
    assert_eq!(kept(), 1);
    assert!(metric(&format!(r#"{RELOADS}{{result="ok"}}"#)) > Some(0));
}
