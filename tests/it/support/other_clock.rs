//! A way to the shared Redis on which its clock is off: what a machine sees whose own clock is off the other way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use super::servers::redis_url;

/// How an answer to `TIME` begins: two texts, of which the first has ten digits.
const TIME: &[u8] = b"*2\r\n$10\r\n";
const DIGITS: usize = 10;

/// Passes everything on, and adds to each time that Redis says.
pub struct OtherClock {
    pub url: String,
    ahead: Arc<AtomicI64>,
    serving: JoinHandle<()>,
}

impl OtherClock {
    /// Redis's clock, as it is and so many seconds.
    pub async fn ahead_by(seconds: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server: Url = redis_url().parse().expect("a URL");
        let mut url = server.clone();
        url.set_port(Some(listener.local_addr().expect("bound").port())).expect("the URL of a server");
        let ahead = Arc::new(AtomicI64::new(seconds));
        let to = (server.host_str().expect("a host").to_owned(), server.port().expect("a port"));
        let serving = tokio::spawn(serve(listener, to, Arc::clone(&ahead)));
        Self { url: url.into(), ahead, serving }
    }

    /// From now on it is so many seconds.
    pub fn set(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::Relaxed);
    }
}

impl Drop for OtherClock {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The connections end with this task, as the set they are in does.
async fn serve(listener: TcpListener, to: (String, u16), ahead: Arc<AtomicI64>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let (to, ahead) = (to.clone(), Arc::clone(&ahead));
        connections.spawn(async move {
            let far = TcpStream::connect(to).await?;
            let ((mut asks, mut hears), (mut answers, mut is_asked)) = (near.into_split(), far.into_split());
            tokio::try_join!(copy(&mut asks, &mut is_asked), async {
                let mut bytes = vec![0; 65_536];
                loop {
                    let read = answers.read(&mut bytes).await?;
                    if read == 0 {
                        return hears.shutdown().await;
                    }
                    shift(&mut bytes[..read], ahead.load(Ordering::Relaxed));
                    hears.write_all(&bytes[..read]).await?;
                }
            })
        });
    }
}

/// Adds to a time in what was read at once: an answer so short comes whole.
fn shift(bytes: &mut [u8], ahead: i64) {
    let Some(at) = bytes.windows(TIME.len()).position(|window| window == TIME) else { return };
    let Some(digits) = bytes.get_mut(at + TIME.len()..at + TIME.len() + DIGITS) else { return };
    let Some(seconds) = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<i64>().ok()) else {
        return;
    };
    digits.copy_from_slice((seconds + ahead).to_string().as_bytes());
}
