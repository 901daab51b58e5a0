//! The providers: webhooks at a steady pace, some twice; what is refused is sent again.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep, sleep_until};

use super::book::Book;
use crate::figures::as_f64;
use crate::http::{Request, connect, exchange};
use crate::material::Kind;

const CONNECTIONS: usize = 64;
/// Every so manieth webhook is sent a second time.
const DUPLICATE: usize = 20;
/// How long until what was refused is sent again.
const AGAIN: Duration = Duration::from_millis(500);

pub struct Sender {
    pub addr: SocketAddr,
    pub kind: Kind,
}

impl Sender {
    /// Sends `count` webhooks, and enters each answer. `rate` is webhooks a second; without one, as fast as they are accepted.
    pub async fn send(
        &self,
        tag: &str,
        count: usize,
        rate: Option<f64>,
        book: &RefCell<Book>,
    ) -> anyhow::Result<()> {
        let webhooks = RefCell::new(self.kind.webhooks(count, tag).enumerate());
        let begun = Instant::now();
        let connection = || async {
            let mut stream = connect(self.addr).await?;
            let (mut answered, mut buffer) = (0, [0; 4096]);
            loop {
                let next = webhooks.borrow_mut().next();
                let Some((number, webhook)) = next else { return anyhow::Ok(()) };
                if let Some(rate) = rate {
                    sleep_until(begun + Duration::from_secs_f64(as_f64(number) / rate)).await;
                }
                let request = Request::of(webhook);
                let times = if number.is_multiple_of(DUPLICATE) { 2 } else { 1 };
                let mut accepted = 0;
                while accepted < times {
                    let answer = match exchange(&mut stream, &request, &mut buffer).await {
                        Ok(answer) => answer,
                        // A receiver ends a connection that is ten minutes old, between two requests.
                        Err(_) if answered > 0 => {
                            (stream, answered) = (connect(self.addr).await?, 0);
                            book.borrow_mut().connections_ended += 1;
                            continue;
                        }
                        Err(error) => return Err(error),
                    };
                    answered += 1;
                    let receipt = answer.header("milepost-receipt").context("no receipt")?;
                    let taken = answer.status == 200;
                    book.borrow_mut().answered(receipt, number, taken)?;
                    accepted += usize::from(taken);
                    if !taken {
                        sleep(AGAIN).await;
                    }
                }
            }
        };
        try_join_all((0..CONNECTIONS).map(|_| connection())).await?;
        book.borrow_mut().settle();
        Ok(())
    }
}
