//! Event sourcing: what is decided follows from what has happened, and what is shown is made of it.
//!
//! ```text
//! command ─▶ CommandBus ─▶ Repository ── load ──▶ Aggregate ─ decide ─▶ events
//!                              ▲                                          │
//!                              │ conflict: load and decide again          ▼
//!                              └──────────────────────────────── one commit: events, snapshot, command id
//!                                                                         │
//! reader ◀── View ◀── one commit: values, checkpoint ◀── Projector ◀──────┘
//! ```
//!
//! * An [`Aggregate`] is folded from the events of its stream, and [decides](Decide) what a command leads to. A
//!   [`Repository`] loads it, by a snapshot if there is one, and commits what it has decided unless somebody else was
//!   there before; then it is loaded and asked again. A command with an [id](Origin::command) is carried out once.
//!   [`Work`] is several such decisions in one commit.
//! * [`Upcasters`] turn the forms that events had long ago into those of today.
//! * A [`CommandBus`] knows who handles which type of command.
//! * A [`Projection`] makes values of events. Its [`Projector`] commits them with how far it has come, so each event
//!   counts once whenever the program ends. A new version is built beside the old one, which is read until the new one
//!   has caught up. A [`Model`] is kept in memory.
//! * [`Given`] tests aggregates, and [`GivenEvents`] projections: given this, when that, then so.
//!
//! # Examples
//! ```
//! use std::sync::Arc;
//! use serde::{Deserialize, Serialize};
//! use slipring_events::events;
//! use slipring_store::{Json, Memory, sourcing::{Aggregate, CommandError, Decide, Repository}};
//!
//! #[derive(Clone, Debug, Serialize, Deserialize)]
//! pub struct Deposited { cents: u64 }
//! #[derive(Clone, Debug, Serialize, Deserialize)]
//! pub struct Withdrawn { cents: u64 }
//!
//! events! {
//!     /// What happens to an account.
//!     #[derive(Serialize, Deserialize)]
//!     pub enum AccountEvent {
//!         Deposited = "account.deposited",
//!         Withdrawn = "account.withdrawn",
//!     }
//! }
//!
//! #[derive(Default)]
//! struct Account { cents: u64 }
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("there are {has} cents only")]
//! struct Overdrawn { has: u64 }
//!
//! impl Aggregate for Account {
//!     const KIND: &'static str = "account";
//!     type Event = AccountEvent;
//!     type Error = Overdrawn;
//!     type Services = ();
//!
//!     fn apply(&mut self, event: &AccountEvent) {
//!         match event {
//!             AccountEvent::Deposited(Deposited { cents }) => self.cents += cents,
//!             AccountEvent::Withdrawn(Withdrawn { cents }) => self.cents -= cents,
//!         }
//!     }
//! }
//!
//! struct Deposit(u64);
//! struct Withdraw(u64);
//!
//! impl Decide<Deposit> for Account {
//!     fn decide(&self, command: &Deposit, (): &()) -> Result<Vec<AccountEvent>, Overdrawn> {
//!         Ok(vec![Deposited { cents: command.0 }.into()])
//!     }
//! }
//!
//! impl Decide<Withdraw> for Account {
//!     fn decide(&self, command: &Withdraw, (): &()) -> Result<Vec<AccountEvent>, Overdrawn> {
//!         match self.cents < command.0 {
//!             true => Err(Overdrawn { has: self.cents }),
//!             false => Ok(vec![Withdrawn { cents: command.0 }.into()]),
//!         }
//!     }
//! }
//!
//! let accounts = Repository::<Account, _>::new(Arc::new(Memory::new()), Json);
//! accounts.execute("7", &Deposit(100))?;
//! accounts.execute("7", &Withdraw(70))?;
//! let refused = accounts.execute("7", &Withdraw(70));
//! assert!(matches!(refused, Err(CommandError::Refused(Overdrawn { has: 30 }))));
//! assert_eq!(accounts.load("7")?.state.cents, 30);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aggregate;
mod bus;
mod command;
mod commands;
mod error;
mod forms;
mod given;
mod origin;
mod projection;
mod repository;
mod settings;
mod snapshot;
mod upcast;
mod work;

pub use aggregate::{Aggregate, Decide, id_of, stream_of};
pub use bus::{CommandBus, CommandBusBuilder, HandledTwice};
pub use command::{Command, Targeted};
pub use commands::{COMMANDS, Done};
pub use error::{CommandError, LoadError, ReadError, ReadProblem};
pub use given::{Decided, Given, GivenEvents};
pub use origin::Origin;
pub use projection::*;
pub use repository::{Loaded, Repository};
pub use settings::Settings;
pub use snapshot::{SNAPSHOTS, SnapshotReport};
pub use upcast::{Form, UpcastRefused, Upcasters};
pub use work::Work;
