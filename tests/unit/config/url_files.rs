//! The servers' URLs in files of their own.

use std::fs;

use super::{file, from_toml, refusal};

#[test]
fn a_url_is_read_from_its_file_and_read_again() {
    let amqp = file("url-amqp", b"amqp://u:p@broker:1/v\n");
    let redis = file("url-redis", b"redis://:p@cache:2/3");
    let config = from_toml(&format!("amqp.url_file = {amqp:?}\nredis.url_file = {redis:?}"));
    let config = config.expect("valid").config;
    assert_eq!(config.amqp.url.expose(), "amqp://u:p@broker:1/v");
    assert_eq!(config.redis.url.expose(), "redis://:p@cache:2/3");

    let mut files = config.amqp.url_file;
    let mut look = |content: &str| {
        fs::write(&amqp, content).expect("writable");
        assert!(files.look().is_none(), "it was seen once");
        let unusable = files.look();
        let urls: Vec<_> = files.secrets().map(|secret| secret.expose().to_vec()).collect();
        (unusable.map(|unusable| unusable.len()), String::from_utf8(urls.concat()).expect("text"))
    };
    assert_eq!(look("redis://u:new@broker"), (Some(1), "amqp://u:p@broker:1/v".to_owned()));
    assert_eq!(look("amqp://u:new@broker"), (Some(0), "amqp://u:new@broker".to_owned()));
}

#[test]
fn a_url_file_that_gives_no_url_is_a_problem_and_so_are_two_urls() {
    let bad = file("url-bad", b"http://hunter2@h");
    let latin = file("url-latin", b"redis://:\xff@h");
    let text = refusal(&format!("amqp.url_file = {bad:?}\nredis.url_file = {latin:?}"));
    let bad = bad.display();
    assert!(
        text.contains(&format!("amqp.url_file: no URL from {bad}: must be an amqp:// or amqps:// URL")),
        "{text}"
    );
    assert!(text.contains("redis.url_file: no URL from") && text.contains("is not UTF-8"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let missing = refusal("amqp.url_file = \"no/such/file\"");
    assert!(missing.contains("amqp.url_file: no URL from no/such/file: No such file"), "{missing}");

    let good = file("url-good", b"amqp://h");
    let both = refusal(&format!("amqp.url = \"amqp://h\"\namqp.url_file = {good:?}"));
    assert!(both.contains("amqp.url_file: there is amqp.url too: leave one out"), "{both}");
}
