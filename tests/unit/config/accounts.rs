//! Where secrets come from.

use std::fs;

use milepost::config::{Loaded, Sources, load};
use milepost::domain::authentication::{Authentication, Credentials};
use milepost::domain::identity::Account;
use milepost::domain::secret::Secret;

use super::{file, from_toml};
use crate::fake::{EXPRESS, PROVIDERS, TELYPORT};

fn with_secret_files(name: &str, files: &[&str]) -> Loaded {
    let toml = format!("[providers.telyport.accounts.default]\nsecret_files = {files:?}\n");
    load(&Sources { file: Some(file(name, toml.as_bytes())), ..Sources::default() }, PROVIDERS)
        .expect("usable")
}

fn account(loaded: &Loaded) -> Credentials {
    loaded.config.provider(TELYPORT).accounts[&Account::default_account()].credentials()
}

fn secrets(credentials: &Credentials) -> Vec<&[u8]> {
    credentials.secrets.iter().map(Secret::expose).collect()
}

#[test]
fn a_secret_file_is_one_secret_without_its_last_newline() {
    let contents: [(&str, &[u8], &[u8]); 5] = [
        ("secret-plain", b"one", b"one"),
        ("secret-unix", b"two\n", b"two"),
        ("secret-dos", b"three\r\n", b"three"),
        ("secret-twice", b" four\n\n", b" four\n"),
        ("secret-binary", b"\xff\x00\r", b"\xff\x00\r"),
    ];
    let paths = contents.map(|(name, content, _)| file(name, content).display().to_string());
    let loaded = with_secret_files("secret-files.toml", &paths.each_ref().map(String::as_str));
    assert_eq!(secrets(&account(&loaded)), contents.map(|(_, _, secret)| secret));
    assert_eq!(loaded.warnings, []);
}

#[test]
fn secrets_that_cannot_be_read_are_warnings_and_the_account_stays() {
    let empty = file("secret-empty", b"\n").display().to_string();
    let large = file("secret-large", &vec![b'x'; 65_537]).display().to_string();
    let loaded = with_secret_files("unreadable.toml", &["no/such/secret", &empty, &large]);
    assert!(account(&loaded).secrets.is_empty());
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let (key, origin) = ("providers.telyport.accounts.default.secret_files", "unreadable.toml)");
    let [missing, nothing, much] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(
        missing.starts_with(&format!("{key}.0: no secret from no/such/secret: No such file")),
        "{missing}"
    );
    assert!(nothing.starts_with(&format!("{key}.1: no secret from {empty}: must not be empty")), "{nothing}");
    assert!(
        much.starts_with(&format!("{key}.2: no secret from {large}: too large to be a secret")),
        "{much}"
    );
    assert!(warnings.iter().all(|warning| warning.ends_with(origin)), "{warnings:?}");
    fs::remove_file(large).expect("it was written");
}

#[test]
fn the_first_scheme_is_the_default_and_several_secrets_are_live() {
    let loaded = from_toml(
        r#"
            [providers.247express.accounts]
            default = { secrets = ["old", "new"] }
            second = { auth = "basic", secrets = ["user:pass:word"] }
        "#,
    )
    .expect("valid");
    let accounts = &loaded.config.provider(EXPRESS).accounts;
    let default = accounts[&Account::default_account()].credentials();
    assert_eq!(default.authentication, Authentication::BodyKey { field: "ApiKey" });
    assert_eq!(secrets(&default), [b"old", b"new"]);
    let second = accounts[&"second".parse().expect("a name")].credentials();
    assert_eq!(second.authentication, Authentication::Basic);
    assert_eq!(secrets(&second), [b"user:pass:word"]);
    assert!(loaded.config.provider(TELYPORT).accounts.is_empty());
}
