//! Commands on their way to who handles them.

use std::{borrow::Cow, sync::Arc};

use slipring_events::EventId;
use slipring_store::{
    EventStore, Memory,
    sourcing::{Command, CommandBus, CommandError, Decide, Origin, Settings, Targeted},
};

use crate::{
    bank::{Account, AccountEvent, Deposit, Open, Refusal, Withdraw},
    common::{Failure, accounts, deposited, failing},
};

#[derive(Debug)]
struct OpenFor(&'static str);
#[derive(Debug)]
struct PayIn(&'static str, u64);
#[derive(Debug)]
struct Transfer(&'static str, &'static str, u64);

impl Command for OpenFor {
    type Error = Refusal;
}
impl Command for PayIn {
    type Error = Refusal;
}
impl Command for Transfer {
    type Error = Refusal;
}

impl Targeted for OpenFor {
    type Aggregate = Account;
    fn target(&self) -> Cow<'_, str> {
        self.0.into()
    }
}
impl Targeted for PayIn {
    type Aggregate = Account;
    fn target(&self) -> Cow<'_, str> {
        self.0.into()
    }
}

impl Decide<OpenFor> for Account {
    fn decide(&self, command: &OpenFor, (): &()) -> Result<Vec<AccountEvent>, Refusal> {
        self.decide(&Open(command.0), &())
    }
}
impl Decide<PayIn> for Account {
    fn decide(&self, command: &PayIn, (): &()) -> Result<Vec<AccountEvent>, Refusal> {
        self.decide(&Deposit(command.1), &())
    }
}

fn bus(store: &Arc<impl EventStore>, settings: &Settings) -> CommandBus {
    let accounts = Arc::new(accounts(store).settings(settings.clone()));
    let both = accounts.clone();
    CommandBus::builder()
        .route::<OpenFor, _>(accounts.clone())
        .route::<PayIn, _>(accounts)
        .handle(move |transfer: &Transfer, origin| {
            both.transact(origin, |work| {
                work.execute(&both, transfer.0, &Withdraw(transfer.2))?;
                work.execute(&both, transfer.1, &Deposit(transfer.2))
            })
        })
        .build()
        .unwrap()
}

#[test]
fn a_command_goes_to_the_aggregate_that_it_is_for() {
    let store = Arc::new(Memory::new());
    let bus = bus(&store, &Settings::default());
    bus.send(&OpenFor("ada")).unwrap();
    bus.send(&OpenFor("bob")).unwrap();
    assert_eq!(bus.send(&PayIn("ada", 10)).unwrap().positions(), 2..3);
    let origin = Origin::command(EventId::random());
    assert_eq!(bus.send_as(&Transfer("ada", "bob", 4), &origin).unwrap().positions(), 3..5);
    assert!(bus.send_as(&Transfer("ada", "bob", 4), &origin).unwrap().repeated);
    let cents = |id| accounts(&store).load(id).unwrap().state.cents;
    assert_eq!((cents("ada"), cents("bob")), (6, 4));
}

#[test]
fn each_way_to_fail_has_its_name() {
    #[derive(Debug)]
    struct Wish;
    impl Command for Wish {
        type Error = Refusal;
    }
    fn rival(store: &Memory) {
        let mut batch = slipring_store::Batch::new();
        let entry = slipring_store::Entry::new("x", r#"{"Deposited":{"cents":1}}"#);
        batch.append(entry.stream("account-ada")).unwrap();
        store.commit(&batch, slipring_store::Durability::Synced).unwrap();
    }
    let store = failing([(2, Failure::Before)]);
    store.rival_at(1, rival);
    let bus = bus(&store, &Settings::default().retries(0));
    bus.send(&OpenFor("ada")).unwrap();
    let conflict = bus.send(&PayIn("ada", 1));
    assert!(matches!(conflict, Err(CommandError::Conflict { attempts: 1, .. })), "{conflict:?}");
    let failed = bus.send(&PayIn("ada", 1));
    assert!(matches!(failed, Err(CommandError::Store(_))), "{failed:?}");
    let refused = bus.send(&Transfer("ada", "bob", 2));
    assert!(matches!(refused, Err(CommandError::Refused(Refusal::Overdrawn(1)))), "{refused:?}");
    let nobody = bus.send(&Wish).unwrap_err();
    let CommandError::NoHandler { command } = nobody else { panic!("{nobody:?}") };
    assert!(command.ends_with("Wish"), "{command}");
    assert!(bus.handles::<PayIn>() && !bus.handles::<Wish>());
}

#[test]
fn a_second_handler_is_refused_when_the_bus_is_built() {
    let store = Arc::new(Memory::new());
    let accounts = Arc::new(accounts(&store));
    let both = accounts.clone();
    let twice = CommandBus::builder()
        .route::<PayIn, _>(accounts.clone())
        .route::<OpenFor, _>(accounts)
        .handle(move |command: &PayIn, origin| both.execute_as(command.0, command, origin))
        .build()
        .unwrap_err();
    assert!(twice.to_string().contains("PayIn` has a handler already"), "{twice}");
}

#[test]
fn errors_of_several_aggregates_are_brought_together() {
    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("whatever")]
    struct Whatever;
    let store = Arc::new(Memory::new());
    let accounts = accounts(&store);
    accounts.execute("7", &Open("Ada")).unwrap();
    let done = accounts.transact(&Origin::unknown(), |work| {
        work.execute(&accounts, "7", &Withdraw(1)).map_err(|error| error.map(|_| Whatever))
    });
    assert!(matches!(done, Err(CommandError::Refused(Whatever))), "{done:?}");
    accounts.execute("7", &Deposit(5)).unwrap();
    assert_eq!(crate::common::events(&*store, "account-7")[1], deposited(5));
}
