//! What a URL of Redis leads to.

use milepost::adapters::redis::RedisTarget;

fn shown(url: &str) -> String {
    RedisTarget::parse(url).map_or_else(|error| error.to_string(), |target| target.to_string())
}

#[test]
fn each_scheme_names_its_kind_and_no_secret_is_shown() {
    for (url, target) in [
        ("redis://user:hunter2@one", "one:6379"),
        ("rediss://:hunter2@one:1/3", "one:1"),
        (
            "redis-sentinel://user:hunter2@one,two:1/3?master=mine&sentinel_user=u&sentinel_password=hunter2",
            "mine by the Sentinels at one:26379, two:1",
        ),
        ("rediss-sentinel://one?sentinel_tls=false", "mymaster by the Sentinels at one:26379"),
        ("redis-cluster://user:hunter2@one,two:1", "the Cluster with one:6379, two:1"),
        ("rediss-cluster://[::1]:7000,[::2]:7001", "the Cluster with ::1:7000, ::2:7001"),
    ] {
        assert_eq!(shown(url), target, "{url}");
    }
}

#[test]
fn each_server_gets_tls_but_sentinels_configured_without_it() {
    let tls = |url: &str| format!("{:?}", RedisTarget::parse(url).expect("a URL")).matches("TcpTls").count();
    assert_eq!(tls("redis-sentinel://one,two"), 0);
    assert_eq!(tls("rediss-sentinel://one,two"), 2);
    assert_eq!(tls("rediss-sentinel://one,two?sentinel_tls=false"), 0);
    assert_eq!(tls("rediss-cluster://one,two,three"), 3);
}
