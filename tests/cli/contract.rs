//! `milepost contract`.

use std::path::Path;
use std::process::{Command, Output};

fn contract(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milepost"));
    command.arg("contract").args(arguments).output().expect("it runs")
}

fn committed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn it_lists_the_files_and_prints_each() {
    let list = String::from_utf8(contract(&[]).stdout).expect("text");
    let names: Vec<_> = list.lines().collect();
    for name in ["contract/v1/event.schema.json", "contract/v1/examples/telyport/delivered.json", "events.md"]
    {
        assert!(names.contains(&name), "{list}");
        let output = contract(&[name]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8(output.stdout).expect("text"), committed(name));
    }
}

#[test]
fn it_writes_them_all() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("contract");
    let output = contract(&["--write", directory.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    let list = String::from_utf8(contract(&[]).stdout).expect("text");
    for name in list.lines() {
        assert_eq!(std::fs::read_to_string(directory.join(name)).expect("written"), committed(name));
    }
}

#[test]
fn a_file_that_is_none_of_them_is_a_misuse() {
    for wrong in [&["nothing.json"][..], &["events.md", "--write", "elsewhere"]] {
        let output = contract(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{wrong:?}");
    }
}
