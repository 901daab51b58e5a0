//! A process's connections, and what may become of a call.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::plan::{Rates, Weather};
use crate::process::lock;

/// How long a publish waits for its confirm, as `amqp.confirm_timeout_ms`.
pub const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);
/// A process's way to a server.
pub struct Link {
    state: Mutex<LinkState>,
    /// The weather changed.
    pub changed: Notify,
}

struct LinkState {
    born: Instant,
    dice: Dice,
    rates: Rates,
    weather: Weather,
    until: Instant,
    /// How often it was cut.
    cuts: u64,
    /// Until then each call takes long.
    slow_until: Instant,
    /// Since when a silent connection is known to be silent.
    silent_since: Option<Instant>,
}

/// What becomes of one call.
pub enum Fate {
    NotSent,
    Answered { there: Duration, back: Duration },
    NoReply { there: Option<Duration>, after: Duration },
    Late { there: Duration },
}

impl Link {
    pub fn new(dice: Dice, rates: Rates) -> Self {
        let now = Instant::now();
        let state = LinkState {
            born: now,
            dice,
            rates,
            weather: Weather::Fine,
            until: now,
            cuts: 0,
            slow_until: now,
            silent_since: None,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    pub fn set(&self, weather: Weather, until: Instant) {
        let mut state = lock(&self.state);
        if weather == Weather::Down {
            state.cuts += 1;
        }
        (state.weather, state.until, state.silent_since) = (weather, until, None);
        drop(state);
        self.changed.notify_waiters();
    }

    /// From now on nothing goes wrong by itself.
    pub fn calm(&self) {
        lock(&self.state).rates = Rates::default();
    }

    pub fn slow(&self, until: Instant) {
        lock(&self.state).slow_until = until;
    }

    /// As it is now.
    pub fn weather(&self) -> Weather {
        let mut state = lock(&self.state);
        if matches!(state.weather, Weather::Down | Weather::Hanging) && state.until <= Instant::now() {
            state.weather = Weather::Fine;
        }
        state.weather
    }

    pub fn until(&self) -> Instant {
        lock(&self.state).until
    }

    pub fn cuts(&self) -> u64 {
        lock(&self.state).cuts
    }

    /// Whether a publish has a chance.
    pub fn is_usable(&self, keeps_silent: bool) -> bool {
        self.weather() != Weather::Down && !self.is_silent(keeps_silent)
    }

    /// Whether it is known to be silent, and not given up yet.
    fn is_silent(&self, keeps_silent: bool) -> bool {
        let mut state = lock(&self.state);
        let Some(since) = state.silent_since else { return false };
        if Instant::now() >= since + 2 * CONFIRM_TIMEOUT && !keeps_silent {
            // The publisher gives a connection up on which nothing is confirmed, and makes another.
            (state.weather, state.silent_since) = (Weather::Fine, None);
        }
        state.silent_since.is_some()
    }

    /// A process of its own has connections of its own.
    pub fn renew(&self) {
        if self.weather() == Weather::Silent {
            self.set(Weather::Fine, Instant::now());
        }
    }

    pub fn with_dice<T>(&self, throw: impl FnOnce(&mut Dice, &Rates) -> T) -> T {
        let mut state = lock(&self.state);
        let rates = state.rates;
        throw(&mut state.dice, &rates)
    }

    pub fn fate(&self, patience: Duration, keeps_silent: bool) -> Fate {
        let silent = self.is_silent(keeps_silent);
        let (weather, now) = (self.weather(), Instant::now());
        let mut state = lock(&self.state);
        let LinkState { born, dice, rates, until, slow_until, silent_since, .. } = &mut *state;
        let (rates, until, slow_until) = (*rates, *until, *slow_until);
        let troubled = now.duration_since(*born) < rates.reply_for;
        let long = |dice: &mut Dice, share: u64| patience.mul_f64(dice.between(1, share) as f64 / 10.0);
        let (there, back) = (dice.latency(), dice.latency());
        match weather {
            Weather::Down => Fate::NotSent,
            Weather::Hanging if dice.happens(0.5) => Fate::Late { there: until - now + there },
            Weather::Hanging => Fate::NoReply { there: None, after: patience },
            Weather::Silent if silent => Fate::NotSent,
            Weather::Silent => {
                *silent_since = Some(now);
                let there = dice.happens(0.5).then_some(there);
                Fate::NoReply { there, after: patience }
            }
            Weather::Fine if now < slow_until => Fate::Answered { there, back: long(dice, 9) },
            Weather::Fine if dice.happens(rates.request) => {
                Fate::NoReply { there: None, after: if dice.happens(0.5) { back } else { patience } }
            }
            Weather::Fine if troubled && dice.happens(rates.reply) => {
                Fate::NoReply { there: Some(there), after: if dice.happens(0.5) { back } else { patience } }
            }
            Weather::Fine if troubled && dice.happens(rates.slow) => match dice.below(3) {
                0 => Fate::Late { there: long(dice, 40) },
                1 => Fate::Late { there: long(dice, 9) },
                _ => Fate::Answered { there, back: long(dice, 9) },
            },
            Weather::Fine => Fate::Answered { there, back },
        }
    }

    /// An answer says that the connection lives.
    pub fn judge(&self, answered: bool) {
        if answered {
            lock(&self.state).silent_since = None;
        }
    }
}
