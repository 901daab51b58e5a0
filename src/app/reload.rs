//! Mounted secrets, read again while the process lives.
//!
//! They are looked at every few seconds: the file systems that secrets are mounted on do not all tell of changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::live_accounts::{KeptAccounts, WatchedAccounts};
use crate::adapters::clock::SystemClock;
use crate::adapters::live_url::LiveUrl;
use crate::adapters::outgoing::LiveToken;
use crate::config::{
    AccountSettings, ConsoleUsers, ProviderSettings, RedactedUrl, RemoteConfig, SecretFiles, Unusable,
};
use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;
use crate::pipeline::receive::LiveAccounts;
use crate::ports::Clock as _;
use crate::telemetry::metrics as m;

/// Between two looks. A change is in force after two to three of them.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is looked at, and where it goes.
#[derive(Default)]
pub struct Reload {
    secrets: Vec<Watched>,
    directories: Vec<WatchedAccounts>,
}

struct Watched {
    name: String,
    files: SecretFiles,
    put: Box<dyn Fn(&SecretFiles) + Send>,
}

impl Reload {
    /// A provider's accounts, kept as their files are, and as the files of its directory come and go.
    pub fn accounts(&mut self, provider: ProviderId, settings: &ProviderSettings) -> LiveAccounts {
        let accounts = Arc::new(KeptAccounts::new(provider));
        let first =
            |(name, account): (&Account, &AccountSettings)| (name.clone(), Arc::new(account.credentials()));
        accounts.put(settings.accounts.iter().map(first));
        for (name, account) in &settings.accounts {
            let (written, name) = (account.written.clone(), name.clone());
            let accounts = Arc::clone(&accounts);
            self.watch(format!("{provider}/{name}"), &account.files, move |files| {
                let settings = AccountSettings { written: written.clone(), files: files.clone() };
                accounts.put([(name.clone(), Arc::new(settings.credentials()))]);
            });
        }
        let live = accounts.live();
        if let Some(directory) = &settings.accounts_dir {
            self.directories.push(WatchedAccounts::new(accounts, directory.clone()));
        }
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
    pub fn token(&mut self, name: String, remote: &RemoteConfig) -> LiveToken {
        let (sender, live) = watch::channel(remote.token().map(Arc::new));
        let written = remote.written.clone();
        self.watch(name, &remote.files, move |files| {
            let token = written.clone().or_else(|| files.secrets().next().cloned());
            sender.send_replace(token.map(Arc::new));
        });
        live
    }

    /// The users of the console, kept as their file is.
    pub fn console_users(&mut self, files: &SecretFiles) -> watch::Receiver<Arc<ConsoleUsers>> {
        let (sender, live) = watch::channel(Arc::new(ConsoleUsers::of(files)));
        self.watch("console.users_file".to_owned(), files, move |files| {
            sender.send_replace(Arc::new(ConsoleUsers::of(files)));
        });
        live
    }

    fn watch(&mut self, name: String, files: &SecretFiles, put: impl Fn(&SecretFiles) + Send + 'static) {
        if !files.is_empty() {
            self.secrets.push(Watched { name, files: files.clone(), put: Box::new(put) });
        }
    }

    /// Looks for ever, if there is anything to look at.
    pub async fn run(mut self) {
        if self.secrets.is_empty() && self.directories.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // Reading may block for as long as a file system likes.
            let looking = spawn_blocking(move || {
                let secrets: Vec<_> = self.secrets.iter_mut().map(|watched| watched.files.look()).collect();
                let accounts: Vec<_> = self.directories.iter_mut().map(WatchedAccounts::look).collect();
                (self, secrets, accounts)
            });
            // Reading does not panic; and if it did, the process ends with this task.
            let Ok((looked, secrets, accounts)) = looking.await else { return };
            self = looked;
            for (watched, change) in self.secrets.iter().zip(secrets) {
                if let Some(unusable) = change {
                    watched.changed(&unusable);
                }
            }
            for (watched, changes) in self.directories.iter().zip(accounts) {
                watched.changed(&changes);
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
