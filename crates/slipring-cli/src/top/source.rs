//! The thread that listens to the program, and connects again when it comes back.

use std::{
    io,
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
    time::Duration,
};

use slipring::Snapshot;
use slipring_insight::{Address, Feed, Hello};

/// How often to try whether the program is back.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// More news than are drawn at once wait at the program.
const NEWS_MAX: usize = 64;

/// What has happened over there.
#[derive(Clone, Debug)]
pub enum News {
    /// It is there, anew.
    Came(Hello),
    /// A look at one of its rings.
    Seen { ring: usize, snapshot: Box<Snapshot> },
    /// It is not there any more; why.
    Left(String),
}

/// Listens for as long as somebody wants to hear.
pub fn listen(feed: Feed, address: Address) -> io::Result<Receiver<News>> {
    let (sender, news) = mpsc::sync_channel(NEWS_MAX);
    let thread = thread::Builder::new().name("slipring-feed".to_owned());
    thread.spawn(move || while_heard(feed, &address, &sender))?;
    Ok(news)
}

fn while_heard(feed: Feed, address: &Address, news: &SyncSender<News>) {
    let mut feed = Some(feed);
    loop {
        if let Some(feed) = feed
            && !tell(feed, news)
        {
            return;
        }
        thread::sleep(TRY_AGAIN);
        feed = Feed::connect(address).ok();
    }
}

/// Tells all that comes from one connection; false if nobody listens any more.
fn tell(mut feed: Feed, news: &SyncSender<News>) -> bool {
    let mut next = News::Came(feed.hello().clone());
    while news.send(next).is_ok() {
        next = match feed.next_update() {
            Ok(update) => News::Seen { ring: update.ring, snapshot: Box::new(update.snapshot) },
            Err(error) => return news.send(News::Left(error.to_string())).is_ok(),
        };
    }
    false
}
