//! What each layer may name. To let one name more is a decision about the architecture.

/// The libraries that a layer may name.
pub enum Libraries {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}
use self::Libraries::{AllBut, Only};

pub struct Layer {
    /// Under `src`; the first layer whose path begins a file's is the file's.
    pub path: &'static str,
    /// The other modules of the crate that it may name.
    pub modules: &'static [&'static str],
    pub libraries: Libraries,
}

pub const LAYERS: [Layer; 24] = [
    // The one exception: `backoff` has a type for the clock that it reads in vain.
    Layer { path: "domain/retry.rs", modules: &[], libraries: Only(&["backoff", "thiserror"]) },
    Layer { path: "domain/", modules: &[], libraries: Only(WORDS) },
    Layer { path: "providers/", modules: &["domain"], libraries: Only(WORDS) },
    // The one way from the pipeline to chance.
    Layer { path: "ports/chance.rs", modules: &[], libraries: Only(&["rand"]) },
    Layer {
        path: "ports/",
        modules: &["domain"],
        libraries: Only(&["async_trait", "jiff", "thiserror", "uuid"]),
    },
    Layer {
        path: "telemetry/",
        modules: &["domain"],
        libraries: AllBut(&["anyhow", "deadpool_redis", "hyper", "lapin", "reqwest"]),
    },
    Layer {
        path: "pipeline/",
        modules: &["domain", "ports", "telemetry", "sinks"],
        libraries: Only(&[
            "bytes",
            "futures_util",
            "jiff",
            "metrics",
            "tokio",
            "tokio_util",
            "tracing",
            "uuid",
        ]),
    },
    // What a sink decides is pure, as what a provider's words mean is.
    Layer { path: "sinks/update.rs", modules: &["domain"], libraries: Only(WORDS) },
    Layer { path: "sinks/hubrise/core/", modules: &["domain"], libraries: Only(WORDS) },
    Layer {
        path: "sinks/",
        modules: &["domain", "ports", "telemetry"],
        libraries: Only(&[
            "async_trait",
            "bytes",
            "futures_util",
            "hex",
            "jiff",
            "metrics",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio",
            "tokio_util",
            "tracing",
            "uuid",
        ]),
    },
    // HTTP calls the pipeline; the pipeline calls the other adapters, by their ports.
    Layer {
        path: "adapters/http/",
        modules: &["domain", "ports", "telemetry", "pipeline"],
        libraries: AllBut(&["anyhow", "deadpool_redis", "lapin"]),
    },
    Layer {
        path: "adapters/hubrise.rs",
        modules: &["domain", "ports", "telemetry", "sinks"],
        libraries: AllBut(&["anyhow", "deadpool_redis", "hyper", "lapin"]),
    },
    Layer {
        path: "adapters/outgoing.rs",
        modules: &["domain"],
        libraries: AllBut(&["anyhow", "deadpool_redis", "hyper", "lapin"]),
    },
    Layer {
        path: "adapters/provider_api.rs",
        modules: &["domain", "ports"],
        libraries: AllBut(&["anyhow", "deadpool_redis", "hyper", "lapin"]),
    },
    Layer {
        path: "adapters/rabbit/",
        modules: &["domain", "ports", "telemetry"],
        libraries: AllBut(&["anyhow", "deadpool_redis", "hyper"]),
    },
    Layer {
        path: "adapters/redis/",
        modules: &["domain", "ports", "telemetry"],
        libraries: AllBut(&["anyhow", "hyper", "lapin", "reqwest"]),
    },
    Layer {
        path: "adapters/",
        modules: &["domain", "ports", "telemetry"],
        libraries: AllBut(&["anyhow", "deadpool_redis", "hyper", "lapin", "reqwest"]),
    },
    // The names of RabbitMQ's exchanges are part of the contract.
    Layer {
        path: "contract/",
        modules: &["domain", "providers", "adapters"],
        libraries: Only(&["jiff", "schemars", "serde_json", "uuid"]),
    },
    // Its sections hold types of the adapters, and their libraries read the URLs.
    Layer {
        path: "config/",
        modules: &["domain", "ports", "telemetry", "sinks", "adapters"],
        libraries: AllBut(&["anyhow", "hyper", "reqwest", "tokio"]),
    },
    Layer {
        path: "app/",
        modules: &["domain", "providers", "ports", "telemetry", "sinks", "pipeline", "adapters", "config"],
        libraries: AllBut(&["deadpool_redis", "lapin"]),
    },
    Layer {
        path: "operator/",
        modules: &["domain", "providers", "ports", "telemetry", "sinks", "adapters", "config", "app"],
        libraries: AllBut(&["axum", "deadpool_redis", "hyper", "lapin", "maud"]),
    },
    Layer {
        path: "console/",
        modules: &[
            "domain",
            "providers",
            "ports",
            "telemetry",
            "sinks",
            "adapters",
            "config",
            "app",
            "operator",
        ],
        libraries: AllBut(&["clap", "deadpool_redis", "lapin"]),
    },
    Layer {
        path: "cli/",
        modules: &[
            "domain",
            "providers",
            "ports",
            "telemetry",
            "sinks",
            "adapters",
            "contract",
            "config",
            "app",
            "operator",
            "console",
        ],
        libraries: AllBut(&["deadpool_redis"]),
    },
    Layer {
        path: "bin/",
        modules: &["providers", "sinks", "app", "cli"],
        libraries: Only(&["tikv_jemallocator"]),
    },
];

/// Libraries that compute, and reach nothing outside the process.
const WORDS: &[&str] = &[
    "base64",
    "bytes",
    "hex",
    "hmac",
    "jiff",
    "schemars",
    "serde",
    "serde_json",
    "sha2",
    "subtle",
    "thiserror",
    "uuid",
];

/// What `domain` and `providers` must not name, of the language, its library and of libraries that they have:
/// IO, clocks, randomness, and waiting.
pub const IMPURE: [&str; 22] = [
    "async",
    "await",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::path",
    "std::process",
    "std::thread",
    "print",
    "println",
    "eprint",
    "eprintln",
    "dbg",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "Uuid::new_v4",
    "Uuid::now_v7",
];
