//! What is asked for.

use std::{borrow::Cow, error::Error};

use crate::sourcing::{Aggregate, Decide};

/// A type of commands that goes over a [`CommandBus`](crate::sourcing::CommandBus).
pub trait Command: Send + Sync + 'static {
    /// Why it is refused.
    type Error: Error + Send + Sync + 'static;
}

/// A command for one aggregate.
///
/// # Examples
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
/// # use bank::{Account, AccountEvent, Deposited, Refusal};
/// use std::borrow::Cow;
/// use slipring_store::sourcing::{Command, Decide, Targeted};
///
/// struct PayIn { account: String, cents: u64 }
///
/// impl Command for PayIn {
///     type Error = Refusal;
/// }
///
/// impl Targeted for PayIn {
///     type Aggregate = Account;
///
///     fn target(&self) -> Cow<'_, str> {
///         Cow::Borrowed(&self.account)
///     }
/// }
///
/// impl Decide<PayIn> for Account {
///     fn decide(&self, command: &PayIn, (): &()) -> Result<Vec<AccountEvent>, Refusal> {
///         Ok(vec![Deposited { cents: command.cents }.into()])
///     }
/// }
/// ```
pub trait Targeted: Command + Sized {
    /// Who decides about it.
    type Aggregate: Aggregate<Error = Self::Error> + Decide<Self>;

    /// The id of the one that it is for.
    fn target(&self) -> Cow<'_, str>;
}
