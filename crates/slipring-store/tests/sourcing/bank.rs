// An account at a bank, for the tests and for the examples in the documentation.

use serde::{Deserialize, Serialize};
use slipring_events::events;
use slipring_store::sourcing::{Aggregate, Decide};

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Opened {
    pub owner: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Deposited {
    pub cents: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Withdrawn {
    pub cents: u64,
}

events! {
    #[derive(PartialEq, Eq, Hash, Serialize, Deserialize)]
    pub enum AccountEvent {
        Opened = "account.opened",
        Deposited = "account.deposited",
        Withdrawn = "account.withdrawn",
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    pub owner: Option<String>,
    pub cents: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open(pub &'static str);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdraw(pub u64);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the account is not open")]
    NotOpen,
    #[error("the account is open already")]
    Open,
    #[error("there are {0} cents")]
    Overdrawn(u64),
}

impl Aggregate for Account {
    const KIND: &'static str = "account";
    type Event = AccountEvent;
    type Error = Refusal;
    type Services = ();

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened(Opened { owner }) => self.owner = Some(owner.clone()),
            AccountEvent::Deposited(Deposited { cents }) => self.cents += cents,
            AccountEvent::Withdrawn(Withdrawn { cents }) => self.cents -= cents,
        }
    }
}

impl Decide<Open> for Account {
    fn decide(&self, Open(owner): &Open, (): &()) -> Result<Vec<AccountEvent>, Refusal> {
        match self.owner {
            Some(_) => Err(Refusal::Open),
            None => Ok(vec![Opened { owner: (*owner).into() }.into()]),
        }
    }
}

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(cents): &Deposit, (): &()) -> Result<Vec<AccountEvent>, Refusal> {
        match (&self.owner, *cents) {
            (None, _) => Err(Refusal::NotOpen),
            (Some(_), 0) => Ok(Vec::new()),
            (Some(_), cents) => Ok(vec![Deposited { cents }.into()]),
        }
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, Withdraw(cents): &Withdraw, (): &()) -> Result<Vec<AccountEvent>, Refusal> {
        match self.owner {
            None => Err(Refusal::NotOpen),
            Some(_) if self.cents < *cents => Err(Refusal::Overdrawn(self.cents)),
            Some(_) => Ok(vec![Withdrawn { cents: *cents }.into()]),
        }
    }
}
