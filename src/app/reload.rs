//! Mounted secrets, read again while the process lives.
//!
//! They are looked at every few seconds: the file systems that secrets are mounted on do not all tell of changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::adapters::clock::SystemClock;
use crate::adapters::hubrise::LiveToken;
use crate::adapters::live_url::LiveUrl;
use crate::config::{AccountSettings, RedactedUrl, Remote, SecretFiles, Unusable};
use crate::pipeline::receive::LiveCredentials;
use crate::ports::Clock as _;
use crate::telemetry::metrics as m;

/// Between two looks. A change is in force after two to three of them.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is looked at, and where it goes.
#[derive(Default)]
pub struct Reload(Vec<Watched>);

struct Watched {
    /// For the log.
    name: String,
    files: SecretFiles,
    put: Box<dyn Fn(&SecretFiles) + Send>,
}

impl Reload {
    /// An account's credentials, kept as its files are.
    pub fn account(&mut self, name: String, settings: &AccountSettings) -> LiveCredentials {
        let (sender, live) = watch::channel(Arc::new(settings.credentials()));
        let written = settings.written.clone();
        self.watch(name, &settings.files, move |files| {
            let settings = AccountSettings { written: written.clone(), files: files.clone() };
            sender.send_replace(Arc::new(settings.credentials()));
        });
        live
    }

    /// The URL of a server, kept as its file is; `name` is the key of the configuration.
    pub fn url(&mut self, name: &str, url: &RedactedUrl, file: &SecretFiles) -> LiveUrl {
        let (sender, live) = LiveUrl::new(url.expose());
        self.watch(name.to_owned(), file, move |file| {
            for url in file.secrets().filter_map(|secret| std::str::from_utf8(secret.expose()).ok()) {
                sender.send_replace(url.into());
            }
        });
        live
    }

    /// A connection's token, kept as its file is.
    pub fn token(&mut self, name: String, remote: &Remote) -> LiveToken {
        let (sender, live) = watch::channel(remote.token().map(Arc::new));
        let written = remote.written.clone();
        self.watch(name, &remote.files, move |files| {
            let token = written.clone().or_else(|| files.secrets().next().cloned());
            sender.send_replace(token.map(Arc::new));
        });
        live
    }

    fn watch(&mut self, name: String, files: &SecretFiles, put: impl Fn(&SecretFiles) + Send + 'static) {
        if !files.is_empty() {
            self.0.push(Watched { name, files: files.clone(), put: Box::new(put) });
        }
    }

    /// Looks for ever, if there is anything to look at.
    pub async fn run(mut self) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // Reading may block for as long as a file system likes.
            let looking = spawn_blocking(move || {
                let changes: Vec<_> = self.0.iter_mut().map(|watched| watched.files.look()).collect();
                (self, changes)
            });
            // Reading does not panic; and if it did, the process ends with this task.
            let Ok((looked, changes)) = looking.await else { return };
            self = looked;
            for (watched, change) in self.0.iter().zip(changes) {
                if let Some(unusable) = change {
                    watched.changed(&unusable);
                }
            }
        }
    }
}

impl Watched {
    fn changed(&self, unusable: &[Unusable]) {
        (self.put)(&self.files);
        let of = &self.name;
        for Unusable { path, why } in unusable {
            tracing::warn!(of, path = %path.display(), why, "a secret cannot be used: what was there before stays");
        }
        if unusable.is_empty() {
            tracing::info!(of, secrets = self.files.secrets().count(), "secrets read again");
            note();
        }
        let result = if unusable.is_empty() { "ok" } else { "kept" };
        metrics::counter!(m::SECRET_RELOADS, "result" => result).increment(1);
    }
}

/// Notes that what is configured was read just now.
pub fn note() {
    #[allow(clippy::cast_precision_loss)] // Seconds since 1970 fit a float's 53 bits.
    metrics::gauge!(m::CONFIG_LAST_RELOAD).set(SystemClock.now().as_second() as f64);
}
