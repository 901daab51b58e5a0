//! Arrows point downwards only, and invariant 10: `domain` and `providers` do no IO and read no clock.
//!
//! Each module's source may name those modules and libraries that its layer has. A library that is in no list
//! is refused in the lower layers until it is added to `layers`, which is the moment to think of it.

mod layers;
mod paths;

use std::fs;
use std::path::Path;

use self::layers::Libraries::{AllBut, Only};
use self::layers::{IMPURE, LAYERS, Layer};
use self::paths::{NamedPath, paths};

/// What does no IO and reads no clock.
const PURE: [&str; 4] = ["domain", "providers", "sinks/update.rs", "sinks/hubrise/core"];

/// The modules of the crate, and its libraries, as the paths of code name them.
struct Names {
    modules: Vec<String>,
    libraries: Vec<String>,
}

impl Names {
    fn read() -> Self {
        let lib = read("src/lib.rs");
        let module = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
        let manifest = read("Cargo.toml");
        let (_, dependencies) = manifest.split_once("[dependencies]\n").expect("it has dependencies");
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        let library = |line: &str| Some(line.split_once(" = ")?.0.replace('-', "_"));
        Self {
            modules: lib.lines().filter_map(module).collect(),
            libraries: dependencies.lines().filter_map(library).collect(),
        }
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is wrong with the text of `src/<file>`, with lines.
fn violations(file: &str, text: &str, names: &Names) -> Vec<String> {
    let Some(layer) = LAYERS.iter().find(|layer| in_layer(file, layer)) else {
        return vec![format!("src/{file}: is in no layer")];
    };
    let pure = PURE.iter().any(|pure| file.starts_with(pure));
    let at_fault = |path: &NamedPath| {
        let refused = refused(&path.segments, own_module(file), layer, names)
            .or_else(|| pure.then(|| impure(&path.segments))?)?;
        Some(format!("src/{file}:{}: {refused}", path.line))
    };
    let mut found: Vec<_> = paths(text).iter().filter_map(at_fault).collect();
    found.dedup();
    found
}

/// `domain/` has `domain/…` and `domain.rs`.
fn in_layer(file: &str, layer: &Layer) -> bool {
    file.starts_with(layer.path) || file.strip_suffix(".rs") == layer.path.strip_suffix('/')
}

fn own_module(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or_default()
}

/// The module or library in `path` that the layer may not name.
fn refused(path: &[String], own: &str, layer: &Layer, names: &Names) -> Option<String> {
    let [first, second, ..] = path else { return None };
    // `super::super::adapters` is a way to the crate's root as well.
    let inner =
        path.iter().find(|segment| !matches!(segment.as_str(), "crate" | "super" | "self" | "milepost"));
    if let Some(module) = inner
        && matches!(first.as_str(), "crate" | "super" | "milepost")
        && names.modules.contains(module)
    {
        let may = module == own || layer.modules.contains(&module.as_str());
        return (!may).then(|| format!("crate::{module}"));
    }
    let library = if first.is_empty() { second } else { first };
    let may = match layer.libraries {
        Only(libraries) => libraries.contains(&library.as_str()),
        AllBut(libraries) => !libraries.contains(&library.as_str()),
    };
    (names.libraries.contains(library) && !may).then(|| library.clone())
}

/// What in `path` does IO, or reads a clock.
fn impure(path: &[String]) -> Option<String> {
    let names = |pattern: &str| {
        let pattern: Vec<_> = pattern.split("::").collect();
        path.windows(pattern.len()).any(|segments| segments == pattern)
    };
    IMPURE.iter().find(|pattern| names(pattern)).map(|pattern| (*pattern).to_owned())
}

/// The files under `src/<directory>`, named from `src`.
fn sources(directory: &str, found: &mut Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root.join(directory)).expect("a directory") {
        let path = entry.expect("readable").path();
        let name = path.strip_prefix(&root).expect("under src").to_str().expect("UTF-8").to_owned();
        if path.is_dir() {
            sources(&name, found);
        } else if name.ends_with(".rs") && name != "lib.rs" {
            found.push(name);
        }
    }
}

#[test]
fn arrows_point_downwards_and_the_domain_is_pure() {
    let names = Names::read();
    assert!(names.modules.contains(&"adapters".to_owned()) && names.libraries.contains(&"lapin".to_owned()));
    let mut files = Vec::new();
    sources("", &mut files);
    for must in ["domain/status.rs", "providers/express247/samples.rs", "bin/receiver.rs"] {
        assert!(files.iter().any(|file| file == must), "{must} was not looked at");
    }
    let found: Vec<_> =
        files.iter().flat_map(|file| violations(file, &read(&format!("src/{file}")), &names)).collect();
    assert_eq!(found, Vec::<String>::new());
}

fn planted(file: &str, text: &str) -> Vec<String> {
    violations(file, text, &Names::read())
}

#[test]
fn a_planted_violation_is_found() {
    for (file, text, expected) in [
        ("domain/a.rs", "use tokio::time::sleep;", "src/domain/a.rs:1: tokio"),
        ("domain/a.rs", "\n// why\nfn f() { ::lapin::connect() }", "src/domain/a.rs:3: lapin"),
        ("domain/a.rs", "use std::{fmt, fs::{self, File}};", "src/domain/a.rs:1: std::fs"),
        ("domain/a.rs", "use std::{\n    fmt::{self, Debug},\n    net,\n};", "src/domain/a.rs:3: std::net"),
        ("domain/a.rs", "let now = jiff::Timestamp::now();", "src/domain/a.rs:1: Timestamp::now"),
        ("domain/a.rs", "fn f(since: Instant) {}", "src/domain/a.rs:1: Instant"),
        ("domain/a.rs", "async fn f() {}", "src/domain/a.rs:1: async"),
        (
            "domain/a.rs",
            "let quote = '\"'; println!(\"{x}\"); let other = '\"';",
            "src/domain/a.rs:1: println",
        ),
        ("domain/a.rs", "use backoff::SystemClock;", "src/domain/a.rs:1: backoff"),
        ("domain/a.rs", "use crate::ports::Clock;", "src/domain/a.rs:1: crate::ports"),
        ("domain/retry.rs", "rand::random::<f64>()", "src/domain/retry.rs:1: rand"),
        (
            "providers/a/b.rs",
            "use super::super::super::adapters::tls;",
            "src/providers/a/b.rs:1: crate::adapters",
        ),
        ("providers/a.rs", "use crate::{domain::event, app};", "src/providers/a.rs:1: crate::app"),
        ("providers/a.rs", "let id = uuid::Uuid::now_v7();", "src/providers/a.rs:1: Uuid::now_v7"),
        ("sinks/hubrise/core/a.rs", "async fn f() {}", "src/sinks/hubrise/core/a.rs:1: async"),
        (
            "sinks/hubrise/core/a.rs",
            "use crate::ports::Clock;",
            "src/sinks/hubrise/core/a.rs:1: crate::ports",
        ),
        ("sinks/hubrise/a.rs", "use crate::adapters::tls;", "src/sinks/hubrise/a.rs:1: crate::adapters"),
        ("sinks/a.rs", "use lapin::Channel;", "src/sinks/a.rs:1: lapin"),
        ("ports/a.rs", "use crate::providers::ALL;", "src/ports/a.rs:1: crate::providers"),
        ("ports/mod.rs", "use tokio_util::sync::CancellationToken;", "src/ports/mod.rs:1: tokio_util"),
        (
            "pipeline/a.rs",
            "fn f<'a>(x: &'a str) -> crate::adapters::A {}",
            "src/pipeline/a.rs:1: crate::adapters",
        ),
        ("pipeline/a.rs", "use lapin::Channel;", "src/pipeline/a.rs:1: lapin"),
        ("adapters/redis/a.rs", "use crate::pipeline::worker;", "src/adapters/redis/a.rs:1: crate::pipeline"),
        ("adapters/http/a.rs", "use crate::config::Config;", "src/adapters/http/a.rs:1: crate::config"),
        ("adapters/a.rs", "fn f() -> anyhow::Result<()> {}", "src/adapters/a.rs:1: anyhow"),
        ("app/a.rs", "use crate::cli;", "src/app/a.rs:1: crate::cli"),
        ("bin/a.rs", "milepost::adapters::tls::install();", "src/bin/a.rs:1: crate::adapters"),
        ("elsewhere/a.rs", "", "src/elsewhere/a.rs: is in no layer"),
    ] {
        assert_eq!(planted(file, text), [expected], "{text}");
    }
}

#[test]
fn what_is_allowed_is_not_a_violation() {
    for (file, text) in [
        ("domain/retry.rs", "use backoff::SystemClock;"),
        (
            "domain/a.rs",
            "//! tokio::spawn and crate::adapters\n/* std::fs /* lapin::x */ std::io */ fn f() {}",
        ),
        ("domain/a.rs", "let text = \"tokio::spawn \\\" async\"; let raw = r#\"crate::app \" std::fs\"#;"),
        (
            "domain/a.rs",
            "use super::retry; use crate::domain::event; use std::time::Duration; now(); url.path();",
        ),
        ("providers/a.rs", "use crate::domain::provider::Provider; use serde_json::{Value, json};"),
        ("pipeline/a.rs", "use crate::ports::Clock; use crate::telemetry::metrics as m; use tokio::select;"),
        ("adapters/http/a.rs", "use crate::pipeline::receive; use hyper::body;"),
        ("cli/run.rs", "use super::config::Show; use crate::app::life;"),
        ("bin/a.rs", "fn main() { milepost::cli::main() }"),
    ] {
        assert_eq!(planted(file, text), Vec::<String>::new(), "{text}");
    }
}
