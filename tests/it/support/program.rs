//! A role's real binary, and what it logs.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::eventually;
use super::servers::client;

pub const RECEIVER: &str = env!("CARGO_BIN_EXE_milepost-receiver");
pub const TELYPORT_WORKER: &str = env!("CARGO_BIN_EXE_milepost-worker-telyport");

/// A process of ours on free ports. Killed when dropped.
pub struct Program {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts it with these variables and none of the caller's.
    pub fn start(binary: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.envs([("MILEPOST_HTTP_ADDR", "127.0.0.1:0"), ("MILEPOST_ADMIN_ADDR", "127.0.0.1:0")]);
        command.envs(variables.iter().copied());
        let mut child = command.spawn().expect("the binary starts");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().expect("no panic").push(line);
            }
        });
        Self { child, log }
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").join("\n")
    }

    /// The first line, read as JSON, that has `text` in its message.
    pub async fn says(&self, text: &str) -> Value {
        let line = || {
            let lines = self.log.lock().expect("no panic");
            let mut objects = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            objects.find(|line| line["message"].as_str().is_some_and(|message| message.contains(text)))
        };
        eventually(text, || async { line() }).await
    }

    /// Where it takes webhooks.
    pub async fn webhooks(&self) -> String {
        self.address("listening for webhooks").await
    }

    /// The status and the text of a page for operators.
    pub async fn operators(&self, path: &str) -> (u16, String) {
        let address = self.address("listening for operators").await;
        let answer = client().get(format!("{address}{path}")).send().await.expect("it answers");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    /// Waits until it is ready for work.
    pub async fn ready(&self) {
        eventually("it is ready", || async { (self.operators("/readyz").await.0 == 200).then_some(()) })
            .await;
    }

    /// Waits until a line of its metrics is `line`.
    pub async fn measures(&self, line: &str) {
        eventually(line, || async {
            self.operators("/metrics").await.1.lines().any(|found| found == line).then_some(())
        })
        .await;
    }

    async fn address(&self, message: &str) -> String {
        format!("http://{}", self.says(message).await["addr"].as_str().expect("an address"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
