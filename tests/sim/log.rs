//! What the fleet says in its log, heard for one thing: what must not be told. That is secrets, and what HubRise quotes of
//! people.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::book::SECRET;

thread_local! {
    static SECRETS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static TOLD: RefCell<Option<String>> = const { RefCell::new(None) };
}

struct Ears;

/// From now on, this thread's log is heard.
pub fn listen() {
    // A second call finds the first one's.
    let _ = tracing::subscriber::set_global_default(Ears);
    TOLD.take();
    SECRETS.set(vec![String::from_utf8_lossy(SECRET).into_owned()]);
}

/// This must not be told either.
pub fn listen_for(secret: &str) {
    SECRETS.with_borrow_mut(|secrets| {
        if secrets.iter().all(|known| known != secret) {
            secrets.push(secret.to_owned());
        }
    });
}

/// Whether a text tells any of them.
pub fn tells(text: &str) -> bool {
    SECRETS.with_borrow(|secrets| secrets.iter().any(|secret| text.contains(secret)))
}

/// The line of this thread's log that told one.
pub fn told() -> Option<String> {
    TOLD.take()
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl Subscriber for Ears {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::INFO
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        if tells(&line.0) {
            TOLD.set(Some(line.0));
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
