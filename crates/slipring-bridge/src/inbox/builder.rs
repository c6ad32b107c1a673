//! How an inbox is described and started.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use tokio::{runtime, sync::watch};

use super::{
    InboxHalt, InboxHandle, InboxState, Intake, desk,
    handle::Shared,
    receiving::{Receiving, Settings},
    turns::Turns,
};
use crate::{Listen, Pauses, StartError, outbox::check_name, pauses::message_of};

/// Takes what a broker has: see [`Inbox::builder`].
#[derive(Clone, Copy, Debug)]
pub struct Inbox;

/// What an inbox does when something of a lane is missing and does not come any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenMissing {
    /// It halts, and says what is missing: what comes behind it stays at the broker.
    #[default]
    Halt,
    /// It goes on with what it has, counts it, and [remembers](InboxHandle::gaps) what was missing. If that comes all the
    /// same, it goes to the broker's dead letters.
    GoOn,
}

/// What an inbox does with what has no stamp: what other programs have sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnstamped {
    /// It is taken, as often as the broker delivers it; unless the intake knows its id.
    #[default]
    Take,
    /// It goes to the broker's dead letters.
    Refuse,
}

/// Describes an inbox, and starts it; from [`Inbox::builder`].
#[must_use = "an inbox does nothing until it is started"]
pub struct InboxBuilder<L, I> {
    name: String,
    listen: L,
    intake: I,
    settings: Settings,
}

impl<L, I> fmt::Debug for InboxBuilder<L, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxBuilder")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Inbox {
    /// An inbox of that name, from a broker to an intake.
    ///
    /// It hands on what comes in the order of each lane, each parcel once, and acknowledges what is safe there. A lane that it
    /// does not know begins where it comes in.
    ///
    /// # Examples
    /// ```
    /// use slipring_bridge::{Inbox, IntoStore, Loopback, Parcel};
    /// use slipring_store::{EventStore, Memory};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let (store, broker) = (Arc::new(Memory::new()), Loopback::new());
    /// broker.put(Parcel::new("order.created", "lamp")); // Some other program.
    /// broker.put(Parcel::new("no..topic", ""));
    ///
    /// let inbox = Inbox::builder("orders", broker.clone(), IntoStore::new("orders", store.clone())?).start()?;
    /// inbox.wait_until(Duration::from_secs(60), |status| status.safe + status.dead == 2);
    /// let report = inbox.stop(Duration::from_secs(5));
    /// assert!(report.halted.is_none());
    /// assert_eq!((store.bounds()?.durable, broker.dead().len()), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder<L: Listen, I: Intake>(
        name: impl Into<String>,
        listen: L,
        intake: I,
    ) -> InboxBuilder<L, I> {
        let settings = Settings {
            window: 2_048,
            pauses: Pauses::default(),
            patience: Duration::from_secs(30),
            when_missing: WhenMissing::default(),
            missing_after: Duration::from_mins(1),
            begin_after: Duration::from_secs(30),
            when_unstamped: WhenUnstamped::default(),
            is_ordered: true,
            at_most_once: false,
        };
        InboxBuilder { name: name.into(), listen, intake, settings }
    }
}

impl<L: Listen, I: Intake> InboxBuilder<L, I> {
    /// How many deliveries may be here and not settled, or not with the intake yet: 2,048 if not given. It is to be larger than the
    /// [windows](crate::OutboxBuilder::window) of the outboxes that send here, together: so many may be early.
    pub fn window(mut self, parcels: usize) -> Self {
        self.settings.window = parcels.max(1);
        self
    }

    /// How long it waits before it tries again when the broker is not there, or the intake fails.
    pub fn pauses(mut self, pauses: Pauses) -> Self {
        self.settings.pauses = pauses;
        self
    }

    /// How long a broker may take to answer before it counts as gone: 30 seconds if not given.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// What it does when something is missing; it halts, if not given.
    pub fn when_missing(mut self, what: WhenMissing) -> Self {
        self.settings.when_missing = what;
        self
    }

    /// How long it waits for what is missing: a minute if not given. It waits no longer when its window is full of what came
    /// early, for then nothing can come.
    pub fn missing_after(mut self, time: Duration) -> Self {
        self.settings.missing_after = time;
        self
    }

    /// How long it waits for an earlier one when a lane that it does not know comes in in its midst: 30 seconds if not
    /// given. Then the lane begins with the earliest that has come, and what is before is not waited for: if it comes all
    /// the same, it goes to the broker's dead letters, or counts as known in a later run. So this has to be longer than the
    /// broker takes to deliver again what a link that broke off has left behind.
    pub fn begin_after(mut self, time: Duration) -> Self {
        self.settings.begin_after = time;
        self
    }

    /// What it does with what other programs have sent; it is taken, if not given.
    pub fn when_unstamped(mut self, what: WhenUnstamped) -> Self {
        self.settings.when_unstamped = what;
        self
    }

    /// Keeps no order, and looks for no duplicates: for several inboxes that share what a queue has. The intake is to know
    /// what it has: see [`IntoStore::remember_ids`](crate::IntoStore::remember_ids).
    pub fn unordered(mut self) -> Self {
        self.settings.is_ordered = false;
        self
    }

    /// Acknowledges everything when it comes, before the intake has it: what is here when the program ends is lost, and no
    /// order is kept. For what is worthless when it is late.
    pub fn at_most_once(mut self) -> Self {
        (self.settings.at_most_once, self.settings.is_ordered) = (true, false);
        self
    }

    /// Starts it. That the broker is there is not waited for.
    ///
    /// # Errors
    /// It cannot be called so, it keeps no order and the intake needs one, the intake does not say how far it is, or there is no thread to be had.
    pub fn start(self) -> Result<InboxHandle, StartError> {
        let Self { name, listen, mut intake, settings } = self;
        check_name(&name)?;
        if intake.needs_order() && !settings.is_ordered {
            return Err(StartError::NeedsOrder { name: name.into() });
        }
        let marks = intake.marks()?;
        let refused = intake.refused()?;
        let turns = Turns::new(marks.into_iter().map(|mark| (mark.lane, mark.sequence)));
        let (shared, (stop, stopped)) = (Shared::new(), watch::channel(None));
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let (desk, clerk) =
            desk::open(&name, intake, settings.pauses).map_err(StartError::Thread)?;
        let handle_shared = shared.clone();
        let run = move || {
            let receiving =
                Receiving::new(listen, (turns, refused), desk, settings, shared.clone(), stopped);
            let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(receiving.run())));
            // What the client has left in it need not be waited for.
            let _ = catch_unwind(AssertUnwindSafe(|| runtime.shutdown_background()));
            let state = match ran {
                Ok(Ok(())) => InboxState::Stopped,
                Ok(Err(halt)) => InboxState::Halted(halt),
                Err(payload) => InboxState::Halted(InboxHalt::Panicked {
                    part: "the link to the broker",
                    message: message_of(payload),
                }),
            };
            shared.post(|status| status.state = state);
        };
        let thread = thread::Builder::new().name(format!("{name} receives"));
        let thread = thread.spawn(run).map_err(StartError::Thread)?;
        Ok(InboxHandle { name, shared: handle_shared, stop, threads: vec![thread, clerk] })
    }
}
