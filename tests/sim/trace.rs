//! What happened, for people: kept only when somebody will read it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::servers::Redis;

pub struct Trace {
    start: Instant,
    redis: Arc<Redis>,
    lines: Option<Vec<(Duration, Option<usize>, String)>>,
}

impl Trace {
    pub fn new(start: Instant, redis: Arc<Redis>, kept: bool) -> Self {
        Self { start, redis, lines: kept.then(Vec::new) }
    }

    /// Writes a line about an event of the plan's, or about all.
    pub fn note(&mut self, event: Option<usize>, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push((self.start.elapsed(), event, line()));
        }
    }

    /// Whether anything is kept.
    pub fn is_kept(&self) -> bool {
        self.lines.is_some()
    }

    /// Redis's time.
    pub fn redis_now(&self) -> Timestamp {
        self.redis.now()
    }

    /// The lines about one of `events`, or about all; with no events, every line.
    pub fn text(&self, events: &[usize]) -> String {
        let mut text = String::new();
        for (at, event, line) in self.lines.iter().flatten() {
            if events.is_empty() || event.is_none_or(|event| events.contains(&event)) {
                let event = event.map_or_else(|| "     ".to_owned(), |event| format!("e{event:<4}"));
                let _ = writeln!(text, "{:>10.3}s {event} {line}", at.as_secs_f64());
            }
        }
        text
    }
}
