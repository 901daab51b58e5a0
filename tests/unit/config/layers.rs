//! Which source wins, and which variables are ours.

use std::time::Duration;

use milepost::config::{ConfigError, Flag, Loaded, Sources, load};
use milepost::domain::identity::Account;
use milepost::domain::secret::Secret;

use super::{file, from_toml, with_variables};
use crate::fake::{PROVIDERS, TELYPORT};

fn from_file(name: &str, toml: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let variables = variables.iter().map(|(name, text)| (name.into(), text.into())).collect();
    load(&Sources { file: Some(file(name, toml.as_bytes())), variables, ..Sources::default() }, PROVIDERS)
}

#[test]
fn each_short_variable_wins_over_the_file_and_the_general_scheme() {
    let file = r#"
        amqp.url = "amqp://file"
        amqp.management_url = "http://file"
        redis.url = "redis://file"
        http.addr = "127.0.0.1:1"
        admin.addr = "127.0.0.1:1"
    "#;
    let variables = [
        ("MILEPOST_AMQP_URL", "amqps://u:p@broker:5671/v"),
        ("MILEPOST_AMQP_MANAGEMENT_URL", "https://v:q@broker:15671/rabbit"),
        ("MILEPOST_REDIS_URL", "rediss://:p@cache:6380/1"),
        ("MILEPOST_HTTP_ADDR", "127.0.0.1:2"),
        ("MILEPOST_ADMIN_ADDR", "[::1]:3"),
        ("MILEPOST__AMQP__URL", "amqp://general"),
        ("MILEPOST__AMQP__MANAGEMENT_URL", "http://general"),
        ("MILEPOST__REDIS__URL", "redis://general"),
        ("MILEPOST__HTTP__ADDR", "127.0.0.1:9"),
        ("MILEPOST__ADMIN__ADDR", "127.0.0.1:9"),
    ];
    let config = from_file("short.toml", file, &variables).expect("valid").config;
    assert_eq!(config.amqp.url.expose(), "amqps://u:p@broker:5671/v");
    let management = config.amqp.management_url.expect("set");
    assert_eq!(management.expose(), "https://v:q@broker:15671/rabbit");
    assert_eq!(config.redis.url.expose(), "rediss://:p@cache:6380/1");
    assert_eq!(config.http.addr.to_string(), "127.0.0.1:2");
    assert_eq!(config.admin.addr.to_string(), "[::1]:3");
}

#[test]
fn the_management_api_is_asked_with_the_brokers_credentials_unless_it_has_its_own() {
    for (amqp, management, whole) in [
        ("amqp://h", "http://h:1", "http://guest:guest@h:1/"),
        ("amqp://u@h", "http://h:1", "http://u:guest@h:1/"),
        ("amqp://u%40:p%2Fp@h", "https://h/rabbit", "https://u%40:p%2Fp@h/rabbit"),
        ("amqp://u:p@h", "http://v:q@h:1", "http://v:q@h:1/"),
        ("amqp://u:p@h", "http://v@h:1", "http://v@h:1/"),
    ] {
        let toml = format!("amqp.url = \"{amqp}\"\namqp.management_url = \"{management}\"");
        let url = from_toml(&toml).expect("valid").config.amqp.management_url.expect("set");
        assert_eq!(url.expose(), whole);
    }
}

#[test]
fn the_general_scheme_sets_any_key_over_the_file() {
    let variables = [
        ("MILEPOST__WORKER__PREFETCH", "64"),
        ("MILEPOST__TOPOLOGY__UPDATES_MAX_AGE", "12h"),
        ("MILEPOST__RETRY__MULTIPLIER", "3"),
        ("MILEPOST__LOG__FILTER", "info,milepost::pipeline=debug"),
        ("MILEPOST__PROVIDERS__TELYPORT__ACCOUNTS__SHOP_1__SECRETS", r#"["one", "t,w]o", "007"]"#),
        ("MILEPOST__PROVIDERS__TELYPORT__RETRY__CAP_MS", "9000"),
    ];
    let config = from_file("general.toml", "worker.prefetch = 100", &variables).expect("valid").config;
    assert_eq!(config.worker.prefetch, 64);
    assert_eq!(config.topology.settings.updates_max_age.as_str(), "12h");
    assert_eq!(config.log.filter, "info,milepost::pipeline=debug");
    let telyport = config.provider(TELYPORT);
    let account: Account = "shop_1".parse().expect("a name");
    let credentials = telyport.accounts[&account].credentials();
    let secrets: Vec<_> = credentials.secrets.iter().map(Secret::expose).collect();
    assert_eq!(secrets, [b"one".as_slice(), b"t,w]o", b"007"]);
    // 1 s, 3 s, 9 s: the multiplier is the common one, the cap its own.
    assert_eq!(telyport.retry.attempts(), 4);
    assert_eq!(telyport.retry.delay_after(2, 0.0), Some(Duration::from_secs(9)));
}

#[test]
fn of_one_variable_the_last_wins() {
    let variables = [("MILEPOST_HTTP_ADDR", "127.0.0.1:1"), ("MILEPOST_HTTP_ADDR", "127.0.0.1:2")];
    let config = with_variables("", &variables).expect("valid").config;
    assert_eq!(config.http.addr.to_string(), "127.0.0.1:2");
}

#[test]
fn a_roles_own_defaults_lose_to_the_file() {
    let base = "http.addr = \"127.0.0.1:8080\"\nlog.format = \"text\"";
    let path = file("over-base.toml", b"http.addr = \"0.0.0.0:80\"");
    let config = load(&Sources { base: base.to_owned(), file: Some(path), ..Sources::default() }, PROVIDERS)
        .expect("valid")
        .config;
    assert_eq!(config.http.addr.to_string(), "0.0.0.0:80");
    assert_eq!(config.log.format, milepost::telemetry::logging::LogFormat::Text);
}

#[test]
fn the_flag_wins_over_the_variable_that_names_the_file() {
    let flag = file("flag.toml", b"worker.prefetch = 101");
    let variable = file("variable.toml", b"worker.prefetch = 102");
    let variables = vec![("MILEPOST_CONFIG".into(), variable.into_os_string())];
    let mut sources = Sources { variables, ..Sources::default() };
    assert_eq!(load(&sources, PROVIDERS).expect("valid").config.worker.prefetch, 102);
    sources.file = Some(flag);
    assert_eq!(load(&sources, PROVIDERS).expect("valid").config.worker.prefetch, 101);
}

#[test]
fn variables_that_kubernetes_injects_are_none_of_ours() {
    let injected = [
        ("MILEPOST_PORT", "tcp://10.0.0.1:8080"),
        ("MILEPOST_SERVICE_HOST", "10.0.0.1"),
        ("MILEPOST_RECEIVER_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("MILEPOST_HTTP_ADDR_PORT", "tcp://10.0.0.1:80"),
        ("MILEPOST_REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("MILEPOST_AMQP_SERVICE_PORT", "5672"),
        ("MILEPOST_SEND_SECRET", "s"),
        ("MILEPOST_TEST_AMQP_URL", "amqp://h"),
        ("PATH", "/bin"),
    ];
    assert_eq!(with_variables("", &injected).expect("ignored").warnings, []);
}

#[test]
fn a_variable_that_seems_to_be_meant_for_ours_is_worth_a_warning() {
    for (name, meant) in [
        ("MILEPOST_AMPQ_URL", "MILEPOST_AMQP_URL"),
        ("MILEPOST_AMQP_URI", "MILEPOST_AMQP_URL"),
        ("MILPOST_REDIS_URL", "MILEPOST_REDIS_URL"),
        ("MILEPOST_REDIS_ULR", "MILEPOST_REDIS_URL"),
        ("MILEPOST_HTTP_ADDRES", "MILEPOST_HTTP_ADDR"),
        ("MILEPOST_CONFG", "MILEPOST_CONFIG"),
        ("milepost_config", "MILEPOST_CONFIG"),
        ("milepost__worker__prefetch", "MILEPOST__WORKER__PREFETCH"),
        ("MILEPOST_WORKER_PREFETCH", "MILEPOST__WORKER__PREFETCH"),
        ("MILEPOST_LOG__FILTER", "MILEPOST__LOG__FILTER"),
        ("MILEPOST_AMQP_URL_FILE", "MILEPOST__AMQP__URL_FILE"),
    ] {
        let loaded = with_variables("", &[(name, "64")]).expect("it sets nothing");
        let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [format!("{name}: sets nothing, did you mean {meant}?")]);
        assert_eq!(loaded.config.worker.prefetch, 256);
    }
}

#[test]
fn a_flag_wins_over_everything_and_is_named_where_it_is_wrong() {
    let flag = |text: &str| vec![Flag { name: "--amqp", key: "amqp.url", text: text.to_owned() }];
    let url_file = file("flag-url", b"amqp://from-file");
    let toml = format!("amqp.url_file = \"{}\"", url_file.display());
    let variables = vec![("MILEPOST_REDIS_URL".into(), "redis://variable".into())];
    let sources = Sources { base: toml, variables, flags: flag("amqp://flag"), ..Sources::default() };
    let config = load(&sources, PROVIDERS).expect("valid").config;
    assert_eq!(config.amqp.url.expose(), "amqp://flag");
    assert!(config.amqp.url_file.is_empty(), "a URL on the command line replaces the file");
    assert_eq!(config.redis.url.expose(), "redis://variable");
    let variables = vec![("MILEPOST_AMQP_URL".into(), "amqp://variable".into())];
    let sources = Sources { variables, flags: flag("foo"), ..Sources::default() };
    let error = load(&sources, PROVIDERS).expect_err("no URL").to_string();
    assert_eq!(
        error,
        "the configuration is not valid:\n  amqp.url: must be an amqp:// or amqps:// URL (from --amqp)"
    );
}

#[test]
fn a_variable_with_an_unknown_key_is_refused() {
    let error = with_variables("", &[("MILEPOST__WORKER__PREFECTH", "1")]).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "the configuration is not valid:
  worker.prefecth: no such key, did you mean prefetch? (from MILEPOST__WORKER__PREFECTH)"
    );
}

#[test]
fn a_variable_that_names_no_key_is_refused() {
    for name in ["MILEPOST__", "MILEPOST__WORKER__", "MILEPOST____PREFETCH"] {
        let error = with_variables("", &[(name, "1")]).expect_err("no key");
        let expected = "names no key: it must be MILEPOST__SECTION__KEY";
        assert_eq!(error.to_string(), format!("the configuration is not valid:\n  {name}: {expected}"));
    }
}

#[cfg(unix)]
#[test]
fn a_variable_of_ours_must_be_text() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    let binary = OsString::from_vec(vec![0xff]);
    let variables = vec![("OTHER".into(), binary.clone()), (binary.clone(), binary.clone())];
    let mut sources = Sources { variables, ..Sources::default() };
    assert!(load(&sources, PROVIDERS).is_ok());
    sources.variables.push(("MILEPOST_AMQP_URL".into(), binary));
    let error = load(&sources, PROVIDERS).expect_err("not text");
    assert_eq!(error.to_string(), "the configuration is not valid:\n  MILEPOST_AMQP_URL: is not UTF-8");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let sources = Sources { file: Some("no/such/file.toml".into()), ..Sources::default() };
    let error = load(&sources, PROVIDERS).expect_err("missing");
    assert_eq!(error.to_string(), "cannot read the configuration file no/such/file.toml");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_url_may_leave_out_what_the_servers_have_defaults_for() {
    let config = from_toml("amqp.url = \"amqp://h\"\nredis.url = \"redis://h\"").expect("valid").config;
    assert_eq!(config.amqp.url.to_string(), "amqp://h");
    assert_eq!(config.redis.url.to_string(), "redis://h");
}
