//! `[console]`: what it becomes, every error's words, and the users' file.

use milepost::config::{ConsoleUsers, Right};

use super::{file, from_toml, refusal};

/// The argon2 hash of some password.
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$RMQIEx2PPsSQ7wfY5rbnqXUFSDLAqbnfdYwXKYqCDB0";

fn users(name: &str, text: &str) -> String {
    let path = file(&format!("console-users-{name}.toml"), text.as_bytes());
    format!("[console]\naddr = \"127.0.0.1:0\"\nusers_file = {:?}\n", path.display().to_string())
}

#[test]
fn it_is_off_without_an_address() {
    assert!(from_toml("").expect("usable").config.console.is_none());
    assert!(from_toml("console.proxy_from = [\"10.0.0.0/8\"]").expect("usable").config.console.is_none());
}

#[test]
fn every_problem_has_its_words() {
    let sound = users("sound", "[users.\"*\"]\nrights = [\"see\"]\n");
    for (lines, expected) in [
        (
            "metrics = [\"https://h/metrics\"]",
            "metrics: must be http:// URLs, such as http://milepost-receiver-metrics:9090/metrics",
        ),
        ("trace_url = \"https://h/\"", "trace_url: must be an http:// or https:// URL with {trace} in it"),
        (
            "trace_url = \"javascript:{trace}\"",
            "trace_url: must be an http:// or https:// URL with {trace} in it",
        ),
        (
            "proxy_from = [\"proxy\"]",
            "proxy_from: must be addresses or networks, such as 10.0.0.7 or 10.0.0.0/24",
        ),
        (
            "proxy_header = \"X Y\"\nproxy_from = [\"::1\"]",
            "proxy_header: must be a header's name, such as X-Forwarded-User",
        ),
        ("proxy_header = \"X-User\"", "proxy_from: must say from where the header is believed"),
        ("session_seconds = 0", "session_seconds: must be from 1 to 604800"),
    ] {
        let said = refusal(&format!("{sound}{lines}\n"));
        assert!(said.contains(&format!("\n  console.{expected}")), "{lines}: {said}");
    }
    let said = refusal("console.addr = \"everywhere\"");
    assert!(said.contains("console.addr: must be an IP address and a port"), "{said}");
    assert!(said.contains("console.users_file: must be set: it says who may come in"), "{said}");
}

#[test]
fn a_users_file_that_makes_no_sense_is_refused_without_a_word_of_it() {
    for (name, text, expected) in [
        ("right", "[users.alice]\nrights = [\"everything-secret\"]", "must have a table"),
        ("key", "[users.alice]\nrights = [\"see\"]\npassword = \"sesame-secret\"", "must have a table"),
        (
            "plain",
            "[users.alice]\nrights = [\"see\"]\nhash = \"sesame-secret\"",
            "has a hash that is not one of argon2",
        ),
        (
            "scheme",
            "[users.alice]\nrights = [\"see\"]\nhash = \"$pbkdf2-sha256$i=1$c29tZXNhbHQ$c2VjcmV0\"",
            "has a hash that is not one of argon2",
        ),
        (
            "anybody",
            &format!("[users.\"*\"]\nrights = [\"see\"]\nhash = \"{HASH}\""),
            "gives a password to \"*\"",
        ),
        ("text", "secret", "must have a table"),
    ] {
        let said = refusal(&users(name, text));
        assert!(said.contains(expected) && !said.contains("secret"), "{name}: {said}");
    }
}

#[test]
fn a_user_is_what_the_file_says() {
    let text = format!(
        "[users.alice]\nhash = \"{HASH}\"\nrights = [\"see\", \"act\"]\n[users.bob]\nrights = [\"see\", \"personal\"]\n"
    );
    let config = from_toml(&users("two", &text)).expect("usable").config.console.expect("it is on");
    let users = ConsoleUsers::of(&config.users);
    let (alice, hash) = users.with_password("alice").expect("she has a password");
    assert_eq!((alice.rights.as_slice(), hash), (&[Right::See, Right::Act][..], HASH));
    assert!(users.with_password("bob").is_none() && users.has_passwords());
    assert_eq!(users.by_proxy("bob"), [Right::See, Right::Personal]);
    assert_eq!(users.by_proxy("carol"), [], "an unlisted user has no rights");
}

#[test]
fn a_proxy_is_where_it_is_said_to_be() {
    let proxy = "proxy_header = \"X-Forwarded-User\"\nproxy_from = [\"10.1.0.0/16\", \"192.0.2.7\", \"2001:db8::/32\"]\n";
    let text = users("proxied", "[users.\"*\"]\nrights = [\"see\"]\n");
    let config = from_toml(&format!("{text}{proxy}")).expect("usable").config.console.expect("it is on");
    let proxy = config.proxy.expect("there is one");
    assert_eq!(proxy.header, "x-forwarded-user");
    for (address, expected) in [
        ("10.1.2.3", true),
        ("10.2.0.1", false),
        ("192.0.2.7", true),
        ("::ffff:192.0.2.7", true),
        ("192.0.2.8", false),
        ("2001:db8::1", true),
        ("::1", false),
    ] {
        assert_eq!(proxy.is_at(address.parse().expect("an address")), expected, "{address}");
    }
}
