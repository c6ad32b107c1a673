//! What handlers return.

use crate::{context::Context, delivery::HandlerError, event::Event};

/// What a handler may return: nothing, events that follow, or a result of either.
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Bus};
///
/// let bus = Bus::<AnyEvent>::start(64)?;
/// let _double = bus.handler("double").on::<u32>().run(|number, _| {
///     Some(AnyEvent::new(u64::from(*number) * 2)) // Published when this has returned.
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Outcome<E: Event> {
    /// Whether it went well; then what follows is in the context.
    ///
    /// # Errors
    /// Why it did not.
    fn settle(self, context: &mut Context<'_, E>) -> Result<(), HandlerError>;
}

impl<E: Event> Outcome<E> for () {
    #[inline]
    fn settle(self, _: &mut Context<'_, E>) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl<E: Event, T: Into<E>> Outcome<E> for Option<T> {
    fn settle(self, context: &mut Context<'_, E>) -> Result<(), HandlerError> {
        self.map_or(Ok(()), |event| Ok(context.publish(event)?))
    }
}

impl<E: Event, T: Into<E>> Outcome<E> for Vec<T> {
    fn settle(self, context: &mut Context<'_, E>) -> Result<(), HandlerError> {
        Ok(self.into_iter().try_for_each(|event| context.publish(event))?)
    }
}

impl<E: Event, F: Outcome<E>, X: Into<HandlerError>> Outcome<E> for Result<F, X> {
    #[inline]
    fn settle(self, context: &mut Context<'_, E>) -> Result<(), HandlerError> {
        self.map_err(Into::into).and_then(|follows| follows.settle(context))
    }
}
