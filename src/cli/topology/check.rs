//! `milepost topology check`: the doctor.

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{everyone, print};
use crate::app::doctor::{Finding, Level, Probe, diagnose};
use crate::cli::Exit;
use crate::config::Config;

/// Beyond this a subject pushes what is said of it to the right.
const WIDEST_SUBJECT: usize = 40;

/// What `milepost topology check` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Show everything as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Exit code 1 for a warning too
    #[arg(long)]
    pub strict: bool,
}

/// Everything that was found, as `--json` shows it.
#[derive(Serialize)]
struct Report<'a> {
    healthy: bool,
    findings: &'a [Finding],
}

pub(super) async fn run(args: &Args, config: &Config) -> anyhow::Result<Exit> {
    let findings = diagnose(&Probe::fleet(config, &everyone())?.facts().await);
    let any = |level| findings.iter().any(|finding| finding.level == level);
    if args.json {
        let report = Report { healthy: !any(Level::Fail), findings: &findings };
        print(&(serde_json::to_string(&report)? + "\n"))?;
    } else {
        print(&lines(&findings))?;
    }
    Ok(if any(Level::Fail) || (args.strict && any(Level::Warn)) { Exit::Failed } else { Exit::Done })
}

fn lines(findings: &[Finding]) -> String {
    let widths = findings.iter().map(|finding| finding.subject.chars().count());
    let width = widths.max().unwrap_or_default().min(WIDEST_SUBJECT);
    let line = |Finding { level, subject, says, remedy, .. }: &Finding| {
        let style = style(*level);
        let remedy = remedy.as_ref().map(|remedy| format!(". Remedy: {remedy}")).unwrap_or_default();
        format!("{style}{level:<7}{style:#}  {subject:<width$}  {says}{remedy}\n")
    };
    findings.iter().map(line).collect()
}

fn style(level: Level) -> Style {
    match level {
        Level::Ok => AnsiColor::Green.on_default(),
        Level::Skipped => Style::new().dimmed(),
        Level::Warn => AnsiColor::Yellow.on_default(),
        Level::Fail => AnsiColor::Red.on_default().bold(),
    }
}
