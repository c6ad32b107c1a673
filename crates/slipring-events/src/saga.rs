//! Sagas: stories that take several events, and an end in any case.

use std::{collections::HashMap, fmt};

use crate::{context::Context, delivery::HandlerError, event::Event, handler::Handle, id::EventId};

/// How many stories may be open at a time, if nothing else is said.
const MOST: usize = 65_536;

/// A handler with a memory for each story: it follows an order from its creation to its end, tells others what to do
/// next, and has undone what was done if something goes wrong, or if nothing comes for too long.
///
/// The events of a story have one [correlation](Context::correlation); follow-ups have it by themselves. For each
/// event the step is given what it has remembered of its story, `None` for a new one, and returns what to remember, or
/// `None` when the story has ended, or was none. If it fails, the memory is as before, and nothing was published.
/// (Beside an [`Inbox`](crate::Inbox) that may fail, the step has been taken when the event is recorded, and is told the
/// new memory when it is tried again: record sagas by [`idempotent`](crate::Registration::idempotent), which does not fail.)
///
/// A deadline is an event that is published [later](Context::publish_after), and that the step makes nothing of when
/// it comes for a story that has gone on.
///
/// # Examples
/// An order is paid in time, or cancelled:
/// ```
/// use slipring_events::{Bus, HandlerError, Saga, events};
/// use std::time::Duration;
///
/// # #[derive(Clone, Debug)] pub struct Created;
/// # #[derive(Clone, Debug)] pub struct Paid;
/// # #[derive(Clone, Debug)] pub struct Late;
/// # #[derive(Clone, Debug)] pub struct Ship;
/// # #[derive(Clone, Debug)] pub struct Cancel;
/// events! {
///     /// What happens in the shop.
///     pub enum Shop {
///         Created = "order.created",
///         Paid = "order.paid",
///         Late = "order.late",
///         Ship = "order.ship",
///         Cancel = "order.cancel",
///     }
/// }
///
/// #[derive(Clone)]
/// struct AwaitsPayment;
///
/// let bus = Bus::<Shop>::start(64)?;
/// let _orders = bus.handler("orders").run_handler(Saga::new(
///     |awaits: Option<AwaitsPayment>, event: &Shop, context: &mut slipring_events::Context<'_, Shop>| {
///         Ok::<_, HandlerError>(match (event, awaits) {
///             (Shop::Created(_), None) => {
///                 context.publish_after(Duration::from_secs(900), Late)?;
///                 Some(AwaitsPayment)
///             }
///             (Shop::Paid(_), Some(_)) => {
///                 context.publish(Ship)?;
///                 None
///             }
///             (Shop::Late(_), Some(_)) => {
///                 context.publish(Cancel)?;
///                 None
///             }
///             (_, awaits) => awaits,
///         })
///     },
/// ))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Saga<S, F> {
    stories: HashMap<EventId, S>,
    step: F,
    most: usize,
}

impl<S, F> fmt::Debug for Saga<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saga")
            .field("open", &self.stories.len())
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// A new story cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} stories are open, as many as may: end those that have gone stale by a deadline, or raise `at_most`"
)]
pub struct TooManyStories(usize);

impl<S, F> Saga<S, F> {
    /// Remembers an `S` for each story that is open.
    pub fn new<E, T, X>(step: F) -> Self
    where
        E: Event,
        F: FnMut(Option<S>, &T, &mut Context<'_, E>) -> Result<Option<S>, X>,
    {
        Self { stories: HashMap::new(), step, most: MOST }
    }

    /// How many stories may be open at a time, 65,536 if not given. The event that would begin another one fails.
    #[must_use = "a saga is built by value, another is returned"]
    pub fn at_most(mut self, stories: usize) -> Self {
        self.most = stories;
        self
    }
}

impl<E, T, S, X, F> Handle<E, T> for Saga<S, F>
where
    E: Event,
    S: Clone,
    X: Into<HandlerError>,
    F: FnMut(Option<S>, &T, &mut Context<'_, E>) -> Result<Option<S>, X>,
{
    async fn handle(
        &mut self,
        event: &T,
        context: &mut Context<'_, E>,
    ) -> Result<(), HandlerError> {
        let story = context.correlation();
        // A copy: a step that fails, or panics, has not happened.
        let remembered = self.stories.get(&story).cloned();
        let is_new = remembered.is_none();
        match (self.step)(remembered, event, context).map_err(Into::into)? {
            Some(_) if is_new && self.stories.len() >= self.most => {
                Err(TooManyStories(self.most).into())
            }
            Some(next) => {
                self.stories.insert(story, next);
                Ok(())
            }
            None => {
                self.stories.remove(&story);
                Ok(())
            }
        }
    }
}
