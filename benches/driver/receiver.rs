//! A receiver's run: webhooks over HTTP, until all are answered.

use crate::example::Example;
use crate::figures::Figures;
use crate::http::{self, Request};
use crate::plan::{Load, Row};
use crate::rig::Rig;
use crate::side::Side;

/// One run. All sides are sent the same requests.
pub async fn run(
    rig: &Rig,
    side: Side,
    row: &Row,
    example: &Example,
    requests: &[Request],
) -> anyhow::Result<Figures> {
    let queues: Vec<_> = row.kind.providers.iter().map(|provider| side.intake(provider.id())).collect();
    rig.broker.expect(&queues, 0).await?;
    let (program, addr) = rig.receiver(side, example).await?;
    rig.rest().await?;
    let connections = if let Load::Connections(number) = row.load { number } else { 1 };
    let programs = [program];
    let figures = http::send(addr, requests, connections, &rig.meter(&programs)).await?;
    // Each was answered with 200, so each must be in a queue, once.
    rig.broker.expect(&queues, requests.len()).await?;
    rig.broker.purge(&queues).await?;
    for program in programs {
        program.stop().await?;
    }
    Ok(figures)
}
