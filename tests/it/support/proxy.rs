//! A way to a server that a test opens and cuts, without touching the server.

use std::net::SocketAddr;

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
    /// How often the connections of the moment fell silent.
    silences: watch::Sender<u32>,
}

impl Proxy {
    /// A closed way to the server at `url`.
    pub fn to(url: &str) -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let addr = socket.local_addr().expect("bound");
        let server = url.parse().expect("a URL");
        Self { server, addr, closed: Some(socket), serving: None, silences: watch::Sender::new(0) }
    }

    /// The server's URL by this way.
    pub fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_port(Some(self.addr.port())).expect("the URL of a server");
        url.into()
    }

    /// Lets connections through from now on.
    pub fn open(&mut self) {
        let socket = self.closed.take().unwrap_or_else(|| bound(self.addr));
        let listener = socket.listen(64).expect("listens");
        let to = (self.server.host_str().expect("a host").to_owned(), self.server.port().expect("a port"));
        self.serving = Some(tokio::spawn(serve(listener, to, self.silences.subscribe())));
    }

    /// Passes nothing on any more on the connections there are, and ends none: a link that drops everything, a server that
    /// hangs. Connections made from now on work.
    pub fn silence(&self) {
        self.silences.send_modify(|silences| *silences += 1);
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
async fn serve(listener: TcpListener, to: (String, u16), silences: watch::Receiver<u32>) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let (to, mut silences) = (to.clone(), silences.clone());
        silences.mark_unchanged();
        connections.spawn(async move {
            let mut far = TcpStream::connect(to).await?;
            tokio::select! {
                ended = tokio::io::copy_bidirectional(&mut near, &mut far) => ended.map(drop),
                // Both ends stay open.
                _ = silences.changed() => std::future::pending().await,
            }
        });
    }
}
