//! Given this, when that, then so.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Write},
};

use slipring_events::{Event, Source, Time};

use crate::{
    Batch, Entry, EventStore, Frames, Memory,
    sourcing::{
        Aggregate, Decide, Projection, Values,
        projection::{Changes, read_value},
    },
};

/// What has happened to an aggregate, for a test of what it decides then. There is no store and no codec in it.
///
/// What is not as it should be panics, with both sides and a mark where they differ.
///
/// # Examples
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
/// # use bank::{Account, Deposited, Opened, Refusal, Withdraw, Withdrawn};
/// use slipring_store::sourcing::Given;
///
/// let account = || Given::<Account>::events([
///     Opened { owner: "Ada".into() }.into(),
///     Deposited { cents: 500 }.into(),
/// ]);
/// account()
///     .when(&Withdraw(200))
///     .then_events([Withdrawn { cents: 200 }.into()])
///     .then_state(|account| assert_eq!(account.cents, 300));
/// account().when(&Withdraw(501)).then_error(&Refusal::Overdrawn(500));
/// Given::<Account>::nothing().when(&Withdraw(1)).then_error(&Refusal::NotOpen);
/// ```
///
/// It is asked only about what it decides:
/// ```compile_fail
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
/// slipring_store::sourcing::Given::<bank::Account>::nothing().when(&"give me all");
/// ```
#[must_use = "nothing is tested until it is asked"]
pub struct Given<A: Aggregate> {
    state: A,
    services: A::Services,
}

/// What an aggregate has decided.
pub struct Decided<A: Aggregate> {
    /// With what was decided.
    state: A,
    decided: Result<Vec<A::Event>, A::Error>,
}

impl<A: Aggregate + Debug> Debug for Given<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<A: Aggregate + Debug> Debug for Decided<A>
where
    A::Event: Debug,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decided")
            .field("state", &self.state)
            .field("decided", &self.decided)
            .finish()
    }
}

impl<A: Aggregate<Services = ()>> Given<A> {
    /// Nothing has happened to it.
    pub fn nothing() -> Self {
        Self::with(())
    }

    /// This has happened to it.
    pub fn events(events: impl IntoIterator<Item = A::Event>) -> Self {
        Self::nothing().and(events)
    }
}

impl<A: Aggregate> Given<A> {
    /// Nothing has happened to one that needs something for its decisions.
    pub fn with(services: A::Services) -> Self {
        Self { state: A::default(), services }
    }

    /// And then this has happened.
    pub fn and(mut self, events: impl IntoIterator<Item = A::Event>) -> Self {
        for event in events {
            self.state.apply(&event);
        }
        self
    }

    /// It is asked to decide, and what it decides happens.
    pub fn when<T>(self, command: &T) -> Decided<A>
    where
        A: Decide<T>,
    {
        let Self { mut state, services } = self;
        let decided = state.decide(command, &services);
        for event in decided.iter().flatten() {
            state.apply(event);
        }
        Decided { state, decided }
    }
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "it has been tested by then; what is returned is for more of it"
)]
impl<A: Aggregate> Decided<A>
where
    A::Event: PartialEq + Debug,
{
    /// It has decided these, in this order.
    ///
    /// # Panics
    /// It has not.
    #[track_caller]
    pub fn then_events(self, expected: impl IntoIterator<Item = A::Event>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        match &self.decided {
            Ok(events) if *events == expected => self,
            Ok(events) => panic!("it has decided otherwise\n{}", differences(&expected, events)),
            Err(error) => panic!("it has refused: {error}\n{}", differences(&expected, &[])),
        }
    }

    /// It has decided that nothing happens.
    ///
    /// # Panics
    /// It has not.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.then_events([])
    }

    /// It has refused, for that reason.
    ///
    /// # Panics
    /// It has not.
    #[track_caller]
    pub fn then_error(self, expected: &A::Error) -> Self
    where
        A::Error: PartialEq,
    {
        match &self.decided {
            Err(error) if error == expected => self,
            Err(error) => panic!("it has refused otherwise\n- {expected:?}\n+ {error:?}\n"),
            Ok(events) => {
                panic!("it has not refused\n- {expected:?}\n{}", differences(&[], events))
            }
        }
    }

    /// It has refused, for a reason of which that is true.
    ///
    /// # Panics
    /// It has not.
    #[track_caller]
    pub fn then_refused(self, is_so: impl FnOnce(&A::Error) -> bool) -> Self {
        match &self.decided {
            Err(error) if is_so(error) => self,
            Err(error) => panic!("it has refused for another reason: {error:?}"),
            Ok(events) => panic!("it has not refused\n{}", differences(&[], events)),
        }
    }

    /// Looks at its state after that.
    #[track_caller]
    pub fn then_state(self, look: impl FnOnce(&A)) -> Self {
        look(&self.state);
        self
    }
}

/// Two lists, one above the other: what is in both, what is missing (`-`), and what is too much (`+`).
fn differences<T: PartialEq + Debug>(expected: &[T], found: &[T]) -> String {
    let mut text = String::from("(- expected, + found)\n");
    for at in 0..expected.len().max(found.len()) {
        let (expected, found) = (expected.get(at), found.get(at));
        if expected == found {
            let _ = writeln!(text, "  {at}: {:?}", found.expect("one of them is there"));
            continue;
        }
        for (mark, event) in [('-', expected), ('+', found)] {
            if let Some(event) = event {
                let _ = writeln!(text, "{mark} {at}: {event:?}");
            }
        }
    }
    text
}

/// What has happened, for a test of what a projection makes of it. There is no codec in it.
///
/// # Examples
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
/// # use bank::{AccountEvent, Deposited, Opened};
/// # use slipring_store::{Record, sourcing::{Fault, Projection, Values}};
/// # struct Balances;
/// # impl Projection for Balances {
/// #     type Event = AccountEvent;
/// #     fn name(&self) -> &'static str { "balances" }
/// #     fn apply(&self, event: &AccountEvent, record: &Record<'_>, values: &mut Values<'_>) -> Result<(), Fault> {
/// #         let account = record.stream.ok_or("it is in no stream")?.name;
/// #         let cents: u64 = values.get_as(account)?.unwrap_or(0);
/// #         match event {
/// #             AccountEvent::Deposited(Deposited { cents: more }) => values.put_as(account, &(cents + more)),
/// #             _ => Ok(()),
/// #         }
/// #     }
/// # }
/// use slipring_store::sourcing::GivenEvents;
///
/// GivenEvents::of(Balances)
///     .event("account-7", Opened { owner: "Ada".into() })
///     .event("account-7", Deposited { cents: 300 })
///     .event("account-7", Deposited { cents: 200 })
///     .then_value("account-7", &500_u64)
///     .then_no_value("account-8");
/// ```
pub struct GivenEvents<P> {
    projection: P,
    store: Memory,
    values: Changes,
    versions: BTreeMap<String, u64>,
    position: u64,
}

impl<P: Projection> Debug for GivenEvents<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenEvents")
            .field("projection", &self.projection.name())
            .field("events", &self.position)
            .finish_non_exhaustive()
    }
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "it has been tested by then; what is returned is for more of it"
)]
impl<P: Projection<Event: Event>> GivenEvents<P> {
    /// Nothing has happened yet.
    pub fn of(projection: P) -> Self {
        Self {
            projection,
            store: Memory::of(Source::named("given")),
            values: Changes::new(),
            versions: BTreeMap::new(),
            position: 0,
        }
    }

    /// This has happened in a stream, a second after what was before.
    ///
    /// # Panics
    /// The projection cannot apply it.
    #[must_use = "what follows from it is still to be looked at"]
    #[track_caller]
    pub fn event(self, stream: &str, event: impl Into<P::Event>) -> Self {
        let time = Time::from_nanos(self.position * 1_000_000_000);
        self.event_at(time, stream, event)
    }

    /// This has happened in a stream, at that time.
    ///
    /// # Panics
    /// The projection cannot apply it.
    #[must_use = "what follows from it is still to be looked at"]
    #[track_caller]
    pub fn event_at(mut self, time: Time, stream: &str, event: impl Into<P::Event>) -> Self {
        match self.apply(time, stream, &event.into()) {
            Ok(()) => self,
            Err(why) => panic!("event {} cannot be applied: {why}", self.position - 1),
        }
    }

    /// The projection fails at this.
    ///
    /// # Panics
    /// It does not, or says something else.
    #[must_use = "what follows from it is still to be looked at"]
    #[track_caller]
    pub fn fails_at(mut self, stream: &str, event: impl Into<P::Event>, says: &str) -> Self {
        let time = Time::from_nanos(self.position * 1_000_000_000);
        match self.apply(time, stream, &event.into()) {
            Ok(()) => panic!("event {} was applied, and `{says}` was expected", self.position - 1),
            Err(why) if why.to_string() == says => self,
            Err(why) => panic!("it has failed otherwise\n- {says}\n+ {why}\n"),
        }
    }

    fn apply(
        &mut self,
        time: Time,
        stream: &str,
        event: &P::Event,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let position = self.position;
        let versions = self.versions.entry(stream.to_owned()).or_default();
        let version = *versions;
        // It has happened, whatever is made of it.
        *versions += 1;
        self.position += 1;
        if !self.projection.topics().admit(event.name()) {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.append(Entry::at(time, event.name(), "").stream(stream))?;
        let mut frames = Frames::new(batch.bytes(), position, self.store.source());
        let mut record = frames.next().ok_or("there is no event")??;
        if let Some(place) = &mut record.stream {
            place.version = version;
        }
        let mut values = Values::new(&self.store, "", &self.values);
        self.projection.apply(event, &record, &mut values)?;
        let changes = values.into_changes()?;
        self.values.extend(changes);
        Ok(())
    }

    /// A value as it was put.
    pub fn value(&self, key: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.values.get(key.as_ref())?.as_deref()
    }

    /// There is that value, put [as](Values::put_as) a `T`.
    ///
    /// # Panics
    /// There is another one or none.
    #[track_caller]
    pub fn then_value<T>(self, key: impl AsRef<[u8]>, expected: &T) -> Self
    where
        T: serde::de::DeserializeOwned + PartialEq + Debug,
    {
        let key = key.as_ref();
        let name = key.escape_ascii();
        match self.value(key).map(read_value::<T>) {
            Some(Ok(found)) if found == *expected => self,
            Some(Ok(found)) => panic!("`{name}` is another\n- {expected:?}\n+ {found:?}\n"),
            Some(Err(error)) => panic!("`{name}` is of another type: {error}"),
            None => panic!("`{name}` is not there\n- {expected:?}\n{}", self.keys()),
        }
    }

    /// There is no such value.
    ///
    /// # Panics
    /// There is one.
    #[track_caller]
    pub fn then_no_value(self, key: impl AsRef<[u8]>) -> Self {
        let key = key.as_ref();
        if let Some(value) = self.value(key) {
            panic!("`{}` is there: `{}`", key.escape_ascii(), value.escape_ascii());
        }
        self
    }

    fn keys(&self) -> String {
        let there = self.values.iter().filter(|(_, value)| value.is_some());
        let keys: Vec<_> = there.map(|(key, _)| format!("`{}`", key.escape_ascii())).collect();
        format!("there are {}", if keys.is_empty() { "none".into() } else { keys.join(", ") })
    }
}
