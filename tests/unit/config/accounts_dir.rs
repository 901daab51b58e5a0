//! A directory of accounts: what is read of it, and what is taken when it changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use milepost::config::{AccountsDir, Changes, Loaded, Sources, load};
use milepost::domain::authentication::AuthScheme;
use milepost::domain::identity::Account;
use milepost::domain::secret::Secret;

use super::from_toml;
use crate::fake::{EXPRESS, PROVIDERS};

/// An empty directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a writable directory");
    path
}

fn configured(directory: &Path) -> Loaded {
    let base = format!("[providers.247express]\naccounts_dir = {directory:?}\naccounts_auth = \"basic\"\n");
    load(&Sources { base, ..Sources::default() }, PROVIDERS).expect("usable")
}

fn of(loaded: &Loaded) -> AccountsDir {
    loaded.config.provider(EXPRESS).accounts_dir.clone().expect("configured")
}

fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(directory.join(name), content).expect("a writable directory");
}

/// Each account with its secrets, as `name:secret,secret`.
fn accounts(directory: &AccountsDir) -> Vec<String> {
    let text = |secret| std::str::from_utf8(Secret::expose(secret)).expect("text");
    let accounts = directory.accounts().iter();
    accounts
        .map(|(name, held)| format!("{name}={}", held.secrets.iter().map(text).collect::<Vec<_>>().join(",")))
        .collect()
}

/// Looks twice: what is seen once is not taken.
fn look(directory: &mut AccountsDir) -> Changes {
    let once = directory.look();
    assert!(
        once.put.is_empty() && once.removed.is_empty(),
        "a change was taken that was seen once: {once:?}"
    );
    directory.look()
}

fn named(names: &[&str]) -> Vec<Account> {
    names.iter().map(|name| name.parse().expect("a name")).collect()
}

fn files(changes: &Changes) -> Vec<String> {
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    changes.unusable.iter().map(|unusable| name(&unusable.path)).collect()
}

#[test]
fn each_file_is_an_account_and_each_line_a_secret() {
    let place = directory("accounts-read");
    write(&place, "acme", "u:one");
    write(&place, "shop-2", "u:old\r\n\nu: new \n");
    write(&place, ".hidden", "u:three");
    fs::create_dir(place.join("folder")).expect("a writable directory");
    let loaded = configured(&place);
    assert_eq!(loaded.warnings, []);
    assert_eq!(accounts(&of(&loaded)), ["acme=u:one", "shop-2=u:old,u: new "]);
    let scheme = of(&loaded).accounts().values().map(|held| held.authentication.scheme()).collect::<Vec<_>>();
    assert_eq!(scheme, [AuthScheme::Basic; 2]);
}

/// It has no secret, and the good accounts beside it keep theirs.
#[test]
fn a_bad_account_is_a_warning_that_never_quotes_it() {
    let place = directory("accounts-bad");
    write(&place, "a-good", "u:one");
    write(&place, "b-bad", "u:fine\ns3cret-without-a-colon");
    write(&place, "c-good", "u:two");
    write(&place, "Not.A.Name", "u:three");
    write(&place, "d-empty", "\n");
    write(&place, "e-many", "u:x\n".repeat(65));
    write(&place, "f-large", vec![b'x'; 65_537]);
    let loaded = configured(&place);
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected = [
        ("Not.A.Name", "an account name is 1 to 64 of a-z, 0-9, `_` and `-`"),
        ("b-bad", "must be user:password"),
        ("d-empty", "must not be empty"),
        ("e-many", "too many lines to be secrets"),
        ("f-large", "too large to be a secret"),
    ];
    let key = "providers.247express.accounts_dir: no account from";
    let expected =
        expected.map(|(name, why)| format!("{key} {}: {why} (from built in)", place.join(name).display()));
    assert_eq!(warnings, expected);
    let dir = of(&loaded);
    assert_eq!(accounts(&dir), ["a-good=u:one", "b-bad=", "c-good=u:two", "d-empty=", "e-many=", "f-large="]);
}

#[test]
fn an_account_appears_changes_and_goes_while_the_others_stay() {
    let place = directory("accounts-follow");
    write(&place, "acme", "u:one");
    let mut dir = of(&configured(&place));
    assert_eq!(look(&mut dir), Changes { read: 0, ..Changes::default() });
    write(&place, "shop", "u:half");
    assert_eq!(dir.look().put, []);
    write(&place, "shop", "u:whole");
    assert_eq!(dir.look().put, []);
    assert_eq!(dir.look().put, named(&["shop"]));
    assert_eq!(accounts(&dir), ["acme=u:one", "shop=u:whole"]);
    write(&place, "shop", "u:whole\nu:next");
    assert_eq!(look(&mut dir).put, named(&["shop"]));
    assert_eq!(accounts(&dir), ["acme=u:one", "shop=u:whole,u:next"]);
    fs::remove_file(place.join("shop")).expect("it was there");
    assert_eq!(look(&mut dir).removed, named(&["shop"]));
    assert_eq!(accounts(&dir), ["acme=u:one"]);
}

#[test]
fn a_file_that_turns_bad_keeps_its_account_as_it_was_and_is_said_once() {
    let place = directory("accounts-kept");
    write(&place, "acme", "u:one");
    write(&place, "shop", "u:two");
    let mut dir = of(&configured(&place));
    look(&mut dir);
    write(&place, "shop", "no colon");
    write(&place, "acme", "u:three");
    let changes = look(&mut dir);
    assert_eq!((changes.put.clone(), files(&changes)), (named(&["acme"]), vec!["shop".to_owned()]));
    assert_eq!(accounts(&dir), ["acme=u:three", "shop=u:two"]);
    assert_eq!(dir.unusable().count(), 1);
    assert_eq!(look(&mut dir), Changes::default());
    write(&place, "shop", "u:two");
    assert_eq!(look(&mut dir).unusable, []);
    assert_eq!(dir.unusable().count(), 0);
}

/// As when a mount fails: the last account may be in use still.
#[test]
fn when_everything_is_gone_everything_stays() {
    let place = directory("accounts-gone");
    write(&place, "acme", "u:one");
    write(&place, "shop", "u:two");
    let mut dir = of(&configured(&place));
    look(&mut dir);
    fs::remove_dir_all(&place).expect("it was there");
    assert_eq!(files(&dir.look()), ["accounts-gone"]);
    assert_eq!(dir.look(), Changes::default(), "it is said once");
    fs::create_dir(&place).expect("a writable directory");
    assert_eq!(dir.look().unusable.len(), 1);
    assert_eq!(accounts(&dir), ["acme=u:one", "shop=u:two"]);
    write(&place, "shop", "u:two");
    assert_eq!(look(&mut dir).removed, named(&["acme"]));
}

#[test]
fn a_directory_that_was_never_read_may_have_any_account() {
    let place = directory("accounts-late");
    let loaded = configured(&place);
    let [warning] = loaded.warnings.as_slice() else { panic!("{:?}", loaded.warnings) };
    assert_eq!(warning.message, format!("no account from {}: no file in it", place.display()));
    let mut dir = of(&loaded);
    assert!(!dir.is_complete());
    write(&place, "acme", "u:one");
    dir.look();
    assert!(!dir.is_complete(), "seen once, and not in force");
    assert_eq!(dir.look().put, named(&["acme"]));
    assert!(dir.is_complete());
}

#[test]
fn kubernetes_swaps_all_files_at_once_through_a_link() {
    let place = directory("accounts-swapped");
    let generation = |name: &str, accounts: &[(&str, &str)]| {
        fs::create_dir(place.join(name)).expect("a writable directory");
        for (account, secret) in accounts {
            write(&place.join(name), account, secret);
        }
        symlink(name, place.join("..data-new")).expect("a writable directory");
        fs::rename(place.join("..data-new"), place.join("..data")).expect("a writable directory");
        for (account, _) in accounts {
            let _ = symlink(Path::new("..data").join(account), place.join(account));
        }
    };
    generation("..1", &[("acme", "u:one"), ("shop", "u:two")]);
    let mut dir = of(&configured(&place));
    look(&mut dir);
    generation("..2", &[("acme", "u:one"), ("cafe", "u:three")]);
    let changes = look(&mut dir);
    assert_eq!((changes.put, changes.removed), (named(&["cafe"]), named(&["shop"])));
    assert_eq!(accounts(&dir), ["acme=u:one", "cafe=u:three"]);
}

#[test]
fn an_account_with_a_section_of_its_own_is_not_taken_from_the_directory() {
    let place = directory("accounts-both");
    write(&place, "acme", "other");
    write(&place, "shop", "s");
    let loaded = from_toml(&format!(
        "[providers.telyport]\naccounts_dir = {place:?}\naccounts.acme = {{ secrets = [\"own\"] }}"
    ))
    .expect("usable");
    let dir = loaded.config.provider(crate::fake::TELYPORT).accounts_dir.as_ref().expect("configured");
    assert_eq!(accounts(dir), ["shop=s"]);
    let [warning] = loaded.warnings.as_slice() else { panic!("{:?}", loaded.warnings) };
    assert!(warning.message.ends_with("the account has a section in the configuration, which counts"));
}

/// Counted, not timed: what a look costs is the files that it reads and the credentials that it makes anew.
#[test]
fn a_look_reads_only_changed_accounts() {
    let place = directory("accounts-many");
    for number in 0..5_000 {
        write(&place, &format!("shop-{number}"), format!("u:{number}"));
    }
    let mut dir = of(&configured(&place));
    assert_eq!(dir.accounts().len(), 5_000);
    assert_eq!(dir.look().read, 5_000, "once more, lest a file was half written");
    assert_eq!(dir.look(), Changes::default(), "and never again");
    let before = dir.accounts().clone();
    write(&place, "shop-7", "u:changed");
    fs::remove_file(place.join("shop-8")).expect("it was there");
    write(&place, "shop-5000", "u:new");
    assert_eq!(dir.look().read, 2);
    let changes = dir.look();
    assert_eq!(changes.read, 2);
    assert_eq!((changes.put, changes.removed), (named(&["shop-5000", "shop-7"]), named(&["shop-8"])));
    assert_eq!(dir.look(), Changes::default());
    let same = dir
        .accounts()
        .iter()
        .filter(|(name, held)| before.get(*name).is_some_and(|before| std::sync::Arc::ptr_eq(before, held)));
    assert_eq!((dir.accounts().len(), same.count()), (5_000, 4_998), "the others are shared, not copied");
}
