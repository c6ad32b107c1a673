//! Waiting without a thread: tasks that await events, or room for them, on any runtime.
//!
//! A task that finds nothing leaves its waker at the bell of whoever is in the way, where a thread would
//! sleep (`bell.rs`). A future that is dropped takes its waker back. It has changed nothing else: an event
//! is claimed, written and published within one poll.

use std::{
    fmt,
    ops::Range,
    pin::Pin,
    task::{Context, Poll as Polled, Waker},
};

use futures_core::{Stream, stream::FusedStream};

use crate::{
    bell::{Bell, Ticket},
    circuit::Circuit,
    claim::Claim,
    consumer::{Seat, Step},
    current::Running,
    error::{Fault, PublishError},
    handler::At,
    poller::Poller,
    producer::Producer,
    ring::Ring,
    sync::Arc,
    work::{Access, Each, Shared},
};

/// The waker that a task has left, if it has: the number of the bell, and the ticket.
#[derive(Debug, Default)]
struct Left(Option<(usize, Ticket)>);

impl Left {
    /// Leaves the task's waker with `holder`, who is in the way. Returns whether somebody still is when
    /// that is done: otherwise it is worth another look.
    fn with<'a>(
        &mut self,
        circuit: &Circuit,
        waker: &Waker,
        holder: impl Fn() -> Option<&'a Bell>,
    ) -> bool {
        let Some(bell) = holder() else {
            return false;
        };
        if self.0.is_some_and(|(number, _)| number != bell.number()) {
            self.take_back(circuit);
        }
        let ticket = bell.leave(self.0.map(|(_, ticket)| ticket), waker);
        self.0 = Some((bell.number(), ticket));
        // As for a thread: of several in the way, the one that was may have moved on for good.
        holder().is_some_and(|now| now.number() == bell.number())
    }

    fn take_back(&mut self, circuit: &Circuit) {
        if let Some((number, ticket)) = self.0.take() {
            circuit.bell(number).take_back(ticket);
        }
    }
}

/// How often a poll looks again that finds nobody in the way and still gets nothing: the reset hook may be
/// running.
const LOOKS: usize = 4;

/// Has the task polled again soon.
fn again<T>(context: &Context<'_>) -> Polled<T> {
    context.waker().wake_by_ref();
    Polled::Pending
}

// ---- events ----

impl<E, A: Access> Poller<E, A> {
    /// Awaits something to poll, the end of the stream or a halt. What [`wait`](Self::wait) is for a
    /// thread; the station's [`Wait`](crate::Wait) does not matter.
    ///
    /// The future may be dropped at any time.
    ///
    /// # Examples
    /// ```
    /// use slipring::{Builder, Poll, poller};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut producer, mut dispatcher) =
    ///     Builder::new(8, || 0_u64).then(poller("mine")).start()?;
    /// let mut mine = dispatcher.poller("mine")?;
    /// let reading = async move {
    ///     let mut sum = 0;
    ///     while mine.poll(|event, _| sum += event)? != Poll::Closed {
    ///         mine.ready().await;
    ///     }
    ///     Ok::<u64, slipring::Fault>(sum)
    /// };
    /// producer.publish_batch(4, |index, event| *event = index as u64)?;
    /// drop(producer);
    /// assert_eq!(smol::block_on(reading)?, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ready(&mut self) -> impl Future<Output = ()> {
        Ready { seat: &self.seat, left: Left::default() }
    }
}

struct Ready<'a, E> {
    seat: &'a Seat<E>,
    left: Left,
}

impl<E> Future for Ready<'_, E> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled<()> {
        let (seat, left) = (self.seat, &mut self.left);
        for _ in 0..LOOKS {
            if seat.available(1) != Err(Step::Idle) {
                return Polled::Ready(());
            }
            if left.at_station(seat, context.waker()) {
                return Polled::Pending;
            }
        }
        again(context)
    }
}

impl<E> Drop for Ready<'_, E> {
    fn drop(&mut self) {
        self.left.take_back(&self.seat.ring.circuit);
    }
}

impl Left {
    /// Leaves the waker with whoever keeps a station from going on.
    fn at_station<E>(&mut self, seat: &Seat<E>, waker: &Waker) -> bool {
        let (circuit, index) = (&seat.ring.circuit, seat.who.station());
        self.with(circuit, waker, || circuit.station_holder(index, seat.cursor))
    }
}

impl<E> Poller<E, Shared> {
    /// Makes a stream of it. `map` makes an item of each event; an event is done, and its slot is
    /// released, when `map` returns. The stream ends when the ring is closed and everything was
    /// handled; a fault that halts the ring is its last item.
    ///
    /// Errors that `map` comes to are part of its items, and no failures. If it panics, that is
    /// dealt with by the station's [`Policy`](crate::Policy).
    ///
    /// It gates as every station does: a task that does not come round to it makes the producers wait.
    /// When the stream is dropped, the station leaves.
    ///
    /// # Examples
    /// ```
    /// use futures_util::StreamExt as _;
    /// use slipring::{Builder, poller};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut producer, mut dispatcher) =
    ///     Builder::new(8, || 0_u64).then(poller("mine")).start()?;
    /// let doubled = dispatcher.poller("mine")?.into_stream(|event, _| event * 2);
    /// producer.publish_batch(3, |index, event| *event = index as u64)?;
    /// drop(producer);
    /// let items: Vec<_> = smol::block_on(doubled.collect());
    /// assert_eq!(items, [Ok(0), Ok(2), Ok(4)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_stream<T, F: FnMut(&E, At<'_>) -> T>(self, map: F) -> Events<E, F> {
        let (ring, to) = (Arc::clone(&self.seat.ring), self.seat.cursor);
        let waiting = Waiting { ring, left: Left::default() };
        Events { waiting, poller: self, map, to, is_over: false }
    }
}

/// The events of a station as a stream. See [`Poller::into_stream`].
#[must_use = "a stream does nothing until it is polled, and holds the producers back"]
pub struct Events<E, F> {
    waiting: Waiting<E>,
    poller: Poller<E, Shared>,
    map: F,
    /// The end of what was found available.
    to: u64,
    is_over: bool,
}

/// What a stream has left, taken back when it is dropped.
struct Waiting<E> {
    ring: Arc<Ring<E>>,
    left: Left,
}

impl<E> Drop for Waiting<E> {
    fn drop(&mut self) {
        self.left.take_back(&self.ring.circuit);
    }
}

// Nothing in it is pinned: the map is called, never awaited.
impl<E, F> Unpin for Events<E, F> {}

impl<E, F> fmt::Debug for Events<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("poller", &self.poller).finish_non_exhaustive()
    }
}

impl<E, F> Events<E, F> {
    /// The poller, at the first event that was not an item of the stream.
    pub fn into_poller(self) -> Poller<E, Shared> {
        self.poller
    }

    /// The sequence of the next event.
    pub fn sequence(&self) -> u64 {
        self.poller.sequence()
    }
}

impl<E, T, F: FnMut(&E, At<'_>) -> T> Events<E, F> {
    /// Makes an item of the next event, which is available; `None` if it was abandoned or skipped.
    fn next_item(&mut self) -> Result<Option<T>, Step> {
        let (seat, map, mut item) = (&mut self.poller.seat, &mut self.map, None);
        let _running = Running::enter(&seat.ring.circuit, seat.who);
        let mut each = Each::new((), |(): &mut (), event: &E, at: At<'_>| {
            item = Some(map(event, at));
        });
        let next = seat.cursor + 1;
        seat.handle(&mut each, seat.cursor, next).map_err(|stop| seat.stopped(stop))?;
        if next == self.to {
            seat.move_to(next);
        } else {
            seat.stand_at(next);
        }
        Ok(item)
    }

    /// The last item, if the ring was halted by a fault.
    fn end(&mut self) -> Option<Result<T, Fault>> {
        self.is_over = true;
        self.poller.seat.ring.circuit.lifecycle.fault().map(Err)
    }
}

impl<E, T, F: FnMut(&E, At<'_>) -> T> Stream for Events<E, F> {
    type Item = Result<T, Fault>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Polled::Ready(None);
        }
        let mut looks = 0;
        while looks < LOOKS {
            if this.poller.seat.cursor < this.to {
                match this.next_item() {
                    Ok(Some(item)) => return Polled::Ready(Some(Ok(item))),
                    Ok(None) => continue,
                    Err(_) => return Polled::Ready(this.end()),
                }
            }
            match this.poller.seat.available(u64::MAX) {
                Ok(to) => this.to = to,
                Err(Step::Idle) => {
                    looks += 1;
                    if this.waiting.left.at_station(&this.poller.seat, context.waker()) {
                        return Polled::Pending;
                    }
                }
                Err(_) => return Polled::Ready(this.end()),
            }
        }
        again(context)
    }
}

impl<E, T, F: FnMut(&E, At<'_>) -> T> FusedStream for Events<E, F> {
    fn is_terminated(&self) -> bool {
        self.is_over
    }
}

// ---- room ----

impl<E, C: Claim> Producer<E, C> {
    /// As [`publish`](Self::publish), for a task: awaits room while the ring is full. The
    /// [`Builder::producer_wait`](crate::Builder::producer_wait) does not matter.
    ///
    /// The future may be dropped at any time: then nothing was published, and `write` was not called.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    ///
    /// # Panics
    /// If `write` does; see [`Producer`]. If it is polled again after its end.
    ///
    /// # Examples
    /// ```
    /// use slipring::{Builder, read};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut producer, dispatcher) =
    ///     Builder::new(2, || 0_u64).then(read("r", |_: &u64, _| ())).start()?;
    /// smol::block_on(async move {
    ///     for number in 0..100 {
    ///         producer.publish_async(|event| *event = number).await?;
    ///     }
    ///     Ok::<(), slipring::PublishError>(())
    /// })?;
    /// assert_eq!(dispatcher.join()?.published, 100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_async(
        &mut self,
        write: impl FnOnce(&mut E),
    ) -> impl Future<Output = Result<u64, PublishError>> {
        let mut write = Some(write);
        Publishing::new(self, 1, move |producer: &mut Self| {
            assert!(write.is_some(), "a future that has come to its end is polled again");
            producer.try_publish(|slot| {
                if let Some(write) = write.take() {
                    write(slot);
                }
            })
        })
    }

    /// As [`publish_batch`](Self::publish_batch), for a task: awaits room for all of the batch. With many
    /// producers, others that take what becomes free one by one may keep it waiting.
    ///
    /// The future may be dropped at any time: then nothing was published, and `write` was not called.
    ///
    /// # Errors
    /// As [`publish_batch`](Self::publish_batch).
    ///
    /// # Panics
    /// If `write` does; the whole batch is abandoned then, see [`Producer`].
    pub fn publish_batch_async(
        &mut self,
        count: usize,
        mut write: impl FnMut(usize, &mut E),
    ) -> impl Future<Output = Result<Range<u64>, PublishError>> {
        Publishing::new(self, count as u64, move |producer: &mut Self| {
            producer.try_publish_batch(count, &mut write)
        })
    }
}

struct Publishing<'a, E, C: Claim, F> {
    producer: &'a mut Producer<E, C>,
    count: u64,
    attempt: F,
    left: Left,
}

impl<'a, E, C: Claim, F> Publishing<'a, E, C, F> {
    fn new(producer: &'a mut Producer<E, C>, count: u64, attempt: F) -> Self {
        Self { producer, count, attempt, left: Left::default() }
    }
}

// Nothing in it is pinned: the attempt is called, never awaited.
impl<E, C: Claim, F> Unpin for Publishing<'_, E, C, F> {}

impl<E, C: Claim, T, F> Future for Publishing<'_, E, C, F>
where
    F: FnMut(&mut Producer<E, C>) -> Result<T, PublishError>,
{
    type Output = Result<T, PublishError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled<Self::Output> {
        let this = self.get_mut();
        for _ in 0..LOOKS {
            match (this.attempt)(this.producer) {
                Err(PublishError::Full) => {}
                ended => return Polled::Ready(ended),
            }
            let need = this.producer.need(this.count);
            let circuit = &this.producer.ring.circuit;
            // A handler that blocks on this future.
            if let Some(station) = circuit.own_station_in_the_way(need) {
                return Polled::Ready(Err(PublishError::WouldDeadlock { station }));
            }
            if this.left.with(circuit, context.waker(), || circuit.gate_holder(need)) {
                return Polled::Pending;
            }
        }
        again(context)
    }
}

impl<E, C: Claim, F> Drop for Publishing<'_, E, C, F> {
    fn drop(&mut self) {
        self.left.take_back(&self.producer.ring.circuit);
    }
}
