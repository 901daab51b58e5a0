//! One file and the environment, checked once.
//!
//! [`load`] layers the sources, refuses unknown keys, and turns what is left into a [`Config`] of values
//! that are already valid: the rest of the program checks nothing again. An error or a warning names keys, never
//! values, because any value may be a secret. This is the only room that reads environment variables.

mod accounts;
mod accounts_dir;
mod alike;
mod check;
mod console_settings;
mod error;
mod findings;
mod layers;
mod load;
mod recovery;
mod secret_files;
mod sections;
mod settings;
mod sinks;
mod structure;
mod urls;

pub use accounts_dir::{AccountsDir, Changes};
pub use console_settings::{ConsoleConfig, ConsoleProxy, ConsoleUser, ConsoleUsers, Right};
pub use error::{ConfigError, Problem};
pub use load::{Flag, Loaded, Sources, load, operator_name};
pub use secret_files::{SecretFiles, Unusable};
pub use settings::{
    AccountSettings, AdminConfig, AmqpConfig, Config, HttpConfig, HubriseSink, LogConfig, Open,
    ProviderSettings, Recovery, RecoverySource, RedisConfig, RemoteConfig, SpoolConfig, TopologyConfig,
    TracingConfig, WorkerConfig,
};
pub use urls::RedactedUrl;
