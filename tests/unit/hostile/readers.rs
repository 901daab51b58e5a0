//! Readers of other languages, as processes of their own, read every event that is published for the hostile
//! webhooks.

use std::io::Write as _;
use std::process::{Command, Stdio};

use milepost::domain::provider::{Decoded, Provider};
use serde_json::Value;

use super::cases::{self, Expected, SHAPES};
use super::decoding::{RECEIPTS, event, is_strict};

/// Prints the numbers of the lines that Python refuses, or could not write as JSON again.
const PYTHON: &str = r#"
import json, sys

def once(pairs):
    assert len(dict(pairs)) == len(pairs), "one name twice"
    return dict(pairs)

for number, line in enumerate(sys.stdin.buffer):
    try:
        value = json.loads(line, object_pairs_hook=once)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, AssertionError, RecursionError):
        print(number)
"#;

/// The same of V8, which refuses little: what it takes for another value than was written counts too.
const NODE: &str = r#"
const lost = (value) =>
    typeof value === "number" ? !Number.isFinite(value)
    : typeof value === "string" ? /\p{Surrogate}/u.test(value)
    : value !== null && typeof value === "object" && Object.entries(value).flat().some(lost);
require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1).forEach((line, number) => {
    try {
        if (lost(JSON.parse(line))) console.log(number);
    } catch {
        console.log(number);
    }
});
"#;

/// The numbers of the lines that the program refuses; `None` where the machine has no such program.
fn refused(program: &str, script: [&str; 2], lines: &[Vec<u8>]) -> Option<Vec<usize>> {
    let mut reader = Command::new(program)
        .args(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .inspect_err(|error| assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{program}: {error}"))
        .ok()?;
    let mut input = reader.stdin.take().expect("piped");
    for line in lines {
        input.write_all(line).and_then(|()| input.write_all(b"\n")).expect("it reads");
    }
    drop(input);
    let output = reader.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program}: {}", output.status);
    let output = String::from_utf8(output.stdout).expect("text");
    Some(output.lines().map(|line| line.parse().expect("a number")).collect())
}

/// What refuses some of `lines`, by name, with their numbers.
fn by_every_reader(lines: &[Vec<u8>]) -> Vec<(&'static str, Vec<usize>)> {
    let strict = (0..lines.len()).filter(|&line| !is_strict(&lines[line])).collect();
    let value = (0..lines.len()).filter(|&line| serde_json::from_slice::<Value>(&lines[line]).is_err());
    let python = refused("python3", ["-c", PYTHON], lines).expect("python3 is installed");
    let mut readers = vec![("strict", strict), ("serde_json", value.collect()), ("python3", python)];
    match refused("node", ["-e", NODE], lines) {
        Some(numbers) => readers.push(("node", numbers)),
        // CI has it: `.ci/contract/run` installs it, before the tests run.
        None => eprintln!("node is not installed: V8's reader was not asked"),
    }
    readers
}

fn published(provider: &dyn Provider, body: &[u8]) -> Option<Vec<u8>> {
    let Ok(Decoded::Update(decoded)) = provider.decode(body) else { return None };
    Some(event(provider, &decoded, RECEIPTS[0]).body.to_vec())
}

#[test]
fn every_reader_takes_every_published_event() {
    let (mut names, mut lines) = (Vec::new(), Vec::new());
    for shape in &SHAPES {
        for case in cases::cases(shape) {
            let Some(line) = published(shape.provider, &case.webhook(shape.provider, "D1").body) else {
                continue;
            };
            if matches!(case.expected, Expected::Published(..)) {
                names.push(format!("{}, {}", shape.provider.id(), case.name));
                lines.push(line);
            }
        }
    }
    assert!(lines.len() > 900, "{} events", lines.len());
    for (reader, numbers) in by_every_reader(&lines) {
        let names: Vec<_> = numbers.into_iter().map(|number| &names[number]).collect();
        assert!(names.is_empty(), "{reader} refuses: {names:#?}");
    }
}

/// The readers above do refuse what was published once.
#[test]
fn each_reader_refuses_what_it_cannot_take() {
    let digits = "7".repeat(5_000);
    let lines = [r#"{"a":1e999}"#, &format!("[{digits}]"), r#""\ud800""#, r#"{"a":1,"a":2}"#, "{", "[1]"];
    let lines = lines.map(|line| line.as_bytes().to_vec());
    for (reader, numbers) in by_every_reader(&lines) {
        let expected: &[usize] = match reader {
            "strict" | "python3" => &[0, 1, 2, 3, 4],
            _ => &[0, 1, 2, 4],
        };
        assert_eq!(numbers, expected, "{reader}");
    }
}
