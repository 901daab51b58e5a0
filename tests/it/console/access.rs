//! Who comes in, for how long, and what each may.

use reqwest::header::SET_COOKIE;

use super::{PASSWORD, Served, hash, location, new_hash, three_users, token, users_file};
use crate::support::eventually;
use crate::support::servers::Vhost;

#[tokio::test]
async fn no_page_is_served_without_a_session() {
    let vhost = Vhost::new().await;
    let served = Served::with(&vhost, &three_users("session").await, &[]).await;
    let mut browser = served.stranger();
    for path in ["/", "/parked", "/live", "/delivery?id=x", "/audit", "/health", "/parked/telyport/x"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status(), 303, "{path}");
        assert!(location(&answer).starts_with("/login?next=%2F"), "{path}");
    }
    for (name, password) in [("alice", "wrong"), ("stranger", PASSWORD), ("*", PASSWORD), ("", "")] {
        let answer = browser.log_in(name, password).await;
        assert_eq!(answer.status(), 401, "{name}");
        assert!(!answer.headers().contains_key(SET_COOKIE));
    }
    let answer = browser.log_in("alice", PASSWORD).await;
    assert_eq!((answer.status().as_u16(), location(&answer)), (303, "/"));
    let cookie = answer.headers()[SET_COOKIE].to_str().expect("text");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(browser.page("/").await.contains("alice"));
    let other = served.user("alice").await;

    assert_eq!(location(&browser.submit("/logout", &[]).await), "/login");
    assert_eq!(browser.get("/").await.status(), 303, "the session is over, also with the old cookie");
    assert_eq!(other.get("/").await.status(), 200, "another session is not");
}

#[tokio::test]
async fn a_session_ends_when_idle_and_when_it_is_old() {
    let vhost = Vhost::new().await;
    let users = three_users("ends").await;
    let idle = Served::with(&vhost, &users, &[("MILEPOST__CONSOLE__SESSION_IDLE_SECONDS", "1")]).await;
    let old = Served::with(&vhost, &users, &[("MILEPOST__CONSOLE__SESSION_SECONDS", "2")]).await;
    let (idle, old) = (idle.user("alice").await, old.user("alice").await);
    assert_eq!(
        (idle.get("/").await.status(), old.get("/").await.status()),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    // Asked all the time, it is never idle.
    eventually("the old session ends", || async { (old.get("/").await.status() == 303).then_some(()) }).await;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await; // That nothing is asked is what is tested.
    assert_eq!(idle.get("/").await.status(), 303);
}

#[tokio::test]
async fn the_users_file_is_followed() {
    let vhost = Vhost::new().await;
    let file = three_users("followed").await;
    let served = Served::with(&vhost, &file, &[]).await;
    let (alice, seer) = (served.user("alice").await, served.user("seer").await);
    let hash = hash().await;
    users_file("followed", &format!("[users.seer]\nhash = \"{hash}\"\nrights = [\"see\", \"act\"]\n"));
    eventually("alice is out", || async { (alice.get("/").await.status() == 303).then_some(()) }).await;
    assert_ne!(seer.get("/parked/replay?provider=telyport&all=1").await.status(), 403, "a new right");
    users_file("followed", "[users.seer]\nrights = \"all\"\n");
    served.process.says("a secret cannot be used").await;
    assert_eq!(seer.get("/").await.status(), 200, "what cannot be read changes nothing");
    // Another password ends the sessions of the old one.
    let other = new_hash().await;
    users_file("followed", &format!("[users.seer]\nhash = \"{other}\"\nrights = [\"see\"]\n"));
    eventually("the session is over", || async { (seer.get("/").await.status() == 303).then_some(()) }).await;
}

#[tokio::test]
async fn each_right_is_needed() {
    let vhost = Vhost::new().await;
    let served = Served::with(&vhost, &three_users("rights").await, &[]).await;
    let (seer, actor) = (served.user("seer").await, served.user("actor").await);
    let act = "/parked/replay?provider=telyport&all=1";
    assert_eq!(seer.get(act).await.status(), 403);
    assert_eq!(actor.get(act).await.status(), 200);
    let acts = ["/parked/replay", "/parked/discard", "/parked/telyport/x/edit", "/acts/x/stop"];
    // Only forms of a page that has one carry a token; what is refused here is the right.
    let token = token(&seer.page("/acts").await);
    for path in acts {
        let fields = [("csrf", token.as_str()), ("provider", "telyport"), ("all", "1"), ("yes", "1")];
        assert_eq!(seer.post(path, &fields).await.status(), 403, "{path}");
    }
    let reveal = "/parked/telyport/x/reveal";
    assert_eq!(seer.submit(reveal, &[]).await.status(), 403);
    assert_eq!(actor.submit(reveal, &[]).await.status(), 403);
    assert_eq!(actor.submit("/parked/telyport/x/edit", &[]).await.status(), 403, "it shows personal data");
    assert_eq!(actor.get("/exports/milepost-discarded-x.jsonl").await.status(), 403);
}

#[tokio::test]
async fn a_forged_form_does_nothing() {
    let vhost = Vhost::new().await;
    let served = Served::with(&vhost, &three_users("forged").await, &[]).await;
    let (alice, actor) = (served.user("alice").await, served.user("actor").await);
    let (hers, his) = (token(&alice.page("/acts").await), token(&actor.page("/acts").await));
    assert_ne!(hers, his);
    let form = |token: &str| {
        [("provider", "telyport"), ("all", "1"), ("csrf", token)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    for wrong in ["", "x", &his, &hers[1..]] {
        let fields = form(wrong);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(alice.post("/parked/replay", &fields).await.status(), 403, "{wrong:?}");
    }
    // With the right token, but from a page of another site.
    let body = format!("provider=telyport&all=1&csrf={hers}");
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let request = alice.request(reqwest::Method::POST, "/parked/replay").header(name, value);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body.clone());
        assert_eq!(request.send().await.expect("an answer").status(), 403, "{name}: {value}");
    }
    assert!(alice.page("/acts").await.contains("Nothing was done on this console"));
    let answer =
        alice.post("/parked/replay", &[("provider", "telyport"), ("all", "1"), ("csrf", &hers)]).await;
    assert!(location(&answer).starts_with("/acts/"), "the same form, as it should be");
}

/// A console in a container listens on all addresses: how a browser reached it, that one alone can say.
#[tokio::test]
async fn a_session_is_secure_but_on_the_browsers_own_machine() {
    let vhost = Vhost::new().await;
    let everywhere = ("MILEPOST__CONSOLE__ADDR", "0.0.0.0:0");
    let served = Served::with(&vhost, &three_users("secure").await, &[everywhere]).await;
    let log_in = async |host: &str, scheme: Option<&str>| {
        let body = format!("name=alice&password={}", PASSWORD.replace(' ', "+"));
        let request = served.stranger().request(reqwest::Method::POST, "/login").header("host", host);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let origin = scheme.map(|scheme| format!("{scheme}://{host}"));
        let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
        let answer = request.send().await.expect("an answer");
        let cookie = answer.headers().get(SET_COOKIE).map(|cookie| cookie.to_str().expect("text").to_owned());
        (answer.status().as_u16(), cookie.map(|cookie| cookie.contains("; Secure")))
    };
    for (host, scheme) in
        [("console.example", Some("https")), ("console.example", None), ("localhost", Some("https"))]
    {
        assert_eq!(log_in(host, scheme).await, (303, Some(true)), "{scheme:?} {host}");
    }
    for host in ["localhost:8070", "127.0.0.1:8070", "[::1]:8070"] {
        assert_eq!(log_in(host, Some("http")).await, (303, Some(false)), "{host}");
    }
    for host in ["console.example:8070", "10.1.2.3:8070", "localhost.example:8070"] {
        assert_eq!(log_in(host, Some("http")).await, (400, None), "the browser would not keep it: {host}");
    }
}

#[tokio::test]
async fn a_proxy_is_believed_where_it_is_and_nowhere_else() {
    let vhost = Vhost::new().await;
    let users = users_file(
        "proxy",
        "[users.alice]\nrights = [\"see\", \"act\"]\n[users.\"*\"]\nrights = [\"see\"]\n",
    );
    let header = ("MILEPOST__CONSOLE__PROXY_HEADER", "X-Forwarded-User");
    let here =
        Served::with(&vhost, &users, &[header, ("MILEPOST__CONSOLE__PROXY_FROM", r#"["127.0.0.0/8"]"#)])
            .await;
    let elsewhere =
        Served::with(&vhost, &users, &[header, ("MILEPOST__CONSOLE__PROXY_FROM", r#"["10.1.2.3"]"#)]).await;
    let ask = async |served: &Served, names: &[&str]| {
        let request =
            served.stranger().request(reqwest::Method::GET, "/parked/replay?provider=telyport&all=1");
        let request = names.iter().fold(request, |request, name| request.header("x-forwarded-user", *name));
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(ask(&here, &["alice"]).await, 200);
    assert_eq!(ask(&here, &["bob"]).await, 403, "anybody may see, and not act");
    assert_eq!(ask(&here, &[]).await, 403, "a request without a user is refused");
    assert_eq!(ask(&here, &["alice", "bob"]).await, 403, "two names are none");
    assert_eq!(ask(&elsewhere, &["alice"]).await, 403);
    let request = here.stranger().request(reqwest::Method::GET, "/").header("x-forwarded-user", "bob");
    assert!(request.send().await.expect("an answer").text().await.expect("text").contains("bob"));
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    let vhost = Vhost::new().await;
    let served = Served::with(&vhost, &three_users("headers").await, &[]).await;
    let alice = served.user("alice").await;
    for path in [
        "/",
        "/login",
        "/nothing",
        "/assets/console.js",
        "/assets/console.css",
        "/parked?since=x",
        "/parked/telyport/x",
    ] {
        let answer = alice.get(path).await;
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("text"));
        let policy = header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header("cache-control"), Some("no-store"), "{path}");
    }
    // Where to go after the login is one of our own pages.
    for (next, goes) in [
        ("//evil.example/", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/parked?provider=dash", "/parked?provider=dash"),
    ] {
        let answer = served
            .stranger()
            .post("/login", &[("name", "alice"), ("password", PASSWORD), ("next", next)])
            .await;
        assert_eq!(location(&answer), goes, "{next}");
    }
}
