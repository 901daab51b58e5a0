//! The second store: whether webhooks can be spooled, and what waits there.

use super::facts::{Facts, SpoolFacts};
use super::finding::{Finding, Level};

/// What there is to say of the spools, where Redis answers.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(spool) = &facts.spool else { return Vec::new() };
    let mut findings = waiting(spool);
    if !spool.spooling.is_empty() {
        findings.push(durable(spool));
        findings.extend(room(spool, facts));
    }
    findings
}

fn names(spool: &SpoolFacts) -> String {
    spool.spooling.iter().map(|provider| provider.as_str()).collect::<Vec<_>>().join(", ")
}

fn durable(spool: &SpoolFacts) -> Finding {
    let (check, subject, names) = ("spool_durable", "spool", names(spool));
    match spool.proof {
        Ok(proof) => Finding::ok(
            check,
            subject,
            format!("{proof}: webhooks of {names} go there while RabbitMQ is away"),
        ),
        Err(why) => {
            let says =
                format!("{why}; webhooks of {names} get 503 while RabbitMQ is away, and may not come again");
            let remedy = "make Redis durable (docs/deploy.md), or set providers.NAME.spool = false";
            Finding::new(Level::Warn, check, subject, says, remedy)
        }
    }
}

/// Only receivers with `spool = true` for a provider drain its spool.
fn waiting(spool: &SpoolFacts) -> Vec<Finding> {
    let check = "spool_waiting";
    let of = |(provider, count): &(_, Option<u64>)| {
        let (subject, count) = (format!("spool of {provider}"), (*count).filter(|count| *count > 0)?);
        Some(if spool.spooling.contains(provider) {
            let remedy = "receivers drain it while RabbitMQ takes messages: see what their logs say";
            Finding::new(Level::Warn, check, subject, format!("{count} webhooks wait"), remedy)
        } else {
            let remedy = format!("set providers.{provider}.spool = true until it is empty");
            let says = format!("{count} webhooks wait, and no receiver drains them");
            Finding::new(Level::Fail, check, subject, says, remedy)
        })
    };
    spool.waiting.iter().filter_map(of).collect()
}

/// A Redis that the spools fill takes no claim either.
fn room(spool: &SpoolFacts, facts: &Facts) -> Option<Finding> {
    let redis = facts.redis.as_ref()?.as_ref().ok()?;
    let most = redis.nodes.iter().filter_map(|node| node.max_bytes).filter(|most| *most > 0).min()?;
    let spools = spool.max_bytes.saturating_mul(spool.spooling.len() as u64);
    (spools > most / 2).then(|| {
        let says = format!("may hold {} MiB of Redis's {} MiB", spools >> 20, most >> 20);
        let remedy = "lower spool.max_bytes or raise maxmemory: all spools together at most half of it";
        Finding::new(Level::Warn, "spool_room", "spool", says, remedy)
    })
}
