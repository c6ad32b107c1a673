//! Commands, and who handles them.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    sync::Arc,
};

use crate::{
    Codec,
    sourcing::{Aggregate, Command, CommandError, Done, Origin, Repository, Targeted},
};

type Handler<T> =
    Box<dyn Fn(&T, &Origin) -> Result<Done, CommandError<<T as Command>::Error>> + Send + Sync>;

/// Carries each command to the one who handles its type, in the thread of the sender.
///
/// # Examples
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
/// # use bank::{Account, AccountEvent, Deposit, Open, Refusal, Withdraw};
/// use std::{borrow::Cow, sync::Arc};
/// use slipring_store::{
///     Json, Memory,
///     sourcing::{Command, CommandBus, CommandError, Decide, Repository, Targeted},
/// };
///
/// struct OpenFor(&'static str);
/// struct Transfer { from: &'static str, to: &'static str, cents: u64 }
///
/// impl Command for OpenFor { type Error = Refusal; }
/// impl Command for Transfer { type Error = Refusal; }
///
/// impl Targeted for OpenFor {
///     type Aggregate = Account;
///     fn target(&self) -> Cow<'_, str> { self.0.into() }
/// }
/// # impl Decide<OpenFor> for Account {
/// #     fn decide(&self, command: &OpenFor, (): &()) -> Result<Vec<AccountEvent>, Refusal> {
/// #         self.decide(&Open(command.0), &())
/// #     }
/// # }
///
/// let accounts = Arc::new(Repository::<Account, _>::new(Arc::new(Memory::new()), Json));
/// let both = accounts.clone();
/// let bus = CommandBus::builder()
///     .route::<OpenFor, _>(accounts)
///     .handle(move |transfer: &Transfer, origin| {
///         both.transact(origin, |work| {
///             work.execute(&both, transfer.from, &Withdraw(transfer.cents))?;
///             work.execute(&both, transfer.to, &Deposit(transfer.cents))
///         })
///     })
///     .build()?;
///
/// bus.send(&OpenFor("ada"))?;
/// bus.send(&OpenFor("bob"))?;
/// let refused = bus.send(&Transfer { from: "ada", to: "bob", cents: 1 });
/// assert!(matches!(refused, Err(CommandError::Refused(Refusal::Overdrawn(0)))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What is no command does not go over it:
/// ```compile_fail
/// use slipring_store::sourcing::CommandBus;
///
/// struct Wish;
/// let bus = CommandBus::builder().build().unwrap();
/// let _ = bus.send(&Wish);
/// ```
pub struct CommandBus {
    /// Each a `Handler<T>`, by the `T`.
    handlers: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for CommandBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandBus").field("handlers", &self.handlers.len()).finish()
    }
}

/// Who handles what; from [`CommandBus::builder`].
#[must_use = "it is nothing until it is built"]
pub struct CommandBusBuilder {
    bus: CommandBus,
    twice: Option<HandledTwice>,
}

impl fmt::Debug for CommandBusBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandBusBuilder")
            .field("bus", &self.bus)
            .field("twice", &self.twice)
            .finish()
    }
}

/// There are two who would handle the same type of command: take one of them out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{command}` has a handler already, and a command is handled by one")]
pub struct HandledTwice {
    command: &'static str,
}

impl CommandBus {
    /// One that nobody handles anything for yet.
    pub fn builder() -> CommandBusBuilder {
        CommandBusBuilder { bus: Self { handlers: HashMap::new() }, twice: None }
    }

    /// Has a command carried out of which nothing else is known.
    ///
    /// # Errors
    /// Nobody handles it, it is refused, or it could not be carried out.
    pub fn send<T: Command>(&self, command: &T) -> Result<Done, CommandError<T::Error>> {
        self.send_as(command, &Origin::unknown())
    }

    /// Has a command carried out.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_as<T: Command>(
        &self,
        command: &T,
        origin: &Origin,
    ) -> Result<Done, CommandError<T::Error>> {
        let handler = self.handlers.get(&TypeId::of::<T>());
        let Some(handler) = handler.and_then(|handler| handler.downcast_ref::<Handler<T>>()) else {
            return Err(CommandError::NoHandler { command: type_name::<T>() });
        };
        handler(command, origin)
    }

    /// Whether somebody handles commands of that type.
    pub fn handles<T: Command>(&self) -> bool {
        self.handlers.contains_key(&TypeId::of::<T>())
    }
}

impl CommandBusBuilder {
    /// Commands of that type are carried out by the aggregate that each is for.
    pub fn route<T, C>(self, repository: Arc<Repository<T::Aggregate, C>>) -> Self
    where
        T: Targeted,
        C: Codec<<T::Aggregate as Aggregate>::Event>,
    {
        self.handle(move |command: &T, origin: &Origin| {
            repository.execute_as(&command.target(), command, origin)
        })
    }

    /// Commands of that type are carried out by a function: those that concern several aggregates.
    pub fn handle<T: Command>(
        mut self,
        handler: impl Fn(&T, &Origin) -> Result<Done, CommandError<T::Error>> + Send + Sync + 'static,
    ) -> Self {
        let handler: Handler<T> = Box::new(handler);
        if self.bus.handlers.insert(TypeId::of::<T>(), Box::new(handler)).is_some() {
            self.twice.get_or_insert(HandledTwice { command: type_name::<T>() });
        }
        self
    }

    /// The bus.
    ///
    /// # Errors
    /// A type of command has two handlers.
    pub fn build(self) -> Result<CommandBus, HandledTwice> {
        self.twice.map_or(Ok(self.bus), Err)
    }
}
