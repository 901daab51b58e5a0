//! What there is to send, by name.

use std::io::{self, Write};

use crate::domain::samples::SampleSource;
use crate::providers;

/// Shows the samples of `provider`, one name a line, then its journeys with their steps as `--journey NAME: STEPS`; of
/// every provider, each under a line with its name, when none is given.
///
/// # Errors
/// When it cannot be written.
pub fn list(provider: Option<&dyn SampleSource>, out: &mut impl Write) -> io::Result<()> {
    if let Some(provider) = provider {
        return list_one(provider, out);
    }
    for (at, provider) in providers::SAMPLE_SOURCES.iter().enumerate() {
        let gap = if at == 0 { "" } else { "\n" };
        writeln!(out, "{gap}{}:", provider.id())?;
        list_one(*provider, out)?;
    }
    Ok(())
}

fn list_one(provider: &dyn SampleSource, out: &mut impl Write) -> io::Result<()> {
    for sample in provider.samples() {
        writeln!(out, "{}", sample.name)?;
    }
    for journey in provider.journeys() {
        writeln!(out, "--journey {}: {}", journey.name, journey.steps.join(", "))?;
    }
    Ok(())
}
