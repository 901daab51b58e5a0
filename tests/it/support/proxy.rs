//! A way to a server that a test opens and cuts, without touching the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

/// A port that refuses connections until it is opened, and then passes them on.
pub struct Proxy {
    server: Url,
    addr: SocketAddr,
    /// Bound and not listening: the port is ours, and closed.
    closed: Option<TcpSocket>,
    serving: Option<JoinHandle<()>>,
    flow: watch::Sender<Flow>,
    connections: Arc<AtomicU32>,
}

#[derive(Clone, Copy, Default)]
struct Flow {
    /// How often the connections of the moment fell silent, or mute.
    silences: u32,
    mutes: u32,
    /// Whether new ones are silent from the start.
    hangs: bool,
}

impl Proxy {
    /// A closed way to the server at `url`.
    pub fn to(url: &str) -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let addr = socket.local_addr().expect("bound");
        let server = url.parse().expect("a URL");
        let (flow, connections) = Default::default();
        Self { server, addr, closed: Some(socket), serving: None, flow, connections }
    }

    /// The server's URL by this way.
    pub fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_port(Some(self.addr.port())).expect("the URL of a server");
        url.into()
    }

    pub const fn address(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections were taken so far.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Lets connections through from now on.
    pub fn open(&mut self) {
        let socket = self.closed.take().unwrap_or_else(|| bound(self.addr));
        let listener = socket.listen(64).expect("listens");
        let to = (self.server.host_str().expect("a host").to_owned(), self.server.port().expect("a port"));
        let (flow, connections) = (self.flow.subscribe(), Arc::clone(&self.connections));
        self.serving = Some(tokio::spawn(serve(listener, to, flow, connections)));
    }

    /// Passes nothing on any more on the connections there are, and ends none: a link that drops everything, a server that
    /// hangs. Connections made from now on work.
    pub fn silence(&self) {
        self.flow.send_modify(|flow| flow.silences += 1);
    }

    /// The same, and connections made from now on are taken and silent, too.
    pub fn hang(&self) {
        self.flow.send_modify(|flow| {
            flow.silences += 1;
            flow.hangs = true;
        });
    }

    /// New connections work again.
    pub fn resume(&self) {
        self.flow.send_modify(|flow| flow.hangs = false);
    }

    /// Passes on what is sent on the connections there are, and drops what comes back: the server does what it is asked to,
    /// and its answers are lost. Connections made from now on work.
    pub fn mute(&self) {
        self.flow.send_modify(|flow| flow.mutes += 1);
    }

    /// Ends every connection and takes no more until it is opened again.
    pub fn cut(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

fn bound(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Connections that ended a moment ago may linger.
    socket.set_reuseaddr(true).expect("an option of every socket");
    socket.bind(addr).expect("a free port");
    socket
}

/// The connections end with this task, as the set they are in does.
async fn serve(listener: TcpListener, to: (String, u16), flow: watch::Receiver<Flow>, count: Arc<AtomicU32>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        count.fetch_add(1, Ordering::Relaxed);
        let (to, mut flow) = (to.clone(), flow.clone());
        connections.spawn(async move {
            let begun = *flow.borrow();
            if begun.hangs {
                std::future::pending::<()>().await;
            }
            let far = TcpStream::connect(to).await?;
            let mutes = flow.clone();
            let mut pair = (near, far);
            tokio::select! {
                ended = pass(&mut pair, mutes, begun.mutes) => ended,
                // Both ends stay open.
                () = becomes(&mut flow, |flow| flow.silences != begun.silences) => std::future::pending().await,
            }
        });
    }
}

/// Waits until the flow is `such`; for ever if the proxy goes first.
async fn becomes(flow: &mut watch::Receiver<Flow>, such: impl Fn(&Flow) -> bool) {
    if flow.wait_for(such).await.is_err() {
        std::future::pending().await
    }
}

/// Passes on what comes from either end; from the far one until there are more than so many `mutes`.
async fn pass(
    (near, far): &mut (TcpStream, TcpStream),
    mut flow: watch::Receiver<Flow>,
    mutes: u32,
) -> std::io::Result<()> {
    let ((mut asks, mut hears), (mut answers, mut takes)) = (near.split(), far.split());
    let sending = async {
        tokio::io::copy(&mut asks, &mut takes).await?;
        takes.shutdown().await
    };
    let answering = async {
        tokio::select! {
            ended = tokio::io::copy(&mut answers, &mut hears) => ended.map(drop)?,
            () = becomes(&mut flow, |flow| flow.mutes != mutes) => {
                tokio::io::copy(&mut answers, &mut tokio::io::sink()).await?;
            }
        }
        hears.shutdown().await
    };
    tokio::try_join!(sending, answering).map(drop)
}
