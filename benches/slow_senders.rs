//! What an unauthenticated sender costs the others: the times of a provider's webhooks while another provider's URL is
//! held by 1,000 slow connections, and by 100 new ones each second, beside the times without them, in turns.
//! `cargo run --release --example slow_senders`. Receiver, attacker and senders are a process each; the receiver has the
//! limits of the default configuration, and a broker that confirms after 2 ms. Ends with 1 if the attack costs more than
//! it may.
#![allow(clippy::disallowed_methods)] // It is no part of Milepost, and has no configuration.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use milepost::adapters::clock::SystemClock;
use milepost::adapters::http::webhooks::WebhookPort;
use milepost::adapters::http::{Stopping, server};
use milepost::app::reload::Reload;
use milepost::config::Sources;
use milepost::domain::authentication::AuthScheme;
use milepost::domain::samples::{SampleSource as _, Signing};
use milepost::domain::secret::Secret;
use milepost::pipeline::receive::{Endpoint, Receiver};
use milepost::ports::{Outbound, PublishError, Publisher};
use milepost::providers::{ALL, DASH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(6);
const SLOW: usize = 1_000;
const NEW_A_SECOND: u32 = 100;
const SENDERS: usize = 16;
const PAUSE: Duration = Duration::from_millis(50);
const CONFIRM: Duration = Duration::from_millis(2);
const SECRET: &str = "a secret";
const TARGET: &str = "/webhooks/hubrise";

/// How many times the p99 without it the attack may cost the others. It may cost no refusal.
const P99_BELOW: f64 = 2.0;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => return compare().await,
        [role] if role == "receiver" => receive().await,
        [role, address] if role == "attacker" => attack(address.parse().expect("an address")).await,
        _ => panic!("it takes no arguments"),
    }
    ExitCode::SUCCESS
}

/// Rounds without and with the attack, in turns.
async fn compare() -> ExitCode {
    let mut receiver = Killed::start(&["receiver"], Stdio::piped());
    let mut line = String::new();
    BufReader::new(receiver.0.stdout.take().expect("piped"))
        .read_line(&mut line)
        .expect("it says where it is");
    let address: SocketAddr = line.trim().parse().expect("an address");
    let pid = receiver.0.id();
    round(address, pid).await;
    let (mut alone, mut attacked) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(round(address, pid).await);
        let attacker = Killed::start(&["attacker", &address.to_string()], Stdio::null());
        sleep(Duration::from_secs(1)).await;
        attacked.push(round(address, pid).await);
        drop(attacker);
        sleep(Duration::from_secs(1)).await;
    }
    let shown = |rounds: &[Round]| {
        let refused: usize = rounds.iter().map(|round| round.refused).sum();
        let sent: usize = rounds.iter().map(|round| round.sent).sum();
        let [p50, p99] = [median(rounds, |round| round.p50), median(rounds, |round| round.p99)];
        let cpu = median(rounds, |round| round.cpu);
        println!(
            "{sent:>7} sent  {refused:>4} refused  p50 {p50:>6.2} ms  p99 {p99:>6.2} ms  CPU {cpu:>5.1} %"
        );
        (refused, p50, p99)
    };
    print!("alone    ");
    let (refused_alone, p50, p99) = shown(&alone);
    print!("attacked ");
    let (refused, attacked_p50, attacked_p99) = shown(&attacked);
    let ratio = attacked_p99 / p99;
    println!("ratio     p50 {:.2}  p99 {ratio:.2}", attacked_p50 / p50);
    if refused_alone + refused > 0 || ratio >= P99_BELOW {
        eprintln!(
            "the attack costs the others too much: wanted are no refusal and less than {P99_BELOW} times the p99"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A process that ends when this is dropped.
struct Killed(Child);

impl Killed {
    fn start(arguments: &[&str], stdout: Stdio) -> Self {
        // Both ends of many connections are files.
        let more = "ulimit -n 8192 || ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" \"$@\"";
        let this = std::env::current_exe().expect("it runs");
        let child = Command::new("sh").args(["-c", more]).arg(this).args(arguments).stdout(stdout).spawn();
        Self(child.expect("it runs again"))
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Round {
    sent: usize,
    refused: usize,
    /// In milliseconds.
    p50: f64,
    p99: f64,
    /// Of the receiver, of one core.
    cpu: f64,
}

/// The CPU time that a process has used, in seconds.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks =
        |at: usize| fields.split_whitespace().nth(at).expect("a field").parse::<f64>().expect("a number");
    // User and system time, in hundredths.
    (ticks(11) + ticks(12)) / 100.0
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> f64 {
    let mut all: Vec<_> = rounds.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Half of the senders keep their connections, and half connect for each webhook.
async fn round(address: SocketAddr, receiver: u32) -> Round {
    let (begun, before) = (Instant::now(), cpu_seconds(receiver));
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(send(address, sender % 2 == 0));
    }
    let answers = senders.join_all().await.concat();
    let cpu = 100.0 * (cpu_seconds(receiver) - before) / begun.elapsed().as_secs_f64();
    let mut times: Vec<_> = answers.iter().map(|(_, elapsed)| elapsed.as_secs_f64() * 1_000.0).collect();
    times.sort_by(f64::total_cmp);
    let refused = answers.iter().filter(|(accepted, _)| !accepted).count();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    Round { sent: answers.len(), refused, p50: at(50), p99: at(99), cpu }
}

async fn send(address: SocketAddr, kept: bool) -> Vec<(bool, Duration)> {
    let (begun, request) = (Instant::now(), request());
    let mut answers = Vec::new();
    let mut connection = None;
    while begun.elapsed() < ROUND {
        let asked = Instant::now();
        let accepted = exchange(address, &mut connection, &request).await;
        answers.push((accepted, asked.elapsed()));
        if !kept || !accepted {
            connection = None;
        }
        sleep(PAUSE).await;
    }
    answers
}

async fn exchange(address: SocketAddr, connection: &mut Option<TcpStream>, request: &[u8]) -> bool {
    if connection.is_none() {
        *connection = TcpStream::connect(address).await.ok();
    }
    let Some(stream) = connection else { return false };
    let mut answer = [0; 1024];
    stream.write_all(request).await.is_ok()
        && stream.read(&mut answer).await.is_ok_and(|read| answer[..read].starts_with(b"HTTP/1.1 200"))
}

fn request() -> Vec<u8> {
    let secret = Secret::new(SECRET.as_bytes()).expect("not empty");
    let signing = Signing { scheme: AuthScheme::Header, header: None, secret: &secret };
    let signed = DASH.sign(DASH.samples()[0].body.into(), &signing);
    let headers: String = signed.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = signed.body.len();
    let head =
        format!("POST /webhooks/dash HTTP/1.1\r\nhost: m\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), &signed.body].concat()
}

/// Holds slow connections until it is killed.
async fn attack(address: SocketAddr) {
    let mut all = JoinSet::new();
    for kind in 0..SLOW {
        all.spawn(slow(address, kind));
    }
    let mut turn = interval(Duration::from_secs(1) / NEW_A_SECOND);
    for kind in 0.. {
        turn.tick().await;
        all.spawn(slow(address, kind));
        while all.try_join_next().is_some() {}
    }
}

/// Says nothing, half a head, or the beginning of a body that it announced.
async fn slow(address: SocketAddr, kind: usize) {
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    let signature = "0".repeat(64);
    let head = format!(
        "POST {TARGET} HTTP/1.1\r\nhost: m\r\nx-hubrise-hmac-sha256: {signature}\r\ncontent-length: 262144\r\n\r\n"
    );
    let sent = match kind % 4 {
        0 => Vec::new(),
        1 => head.as_bytes()[..40].to_vec(),
        2 => [head.as_bytes(), b"x"].concat(),
        _ => [head.as_bytes(), &[b'x'; 60_000]].concat(),
    };
    if stream.write_all(&sent).await.is_ok() {
        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    }
}

/// Confirms every publish with a delay, as a broker does.
struct Confirming;

#[async_trait::async_trait]
impl Publisher for Confirming {
    async fn publish(&self, _: Outbound) -> Result<(), PublishError> {
        sleep(CONFIRM).await;
        Ok(())
    }

    fn ready(&self) -> bool {
        true
    }
}

async fn receive() {
    let account = |name: &str| format!("[providers.{name}.accounts.default]\nsecrets = [\"{SECRET}\"]\n");
    let base = ALL.iter().map(|provider| account(provider.id().as_str())).collect();
    let config = milepost::config::load(&Sources { base, ..Sources::default() }, ALL).expect("valid").config;
    let mut reload = Reload::default();
    let endpoint = |&provider: &&'static dyn milepost::domain::provider::Provider| Endpoint {
        provider,
        accounts: reload.accounts(provider.id(), config.provider(provider.id())),
    };
    let endpoints = ALL.iter().map(endpoint).collect();
    let receiver = Receiver::new(endpoints, Arc::new(Confirming), Arc::new(SystemClock));
    let limits = config.http.limits.within_open_files();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("bound"));
    let stopping = Stopping { delay: Duration::ZERO, drain: Duration::ZERO };
    let webhooks = WebhookPort::new(receiver, limits, 0.0);
    server::serve(listener, webhooks, limits, CancellationToken::new(), stopping).await;
}
