//! What goes wrong meanwhile, ten times over: a subscriber's full queue has every publish refused, so that events wait
//! for a retry; and Redis does not answer.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use tokio::time::sleep;

use crate::broker::FULL_QUEUE;
use crate::process::signal;
use crate::rig::Rig;

const TIMES: u32 = 10;
const REFUSED_FOR: Duration = Duration::from_millis(500);
const REDIS_GONE_FOR: Duration = Duration::from_secs(1);

/// Makes it. Returns only when it fails.
pub async fn make(rig: &Rig, long: Duration) -> anyhow::Error {
    match trouble(rig, long).await {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

async fn trouble(rig: &Rig, long: Duration) -> anyhow::Result<Infallible> {
    let quiet = (long / TIMES).saturating_sub(REFUSED_FOR + REDIS_GONE_FOR) / 2;
    for _ in 0..TIMES {
        sleep(quiet).await;
        rig.broker.bind(FULL_QUEUE).await?;
        sleep(REFUSED_FOR).await;
        rig.broker.unbind(FULL_QUEUE).await?;
        rig.broker.purge(&[FULL_QUEUE.to_owned()]).await?;
        sleep(quiet).await;
        signal(rig.servers.redis, "STOP")?;
        sleep(REDIS_GONE_FOR).await;
        signal(rig.servers.redis, "CONT")?;
    }
    pending().await
}
