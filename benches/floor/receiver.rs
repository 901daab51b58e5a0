//! The floor under the receiver: verify an HMAC over the body, publish it with a confirm to a quorum queue, answer 200.
//! No metrics, no logs, no limits, no second try: what any receiver on this broker and machine has to do at least.
//!
//! `floor-receiver AMQP_URL ADDR SECRET SAYS` takes `POST /webhooks/NAME…` with the hex HMAC-SHA256 of the body in
//! `x-signature`, publishes to the queue `floor.NAME` with the properties that SAYS has, and says `ready` once it listens.

mod says;

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use sha2::Sha256;
use tokio::net::TcpListener;

struct Floor {
    channel: Channel,
    /// A publish takes its tag and queues its frames in its first poll; one at a time, or confirms get mixed up.
    turn: Mutex<()>,
    key: Hmac<Sha256>,
    /// What Milepost's receiver says of a webhook; the same of each.
    properties: BasicProperties,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, addr, secret, says] = arguments.as_slice() else {
        anyhow::bail!("expected AMQP_URL ADDR SECRET SAYS")
    };
    let properties = serde_json::from_str::<says::Says>(says)?.properties()?;
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let key = Hmac::new_from_slice(secret.as_bytes())?;
    let floor = Arc::new(Floor { channel, turn: Mutex::default(), key, properties });
    let listener = TcpListener::bind(addr).await?;
    println!("ready");
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let floor = Arc::clone(&floor);
        tokio::spawn(async move {
            let service = service_fn(|request| floor.take(request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Floor {
    async fn take(&self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        let status = self.store(request).await.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        Ok(response)
    }

    async fn store(&self, request: Request<Incoming>) -> anyhow::Result<StatusCode> {
        let queue = format!("floor.{}", request.uri().path().split('/').nth(2).unwrap_or_default());
        let signature = request.headers().get("x-signature").and_then(|text| hex::decode(text).ok());
        let body = request.into_body().collect().await?.to_bytes();
        let mac = self.key.clone().chain_update(&body);
        if mac.verify_slice(&signature.unwrap_or_default()).is_err() {
            return Ok(StatusCode::UNAUTHORIZED);
        }
        let confirmed = matches!(self.publish(queue, &body).await?, Confirmation::Ack(_));
        Ok(if confirmed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE })
    }

    async fn publish(&self, queue: String, body: &[u8]) -> lapin::Result<Confirmation> {
        let properties = self.properties.clone();
        let options = BasicPublishOptions::default();
        let mut sending =
            pin!(self.channel.basic_publish("".into(), queue.into(), options, body, properties));
        let queued = poll_fn(|context| {
            let _turn = self.turn.lock();
            Poll::Ready(sending.as_mut().poll(context))
        });
        let confirm = match queued.await {
            Poll::Ready(confirm) => confirm?,
            Poll::Pending => sending.await?,
        };
        confirm.await
    }
}
