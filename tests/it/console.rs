//! `milepost console` as a process of its own, asked over HTTP as a browser asks.

mod access;
mod acts;
mod pages;

use std::path::PathBuf;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use crate::support::eventually;
use crate::support::process::{Process, Program};
use crate::support::servers::{Vhost, redis_url};

/// The password of every user here. Its hash is made by the command.
const PASSWORD: &str = "correct horse";

/// A hash of [`PASSWORD`], unlike any before.
async fn new_hash() -> String {
    let words = format!("echo '{PASSWORD}' | {} console hash", env!("CARGO_BIN_EXE_milepost"));
    let (code, lines, errors) = Program::at("/bin/sh").arg("-c").arg(&words).output().await;
    assert_eq!(code, Some(0), "{errors:?}");
    lines[0].clone()
}

/// One that is made once.
async fn hash() -> String {
    static HASH: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
    HASH.get_or_init(new_hash).await.clone()
}

/// A users' file with these tables.
fn users_file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("console-{name}.toml"));
    std::fs::write(&path, text).expect("a writable directory");
    path
}

/// Three users: one who may all, one who may see, and one who may act without seeing personal data.
async fn three_users(name: &str) -> PathBuf {
    let hash = hash().await;
    let user = |name: &str, rights: &str| format!("[users.{name}]\nhash = \"{hash}\"\nrights = {rights}\n");
    let users = [
        user("alice", r#"["see", "personal", "act"]"#),
        user("seer", r#"["see"]"#),
        user("actor", r#"["see", "act"]"#),
    ];
    users_file(name, &users.concat())
}

/// A console, and where it is.
struct Served {
    process: Process,
    url: String,
}

impl Served {
    async fn with(vhost: &Vhost, users: &std::path::Path, variables: &[(&str, &str)]) -> Self {
        let mut program = Program::bare(env!("CARGO_BIN_EXE_milepost"))
            .arg("console")
            .env("MILEPOST_AMQP_URL", &vhost.amqp_url)
            .env("MILEPOST_REDIS_URL", &redis_url())
            .env("MILEPOST_AMQP_MANAGEMENT_URL", &vhost.management)
            .env("MILEPOST__CONSOLE__ADDR", "127.0.0.1:0")
            .env("MILEPOST__CONSOLE__USERS_FILE", users.to_str().expect("text"));
        for (name, value) in variables {
            program = program.env(name, value);
        }
        let process = program.spawn();
        let said = process.says("listening for the operator's browser").await;
        let url = format!("http://{}", said["addr"].as_str().expect("an address"));
        Self { process, url }
    }

    /// A browser without a session.
    fn stranger(&self) -> Browser {
        milepost::adapters::tls::install_crypto_provider();
        let client = Client::builder().redirect(Policy::none()).no_proxy().tls_certs_only([]).build();
        Browser { client: client.expect("a client"), url: self.url.clone(), cookie: None }
    }

    /// Asks as a user who has logged in.
    async fn user(&self, name: &str) -> Browser {
        let mut browser = self.stranger();
        let answer = browser.log_in(name, PASSWORD).await;
        assert_eq!(answer.status(), 303, "{name} logs in");
        browser
    }
}

/// What a browser keeps.
#[derive(Clone)]
struct Browser {
    client: Client,
    url: String,
    cookie: Option<String>,
}

impl Browser {
    async fn log_in(&mut self, name: &str, password: &str) -> Response {
        let answer = self.post("/login", &[("name", name), ("password", password)]).await;
        let cookie = answer.headers().get(SET_COOKIE).map(|cookie| cookie.to_str().expect("text"));
        let pair = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        self.cookie = pair.or(self.cookie.take());
        answer
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    async fn get(&self, path: &str) -> Response {
        self.request(reqwest::Method::GET, path).send().await.expect("an answer")
    }

    /// The text of a page that is there.
    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        let status = answer.status();
        let text = answer.text().await.expect("text");
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    /// Posts a form without a token.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(reqwest::Method::POST, path);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        request.send().await.expect("an answer")
    }

    /// Posts a form with the token that a page of this one has.
    async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = token(&self.page("/acts").await);
        self.post(path, &[fields, &[("csrf", &token)]].concat()).await
    }

    /// Waits until a page says it.
    async fn sees(&self, path: &str, text: &str) -> String {
        eventually(&format!("{path} says {text:?}"), || async {
            let page = self.page(path).await;
            page.contains(text).then_some(page)
        })
        .await
    }
}

/// The token in a page's forms.
fn token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form with a token");
    rest.split('"').next().expect("a value").to_owned()
}

fn location(answer: &Response) -> &str {
    answer.headers()[LOCATION].to_str().expect("text")
}
