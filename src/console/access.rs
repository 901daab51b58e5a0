//! Who comes in, and what each may: by an authenticating proxy's header, or by a password and a session.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use axum::http::HeaderMap;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::cookie::{self, Reached};
use crate::config::{ConsoleConfig, ConsoleUsers, Right};
use crate::domain::secret::Secret;
use crate::telemetry::metrics as m;

/// Sessions at once; the one that is idle for longest gives way.
const MOST_SESSIONS: usize = 1024;
/// Passwords checked at once: each takes some MiB and some tens of milliseconds.
const AT_ONCE: usize = 2;
/// Logins at once, waiting or being checked; a further one is refused.
const MOST_WAITING: usize = 16;
/// A wrong password takes this much longer, and keeps its place for it: guesses are few.
const WRONG: Duration = Duration::from_millis(750);

#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) name: String,
    pub(super) rights: Vec<Right>,
    /// What every form of this one must carry.
    pub(super) csrf: String,
    /// Whether there is a session that can be ended.
    pub(super) has_session: bool,
}

impl Visitor {
    #[must_use]
    pub(super) fn may(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }
}

/// Why someone does not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoEntry {
    /// There is no session, or it has ended: a password is asked for.
    LogIn,
    /// No user has a password, and this did not come by the proxy.
    NotByProxy,
    /// The name may see nothing.
    NoRights,
}

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginRefusal {
    /// The name or the password is wrong.
    Wrong,
    /// Too many are tried at once.
    Busy,
}

struct ConsoleSession {
    user: String,
    /// The hash that let this one in: another password ends the session.
    hash: String,
    began: Instant,
    used: Instant,
}

pub(super) struct Access {
    settings: ConsoleConfig,
    users: watch::Receiver<Arc<ConsoleUsers>>,
    /// Signs CSRF tokens; new with each process.
    key: Secret,
    /// By the hash of the cookie's value.
    sessions: Mutex<HashMap<[u8; 32], ConsoleSession>>,
    checking: Semaphore,
    waiting: Semaphore,
    /// What an unknown name's password is compared with, so that it takes as long.
    unknown_user: String,
}

impl Access {
    #[must_use]
    pub(super) fn new(settings: ConsoleConfig, users: watch::Receiver<Arc<ConsoleUsers>>) -> Self {
        let random: [u8; 32] = rand::random();
        Self {
            settings,
            users,
            // Unwrap safety: it is not empty.
            key: Secret::new(&random).expect("32 bytes"),
            sessions: Mutex::default(),
            checking: Semaphore::new(AT_ONCE),
            waiting: Semaphore::new(MOST_WAITING),
            unknown_user: hash_password(&hex::encode(random)),
        }
    }

    /// Who a request is from.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn visitor(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Visitor, NoEntry> {
        let users = Arc::clone(&self.users.borrow());
        if let Some(name) = self.by_proxy(headers, peer) {
            return self.admit(name, users.by_proxy(name), name, false);
        }
        let cookie = cookie::value(headers).ok_or_else(|| self.stranger(&users))?;
        let (id, now) = (digest(cookie), Instant::now());
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get_mut(&id).ok_or_else(|| self.stranger(&users))?;
        let over = now.duration_since(session.used) > self.settings.session_idle
            || now.duration_since(session.began) > self.settings.session;
        let user = users.with_password(&session.user).filter(|(_, hash)| *hash == session.hash);
        let Some((user, _)) = user.filter(|_| !over) else {
            sessions.remove(&id);
            return Err(self.stranger(&users));
        };
        session.used = now;
        self.admit(&session.user, &user.rights, cookie, true)
    }

    fn stranger(&self, users: &ConsoleUsers) -> NoEntry {
        if users.has_passwords() || self.settings.proxy.is_none() {
            NoEntry::LogIn
        } else {
            NoEntry::NotByProxy
        }
    }

    /// Whom the proxy names. A header from anywhere else means nothing, and one that comes twice neither.
    fn by_proxy<'a>(&self, headers: &'a HeaderMap, peer: IpAddr) -> Option<&'a str> {
        let proxy = self.settings.proxy.as_ref().filter(|proxy| proxy.is_at(peer))?;
        let mut values = headers.get_all(&proxy.header).iter();
        let name = values.next().filter(|_| values.next().is_none())?.to_str().ok()?.trim();
        (!name.is_empty()).then_some(name)
    }

    fn admit(
        &self,
        name: &str,
        rights: &[Right],
        bound_to: &str,
        has_session: bool,
    ) -> Result<Visitor, NoEntry> {
        if !rights.contains(&Right::See) {
            return Err(NoEntry::NoRights);
        }
        let csrf = hex::encode(self.key.hmac_sha256(bound_to.as_bytes()));
        Ok(Visitor { name: name.to_owned(), rights: rights.to_vec(), csrf, has_session })
    }

    /// Begins a session. Returns the cookie's value.
    ///
    /// # Errors
    /// When the password is not taken.
    pub(super) async fn log_in(&self, name: &str, password: String) -> Result<String, LoginRefusal> {
        let _waiting = self.waiting.try_acquire().map_err(|_| LoginRefusal::Busy)?;
        // Unwrap safety: it is never closed.
        let _checking = self.checking.acquire().await.expect("open");
        let known = self.users.borrow().with_password(name).map(|(_, hash)| hash.to_owned());
        let (is_known, hash) = (known.is_some(), known.unwrap_or_else(|| self.unknown_user.clone()));
        let compared = hash.clone();
        let right = spawn_blocking(move || verify(&compared, &password)).await.unwrap_or(false);
        let result = if right && is_known { "accepted" } else { "refused" };
        metrics::counter!(m::CONSOLE_LOGINS, "result" => result).increment(1);
        if !right || !is_known {
            sleep(WRONG).await;
            return Err(LoginRefusal::Wrong);
        }
        Ok(self.begin(name, hash))
    }

    fn begin(&self, name: &str, hash: String) -> String {
        let random: [u8; 32] = rand::random();
        let (cookie, now) = (hex::encode(random), Instant::now());
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= MOST_SESSIONS
            && let Some(idle) = sessions.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id)
        {
            sessions.remove(&idle);
        }
        let session = ConsoleSession { user: name.to_owned(), hash, began: now, used: now };
        sessions.insert(digest(&cookie), session);
        cookie
    }

    /// Ends the session of a request.
    pub(super) fn log_out(&self, headers: &HeaderMap) {
        if let Some(cookie) = cookie::value(headers) {
            self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(cookie));
        }
    }

    /// How the browser that posts a form with these headers reached us.
    #[must_use]
    pub(super) fn reached(&self, headers: &HeaderMap) -> Reached {
        Reached::read(headers, self.settings.addr.ip())
    }

    /// The header that gives the cookie to the browser; an empty value takes it away.
    #[must_use]
    pub(super) fn set_cookie(&self, value: &str, reached: Reached) -> String {
        let age = if value.is_empty() { 0 } else { self.settings.session.as_secs() };
        cookie::given(value, age, reached)
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn verify(hash: &str, password: &str) -> bool {
    let hash = PasswordHash::new(hash);
    hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// The argon2id hash of a password, as the users' file has it.
///
/// # Panics
/// Never: the parameters are the library's own.
#[must_use]
pub fn hash_password(password: &str) -> String {
    // Unwrap safety: 16 bytes are as long as is recommended.
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).expect("a salt");
    // Unwrap safety: only parameters or a password beyond 4 GiB are refused.
    Argon2::default().hash_password(password.as_bytes(), &salt).expect("hashes").to_string()
}
