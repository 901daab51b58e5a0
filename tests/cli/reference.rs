//! The page about the commands, and what shells complete.

use milepost::cli::reference;

use crate::commands::milepost;

/// `docs/cli.md` says what the commands say of themselves.
#[test]
fn the_page_about_the_commands_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md");
    let committed = std::fs::read_to_string(path).expect("docs/cli.md");
    assert!(committed == reference::page(), "docs/cli.md is not current: `make docs` writes it again");
}

#[test]
fn every_command_is_on_the_page() {
    let page = reference::page();
    for command in ["run", "send", "tail", "subscribe", "why", "waiting", "parked replay", "topology check"] {
        assert!(page.contains(&format!("\n## `milepost {command}`\n")), "{command}");
    }
}

#[test]
fn shells_complete_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = milepost(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        let script = String::from_utf8(output.stdout).expect("text");
        assert!(script.contains("milepost") && script.contains("topology"), "{shell}: {script}");
    }
}
