//! What is taken of mounted secrets when they change, and what stays.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use milepost::config::{SecretFiles, Sources, load};
use milepost::domain::identity::Account;
use milepost::domain::secret::Secret;

use crate::fake::{EXPRESS, PROVIDERS};

/// An empty directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a writable directory");
    path
}

/// The files of an account that is configured so.
fn configured(keys: &str) -> SecretFiles {
    let base = format!("[providers.247express.accounts.default]\nauth = \"basic\"\n{keys}\n");
    let loaded = load(&Sources { base, ..Sources::default() }, PROVIDERS).expect("usable");
    loaded.config.provider(EXPRESS).accounts[&Account::default_account()].files.clone()
}

fn mounted(directory: &Path) -> SecretFiles {
    configured(&format!("secret_dir = {directory:?}"))
}

fn write(directory: &Path, name: &str, content: &str) {
    fs::write(directory.join(name), content).expect("a writable directory");
}

fn secrets(files: &SecretFiles) -> Vec<&str> {
    let text = |secret| std::str::from_utf8(Secret::expose(secret)).expect("text");
    let mut secrets: Vec<_> = files.secrets().map(text).collect();
    secrets.sort_unstable();
    secrets
}

/// Looks as often as it takes to see a change twice. The names of the files that could not be used, if it was taken.
fn look(files: &mut SecretFiles) -> Option<Vec<String>> {
    assert!(files.look().is_none(), "a change was taken that was seen once");
    let unusable = files.look()?;
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    Some(unusable.iter().map(|unusable| name(&unusable.path)).collect())
}

#[test]
fn a_change_is_taken_once_it_was_seen_twice_and_said_once() {
    let place = directory("files-twice");
    write(&place, "secret", "u:old");
    let mut files = configured(&format!("secret_files = [{:?}]", place.join("secret")));
    assert_eq!(look(&mut files), None);
    write(&place, "secret", "u:half");
    assert!(files.look().is_none());
    write(&place, "secret", "u:halfway");
    assert!(files.look().is_none());
    assert_eq!(secrets(&files), ["u:old"]);
    assert_eq!(files.look(), Some(vec![]));
    assert_eq!(secrets(&files), ["u:halfway"]);
    assert_eq!(look(&mut files), None);
}

#[test]
fn a_file_that_cannot_be_used_keeps_its_secret_and_holds_up_no_other() {
    let place = directory("files-kept");
    let paths = ["current", "next"].map(|name| place.join(name));
    write(&place, "current", "u:one");
    write(&place, "next", "u:two");
    let mut files = configured(&format!("secret_files = {paths:?}"));
    let large = format!("u:{}", "x".repeat(65_535));
    for bad in ["", "\n", "no colon", large.as_str()] {
        write(&place, "current", bad);
        // The same complaint about the same file is no change.
        if let Some(unusable) = look(&mut files) {
            assert_eq!(unusable, ["current"]);
        }
        assert_eq!(secrets(&files), ["u:one", "u:two"], "{:?}", bad.len());
        assert_eq!(look(&mut files), None, "it is said once");
    }
    write(&place, "next", "u:three");
    assert_eq!(look(&mut files), Some(vec!["current".to_owned()]));
    assert_eq!(secrets(&files), ["u:one", "u:three"]);
    write(&place, "current", "u:four\n");
    assert_eq!(look(&mut files), Some(vec![]));
    assert_eq!(secrets(&files), ["u:four", "u:three"]);
}

/// The other file shows that nothing is wrong with the directory.
#[test]
fn a_file_that_was_deleted_beside_a_good_one_is_taken_back() {
    let place = directory("files-taken-back");
    let paths = ["current", "next"].map(|name| place.join(name));
    write(&place, "current", "u:one");
    write(&place, "next", "u:two");
    let mut files = configured(&format!("secret_files = {paths:?}"));
    fs::remove_file(&paths[0]).expect("it was there");
    assert_eq!(look(&mut files), Some(vec![]));
    assert_eq!(secrets(&files), ["u:two"]);
    // The last secret is kept although its file is gone: it may still be in use.
    fs::remove_file(&paths[1]).expect("it was there");
    assert_eq!(look(&mut files), Some(vec!["current".to_owned(), "next".to_owned()]));
    assert_eq!(secrets(&files), ["u:two"]);
}

#[test]
fn a_file_that_is_gone_with_its_directory_keeps_its_secret() {
    let (one, two) = (directory("files-mount-1"), directory("files-mount-2"));
    write(&one, "secret", "u:one");
    write(&two, "secret", "u:two");
    let paths = [&one, &two].map(|place| place.join("secret"));
    let mut files = configured(&format!("secret_files = {paths:?}"));
    fs::remove_dir_all(&one).expect("it was there");
    assert_eq!(look(&mut files), Some(vec!["secret".to_owned()]));
    assert_eq!(secrets(&files), ["u:one", "u:two"]);
}

#[test]
fn in_a_directory_each_file_is_a_secret_and_one_that_is_gone_is_taken_back() {
    let place = directory("dir-rotated");
    write(&place, "current", "u:one\n");
    write(&place, "..data", "u:hidden");
    fs::create_dir(place.join("..2026")).expect("writable");
    let mut files = mounted(&place);
    assert_eq!(secrets(&files), ["u:one"]);
    write(&place, "next", "u:two");
    assert_eq!(look(&mut files), Some(vec![]));
    assert_eq!(secrets(&files), ["u:one", "u:two"]);
    fs::remove_file(place.join("current")).expect("it was there");
    assert_eq!(look(&mut files), Some(vec![]));
    assert_eq!(secrets(&files), ["u:two"]);
}

#[test]
fn nothing_is_taken_back_while_something_is_wrong() {
    let place = directory("dir-wrong");
    write(&place, "a", "u:one");
    let mut files = mounted(&place);
    fs::rename(place.join("a"), place.join("b")).expect("it was there");
    write(&place, "b", "no colon");
    assert_eq!(look(&mut files), Some(vec!["b".to_owned()]));
    assert_eq!(secrets(&files), ["u:one"]);
    fs::remove_file(place.join("b")).expect("it was there");
    assert_eq!(look(&mut files), Some(vec!["dir-wrong".to_owned()]), "a directory without a file");
    assert_eq!(secrets(&files), ["u:one"]);
    fs::remove_dir_all(&place).expect("it was there");
    look(&mut files);
    assert_eq!(secrets(&files), ["u:one"]);
    let place = directory("dir-wrong");
    write(&place, "b", "u:two");
    assert_eq!(look(&mut files), Some(vec![]));
    assert_eq!(secrets(&files), ["u:two"]);
}

#[test]
fn kubernetes_swaps_a_link_and_the_files_keep_their_names() {
    let place = directory("dir-kubernetes");
    for (version, secret) in [("..1", "u:one"), ("..2", "u:two")] {
        fs::create_dir(place.join(version)).expect("writable");
        write(&place.join(version), "secret", secret);
    }
    symlink("..1", place.join("..data")).expect("writable");
    symlink("..data/secret", place.join("secret")).expect("writable");
    let mut files = mounted(&place);
    assert_eq!(secrets(&files), ["u:one"]);
    symlink("..2", place.join("..data_tmp")).expect("writable");
    fs::rename(place.join("..data_tmp"), place.join("..data")).expect("it replaces the old one");
    assert_eq!(look(&mut files), Some(vec![]));
    assert_eq!(secrets(&files), ["u:two"]);
}

#[test]
fn a_directory_of_something_else_is_refused() {
    let place = directory("dir-many");
    for number in 0..65 {
        write(&place, &number.to_string(), "u:p");
    }
    let files = mounted(&place);
    assert_eq!(secrets(&files), [""; 0]);
    assert_eq!(files.unusable()[0].why, "too many files to be secrets");
}
