//! Milepost's own binaries, each as a process of its own: what they say, how they are asked, and how they end.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use milepost::domain::provider::ProviderId;
use milepost::providers::ALL;
use serde_json::Value;

use super::eventually;
use super::fixtures::account;
use super::servers::{client, redis_url};

/// The secret of the test's own account. It has no colon, and every provider takes it.
pub const SECRET: &str = "the secret of a test";

pub const RECEIVER: &str = env!("CARGO_BIN_EXE_milepost-receiver");
pub const TELYPORT_WORKER: &str = env!("CARGO_BIN_EXE_milepost-worker-telyport");

/// A binary about to be run. It sees no variable but those it is given.
pub struct Program(Command);

impl Program {
    /// The receiver, on ports that the system chooses.
    pub fn receiver(amqp_url: &str) -> Self {
        Self::role(RECEIVER, amqp_url)
    }

    /// The worker of `provider`.
    pub fn worker(provider: ProviderId, amqp_url: &str) -> Self {
        let path = Path::new(RECEIVER).with_file_name(format!("milepost-worker-{provider}"));
        Self::worker_at(path.to_str().expect("text"), amqp_url)
    }

    /// A worker; `path` is its binary's. A claim of one that was killed is over soon.
    pub fn worker_at(path: &str, amqp_url: &str) -> Self {
        Self::role(path, amqp_url)
            .env("MILEPOST__WORKER__PROCESSING_DEADLINE_MS", "1000")
            .env("MILEPOST__WORKER__CLAIM_LEASE_MS", "2500")
    }

    /// A role that knows the test's own account of every provider.
    pub fn role(path: &str, amqp_url: &str) -> Self {
        let mut program =
            Self::bare(path).env("MILEPOST_AMQP_URL", amqp_url).env("MILEPOST_REDIS_URL", &redis_url());
        for provider in ALL {
            let provider = provider.id().as_str().to_uppercase();
            let name = format!("MILEPOST__PROVIDERS__{provider}__ACCOUNTS__{}__SECRETS", account());
            program = program.env(&name, &format!(r#"["{SECRET}"]"#));
            // The tests' fleets share a Redis and no broker: one would drain what another one spooled.
            program = program.env(&format!("MILEPOST__PROVIDERS__{provider}__SPOOL"), "false");
        }
        program
    }

    /// The operator's command line.
    pub fn milepost(words: &str) -> Self {
        Self::at(env!("CARGO_BIN_EXE_milepost")).args(words)
    }

    /// A role on ports that the system chooses, with nothing else said.
    pub fn bare(path: &str) -> Self {
        Self::at(path).env("MILEPOST_HTTP_ADDR", "127.0.0.1:0").env("MILEPOST_ADMIN_ADDR", "127.0.0.1:0")
    }

    /// Any program.
    pub fn at(path: &str) -> Self {
        let mut command = Command::new(path);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Takes a variable away that was given.
    pub fn without(mut self, name: &str) -> Self {
        self.0.env_remove(name);
        self
    }

    pub fn arg(mut self, word: &str) -> Self {
        self.0.arg(word);
        self
    }

    /// Each word of `words` is one argument.
    pub fn args(mut self, words: &str) -> Self {
        self.0.args(words.split_whitespace());
        self
    }

    pub fn spawn(mut self) -> Process {
        let mut child = self.0.spawn().expect("the binary starts");
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = vec![
            stdout.read(child.stdout.take().expect("a pipe")),
            stderr.read(child.stderr.take().expect("a pipe")),
        ];
        Process { child, stdout, stderr, readers }
    }

    /// Runs it to its end: the exit code, and what it wrote to standard output and standard error.
    pub async fn output(self) -> (Option<i32>, Vec<String>, Vec<String>) {
        let mut process = self.spawn();
        let code = process.exit().await;
        (code, process.stdout.all(), process.stderr.all())
    }
}

/// The lines of a pipe so far.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn read(&self, pipe: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = Arc::clone(&self.0);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                lines.lock().expect("no reader panics").push(line);
            }
        })
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("no reader panics").clone()
    }

    /// The first line that contains `text`, waited for.
    pub async fn with(&self, text: &str) -> String {
        eventually(&format!("a line says {text:?}"), || {
            let found = self.all().into_iter().find(|line| line.contains(text));
            async move { found }
        })
        .await
    }
}

/// A running binary. Killed when dropped.
pub struct Process {
    child: Child,
    pub stdout: Lines,
    pub stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Where the receiver takes webhooks: `127.0.0.1:PORT`.
    pub async fn webhooks(&self) -> String {
        self.address("listening for webhooks").await
    }

    /// Where its admin port is: `127.0.0.1:PORT`.
    pub async fn operators(&self) -> String {
        self.address("listening for operators").await
    }

    async fn address(&self, message: &str) -> String {
        self.says(message).await["addr"].as_str().expect("an address").to_owned()
    }

    /// The first line of its log that has `text` in it.
    pub async fn says(&self, text: &str) -> Value {
        serde_json::from_str(&self.stderr.with(text).await).expect("a line of JSON")
    }

    /// What the admin port says at `path`: the code and the body.
    pub async fn ask(&self, path: &str) -> (u16, String) {
        let addr = self.address("listening for operators").await;
        let answer =
            client().get(format!("http://{addr}{path}")).send().await.expect("the admin port answers");
        let code = answer.status().as_u16();
        (code, answer.text().await.expect("a body"))
    }

    /// Waits until `/readyz` says 200.
    pub async fn ready(&self) {
        eventually("the process is ready", || async { (self.ask("/readyz").await.0 == 200).then_some(()) })
            .await;
    }

    /// The sum of a metric's samples whose line has all of `labels`.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        sum(&self.ask("/metrics").await.1, name, labels)
    }

    /// Waits until a line of its metrics is `line`.
    pub async fn measures(&self, line: &str) {
        eventually(line, || async {
            self.ask("/metrics").await.1.lines().any(|found| found == line).then_some(())
        })
        .await;
    }

    /// Sends a signal, such as `TERM`, to this process alone.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// The most memory that it ever had, in KiB.
    pub fn peak_memory_kib(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The memory that it has now, in KiB.
    pub fn memory_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// How many threads have this name.
    pub fn threads(&self, name: &str) -> usize {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        // One may end meanwhile.
        let names =
            threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.filter(|found| found.trim() == name).count()
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"));
        value.and_then(|value| value.trim().parse().ok()).expect("a number")
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    /// Waits for its end; the exit code, if it was not a signal that ended it.
    pub async fn exit(&mut self) -> Option<i32> {
        let child = &mut self.child;
        let status = eventually("the process ends", || {
            let status = child.try_wait().expect("its status");
            async move { status }
        })
        .await;
        for reader in self.readers.drain(..) {
            reader.join().expect("no reader panics");
        }
        status.code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a role with these variables and no others.
pub fn start(path: &str, variables: &[(&str, &str)]) -> Process {
    variables.iter().fold(Program::bare(path), |program, (name, value)| program.env(name, value)).spawn()
}

/// The sum of a metric's samples in a scrape whose line has all of `labels`.
pub fn sum(scrape: &str, name: &str, labels: &[&str]) -> f64 {
    scrape
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number"))
        .sum()
}
