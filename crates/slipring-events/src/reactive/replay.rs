//! One flow for many: published as it comes, and its last items again for those who come late.

use super::{Flow, Refused, Source, Subject, SubjectError};

impl<T: Clone + Send + Sync + 'static> Flow<T> {
    /// Publishes every item, awaiting room, until the flow is over; then this publisher of the subject is dropped.
    /// Returns how many items that were.
    ///
    /// If the future is dropped, so are the flow and this publisher, and at most one item with them.
    ///
    /// # Errors
    /// The item that was refused because the subject is closed.
    ///
    /// ```
    /// use futures_util::stream;
    /// use slipring_events::reactive::{Flow, Subject};
    ///
    /// let subject = Subject::new(8)?;
    /// let flow = subject.subscribe()?;
    /// let count = smol::block_on(Flow::from_stream(stream::iter(["a", "b"])).publish_to(subject))?;
    /// assert_eq!((count, smol::block_on(flow.collect::<String>())), (2, "ab".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn publish_to(mut self, mut subject: Subject<T>) -> Result<u64, Refused<T>> {
        let mut count = 0;
        while let Some(item) = self.next().await {
            subject.publish_async(item).await?;
            count += 1;
        }
        Ok(count)
    }

    /// Makes one flow many: what is had from the [`Source`] gets the `last` items first that came before, then all
    /// that come, without a gap, and none twice. Items come while somebody awaits the future, usually a
    /// task of its own; it is ready when the flow is over and everything is published.
    ///
    /// There is room for `capacity` items, a power of two, the last ones among them; see
    /// [`Subject::replaying`]. As long as nobody has subscribed, they come and go. If the future is dropped, all
    /// flows end behind what was published.
    ///
    /// # Errors
    /// `Ring` if the capacity is not possible, `Replay` if `last` is not smaller.
    ///
    /// ```
    /// use futures_util::stream;
    /// use slipring_events::reactive::Flow;
    ///
    /// smol::block_on(async {
    ///     let (source, pump) = Flow::from_stream(stream::iter(1..=10)).replay(16, 2)?;
    ///     let early = source.subscribe()?;
    ///     assert_eq!(pump.await, 10);
    ///     let late = source.subscribe()?;
    ///     assert_eq!(early.collect::<Vec<_>>().await.len(), 10);
    ///     assert_eq!(late.collect::<Vec<_>>().await, [9, 10]);
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn replay(
        self,
        capacity: usize,
        last: usize,
    ) -> Result<(Source<T>, impl Future<Output = u64> + Send + use<T>), SubjectError> {
        let subject = Subject::replaying(capacity, last)?;
        let source = subject.source();
        let pump = async move {
            // Nobody else has the subject, and could close it.
            self.publish_to(subject).await.unwrap_or_default()
        };
        Ok((source, pump))
    }
}
