//! Errors as values: what a flow of results offers. None of this ends the flow but [`Flow::until_error`].

use std::task::{Poll, ready};

use futures_core::Stream;
use futures_util::{
    StreamExt,
    future::{self, Either},
    stream,
};

use super::Flow;

impl<T: Send + 'static, E: Send + 'static> Flow<Result<T, E>> {
    /// Makes a value of each error.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let flow = Flow::from_stream(stream::iter(["1", "x", "3"])).map(str::parse::<i32>);
    /// let numbers = flow.recover(|_| -1);
    /// assert_eq!(smol::block_on(numbers.collect::<Vec<_>>()), [1, -1, 3]);
    /// ```
    pub fn recover(self, mut value: impl FnMut(E) -> T + Send + 'static) -> Flow<T> {
        self.map(move |item| item.unwrap_or_else(&mut value))
    }

    /// Puts the items of a stream in the place of each error, and then goes on with its own. Of
    /// [`Flow::empty`], errors are left out.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let flow = Flow::from_stream(stream::iter([Ok(1), Err("lost"), Ok(3)]));
    /// let healed = flow.catch(|_| stream::iter([20, 21]));
    /// assert_eq!(smol::block_on(healed.collect::<Vec<_>>()), [1, 20, 21, 3]);
    /// ```
    pub fn catch<S: Stream<Item = T> + Send + 'static>(
        self,
        mut instead: impl FnMut(E) -> S + Send + 'static,
    ) -> Flow<T> {
        Flow::from_stream(StreamExt::flat_map(self, move |item| match item {
            Ok(value) => Either::Left(stream::once(future::ready(value))),
            Err(error) => Either::Right(instead(error)),
        }))
    }

    /// Hands the errors to `handle`, and passes on the values.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let flow = Flow::from_stream(stream::iter([Ok(1), Err("lost"), Ok(3)]));
    /// let values = flow.on_error(|error| eprintln!("{error}"));
    /// assert_eq!(smol::block_on(values.collect::<Vec<_>>()), [1, 3]);
    /// ```
    pub fn on_error(self, mut handle: impl FnMut(E) + Send + 'static) -> Flow<T> {
        self.filter_map(move |item| item.map_err(&mut handle).ok())
    }

    /// Ends with the first error, which is its last item. The source is let go with it.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let flow = Flow::from_stream(stream::iter([Ok(1), Err("lost"), Ok(3)])).until_error();
    /// assert_eq!(smol::block_on(flow.collect::<Vec<_>>()), [Ok(1), Err("lost")]);
    /// ```
    pub fn until_error(mut self) -> Self {
        Self::from_poll(move |context| {
            let item = ready!(self.poll(context));
            if matches!(item, Some(Err(_))) {
                self.close();
            }
            Poll::Ready(item)
        })
    }
}
