//! A URL with several hosts.

use milepost::domain::hosts::each_host;

#[test]
fn each_host_has_the_rest_of_the_url() {
    let each = each_host("amqp://user:p%40ss@one:5672,two,10.0.0.3:5673/%2f?heartbeat=5");
    assert_eq!(
        each,
        [
            "amqp://user:p%40ss@one:5672/%2f?heartbeat=5",
            "amqp://user:p%40ss@two/%2f?heartbeat=5",
            "amqp://user:p%40ss@10.0.0.3:5673/%2f?heartbeat=5",
        ]
    );
}

#[test]
fn a_comma_elsewhere_is_no_further_host() {
    for url in ["amqp://user:a,b@one/%2f", "amqp://one/a,b", "amqp://one?x=a,b", "one,two", ""] {
        assert_eq!(each_host(url), [url]);
    }
}
