//! When reconcilers have something to do, and how long they may take to put right what can be put right.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::World;
use crate::operator;
use crate::oracle::recovery::{Wrong, wrong};
use crate::plan::EPOCH;
use crate::process::lock;

/// A delivery that is silent is waited for so long until it is asked for.
const ASKED_WITHIN: Duration = Duration::from_secs(20);
/// With nothing going wrong any more, what was not asked for before is right after so long, and what then becomes silent.
const RIGHT_WITHIN: Duration = Duration::from_mins(4);

impl World {
    /// When a delivery is to be asked for next, of those that have not been since they are silent. A time that has come
    /// counts for a while.
    pub(super) fn next_asked(&self) -> Option<Instant> {
        let recovery = self.plan.recovery.as_ref()?;
        let now = Instant::now();
        let book = self.book();
        let due = self.redis.open(recovery.asked).into_iter().filter_map(|open| {
            let updated = Duration::try_from(open.updated_at.duration_since(EPOCH)).unwrap_or_default();
            let due = self.start + updated + recovery.silent_after + Duration::from_millis(200);
            let address = open.address.as_deref().unwrap_or(&open.delivery.delivery_id);
            let asked = book.pulls.last_asked(address).is_some_and(|at| at >= due);
            (!asked && due + ASKED_WITHIN > now).then_some(due)
        });
        due.min()
    }

    /// Waits until what the provider can be asked for is as the provider has it. A reconciler that has reason to ask no more
    /// for a while gives way to another, once.
    pub(super) async fn recover(self: &Arc<Self>) {
        let (mut begun, mut is_new) = (Instant::now(), false);
        loop {
            let wrong = wrong(&self.plan, &self.api, &self.book());
            let Some(first) = wrong.first() else { return };
            if !is_new && wrong.iter().all(|wrong| self.waits_for(wrong)) {
                self.suspend().await;
                self.resume();
                (begun, is_new) = (Instant::now(), true);
            }
            if begun.elapsed() > RIGHT_WITHIN {
                let says = format!("{}, after {RIGHT_WITHIN:?}", first.says);
                return self.book().violation("what can be pulled stays wrong", Some(first.truth), says);
            }
            let ports = self.ports(self.plan.slots());
            operator::replay(self, &ports, false).await;
            sleep(Duration::from_secs(2)).await;
        }
    }

    /// Whether a reconciler has reason not to ask for it now.
    fn waits_for(&self, wrong: &Wrong) -> bool {
        let (book, running) = (self.book(), lock(&self.running));
        running.iter().flatten().any(|running| {
            let process = running.process.id;
            book.pulls.has_reason_to_wait(process, wrong.delivery, &wrong.address, wrong.truth)
        })
    }
}
