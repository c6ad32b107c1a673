//! Handlers: closures, and whatever else handles events.

use crate::{context::Context, delivery::HandlerError, event::Event, outcome::Outcome};

/// Whatever handles events. Closures are enough; a layer of one's own is a handler that has a handler.
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Bus, Context, Event, Handle, HandlerError, Plain};
///
/// /// Hands on what is not too old.
/// struct Fresh<H>(H);
///
/// impl<E: Event, T, H: Handle<E, T>> Handle<E, T> for Fresh<H> {
///     async fn handle(&mut self, event: &T, context: &mut Context<'_, E>) -> Result<(), HandlerError> {
///         if context.metadata().is_some_and(|notes| notes.get("old").is_some()) {
///             return Ok(());
///         }
///         self.0.handle(event, context).await
///     }
/// }
///
/// let bus = Bus::<AnyEvent>::start(64)?;
/// let _news = bus.handler("news").on::<String>().run_handler(Fresh(Plain(|text: &String, _: &mut Context<'_, _>| {
///     println!("{text}");
/// })))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Handle<E: Event, T> {
    /// Handles an event. What it publishes by the context goes out if it succeeds.
    ///
    /// # Errors
    /// Why it has failed; what happens then is up to the [registration](crate::Registration).
    fn handle(
        &mut self,
        event: &T,
        context: &mut Context<'_, E>,
    ) -> impl Future<Output = Result<(), HandlerError>>;

    /// The same for handlers that never wait for anything: it is asked first, for every event, and
    /// [`handle`](Self::handle) is called where it says `None`, which is to have done nothing. A layer around
    /// another handler need not say anything here; it is faster if it does.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    #[inline]
    fn handle_now(
        &mut self,
        event: &T,
        context: &mut Context<'_, E>,
    ) -> Option<Result<(), HandlerError>> {
        let _ = (event, context);
        None
    }
}

/// A closure as a handler.
#[derive(Clone, Copy, Debug)]
pub struct Plain<F>(pub F);

impl<E, T, R, F> Handle<E, T> for Plain<F>
where
    E: Event,
    R: Outcome<E>,
    F: FnMut(&T, &mut Context<'_, E>) -> R,
{
    #[inline]
    async fn handle(
        &mut self,
        event: &T,
        context: &mut Context<'_, E>,
    ) -> Result<(), HandlerError> {
        (self.0)(event, context).settle(context)
    }

    #[inline]
    fn handle_now(
        &mut self,
        event: &T,
        context: &mut Context<'_, E>,
    ) -> Option<Result<(), HandlerError>> {
        Some((self.0)(event, context).settle(context))
    }
}

/// An async closure as a handler.
#[derive(Clone, Copy, Debug)]
pub struct Awaited<F>(pub F);

impl<E, T, R, F> Handle<E, T> for Awaited<F>
where
    E: Event,
    R: Outcome<E>,
    F: AsyncFnMut(&T, &mut Context<'_, E>) -> R,
{
    async fn handle(
        &mut self,
        event: &T,
        context: &mut Context<'_, E>,
    ) -> Result<(), HandlerError> {
        (self.0)(event, context).await.settle(context)
    }
}
