//! Every error's words.

use super::{file, from_toml, refusal, report, with_variables};

/// Each makes one problem.
const PROBLEMS: &[&str] = &[
    "amqp.url = \"http://h\"",
    "amqp.url = \"amqp:h\"",
    "amqp.url = \"\"",
    "amqp.url = \"amqp://[::1]\"",
    "amqp.url = \"amqp://h/\"",
    "amqp.url = \"amqp://h?heartbeat=x\"",
    "amqp.url = \"amqp://h,\"",
    "amqp.url = \"amqp://h,[::1]\"",
    "amqp.management_url = \"amqp://h\"",
    "amqp.connect_timeout_ms = 0",
    "amqp.confirm_timeout_ms = 3600001",
    "redis.url = \"unix:///s\"",
    "redis.url = \"redis://one,two/0\"",
    "redis.url = \"redis-cluster://one,two/1\"",
    "redis.url = \"redis-sentinel://one,/0\"",
    "redis.url = \"redis-sentinel://one/0?name=mine\"",
    "redis.url = \"rediss-sentinel://one/x\"",
    "redis.url = \"redis://h/x\"",
    "redis.response_timeout_ms = 0",
    "spool.max_entries = 0",
    "spool.max_bytes = 262143",
    "spool.max_bytes = 68719476737",
    "spool.timeout_ms = 0",
    "http.addr = \"h\"",
    "http.max_body_bytes = 0",
    "http.idle_timeout_ms = 0",
    "http.min_body_bytes_per_second = 4294967296",
    "http.max_connections_per_peer = 1000001",
    "http.header_timeout_ms = 0",
    "http.body_timeout_ms = 0",
    "http.max_requests_in_flight = 0",
    "http.max_connections = 0",
    "http.max_bytes_in_flight = 1",
    "http.max_bytes_in_flight = 4294967296",
    "http.retry_after_seconds = 0",
    "http.shutdown_delay_ms = 300001",
    "admin.addr = \"\"",
    "topology.mode = \"declare\"",
    "topology.updates_max_age = \"7d\"",
    "topology.updates_max_age = \"0D\"",
    "topology.updates_max_age = \"+7D\"",
    "topology.updates_max_bytes = 0",
    "topology.updates_segment_bytes = 65535",
    "topology.parked_max_bytes = 0",
    "worker.prefetch = 0",
    "worker.prefetch = 65536",
    "worker.processing_deadline_ms = 0",
    // The lease's own default is in the way here, so no source is to blame.
    "worker.processing_deadline_ms = 14000",
    "worker.claim_lease_ms = 11000",
    "worker.drain_deadline_ms = 0",
    "worker.outage_patience_ms = 1500000",
    "retry.initial_ms = 999",
    "retry.multiplier = 1",
    "retry.multiplier = nan",
    "retry.cap_ms = 4095001",
    "retry.jitter = 1.0",
    "providers.telyport.retry.cap_ms = 500",
    "log.format = \"xml\"",
    "log.filter = \"info,,=\"",
    "tracing.otlp_endpoint = \"collector:4317\"",
    "tracing.sample_ratio = 1.1",
    "[providers.ubereats]",
    "providers.telyport.resend_horizon_seconds = 0",
    "providers.telyport.dedup_ttl_seconds = 14399",
    "providers.telyport.dedup_ttl_seconds = 400000000",
    "[providers.telyport.accounts.Shop]\nsecrets = [\"s\"]",
    "[providers.telyport.accounts.shop]",
    "[providers.telyport.accounts.shop]\nauth = \"basic\"\nsecrets = [\"s\"]",
    "[providers.247express.accounts.shop]\nauth = \"hmac\"\nsecrets = [\"s\"]",
    "[providers.telyport.accounts.shop]\nsecrets = [\"s\", \"\"]",
    "[providers.247express.accounts.shop]\nauth = \"basic\"\nsecrets = [\"s\"]",
    "[providers.telyport]\naccounts_auth = \"hmac\"",
    "[providers.telyport]\naccounts_dir = \"/d\"\naccounts_auth = \"basic\"",
    "[providers.telyport]\naccounts_dir = \"/d\"\naccounts_header = \"x-s\"",
    // Types and unknown keys.
    "[ampq]",
    "http.port = 80",
    "[providers.telyport.accounts.shop]\nsecret = \"s\"",
    "[providers.telyport.accounts.shop]\nsecret_file = \"/s\"",
    "worker.prefech = 1",
    "retry.capms = 1",
    "amqp = \"amqp://h\"",
    "amqp.url = 5",
    "topology.gate = \"yes\"",
    "worker.prefetch = \"64\"",
    "worker.prefetch = -1",
    "worker.prefetch = 1.5",
    "retry.jitter = true",
    "providers = []",
    "[providers.telyport.accounts.shop]\nsecrets = \"s\"",
    "[providers.telyport.accounts.shop]\nsecrets = [12]",
];

#[test]
fn each_problem_has_its_key_and_its_words() {
    insta::assert_snapshot!(report(PROBLEMS, str::to_owned));
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

#[test]
fn a_deadline_within_the_confirm_timeout_is_worth_a_warning() {
    let loaded = from_toml("worker.processing_deadline_ms = 5000").expect("usable");
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected = "worker.processing_deadline_ms: not above amqp.confirm_timeout_ms: a broker that confirms nothing is not \
                    noticed (from built in)";
    assert_eq!(warnings, [expected]);
    assert_eq!(from_toml("worker.processing_deadline_ms = 5001").expect("usable").warnings, []);
}
