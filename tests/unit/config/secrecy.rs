//! No secret is ever printed, also when the configuration around it is wrong (invariant 9).

use milepost::config::{Sources, load};
use proptest::prelude::*;

use super::{file, from_toml};
use crate::fake::PROVIDERS;

#[test]
fn a_url_shows_neither_credentials_nor_parameters() {
    for (url, shown) in [
        ("amqp://user:hunter2@h:5672/v?auth_mechanism=plain", "amqp://…@h:5672/v"),
        ("amqps://hunter2@h", "amqps://…@h"),
        ("amqp://:hunter2@h/%2f", "amqp://…@h/%2f"),
        ("amqp://h:1", "amqp://h:1"),
    ] {
        let variables = vec![("MILEPOST_AMQP_URL".into(), url.into())];
        let config = load(&Sources { variables, ..Sources::default() }, PROVIDERS).expect("valid").config;
        assert_eq!(config.amqp.url.to_string(), shown);
        assert_eq!(format!("{:?}", config.amqp.url), format!("RedactedUrl({shown})"));
        assert_eq!(config.amqp.url.expose(), url);
    }
}

#[test]
fn a_whole_configuration_can_be_printed() {
    let printed = from_toml(
        r#"
            amqp.url = "amqp://user:hunter2@h"
            amqp.management_url = "http://h"
            redis.url = "redis://:hunter2@h"
            tracing.otlp_endpoint = "https://user:hunter2@h:4317/?key=hunter2"
            [providers.telyport.accounts.default]
            secrets = ["hunter2"]
        "#,
    )
    .map(|loaded| format!("{loaded:?}"))
    .expect("valid");
    assert!(printed.contains("Secret(…)"), "{printed}");
    assert!(!printed.contains("hunter2"), "{printed}");
}

/// TOML around a secret, most of it wrong in some way. `§` is the secret.
const PLACES: &[&str] = &[
    "amqp.url = '§'",
    "amqp.url = 'amqp://u:§@h:port'",
    "amqp.url = 'amqp://u:§@h/?heartbeat=§'",
    "amqp.url = 'amqp://u:§@h'",
    "amqp.management_url = 'http://u:§@h:x'",
    "amqp.management_url = 'http://u:§@h'",
    "redis.url = 'redis://:§@h/§'",
    "redis.url = 'redis://u:§@h'",
    "redis.url = 'redis-sentinel://u:§@h,i/0?sentinel_password=§'",
    "redis.url = 'redis-sentinel://u:§@h,i/0?sentinel_password=§&§'",
    "redis.url = 'redis-cluster://u:§@h,i/§'",
    "redis.url = ['§']",
    "http.addr = '§'",
    "topology.mode = '§'",
    "topology.updates_max_age = '§'",
    "worker.prefetch = '§'",
    "log.filter = 'x=§'",
    "log.format = '§'",
    "tracing.otlp_endpoint = 'http://u:§@h:x'",
    "tracing.otlp_endpoint = 'http://u:§@h/?§'",
    "[providers.telyport.accounts.default]\nsecrets = ['§']",
    "[providers.telyport.accounts.default]\nsecrets = '§'",
    "[providers.telyport.accounts.default]\nsecrets = §",
    "[providers.telyport.accounts.default]\nsecrets = ['§, 'b']",
    "[providers.telyport.accounts.default]\nsecrets = ['§'\nauth = 'hmac'",
    "[providers.telyport.accounts.default]\nsecrets = [\"§\\x\"]",
    "[providers.telyport.accounts.default]\nsecrets = { a = '§' }",
    "[providers.telyport.accounts.default]\nsecrets = ['§', 1]",
    "[providers.telyport.accounts.default]\nauth = '§'\nsecrets = ['§']",
    "[providers.247express.accounts.default]\nauth = 'basic'\nsecrets = ['§', '§:§']",
    "[providers.telyport.accounts.default]\nsecrets = ['§']\nsecrets = ['§']",
    "[providers.telyport]\naccounts = '§'",
    "providers = '§'",
];

/// The same for variables.
const VARIABLES: &[&str] = &[
    "MILEPOST_AMQP_URL",
    "MILEPOST_AMQP_MANAGEMENT_URL",
    "MILEPOST_REDIS_URL",
    "MILEPOST_HTTP_ADDR",
    "MILEPOST__AMQP",
    "MILEPOST__AMQP__URL__X",
    "MILEPOST__WORKER__PREFETCH",
    "MILEPOST__PROVIDERS__TELYPORT__ACCOUNTS__DEFAULT__SECRETS",
    "MILEPOST__PROVIDERS__TELYPORT__ACCOUNTS__DEFAULT__AUTH",
    "MILEPOST__PROVIDERS__TELYPORT__ACCOUNTS__DEFAULT",
];

fn printed(sources: &Sources) -> String {
    match load(sources, PROVIDERS) {
        Ok(loaded) => format!("{loaded:?}"),
        Err(error) => format!("{error} {error:?}"),
    }
}

proptest! {
    #[test]
    fn no_configuration_prints_its_secrets(
        secret in "s3[a-z0-9+/=#?% .-]{8,20}x",
        place in prop::sample::select(PLACES),
    ) {
        let toml = place.replace('§', &secret);
        // One file for all cases: they run one after another.
        let file = file("secrecy.toml", toml.as_bytes());
        let printed = printed(&Sources { file: Some(file), ..Sources::default() });
        prop_assert!(!printed.contains(&secret), "{printed}");
    }

    #[test]
    fn no_variable_is_printed(
        secret in "s3[a-z0-9+/=#?% .-]{8,20}x",
        form in prop::sample::select(&["§", "[§]", "[\"§\", 1]", "{a = §}", "[§", "amqp://u:§@h"][..]),
        variable in prop::sample::select(VARIABLES),
    ) {
        let variables = vec![(variable.into(), form.replace('§', &secret).into())];
        let printed = printed(&Sources { variables, ..Sources::default() });
        prop_assert!(!printed.contains(&secret), "{printed}");
    }
}
