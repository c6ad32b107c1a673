//! A subject: what is published to it goes to everybody who has subscribed.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use slipring::{MultiProducer, PublishError};

use super::{
    Delivered, Flow, Refusal, Refused, SubjectError, TooManySubscribers,
    hub::{Hub, Slot},
};

/// A publisher to a ring of values, from which any number of subscribers get a copy of each.
///
/// Clones are publishers to the same ring; each thread or task has its own. Subscribers come and go
/// ([`subscribe`](Self::subscribe)), and each sees every value that is published after it came, in the order of
/// all.
///
/// **Memory** is the ring, and nothing else: a value stays on it until the slowest subscriber has read it (and the
/// batch that it came with, a quarter of the ring at most). When that one is behind by as many as the ring has
/// room for, publishers wait, or are told.
///
/// **The end.** When it is [closed](Self::close), or its last publisher is dropped, every flow ends
/// behind what was published. Who subscribes later gets a flow that is over.
///
/// A subscriber that is not polled, not ended and not dropped holds the publishers back: that is the contract. So who
/// publishes and then reads, one after the other, must not publish more than there is room for; in two
/// tasks, or two threads, they go together. And a closure in a flow that publishes to the very subject that
/// the flow comes from would wait for itself: it uses [`try_publish`](Self::try_publish), or another subject.
///
/// # Examples
/// ```
/// use slipring_events::reactive::Subject;
///
/// smol::block_on(async {
///     let mut prices = Subject::new(64)?;
///     let all = prices.subscribe()?;
///     let high = prices.subscribe()?.filter(|price| *price > 100);
///     for price in [90, 110, 95, 120] {
///         let delivered = prices.publish_async(price).await?;
///         assert_eq!(delivered.subscribers, 2);
///     }
///     drop(prices);
///     assert_eq!(all.collect::<Vec<_>>().await, [90, 110, 95, 120]);
///     assert_eq!(high.collect::<Vec<_>>().await, [110, 120]);
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })
/// # .unwrap();
/// ```
pub struct Subject<T> {
    producer: MultiProducer<Slot<T>>,
    /// Dropped after the producer: the last one of those has closed the ring.
    hub: Arc<Hub<T>>,
}

impl<T> Clone for Subject<T> {
    fn clone(&self) -> Self {
        Self { producer: self.producer.clone(), hub: Arc::clone(&self.hub) }
    }
}

impl<T> fmt::Debug for Subject<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("capacity", &self.capacity())
            .field("subscribers", &self.subscribers())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl<T: Clone + Send + Sync + 'static> Subject<T> {
    /// A subject with room for `capacity` values, a power of two.
    ///
    /// # Errors
    /// `Ring` if the capacity is not possible.
    ///
    /// ```
    /// use slipring_events::reactive::Subject;
    ///
    /// assert_eq!(Subject::<String>::new(8)?.capacity(), 8);
    /// assert!(Subject::<String>::new(7).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(capacity: usize) -> Result<Self, SubjectError> {
        Self::replaying(capacity, 0)
    }

    /// A subject whose subscribers get the `last` values first that were published before they came, and then all
    /// that come: without a gap, and none twice. So do those who come when it is closed.
    ///
    /// The values that are kept stay on the ring, whose capacity must be larger; what is left is how
    /// far a subscriber may be behind that has just come.
    ///
    /// # Errors
    /// `Ring` if the capacity is not possible, `Replay` if `last` is not smaller.
    ///
    /// ```
    /// use slipring_events::reactive::Subject;
    ///
    /// let mut subject = Subject::replaying(8, 2)?;
    /// for number in 1..=100 {
    ///     subject.publish(number)?;
    /// }
    /// let late = subject.subscribe()?;
    /// subject.publish(101)?;
    /// drop(subject);
    /// assert_eq!(smol::block_on(late.collect::<Vec<_>>()), [99, 100, 101]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replaying(capacity: usize, last: usize) -> Result<Self, SubjectError> {
        let (producer, hub) = Hub::start(capacity, last)?;
        Ok(Self { producer, hub })
    }

    /// Publishes a value, waiting on this thread while there is no room.
    ///
    /// # Errors
    /// `Closed` or `WouldDeadlock`; see [`Refusal`].
    ///
    /// ```
    /// use slipring_events::reactive::{Delivered, Subject};
    ///
    /// let mut subject = Subject::new(8)?;
    /// assert_eq!(subject.publish("nobody is there")?, Delivered { sequence: 0, subscribers: 0 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish(&mut self, value: T) -> Result<Delivered, Refused<T>> {
        self.emit(value, |producer, value| producer.publish(|slot| *slot = value.take()))
    }

    /// Publishes a value if there is room now. Never waits.
    ///
    /// # Errors
    /// `Full` if there is none, and as [`publish`](Self::publish). See [`Refused`] for an example.
    pub fn try_publish(&mut self, value: T) -> Result<Delivered, Refused<T>> {
        self.emit(value, |producer, value| producer.try_publish(|slot| *slot = value.take()))
    }

    /// Publishes a value, waiting on this thread for no longer than `patience` while there is no room.
    ///
    /// # Errors
    /// `TimedOut` if there was none in time, and as [`publish`](Self::publish).
    ///
    /// ```
    /// use slipring_events::reactive::{Refusal, Subject};
    /// use std::time::Duration;
    ///
    /// let mut subject = Subject::new(1)?;
    /// let _slow = subject.subscribe()?;
    /// subject.publish(1)?;
    /// let refused = subject.publish_timeout(2, Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(refused.why, Refusal::TimedOut);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_timeout(
        &mut self,
        value: T,
        patience: Duration,
    ) -> Result<Delivered, Refused<T>> {
        let Some(deadline) = Instant::now().checked_add(patience) else {
            return self.publish(value);
        };
        self.emit(value, |producer, value| {
            producer.publish_deadline(deadline, |slot| *slot = value.take())
        })
    }

    /// Publishes a value, awaiting room while there is none.
    ///
    /// The future may be dropped at any time: if it was not ready by then, nothing was published, and the value is
    /// dropped with it.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    ///
    /// ```
    /// use slipring_events::reactive::Subject;
    ///
    /// let mut subject = Subject::new(1)?;
    /// let flow = subject.subscribe()?;
    /// let publishing = async move {
    ///     for number in 0..100 {
    ///         subject.publish_async(number).await?; // There is room for one at a time.
    ///     }
    ///     Ok::<(), slipring_events::reactive::Refused<u32>>(())
    /// };
    /// let reading = flow.collect::<Vec<_>>();
    /// let both = futures_util::future::join(publishing, reading);
    /// assert_eq!(smol::block_on(both).1.len(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn publish_async(&mut self, value: T) -> Result<Delivered, Refused<T>> {
        let subscribers = self.subscribers();
        let mut value = Some(value);
        let published = self.producer.publish_async(|slot| *slot = value.take()).await;
        self.settle(subscribers, value, published)
    }

    fn emit(
        &mut self,
        value: T,
        publish: impl FnOnce(&mut MultiProducer<Slot<T>>, &mut Option<T>) -> Result<u64, PublishError>,
    ) -> Result<Delivered, Refused<T>> {
        let subscribers = self.subscribers();
        let mut value = Some(value);
        let published = publish(&mut self.producer, &mut value);
        self.settle(subscribers, value, published)
    }

    /// What has become of the value, which is still here if it was refused.
    fn settle(
        &self,
        subscribers: usize,
        value: Option<T>,
        published: Result<u64, PublishError>,
    ) -> Result<Delivered, Refused<T>> {
        match (published, value) {
            (Err(error), Some(value)) => Err(Refused { value, why: Refusal::from(&error) }),
            (Ok(sequence), _) => {
                self.hub.keep_last();
                Ok(Delivered { sequence, subscribers })
            }
            (Err(error), None) => unreachable!("one of many is refused before it writes: {error}"),
        }
    }

    /// The values that are published from now on (and the [last](Self::replaying) before). Its place among the
    /// subscribers is free again when it has ended or is dropped.
    ///
    /// # Errors
    /// If there are too many: 256, with the place that a [replaying](Self::replaying) subject needs.
    pub fn subscribe(&self) -> Result<Flow<T>, TooManySubscribers> {
        self.hub.subscribe()
    }
}

impl<T> Subject<T> {
    /// What subscribes, and does not keep the subject open.
    ///
    /// ```
    /// use slipring_events::reactive::Subject;
    ///
    /// let mut subject = Subject::new(8)?;
    /// let source = subject.source();
    /// let flow = source.subscribe()?;
    /// subject.publish(1)?;
    /// drop(subject);
    /// assert_eq!(smol::block_on(flow.collect::<Vec<_>>()), [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn source(&self) -> Source<T> {
        Source { hub: Arc::clone(&self.hub) }
    }

    /// Ends it for everybody: publishers are refused, also those that wait for room now, and flows end behind what
    /// was published.
    ///
    /// ```
    /// use slipring_events::reactive::{Refusal, Subject};
    ///
    /// let mut subject = Subject::new(8)?;
    /// let flow = subject.subscribe()?;
    /// subject.publish(1)?;
    /// subject.clone().close();
    /// assert_eq!(subject.publish(2).unwrap_err().why, Refusal::Closed);
    /// assert_eq!(smol::block_on(flow.collect::<Vec<_>>()), [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.hub.close();
    }

    /// Whether it takes no more values.
    pub fn is_closed(&self) -> bool {
        self.producer.is_closed()
    }

    /// How many subscribers there are now.
    pub fn subscribers(&self) -> usize {
        self.hub.subscribers()
    }

    /// How many values there is room for.
    pub fn capacity(&self) -> usize {
        self.producer.capacity()
    }
}

/// What one subscribes to. Had from [`Subject::source`] or [`Flow::replay`]; it does not keep the subject open.
///
/// ```
/// use slipring_events::reactive::{Source, Subject};
///
/// fn count(source: &Source<u32>) -> impl Future<Output = usize> + use<> {
///     let flow = source.subscribe().expect("there are not many");
///     async { flow.collect::<Vec<_>>().await.len() }
/// }
///
/// let mut subject = Subject::new(8)?;
/// let count = count(&subject.source());
/// subject.publish(7)?;
/// drop(subject);
/// assert_eq!(smol::block_on(count), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Source<T> {
    hub: Arc<Hub<T>>,
}

impl<T> Clone for Source<T> {
    fn clone(&self) -> Self {
        Self { hub: Arc::clone(&self.hub) }
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("subscribers", &self.subscribers()).finish_non_exhaustive()
    }
}

impl<T: Clone + Send + Sync + 'static> Source<T> {
    /// As [`Subject::subscribe`].
    ///
    /// # Errors
    /// As [`Subject::subscribe`].
    pub fn subscribe(&self) -> Result<Flow<T>, TooManySubscribers> {
        self.hub.subscribe()
    }
}

impl<T> Source<T> {
    /// How many subscribers there are now.
    pub fn subscribers(&self) -> usize {
        self.hub.subscribers()
    }
}
