//! The driver's own way to Redis: one command at a time.

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// How many keys there are.
pub async fn keys(redis_url: &str) -> anyhow::Result<f64> {
    let answer = ask(redis_url, "DBSIZE").await?;
    Ok(answer.strip_prefix(':').context("no number of keys")?.parse()?)
}

/// Forgets everything.
pub async fn forget(redis_url: &str) -> anyhow::Result<()> {
    let answer = ask(redis_url, "FLUSHALL").await?;
    anyhow::ensure!(answer == "+OK", "Redis does not forget: {answer}");
    Ok(())
}

/// A short answer, on a connection of its own.
async fn ask(redis_url: &str, command: &str) -> anyhow::Result<String> {
    let url = Url::parse(redis_url)?;
    let addr = (url.host_str().context("a host")?, url.port().context("a port")?);
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut answer = [0; 256];
    let length = stream.read(&mut answer).await?;
    Ok(std::str::from_utf8(&answer[..length])?.trim().to_owned())
}
