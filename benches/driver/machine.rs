//! What it was measured on.

use std::fs;
use std::process::Command;

/// The machine, as a list.
pub fn list() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let lines = [
        ("processor", format!("{cores} x {}", line_of("/proc/cpuinfo", "model name"))),
        ("memory", line_of("/proc/meminfo", "MemTotal")),
        ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default()),
        ("Rust", said("rustc", &["--version"])),
        ("Milepost", concat!(env!("CARGO_PKG_VERSION"), ", release build").to_owned()),
        ("measured", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("load average before", fs::read_to_string("/proc/loadavg").unwrap_or_default()),
    ];
    lines.map(|(name, value)| format!("* {name}: {}\n", value.trim())).concat()
}

/// The first value of that name.
fn line_of(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
