//! The order of what stands around a handler, as types: a wrong one does not compile.

/// Says that a layer may be put on what stands inside of it already.
///
/// From the inside to the outside: the handler, `timeout`, `throttle`, `bulkhead`, `breaker`, `retry`, `dead_letters`,
/// `idempotent`. They are called in the order in which an event meets them, so the outermost comes first.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand inside of `{Outer}`",
    label = "this layer belongs further out: call it earlier",
    note = "the order is: idempotent, dead_letters, retry, breaker, bulkhead, throttle, timeout, and then the handler",
    note = "a retry outside of the dead letters would never see a failure; an id that is recorded inside of the retry would be recorded before the event is handled"
)]
pub trait Inside<Outer> {}

macro_rules! layers {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        $($(#[$doc])* #[derive(Clone, Copy, Debug)] pub enum $name {})+
        layers!(@order [] $($name)+);
    };
    (@order [$($outer:ident)*] $name:ident $($rest:ident)*) => {
        $(impl Inside<$outer> for $name {})*
        layers!(@order [$($outer)* $name] $($rest)*);
    };
    (@order [$($outer:ident)*]) => {};
}

layers! {
    /// Nothing stands around the handler yet.
    Bare,
    /// Events that were handled before are left out.
    Idempotent,
    /// What has failed for good goes to the dead letters.
    DeadLettered,
    /// What has failed is tried again.
    Retried,
    /// After many failures in a row it is left alone for a while.
    Broken,
    /// Only so many attempts are made at a time, of several handlers together.
    Bulkheaded,
    /// Only so many attempts are made in a time.
    Throttled,
    /// An attempt may take only so long.
    Timed,
}

/// Around a handler that cannot be broken off there is no timeout.
#[diagnostic::on_unimplemented(
    message = "a handler that is no task cannot be broken off: `timeout` is for `task`",
    label = "use `task`, or leave `timeout` out"
)]
pub trait Untimed {}

impl Untimed for Bare {}
impl Untimed for Idempotent {}
impl Untimed for DeadLettered {}
impl Untimed for Retried {}
impl Untimed for Broken {}
impl Untimed for Bulkheaded {}
impl Untimed for Throttled {}
