//! Inboxes whose links panic or hang.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use slipring_bridge::{
    Delivery, Inbox, InboxState, Incoming, IntoStore, LinkError, Listen, Parcel, Settlement, Stamp,
};
use slipring_store::Memory;

use crate::world::{LONG, short, texts, until};

/// A broker that delivers one parcel over each link, and does something odd with the first two.
#[derive(Clone)]
struct Odd {
    how: How,
    links: Arc<AtomicUsize>,
    settled: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    PanicListening,
    PanicReceiving,
    PanicSettling,
    HangListening,
    HangSettling,
    HangClosing,
}

struct OddLink {
    odd: Odd,
    has_delivered: bool,
}

impl Odd {
    fn new(how: How) -> Self {
        Self { how, links: Arc::default(), settled: Arc::default() }
    }

    async fn be(&self, panic: How, hang: Option<How>) {
        assert!(self.how != panic, "as it is told");
        if Some(self.how) == hang && self.links.load(Ordering::SeqCst) <= 2 {
            pending::<()>().await;
        }
    }
}

impl Listen for Odd {
    type Link = OddLink;

    async fn listen(&self, _: usize) -> Result<OddLink, LinkError> {
        self.links.fetch_add(1, Ordering::SeqCst);
        self.be(How::PanicListening, Some(How::HangListening)).await;
        Ok(OddLink { odd: self.clone(), has_delivered: false })
    }
}

impl Incoming for OddLink {
    async fn receive(&mut self, _: usize, into: &mut Vec<Delivery>) -> Result<(), LinkError> {
        self.odd.be(How::PanicReceiving, None).await;
        if self.has_delivered {
            return pending().await;
        }
        self.has_delivered = true;
        let mut parcel = Parcel::new("number", "0");
        parcel.stamp = Some(Stamp { lane: "lane".into(), sequence: 0, previous: None });
        into.push(Delivery { tag: 0, is_again: false, content: Ok(parcel) });
        Ok(())
    }

    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), LinkError> {
        self.odd.be(How::PanicSettling, Some(How::HangSettling)).await;
        self.odd.settled.fetch_add(settlements.len(), Ordering::SeqCst);
        Ok(())
    }

    async fn close(self) {
        if self.odd.how == How::HangClosing {
            pending::<()>().await;
        }
    }
}

fn intake(store: &Arc<Memory>) -> IntoStore {
    IntoStore::new("in", store.clone()).unwrap()
}

#[test]
fn a_transport_that_panics_halts_it_with_the_reason() {
    for how in [How::PanicListening, How::PanicReceiving, How::PanicSettling] {
        let store = Arc::new(Memory::new());
        let inbox = Inbox::builder("in", Odd::new(how), intake(&store)).start().unwrap();
        let (status, _) = inbox.wait_until(LONG, |_| false);
        let InboxState::Halted(halt) = &status.state else { panic!("{how:?}: {status:?}") };
        assert!(halt.to_string().contains("as it is told"), "{how:?}: {halt}");
        assert!(inbox.stop(LONG).has_ended, "{how:?}");
    }
}

#[test]
fn a_broker_that_hangs_counts_as_gone_and_what_comes_again_is_there_once() {
    for how in [How::HangListening, How::HangSettling] {
        let (store, odd) = (Arc::new(Memory::new()), Odd::new(how));
        let inbox = Inbox::builder("in", odd.clone(), intake(&store)).pauses(short());
        let inbox = inbox.patience(Duration::from_millis(20)).start().unwrap();
        until("it is settled", || odd.settled.load(Ordering::SeqCst) == 1);
        assert_eq!(odd.links.load(Ordering::SeqCst), 3, "{how:?}");
        assert_eq!(texts(&*store), ["0"], "{how:?}");
        assert!(inbox.status().last_error.unwrap().contains("20ms"), "{how:?}");
    }
}

#[test]
fn it_stops_in_time_whatever_hangs() {
    for how in [How::HangListening, How::HangSettling, How::HangClosing] {
        let (store, odd) = (Arc::new(Memory::new()), Odd::new(how));
        let inbox = Inbox::builder("in", odd.clone(), intake(&store)).start().unwrap();
        until("it has begun", || match how {
            How::HangListening => odd.links.load(Ordering::SeqCst) > 0,
            _ => inbox.status().safe == 1,
        });
        let report = inbox.stop(Duration::from_millis(10));
        assert!(report.has_ended, "{how:?}: {report:?}");
    }
}
