//! How the tasks of bridges hear that they are to stop.

use std::{
    future::pending,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::sleep_until};

/// How long a link may take to end in good order.
pub(crate) const CLOSES_WITHIN: Duration = Duration::from_secs(1);

/// Until it is told to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<Option<Instant>>) {
    // If nobody can tell it any more, its handle is gone.
    let _ = stop.wait_for(Option::is_some).await;
}

/// Until it was told to stop, and the time for that is over.
pub(crate) async fn late_to_stop(stop: &mut watch::Receiver<Option<Instant>>) {
    let deadline = stop.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline);
    until(deadline.or_else(|| Some(Instant::now()))).await;
}

/// Until then, or for ever.
pub(crate) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => pending().await,
    }
}
