//! Every command of `milepost` that a page shows can be typed as it is there.

use std::fs;
use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;
use milepost::cli::Cli;

const PAGES: [&str; 12] = [
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "docs/configure.md",
    "docs/deploy.md",
    "docs/hubrise.md",
    "docs/observability.md",
    "docs/operate.md",
    "docs/performance.md",
    "docs/runbook.md",
    "docs/subscribe.md",
    "docs/webhooks.md",
];

/// A command as a page has it.
#[derive(Debug, PartialEq)]
struct Shown {
    line: usize,
    arguments: Vec<String>,
    /// In a block of its own, to be typed; and not only named in a sentence.
    whole: bool,
}

/// The words of one command, up to what ends it for a shell: a pipe, a redirection, a comment.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for next in text.chars() {
        match (next, quote) {
            (_, Some(open)) if next == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(next),
            ('\'' | '"', None) => {
                quote = Some(next);
                word.get_or_insert_default();
            }
            ('|' | '>' | '<' | '&' | ';', None) => break,
            ('#', None) if word.is_none() => break,
            (_, None) if next.is_whitespace() => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(next),
        }
    }
    words.extend(word);
    words
}

/// What `milepost` is given in the commands of one line, whether another program, such as `kubectl exec`, runs it.
fn arguments(line: &str) -> Vec<Vec<String>> {
    let commands = line.split_inclusive(['|', ';', '&']).map(words);
    let given = |words: Vec<String>| {
        let own = words.iter().position(|word| word == "milepost" || word.ends_with("/milepost"))?;
        // An argument of another program, such as a folder's name, and not a program.
        let runs =
            own == 0 || words[own - 1] == "--" || words[own - 1] == "$" || words[own - 1].contains('=');
        runs.then(|| words[own + 1..].to_vec())
    };
    commands.filter_map(given).collect()
}

fn shown(page: &str) -> Vec<Shown> {
    let (mut found, mut block) = (Vec::new(), false);
    for (number, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            block = !block;
            continue;
        }
        let commands: Vec<_> = if block {
            arguments(line)
        } else {
            line.split('`').skip(1).step_by(2).flat_map(arguments).collect()
        };
        let shown = |arguments| Shown { line: number + 1, arguments, whole: block };
        found.extend(commands.into_iter().map(shown));
    }
    found
}

/// Why a command cannot be typed as it is shown. In a sentence it may lack what differs each time.
fn mistake(shown: &Shown) -> Option<String> {
    let line = ["milepost".to_owned()].into_iter().chain(shown.arguments.iter().cloned());
    let error = Cli::try_parse_from(line).err()?;
    let incomplete = matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let wrong = !(help || incomplete && !shown.whole);
    wrong.then(|| format!("line {}: milepost {}: {error}", shown.line, shown.arguments.join(" ")))
}

#[test]
fn every_command_that_a_page_shows_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut mistakes = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(root.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        let commands = shown(&text);
        if page == "docs/runbook.md" {
            assert!(commands.len() > 40, "only {} commands were found in {page}", commands.len());
        }
        mistakes.extend(commands.iter().filter_map(mistake).map(|mistake| format!("{page}: {mistake}")));
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn commands_are_found_wherever_they_are() {
    let page = "Ask `milepost why ID`, or `kubectl exec x -- milepost waiting`; not `milepost-receiver`.\n```\n\
                $ milepost parked list --reason 'a b' | grep x   # milepost nothing\n\
                kubectl -n milepost get pods\nA=b target/debug/milepost tail & milepost --help\n```\n";
    let command = |line, words: &str, whole| {
        let arguments = words.split(' ').filter(|word| !word.is_empty());
        Shown { line, arguments: arguments.map(|word| word.replace('_', " ")).collect(), whole }
    };
    assert_eq!(
        shown(page),
        [
            command(1, "why ID", false),
            command(1, "waiting", false),
            command(3, "parked list --reason a_b", true),
            command(5, "tail", true),
            command(5, "--help", true),
        ]
    );
}

#[test]
fn what_is_mistyped_is_found() {
    for (text, found) in [
        ("```\nmilepost parked replai --all\n```", true),
        ("```\nmilepost why\n```", true),
        ("`milepost why`", false),
        ("`milepost why --sinc 1h ID`", true),
        ("`milepost parked`", false),
    ] {
        assert_eq!(shown(text).iter().any(|shown| mistake(shown).is_some()), found, "{text}");
    }
}
