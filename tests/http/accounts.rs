//! A directory of accounts that come, change and go while requests run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Log, Server, log, metric, signed_with, start_configured, within};

const PACE: Duration = Duration::from_millis(10);

struct Merchants {
    server: Server,
    provider: &'static str,
    place: PathBuf,
}

impl Merchants {
    /// A receiver whose accounts are these files of a directory, each with its secret.
    async fn start(provider: &'static str, files: &[(&str, &str)]) -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(provider);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        for (account, secrets) in files {
            fs::write(place.join(account), secrets).unwrap();
        }
        let base = format!("[providers.{provider}]\naccounts_dir = {place:?}");
        let server = start_configured(provider, base).await;
        Self { server, provider, place }
    }

    fn write(&self, account: &str, secrets: &str) {
        fs::write(self.place.join(account), secrets).unwrap();
    }

    /// Posts, at a pace: each request is a connection, and ports are not endless.
    async fn answer(&self, account: &str, secret: &str) -> u16 {
        tokio::time::sleep(PACE).await;
        let path = format!("/webhooks/{}/{account}", self.provider);
        self.server.exchange(signed_with(secret, &path, "", b"{}")).await.code
    }

    /// Posts until the answer is `code`, and meanwhile as `steady`, who is always taken.
    async fn until(&self, account: &str, secret: &str, code: u16) {
        within(async {
            while self.answer(account, secret).await != code {
                assert_eq!(self.answer("steady", "s").await, 200);
            }
        })
        .await;
    }

    async fn gauge(&self, name: &str, rest: &str, wanted: u64) {
        let series = format!(r#"milepost_{name}{{provider="{}"{rest}}}"#, self.provider);
        within(async {
            while metric(&series) != Some(wanted) {
                tokio::time::sleep(PACE).await;
            }
        })
        .await;
    }
}

/// The lines of the log that say this, of this provider.
fn said(log: &Log, what: &str, of: &str) -> Vec<String> {
    log.take().lines().filter(|line| line.contains(what) && line.contains(of)).map(str::to_owned).collect()
}

#[tokio::test]
async fn an_account_appears_changes_and_goes_while_the_receiver_runs() {
    let (log, _guard) = log();
    let merchants = Merchants::start("merchants", &[("steady", "s")]).await;
    assert_eq!(merchants.answer("acme", "0ne-sentinel").await, 404);
    merchants.write("acme", "0ne-sentinel\n");
    merchants.until("acme", "0ne-sentinel", 200).await;
    merchants.write("acme", "0ne-sentinel\ntw0-sentinel\n");
    merchants.until("acme", "tw0-sentinel", 200).await;
    assert_eq!(merchants.answer("acme", "0ne-sentinel").await, 200, "both will do");
    merchants.write("acme", "tw0-sentinel\n");
    merchants.until("acme", "0ne-sentinel", 401).await;
    merchants.gauge("accounts", r#",state="usable""#, 2).await;
    fs::remove_file(merchants.place.join("acme")).unwrap();
    merchants.until("acme", "tw0-sentinel", 404).await;
    merchants.gauge("accounts", r#",state="usable""#, 1).await;
    let text = log.take();
    let read: Vec<_> = text.lines().filter(|line| line.contains("accounts read again")).collect();
    assert_eq!(read.len(), 4, "{read:?}");
    assert!(read[..3].iter().all(|line| line.contains(r#""put":"acme""#)), "{read:?}");
    assert!(read[3].contains(r#""removed":"acme""#) && read[3].contains(r#""accounts":1"#), "{read:?}");
    assert!(!text.contains("-sentinel"));
    let refused = r#"milepost_account_refusals_total{provider="merchants",account="acme"}"#;
    assert!(metric(refused) > Some(0), "401 at the end; what is no account has no label");
}

#[tokio::test]
async fn a_bad_account_is_asked_to_send_again_and_hurts_no_other() {
    let (log, _guard) = log();
    let merchants = Merchants::start("spoiled", &[("bad", "\n"), ("steady", "s"), ("zebra", "z")]).await;
    assert_eq!(merchants.answer("bad", "b").await, 503);
    assert_eq!(merchants.answer("zebra", "z").await, 200);
    merchants.gauge("accounts", r#",state="without_secret""#, 1).await;
    merchants.gauge("accounts_dir_unusable", "", 1).await;
    merchants.write("bad", "b");
    merchants.until("bad", "b", 200).await;
    merchants.gauge("accounts", r#",state="without_secret""#, 0).await;
    merchants.gauge("accounts_dir_unusable", "", 0).await;
    log.take();
    merchants.write("bad", "");
    merchants.gauge("accounts_dir_unusable", "", 1).await;
    // What was there before stays.
    assert_eq!(merchants.answer("bad", "b").await, 200);
    let warned = said(&log, "an account cannot be used", "spoiled");
    let [line] = warned.as_slice() else { panic!("{warned:?}") };
    assert!(line.contains("spoiled/bad") && line.contains("must not be empty"), "{line}");
}

#[tokio::test]
async fn before_the_directory_was_read_an_unknown_account_is_asked_to_send_again() {
    let merchants = Merchants::start("unmounted", &[]).await;
    assert_eq!(merchants.answer("steady", "s").await, 503);
    merchants.write("steady", "s");
    within(async { while merchants.answer("steady", "s").await != 200 {} }).await;
    assert_eq!(merchants.answer("acme", "a").await, 404);
}

/// Thousands of merchants, all refused, are a bounded number of series and of lines.
#[tokio::test]
async fn refusals_name_so_many_accounts_and_no_more() {
    let (log, _guard) = log();
    let names: Vec<_> = (0..300).map(|number| format!("shop-{number}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "s")).collect();
    let merchants = Merchants::start("crowded", &files).await;
    for name in &names {
        assert_eq!(merchants.answer(name, "wrong").await, 401);
    }
    let series = |account: &str| {
        metric(&format!(r#"milepost_account_refusals_total{{provider="crowded",account="{account}"}}"#))
    };
    assert_eq!([series("shop-0"), series("shop-199"), series("shop-200")], [Some(1), Some(1), None]);
    assert_eq!(series("(other)"), Some(100));
    let lines = said(&log, "INFO", r#""message":"webhook rejected""#);
    assert_eq!(lines.len(), 201, "one for each account with its own label, and one for all others");
}
