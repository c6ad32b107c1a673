//! Streams of values with real back-pressure: a subject, flows with operators, and threads to work for them.
//!
//! A [`Subject`] is a ring to which any number of publishers publish, and from which any number of subscribers get
//! every value. What one subscribes to is a [`Flow`]: a chain of operators over a stream, and a stream itself.
//! Nothing runs but what somebody polls, on whatever runtime, except for work that is given to the threads of
//! a [`Pool`].
//!
//! * **Back-pressure is real.** A flow takes from its source what it is asked for, and what its operators keep
//!   ([below](#operators)). Behind that, values stay on the ring; when the ring is full, publishers wait or are told.
//! * **Errors are values.** Nothing ends a flow of results but its end, unless [`Flow::until_error`] asks for it.
//! * **Panics are no values.** One in an operator's closure goes on to whoever polls the flow, from a
//!   pool's thread as well, in the item's turn. The flow is over then and has let go of its source: publishers do not wait
//!   for it, and a consumer does not wait for what never comes.
//! * **Time is a parameter.** Operators are given a [`Timer`]; a test gives them one that it sets itself.
//!
//! # Examples
//! A stream of orders, worked on by all cores. What fails is caught, and ends nothing.
//! ```
//! use slipring_events::reactive::{Flow, Pool, Subject};
//!
//! #[derive(Clone)]
//! struct Order { item: &'static str, quantity: u32 }
//!
//! fn price(order: Order) -> Result<u32, String> {
//!     match order.item {
//!         "pen" => Ok(order.quantity * 2),
//!         item => Err(format!("nobody sells a {item}")),
//!     }
//! }
//!
//! let pool = Pool::of_cores()?;
//! let mut orders = Subject::new(1024)?;
//! let totals = orders
//!     .subscribe()?
//!     .observe_on(&pool, 2 * pool.workers(), price)
//!     .map(|price| price.map(|price| price + 5))
//!     .catch(|error| {
//!         eprintln!("{error}");
//!         Flow::empty()
//!     });
//!
//! for (item, quantity) in [("pen", 3), ("dragon", 1), ("pen", 10)] {
//!     orders.publish(Order { item, quantity })?;
//! }
//! drop(orders);
//! assert_eq!(smol::block_on(totals.collect::<Vec<_>>()), [11, 25]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! Windows of a hundred values, or of what comes in a second, each worked on by the pool. If nobody reads, publishing
//! waits: there is room for 512 values on the ring, and the flow has read two windows at most.
//! ```
//! use slipring_events::reactive::{Pool, Subject, SystemTimer};
//! use std::{thread, time::Duration};
//!
//! let pool = Pool::new(2)?;
//! let mut values = Subject::new(512)?;
//! let sums = values
//!     .subscribe()?
//!     .window(100, Duration::from_secs(1), SystemTimer)
//!     .observe_on(&pool, 2, |window: Vec<u32>| window.into_iter().sum::<u32>());
//!
//! let publisher =
//!     thread::spawn(move || (1..=1_000).try_for_each(|n| values.publish(n).map(drop)));
//! let sums: Vec<u32> = smol::block_on(sums.collect());
//! publisher.join().expect("it does not panic")?;
//! // Ten, or more where a second went by in a window.
//! assert!(sums.len() >= 10);
//! assert_eq!(sums.into_iter().sum::<u32>(), 500_500);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Operators
//!
//! What an operator keeps is what it has read and not passed on, at most. What is before a chain
//! has room for that and the ring's capacity, and for no more.
//!
//! | operator | keeps at most | an error that comes in | at the end of its source |
//! |---|---|---|---|
//! | [`map`](Flow::map), [`filter`](Flow::filter), [`filter_map`](Flow::filter_map), [`take`](Flow::take), [`skip`](Flow::skip), [`take_until`](Flow::take_until) | nothing | is an item | ends |
//! | [`scan`](Flow::scan) | its state | is an item | ends |
//! | [`flat_map`](Flow::flat_map) | what it has made of one item | is an item | passes that on, ends |
//! | [`buffer`](Flow::buffer) | `count` items | is an item | passes on what it has, ends |
//! | [`window`](Flow::window) | `count` items | is an item | passes on what it has, ends |
//! | [`window_time`](Flow::window_time) | `most` items, and holds the source back then | is an item | passes on what it has, ends |
//! | [`merge`](Flow::merge) | nothing | is an item | goes on with the other one; of both, ends |
//! | [`zip`](Flow::zip) | one item, without a partner | is an item | drops it, ends |
//! | [`distinct`](Flow::distinct), [`distinct_by`](Flow::distinct_by) | `most` items or keys (copies) | is an item | ends |
//! | [`distinct_until_changed`](Flow::distinct_until_changed) | one item (a copy) | is an item | ends |
//! | [`debounce`](Flow::debounce), [`throttle_last`](Flow::throttle_last) | one item; drops others, and so holds nobody back | is an item | passes it on, ends |
//! | [`throttle`](Flow::throttle) | nothing; drops others, and so holds nobody back | is an item | ends |
//! | [`observe_on`](Flow::observe_on), [`observe_on_unordered`](Flow::observe_on_unordered) | `in_flight` items | is an item | passes on what is in the works, ends |
//! | [`recover`](Flow::recover) | nothing | becomes a value | ends |
//! | [`on_error`](Flow::on_error) | nothing | goes to the handler | ends |
//! | [`catch`](Flow::catch) | the stream in the place of one error | becomes that stream's items | passes on the rest of it, ends |
//! | [`until_error`](Flow::until_error) | nothing | is the last item | ends |
//! | [`retry`](Flow::retry) | an error, during the delay | is what it subscribes again for, so many times | ends |
//! | [`publish_to`](Flow::publish_to) | one item, on its way | is an item | drops the publisher |
//! | [`replay`](Flow::replay) | a ring of `capacity` items, and one on its way | is an item | ends all flows |
//!
//! Those that pass over items let other tasks run after some hundred of them. [`Flow::next`] is cancel-safe
//! whatever the operators are; what is said of other futures stands with them.

mod alarms;
mod debounce;
mod distinct;
mod errors;
mod flow;
mod hub;
mod observe_on;
mod panics;
mod pool;
mod refused;
mod replay;
mod retry;
mod subject;
mod throttle;
mod timer;
mod window;

pub use flow::Flow;
pub use pool::Pool;
pub use refused::{Delivered, Refusal, Refused, SubjectError, TooManySubscribers};
pub use subject::{Source, Subject};
pub use timer::{Delay, ManualTimer, SystemTimer, Timer};
