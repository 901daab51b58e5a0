//! The results as tables: aligned for people, and Markdown as they are.

use serde_json::{Value, json};

use crate::figures::{Figures, Repetition, Spread};
use crate::plan::Row;

/// A row and what was measured.
pub struct Measured {
    pub row: Row,
    pub repetitions: Vec<Repetition>,
}

impl Measured {
    /// Every single measurement.
    pub fn json(&self) -> Value {
        json!({ "role": self.row.role.as_str(), "row": self.row.name, "repetitions": self.repetitions })
    }
}

/// One column: its heading and its figure.
type Column = (&'static str, fn(&Figures) -> f64, usize);

/// Whose figures: those of a floor, where it was measured.
type Of = fn(&Repetition) -> Option<&Figures>;

/// The floors, and what they are called.
pub const FLOORS: [(&str, Of); 2] = [
    ("floor", |repetition| Some(&repetition.floor)),
    ("floor to updates", |repetition| repetition.to_updates.as_ref()),
];

const COMPARED: [Column; 5] = [
    ("events/s", |figures| figures.rate, 2),
    ("p50", |figures| figures.p50, 2),
    ("p99", |figures| figures.p99, 2),
    ("CPU", |figures| figures.cpu, 2),
    ("RabbitMQ's CPU", |figures| figures.broker_cpu, 2),
];

const SHOWN: [Column; 8] = [
    ("events/s", |figures| figures.rate, 0),
    ("p50 ms", |figures| figures.p50, 2),
    ("p99 ms", |figures| figures.p99, 2),
    ("CPU µs", |figures| figures.cpu, 1),
    ("RabbitMQ µs", |figures| figures.broker_cpu, 1),
    ("Redis µs", |figures| figures.redis_cpu, 1),
    ("RSS MiB", |figures| figures.rss, 1),
    ("peak MiB", |figures| figures.peak_rss, 1),
];

/// Milepost's figures divided by a floor's, repetition by repetition. Nothing where that floor was not measured.
pub fn ratios(measured: &[&Measured], (floor, of): (&str, Of)) -> Option<String> {
    let mut lines = vec![heading(&format!("milepost / {floor}"), "events", &COMPARED)];
    for Measured { row, repetitions } in measured {
        let mut line = vec![row.name.to_owned(), events(repetitions)];
        for (_, figure, places) in COMPARED {
            let ratio = |each: &Repetition| Some(figure(&each.milepost) / figure(of(each)?));
            line.push(spread(repetitions.iter().filter_map(ratio), places));
        }
        lines.push(line);
    }
    let measured = measured.iter().any(|row| row.repetitions.iter().any(|each| of(each).is_some()));
    measured.then(|| aligned(&lines))
}

/// The figures themselves.
pub fn figures(measured: &[&Measured]) -> String {
    let milepost: (&str, Of) = ("milepost", |repetition| Some(&repetition.milepost));
    let mut lines = vec![heading("", "", &SHOWN)];
    for Measured { row, repetitions } in measured {
        for (side, of) in [milepost].into_iter().chain(FLOORS) {
            if repetitions.iter().all(|each| of(each).is_none()) {
                continue;
            }
            let mut line = vec![row.name.to_owned(), side.to_owned()];
            for (_, figure, places) in SHOWN {
                line.push(spread(repetitions.iter().filter_map(of).map(figure), places));
            }
            lines.push(line);
        }
    }
    aligned(&lines)
}

fn heading(first: &str, second: &str, columns: &[Column]) -> Vec<String> {
    let names = columns.iter().map(|(name, ..)| *name);
    [first, second].into_iter().chain(names).map(str::to_owned).collect()
}

fn events(repetitions: &[Repetition]) -> String {
    let each = repetitions.first().map_or(0, |first| first.milepost.events);
    format!("{} x {each}", repetitions.len())
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
