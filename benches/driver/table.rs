//! The results as tables: aligned for people, and Markdown as they are.

use serde_json::{Value, json};

use crate::figures::{Figures, Repetition, Spread};
use crate::plan::{Role, Row};
use crate::servers::Generation;
use crate::side::Side;

/// A row and what was measured.
pub struct Measured {
    pub generation: Generation,
    pub row: Row,
    pub repetitions: Vec<Repetition>,
}

impl Measured {
    /// Every single measurement.
    pub fn json(&self) -> Value {
        json!({
            "generation": self.generation.as_str(),
            "role": self.row.role.as_str(),
            "row": self.row.name,
            "repetitions": self.repetitions.iter().map(Repetition::json).collect::<Vec<_>>(),
        })
    }
}

/// One column: its heading, its figure, and how many places that has.
type Column = (&'static str, fn(&Figures) -> f64, usize);

/// What Milepost is compared with: its name, and its figures where it was measured.
type Other = (&'static str, fn(&Repetition) -> Option<&Figures>);

/// What Milepost is compared with.
pub const OTHERS: [Other; 3] = [
    ("floor", |repetition| repetition.of(Side::Floor)),
    ("floor to updates", |repetition| repetition.of(Side::ToUpdates)),
    ("best peer", Repetition::best_peer),
];

const COMPARED: [Column; 6] = [
    ("events/s", |figures| figures.rate, 2),
    ("p50", |figures| figures.p50, 2),
    ("p99", |figures| figures.p99, 2),
    ("CPU", |figures| figures.cpu, 2),
    ("RabbitMQ's CPU", |figures| figures.broker_cpu, 2),
    ("sum of CPU", Figures::sum, 2),
];

const SHOWN: [Column; 9] = [
    ("events/s", |figures| figures.rate, 0),
    ("p50 ms", |figures| figures.p50, 2),
    ("p99 ms", |figures| figures.p99, 2),
    ("CPU µs", |figures| figures.cpu, 1),
    ("RabbitMQ µs", |figures| figures.broker_cpu, 1),
    ("Redis µs", |figures| figures.redis_cpu, 1),
    ("sum µs", Figures::sum, 1),
    ("RSS MiB", |figures| figures.rss, 1),
    ("peak MiB", |figures| figures.peak_rss, 1),
];

/// Of workers alone.
const SHOWN_OF_WORKERS: [Column; 2] =
    [("Redis bytes", |figures| figures.redis_bytes, 0), ("event bytes", |figures| figures.body_bytes, 0)];

/// Milepost's figures divided by another's, repetition by repetition. Nothing where that was not measured.
pub fn ratios(measured: &[&Measured], (name, other): Other) -> Option<String> {
    let mut lines = vec![heading(&[&format!("milepost / {name}"), "events"], &COMPARED)];
    for Measured { row, repetitions, .. } in measured {
        let pairs: Vec<_> =
            repetitions.iter().filter_map(|each| Some((each.of(Side::Milepost)?, other(each)?))).collect();
        let Some((first, _)) = pairs.first() else { continue };
        let mut line = vec![row.name.to_owned(), format!("{} x {}", repetitions.len(), first.events)];
        for (_, figure, places) in COMPARED {
            line.push(spread(pairs.iter().map(|(milepost, other)| figure(milepost) / figure(other)), places));
        }
        lines.push(line);
    }
    (lines.len() > 1).then(|| aligned(&lines))
}

/// The figures themselves.
pub fn figures(measured: &[&Measured], role: Role) -> String {
    let of_workers = if role == Role::Worker { &SHOWN_OF_WORKERS[..] } else { &[] };
    let columns = [&SHOWN, of_workers].concat();
    let mut lines = vec![heading(&["", ""], &columns)];
    for Measured { row, repetitions, .. } in measured {
        let sides = repetitions.first().map(|first| first.0.as_slice()).unwrap_or_default();
        for (side, _) in sides {
            let mut line = vec![row.name.to_owned(), side.name().to_owned()];
            for (_, figure, places) in &columns {
                line.push(spread(repetitions.iter().filter_map(|each| each.of(*side)).map(figure), *places));
            }
            lines.push(line);
        }
    }
    aligned(&lines)
}

fn heading(first: &[&str], columns: &[Column]) -> Vec<String> {
    let names = columns.iter().map(|(name, ..)| *name);
    first.iter().copied().chain(names).map(str::to_owned).collect()
}

/// The median, then least and greatest.
fn spread(values: impl Iterator<Item = f64>, places: usize) -> String {
    let Spread { least, median, greatest } = Spread::of(values);
    format!("{median:.places$} ({least:.places$}–{greatest:.places$})")
}

/// A table in Markdown, aligned so that it reads well as it is. The first line is the heading.
pub fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            let width = widths[column];
            // Names to the left, figures to the right.
            text += &if column == 0 { format!("| {cell:<width$} ") } else { format!("| {cell:>width$} ") };
        }
        text += "|\n";
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                text += &if column == 0 { format!("|{dashes}-") } else { format!("|{dashes}:") };
            }
            text += "|\n";
        }
    }
    text
}
