//! Accounts, what happens to them, and what they decide.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use slipring_events::events;
use slipring_store::sourcing::{Aggregate, Command, Decide, Targeted};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    pub owner: String,
}
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposited {
    pub cents: u64,
}
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    pub cents: u64,
}

events! {
    /// What happens to an account.
    #[derive(PartialEq, Eq, Serialize, Deserialize)]
    pub enum Money {
        Opened = "account.opened",
        Deposited = "money.deposited",
        Withdrawn = "money.withdrawn",
    }
}

impl Money {
    /// What it adds to an account.
    pub fn cents(&self) -> i64 {
        match self {
            Self::Opened(_) => 0,
            Self::Deposited(Deposited { cents }) => cents.cast_signed(),
            Self::Withdrawn(Withdrawn { cents }) => -cents.cast_signed(),
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    pub owner: Option<String>,
    pub cents: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum No {
    #[error("there is no such account")]
    Account,
    #[error("it is open already")]
    Open,
    #[error("there is {} only", Euros(has.cast_signed()))]
    Overdrawn { has: u64 },
    #[error("from an account to itself")]
    Itself,
}

pub struct Open {
    pub account: String,
    pub owner: &'static str,
}
pub struct PayIn {
    pub account: String,
    pub cents: u64,
}
pub struct DrawOut {
    pub account: String,
    pub cents: u64,
}
pub struct Transfer {
    pub from: String,
    pub to: String,
    pub cents: u64,
}

impl Aggregate for Account {
    const KIND: &'static str = "account";
    type Event = Money;
    type Error = No;
    type Services = ();

    fn apply(&mut self, event: &Money) {
        match event {
            Money::Opened(Opened { owner }) => self.owner = Some(owner.clone()),
            Money::Deposited(Deposited { cents }) => self.cents += cents,
            Money::Withdrawn(Withdrawn { cents }) => self.cents -= cents,
        }
    }
}

impl Account {
    fn check_open(&self) -> Result<(), No> {
        self.owner.as_ref().map(drop).ok_or(No::Account)
    }
}

impl Decide<Open> for Account {
    fn decide(&self, command: &Open, (): &()) -> Result<Vec<Money>, No> {
        match self.owner {
            Some(_) => Err(No::Open),
            None => Ok(vec![Opened { owner: command.owner.into() }.into()]),
        }
    }
}

impl Decide<PayIn> for Account {
    fn decide(&self, command: &PayIn, (): &()) -> Result<Vec<Money>, No> {
        self.check_open()?;
        Ok(vec![Deposited { cents: command.cents }.into()])
    }
}

impl Decide<DrawOut> for Account {
    fn decide(&self, command: &DrawOut, (): &()) -> Result<Vec<Money>, No> {
        self.check_open()?;
        if self.cents < command.cents {
            return Err(No::Overdrawn { has: self.cents });
        }
        Ok(vec![Withdrawn { cents: command.cents }.into()])
    }
}

macro_rules! for_an_account {
    ($($command:ty),+) => {$(
        impl Command for $command {
            type Error = No;
        }

        impl Targeted for $command {
            type Aggregate = Account;

            fn target(&self) -> Cow<'_, str> {
                self.account.as_str().into()
            }
        }
    )+};
}

for_an_account!(Open, PayIn, DrawOut);

impl Command for Transfer {
    type Error = No;
}

/// An amount, as people write it.
pub struct Euros(pub i64);

impl fmt::Display for Euros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02} €", self.0 / 100, self.0 % 100))
    }
}
