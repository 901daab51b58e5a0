//! What there is to send, by name.

use std::io::{self, Write};

use crate::domain::provider::Provider;
use crate::providers;

/// Shows the samples of `provider`, one name a line, then its journeys with their steps as `--journey NAME: STEPS`; of
/// every provider, each under a line with its name, when none is given.
///
/// # Errors
/// When it cannot be written.
pub fn list(provider: Option<&dyn Provider>, out: &mut impl Write) -> io::Result<()> {
    if let Some(provider) = provider {
        return list_one(provider, out);
    }
    for (at, provider) in providers::ALL.iter().enumerate() {
        let gap = if at == 0 { "" } else { "\n" };
        writeln!(out, "{gap}{}:", provider.id())?;
        list_one(*provider, out)?;
    }
    Ok(())
}

fn list_one(provider: &dyn Provider, out: &mut impl Write) -> io::Result<()> {
    for sample in provider.samples() {
        writeln!(out, "{}", sample.name)?;
    }
    for journey in provider.journeys() {
        writeln!(out, "--journey {}: {}", journey.name, journey.steps.join(", "))?;
    }
    Ok(())
}
