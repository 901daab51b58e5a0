//! Every error's words.

use super::{file, from_toml, refusal, with_variables};

/// Each makes exactly one problem; what is not shown is the common first line.
const PROBLEMS: &[(&str, &str)] = &[
    ("amqp.url = \"http://h\"", "amqp.url: must be an amqp:// or amqps:// URL (from built in)"),
    ("amqp.url = \"amqp:h\"", "amqp.url: must be an amqp:// or amqps:// URL (from built in)"),
    ("amqp.url = \"\"", "amqp.url: must be an amqp:// or amqps:// URL (from built in)"),
    ("amqp.url = \"amqp://[::1]\"", "amqp.url: must name its host or give an IPv4 address (from built in)"),
    (
        "amqp.url = \"amqp://h/\"",
        "amqp.url: names an empty virtual host: end it before the slash, or with /%2f (from built in)",
    ),
    (
        "amqp.url = \"amqp://h?heartbeat=x\"",
        "amqp.url: has a parameter that is not understood (from built in)",
    ),
    ("amqp.url = \"amqp://h,\"", "amqp.url: must be an amqp:// or amqps:// URL (from built in)"),
    ("amqp.url = \"amqp://h,[::1]\"", "amqp.url: must name its host or give an IPv4 address (from built in)"),
    (
        "amqp.management_url = \"amqp://h\"",
        "amqp.management_url: must be an http:// or https:// URL (from built in)",
    ),
    ("amqp.connect_timeout_ms = 0", "amqp.connect_timeout_ms: must be from 1 to 3600000 (from built in)"),
    (
        "amqp.confirm_timeout_ms = 3600001",
        "amqp.confirm_timeout_ms: must be from 1 to 3600000 (from built in)",
    ),
    (
        "redis.url = \"unix:///s\"",
        "redis.url: must be a redis://, redis-sentinel:// or redis-cluster:// URL, or with rediss one of these (from built in)",
    ),
    (
        "redis.url = \"redis://one,two/0\"",
        "redis.url: names several hosts: redis-sentinel:// or redis-cluster:// says what they are (from built in)",
    ),
    (
        "redis.url = \"redis-cluster://one,two/1\"",
        "redis.url: names a database: a Cluster has but the one, 0 (from built in)",
    ),
    (
        "redis.url = \"redis-sentinel://one,/0\"",
        "redis.url: must be a URL with a host, or with hosts and a comma between them (from built in)",
    ),
    (
        "redis.url = \"redis-sentinel://one/0?name=mine\"",
        "redis.url: has a parameter that is not understood (from built in)",
    ),
    (
        "redis.url = \"rediss-sentinel://one/x\"",
        "redis.url: has a database or a parameter that is not understood (from built in)",
    ),
    (
        "redis.url = \"redis://h/x\"",
        "redis.url: has a database or a parameter that is not understood (from built in)",
    ),
    ("redis.response_timeout_ms = 0", "redis.response_timeout_ms: must be from 1 to 3600000 (from built in)"),
    ("spool.max_entries = 0", "spool.max_entries: must be from 1 to 10000000 (from built in)"),
    ("spool.max_bytes = 262143", "spool.max_bytes: must not be below http.max_body_bytes (from built in)"),
    (
        "spool.max_bytes = 68719476737",
        "spool.max_bytes: must be from 1 to 68719476736 (from built in)",
    ),
    ("spool.timeout_ms = 0", "spool.timeout_ms: must be from 1 to 3600000 (from built in)"),
    (
        "http.addr = \"h\"",
        "http.addr: must be an IP address and a port, such as 0.0.0.0:8080 (from built in)",
    ),
    ("http.max_body_bytes = 0", "http.max_body_bytes: must be from 1 to 16777216 (from built in)"),
    ("http.idle_timeout_ms = 0", "http.idle_timeout_ms: must be from 1 to 3600000 (from built in)"),
    (
        "http.min_body_bytes_per_second = 4294967296",
        "http.min_body_bytes_per_second: must be from 0 to 4294967295 (from built in)",
    ),
    (
        "http.max_connections_per_peer = 1000001",
        "http.max_connections_per_peer: must be from 0 to 1000000 (from built in)",
    ),
    ("http.header_timeout_ms = 0", "http.header_timeout_ms: must be from 1 to 3600000 (from built in)"),
    ("http.body_timeout_ms = 0", "http.body_timeout_ms: must be from 1 to 3600000 (from built in)"),
    (
        "http.max_requests_in_flight = 0",
        "http.max_requests_in_flight: must be from 1 to 1000000 (from built in)",
    ),
    ("http.max_connections = 0", "http.max_connections: must be from 1 to 1000000 (from built in)"),
    (
        "http.max_bytes_in_flight = 1",
        "http.max_bytes_in_flight: must not be below max_body_bytes (from built in)",
    ),
    (
        "http.max_bytes_in_flight = 4294967296",
        "http.max_bytes_in_flight: must be from 1 to 4294967295 (from built in)",
    ),
    ("http.retry_after_seconds = 0", "http.retry_after_seconds: must be from 1 to 3600 (from built in)"),
    ("http.shutdown_delay_ms = 300001", "http.shutdown_delay_ms: must be from 0 to 300000 (from built in)"),
    (
        "admin.addr = \"\"",
        "admin.addr: must be an IP address and a port, such as 0.0.0.0:8080 (from built in)",
    ),
    ("topology.mode = \"declare\"", "topology.mode: must be apply or verify (from built in)"),
    (
        "topology.updates_max_age = \"7d\"",
        "topology.updates_max_age: must be a number and one of Y M D h m s, such as 7D (from built in)",
    ),
    (
        "topology.updates_max_age = \"0D\"",
        "topology.updates_max_age: must be a number and one of Y M D h m s, such as 7D (from built in)",
    ),
    (
        "topology.updates_max_age = \"+7D\"",
        "topology.updates_max_age: must be a number and one of Y M D h m s, such as 7D (from built in)",
    ),
    (
        "topology.updates_max_bytes = 0",
        "topology.updates_max_bytes: must be from 1 to 9223372036854775807 (from built in)",
    ),
    (
        "topology.updates_segment_bytes = 65535",
        "topology.updates_segment_bytes: must be from 65536 to 3000000000 (from built in)",
    ),
    (
        "topology.parked_max_bytes = 0",
        "topology.parked_max_bytes: must be from 1 to 9223372036854775807 (from built in)",
    ),
    ("worker.prefetch = 0", "worker.prefetch: must be from 1 to 65535 (from built in)"),
    ("worker.prefetch = 65536", "worker.prefetch: must be from 1 to 65535 (from built in)"),
    (
        "worker.processing_deadline_ms = 0",
        "worker.processing_deadline_ms: must be from 1 to 3600000 (from built in)",
    ),
    // The lease's own default is in the way here, so no source is to blame.
    (
        "worker.processing_deadline_ms = 14000",
        "worker.claim_lease_ms: must be above processing_deadline_ms + 1000",
    ),
    (
        "worker.claim_lease_ms = 11000",
        "worker.claim_lease_ms: must be above processing_deadline_ms + 1000 (from built in)",
    ),
    ("worker.drain_deadline_ms = 0", "worker.drain_deadline_ms: must be from 1 to 3600000 (from built in)"),
    (
        "worker.outage_patience_ms = 1500000",
        "worker.outage_patience_ms: must be below 1500000 (25 min) (from built in)",
    ),
    (
        "retry.initial_ms = 999",
        "retry.initial_ms: the first interval must be at least 1 s and not above the cap (from built in)",
    ),
    ("retry.multiplier = 1", "retry.multiplier: the multiplier must be from 1.1 to 10 (from built in)"),
    ("retry.multiplier = nan", "retry.multiplier: the multiplier must be from 1.1 to 10 (from built in)"),
    (
        "retry.cap_ms = 4095001",
        "retry.cap_ms: the cap must not be above 4095 s, the longest the delay levels hold (from built in)",
    ),
    ("retry.jitter = 1.0", "retry.jitter: the jitter must be from 0 to 0.9 (from built in)"),
    (
        "providers.telyport.retry.cap_ms = 500",
        "providers.telyport.retry.initial_ms: the first interval must be at least 1 s and not above the cap",
    ),
    ("log.format = \"xml\"", "log.format: must be json or text (from built in)"),
    ("log.filter = \"info,,=\"", "log.filter: must be directives such as info,lapin=debug (from built in)"),
    (
        "tracing.otlp_endpoint = \"collector:4317\"",
        "tracing.otlp_endpoint: must be an http:// or https:// URL (from built in)",
    ),
    ("tracing.sample_ratio = 1.1", "tracing.sample_ratio: must be from 0 to 1 (from built in)"),
    (
        "[providers.ubereats]",
        "providers.ubereats: no such provider, there is telyport or 247express (from built in)",
    ),
    (
        "providers.telyport.resend_horizon_seconds = 0",
        "providers.telyport.resend_horizon_seconds: must be from 1 to 31536000 (from built in)",
    ),
    (
        "providers.telyport.dedup_ttl_seconds = 14399",
        "providers.telyport.dedup_ttl_seconds: must be at least 14400, twice the resend horizon (from built in)",
    ),
    (
        "providers.telyport.dedup_ttl_seconds = 400000000",
        "providers.telyport.dedup_ttl_seconds: must be from 1 to 315360000 (from built in)",
    ),
    (
        "[providers.telyport.accounts.Shop]\nsecrets = [\"s\"]",
        "providers.telyport.accounts.Shop: an account name is 1 to 64 of a-z, 0-9, `_` and `-` (from built in)",
    ),
    (
        "[providers.telyport.accounts.shop]",
        "providers.telyport.accounts.shop: has neither secrets nor secret_files nor secret_dir (from built in)",
    ),
    (
        "[providers.telyport.accounts.shop]\nauth = \"basic\"\nsecrets = [\"s\"]",
        "providers.telyport.accounts.shop.auth: must be hmac (from built in)",
    ),
    (
        "[providers.247express.accounts.shop]\nauth = \"hmac\"\nsecrets = [\"s\"]",
        "providers.247express.accounts.shop.auth: must be api_key or basic (from built in)",
    ),
    (
        "[providers.telyport.accounts.shop]\nsecrets = [\"s\", \"\"]",
        "providers.telyport.accounts.shop.secrets.1: must not be empty (from built in)",
    ),
    (
        "[providers.247express.accounts.shop]\nauth = \"basic\"\nsecrets = [\"s\"]",
        "providers.247express.accounts.shop.secrets.0: must be user:password (from built in)",
    ),
    (
        "[providers.telyport]\naccounts_auth = \"hmac\"",
        "providers.telyport.accounts_auth: is for the accounts of accounts_dir, and there is none (from built in)",
    ),
    (
        "[providers.telyport]\naccounts_dir = \"/d\"\naccounts_auth = \"basic\"",
        "providers.telyport.accounts_auth: must be hmac (from built in)",
    ),
    (
        "[providers.telyport]\naccounts_dir = \"/d\"\naccounts_header = \"x-s\"",
        "providers.telyport.accounts_header: is for auth = \"header\" alone (from built in)
  warning: providers.telyport.accounts_dir: no account from /d: No such file or directory (os error 2) (from built in)",
    ),
    // Types and unknown keys.
    ("[ampq]", "ampq: no such key, did you mean amqp? (from built in)"),
    ("http.port = 80", "http.port: no such key (from built in)"),
    (
        "[providers.telyport.accounts.shop]\nsecret = \"s\"",
        "providers.telyport.accounts.shop.secret: no such key, did you mean secrets? (from built in)",
    ),
    (
        "[providers.telyport.accounts.shop]\nsecret_file = \"/s\"",
        "providers.telyport.accounts.shop.secret_file: no such key, did you mean secret_files? (from built in)",
    ),
    ("worker.prefech = 1", "worker.prefech: no such key, did you mean prefetch? (from built in)"),
    ("retry.capms = 1", "retry.capms: no such key, did you mean cap_ms? (from built in)"),
    ("amqp = \"amqp://h\"", "amqp: must be a table, not a string (from built in)"),
    ("amqp.url = 5", "amqp.url: must be a string, not a number (from built in)"),
    ("topology.gate = \"yes\"", "topology.gate: must be true or false, not a string (from built in)"),
    (
        "worker.prefetch = \"64\"",
        "worker.prefetch: must be a whole number from 0, not a string (from built in)",
    ),
    (
        "worker.prefetch = -1",
        "worker.prefetch: must be a whole number from 0, not a negative number (from built in)",
    ),
    (
        "worker.prefetch = 1.5",
        "worker.prefetch: must be a whole number from 0, not a fraction (from built in)",
    ),
    ("retry.jitter = true", "retry.jitter: must be a number, not true or false (from built in)"),
    ("providers = []", "providers: must be a table, not a list (from built in)"),
    (
        "[providers.telyport.accounts.shop]\nsecrets = \"s\"",
        "providers.telyport.accounts.shop.secrets: must be a list, not a string (from built in)",
    ),
    (
        "[providers.telyport.accounts.shop]\nsecrets = [12]",
        "providers.telyport.accounts.shop.secrets.0: must be a string, not a number (from built in)",
    ),
];

#[test]
fn each_problem_has_its_key_and_its_words() {
    for (toml, expected) in PROBLEMS {
        assert_eq!(refusal(toml), format!("the configuration is not valid:\n  {expected}"), "{toml}");
    }
}

/// Of every kind at once: keys, types, values, variables, and what is only a warning.
#[test]
fn all_problems_are_reported_at_once_with_who_set_them() {
    let path = file(
        "every-kind.toml",
        br#"
            ampq.url = "amqp://h"
            worker.prefetch = "64"
            worker.prefecth = 64
            http.addr = "nowhere"
            log = "info"
            [retry]
            jitter = 2
            multiplier = "2"
            [providers.telyport.accounts.a]
            secret_file = "/s"
            [providers.telyport.accounts.b]
            secrets = [1]
            [providers.telyport.accounts.c]
            [providers.dhl]
            account = 1
        "#,
    );
    let text = path.display().to_string();
    let variables = [
        ("MILEPOST_CONFIG", text.as_str()),
        ("MILEPOST__", "1"),
        ("MILEPOST__TOPOLOGY__GATE", "maybe"),
        ("MILEPOST_AMPQ_URL", "amqp://h"),
    ];
    let error = with_variables("", &variables).expect_err("nonsense").to_string();
    let mut lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.remove(0), "the configuration is not valid:");
    lines.sort_unstable();
    let expected = [
        "  MILEPOST__: names no key: it must be MILEPOST__SECTION__KEY".to_owned(),
        format!("  ampq: no such key, did you mean amqp? (from {text})"),
        format!("  http.addr: must be an IP address and a port, such as 0.0.0.0:8080 (from {text})"),
        format!("  log: must be a table, not a string (from {text})"),
        format!("  providers.dhl.account: no such key, did you mean accounts? (from {text})"),
        format!("  providers.dhl: no such provider, there is telyport or 247express (from {text})"),
        format!(
            "  providers.telyport.accounts.a.secret_file: no such key, did you mean secret_files? (from {text})"
        ),
        format!("  providers.telyport.accounts.b.secrets.0: must be a string, not a number (from {text})"),
        format!(
            "  providers.telyport.accounts.c: has neither secrets nor secret_files nor secret_dir (from {text})"
        ),
        format!("  retry.jitter: the jitter must be from 0 to 0.9 (from {text})"),
        format!("  retry.multiplier: must be a number, not a string (from {text})"),
        "  topology.gate: must be true or false, not a string (from MILEPOST__TOPOLOGY__GATE)".to_owned(),
        "  warning: MILEPOST_AMPQ_URL: sets nothing, did you mean MILEPOST_AMQP_URL?".to_owned(),
        format!("  worker.prefecth: no such key, did you mean prefetch? (from {text})"),
        format!("  worker.prefetch: must be a whole number from 0, not a string (from {text})"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn all_semantic_problems_are_reported_at_once_with_who_set_them() {
    let path = file(
        "several.toml",
        br#"
            amqp.url = "ftp://h"
            worker.claim_lease_ms = 10
            retry.jitter = 2
            [providers.telyport.retry]
            multiplier = 99.0
            [providers.telyport.accounts.default]
            [providers.dhl]
        "#,
    );
    let text = path.display().to_string();
    let variables = [("MILEPOST_CONFIG", text.as_str()), ("MILEPOST__HTTP__ADDR", "nowhere")];
    let error = with_variables("", &variables).expect_err("nonsense").to_string();
    let expected = format!(
        "the configuration is not valid:
  amqp.url: must be an amqp:// or amqps:// URL (from {text})
  http.addr: must be an IP address and a port, such as 0.0.0.0:8080 (from MILEPOST__HTTP__ADDR)
  worker.claim_lease_ms: must be above processing_deadline_ms + 1000 (from {text})
  retry.jitter: the jitter must be from 0 to 0.9 (from {text})
  providers.dhl: no such provider, there is telyport or 247express (from {text})
  providers.telyport.retry.multiplier: the multiplier must be from 1.1 to 10 (from {text})
  providers.telyport.accounts.default: has neither secrets nor secret_files nor secret_dir (from {text})"
    );
    assert_eq!(error, expected);
}

#[test]
fn what_is_not_toml_is_reported_alone_with_its_place() {
    let path = file("syntax.toml", b"[amqp]\nurl = \"amqp://h\"\nurl = \"amqp://i\"\n");
    let text = path.display().to_string();
    let error = with_variables("", &[("MILEPOST_CONFIG", text.as_str())]).expect_err("not TOML").to_string();
    assert_eq!(error, format!("{text}:3:1: not TOML: duplicate key `url` in table `amqp`"));
    let error = refusal("[amqp]\n  url = amqp");
    assert_eq!(error, "built in:2:9: not TOML: invalid string, expected `\"`, `'`");
}

#[test]
fn a_small_prefetch_is_worth_a_warning() {
    let loaded = from_toml("worker.prefetch = 63").expect("usable");
    assert_eq!(loaded.config.worker.prefetch, 63);
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["worker.prefetch: below 64 the worker starves (from built in)"]);
}
