//! What each property, header and byte of a message costs RabbitMQ: its CPU time for messages that differ in one thing,
//! to a stream and to a quorum queue apart. By it was chosen what Milepost's messages say.

mod message;
mod publish;

use rand::seq::SliceRandom as _;

use self::message::Variant;
use self::publish::{Bench, DESTINATIONS, Destination};
use crate::servers::{Generation, Servers};
use crate::table;

/// One variant to one destination: its cost in each round, in microseconds of RabbitMQ a message.
struct Cell {
    destination: Destination,
    variant: Variant,
    costs: Vec<f64>,
}

/// Measures on each generation and returns a table of each. `rounds` through all variants, each in another order.
pub async fn run(generations: &[Generation], rounds: usize, burst: usize) -> anyhow::Result<String> {
    let mut text = String::new();
    for &generation in generations {
        let servers = Servers::start(generation)?;
        let mut bench = Bench::connect(&servers, burst).await?;
        let mut cells: Vec<_> = DESTINATIONS
            .into_iter()
            .flat_map(|destination| {
                message::variants().into_iter().map(move |variant| (destination, variant))
            })
            .map(|(destination, variant)| Cell { destination, variant, costs: Vec::new() })
            .collect();
        for round in 0..=rounds {
            bench.purge().await?;
            // The first variant more often: all others are compared with it.
            let bare = (0..cells.len()).filter(|index| cells[*index].variant.name == message::BARE);
            let mut order: Vec<_> = (0..cells.len()).chain(bare.flat_map(|index| [index; 2])).collect();
            order.shuffle(&mut rand::rng());
            for index in order {
                let cell = &mut cells[index];
                let cost = bench.cost(cell.destination, &cell.variant).await?;
                // The first warms up.
                if round > 0 {
                    cell.costs.push(cost);
                }
            }
            eprintln!("{}: round {round} of {rounds}", generation.as_str());
        }
        let version = servers.rabbit_version()?;
        text += &format!("\n### RabbitMQ {}\n\n", version.trim());
        text += &tabulate(&cells);
    }
    Ok(text)
}

/// A line for each variant: the first as it is, of the others what they add.
fn tabulate(cells: &[Cell]) -> String {
    let heading = std::iter::once("").chain(DESTINATIONS.map(Destination::name));
    let mut lines: Vec<Vec<String>> = vec![heading.map(str::to_owned).collect()];
    for variant in message::variants() {
        let mut line = vec![variant.name.to_owned()];
        for destination in DESTINATIONS {
            let cost_of = |name: &str| {
                let found =
                    cells.iter().find(|cell| cell.destination == destination && cell.variant.name == name);
                found.map_or(f64::NAN, |cell| lower_quartile(&cell.costs))
            };
            let (bare, cost) = (cost_of(message::BARE), cost_of(variant.name));
            line.push(if variant.name == message::BARE {
                format!("{bare:.1}")
            } else {
                format!("{:+.1} ({:.2})", cost - bare, cost / bare)
            });
        }
        lines.push(line);
    }
    table::aligned(&lines)
}

/// What else the machine does makes a burst dearer, never cheaper.
pub fn lower_quartile(costs: &[f64]) -> f64 {
    let mut costs = costs.to_vec();
    costs.sort_by(f64::total_cmp);
    costs.get(costs.len() / 4).copied().unwrap_or(f64::NAN)
}
