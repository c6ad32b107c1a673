//! From an inbox onto a bus.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use slipring_events::{
    Draft, Event, Fate, Publisher, Receipt, Refused, RefusedReason, Source, Unhandled,
};
use slipring_store::{Batch, Codec, Entry, EventStore, Frames, Journal, StoreError};

use super::{
    Intake, IntakeError, Mark, RefusedBefore, Verdict,
    intake::note_origin,
    journal_marks::{JournalMarks, LOOK},
    marks::{Marks, refused_of},
};
use crate::{Parcel, Renames, Stamp, outbox::PATIENCE_OF_DROP, pauses::message_of};

/// Publishes what arrives on a bus: with its id, its time, its topic, what it follows from, and with the notes
/// [`ORIGIN`](crate::ORIGIN) and [`ORIGIN_SEQUENCE`](crate::ORIGIN_SEQUENCE).
///
/// What is acknowledged, and what is seen again after a crash, is one of three:
///
/// | made by | acknowledged when | after a crash |
/// |---|---|---|
/// | [`new`](Self::new) | all handlers are done with it | what was not acknowledged is handled again |
/// | [`kept`](Self::kept) | the same, and it is written down | the same, and nothing out of order |
/// | [`journalled`](Self::journalled) | the journal of the bus has it durably | it is in the journal exactly once |
///
/// An event that a handler fails on for good goes to the broker's dead letters as well, unless the bus's own
/// [are enough](Self::letters_are_enough).
///
/// # Examples
/// ```
/// use slipring_bridge::{Inbox, IntoBus, Loopback, Parcel};
/// use slipring_events::{AnyEvent, Bus};
/// use slipring_store::{Codec, CodecError, Record};
/// use std::time::Duration;
///
/// struct Text;
///
/// impl Codec<AnyEvent> for Text {
///     fn encode(&self, _: &AnyEvent, _: &mut Vec<u8>) -> Result<(), CodecError> {
///         Err(CodecError::unwritable("nothing goes out here"))
///     }
///     fn decode(&self, record: &Record<'_>) -> Result<AnyEvent, CodecError> {
///         Ok(AnyEvent::new(String::from_utf8_lossy(record.payload).into_owned()))
///     }
/// }
///
/// let (bus, broker) = (Bus::<AnyEvent>::start(64)?, Loopback::new());
/// let _mail = bus.handler("mail").topic("order.*").on::<String>().run(|text, _| assert_eq!(text, "lamp"))?;
/// let intake = IntoBus::new("orders", bus.publisher(), Text);
/// let inbox = Inbox::builder("orders", broker.clone(), intake).start()?;
/// broker.put(Parcel::new("order.created", "lamp"));
/// inbox.wait_until(Duration::from_secs(60), |status| status.safe == 1);
/// assert!(inbox.stop(Duration::from_secs(5)).halted.is_none());
/// assert_eq!(bus.shutdown(Duration::from_secs(5))?.handlers[0].account.handled, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct IntoBus<E: Event, C> {
    publisher: Publisher<E>,
    codec: C,
    name: Box<str>,
    renames: Renames,
    letters_are_enough: bool,
    /// Where payloads are read from.
    frames: Batch,
    book: Book,
    /// What is published, or refused, in order.
    in_hand: VecDeque<InHand>,
    /// What is known of the oldest ones, and is not written down yet.
    ready: Vec<(Option<Stamp>, Verdict)>,
}

/// When the broker may forget an event that was published on a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SafeWhen {
    /// All its handlers are done with it.
    Handled,
    /// It is durable in the journal.
    Journalled,
}

/// Where it is kept how far the lanes are.
enum Book {
    Nowhere,
    Kept(Marks),
    Journalled(Box<JournalMarks>),
}

struct InHand {
    stamp: Option<Stamp>,
    state: State,
}

enum State {
    Refused(Box<str>),
    Published(Box<Receipt>),
    OnJournal(u64),
}

impl<E: Event, C> fmt::Debug for IntoBus<E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoBus")
            .field("name", &self.name)
            .field("safe_when", &self.safe_when())
            .field("in_hand", &self.in_hand.len())
            .finish_non_exhaustive()
    }
}

impl<E: Event, C: Codec<E>> IntoBus<E, C> {
    /// For the inbox of that name, with a codec for the payloads. How far the lanes are is known as long as it runs: when it is
    /// started again, a lane that does not begin with its first event waits for
    /// [`begin_after`](crate::InboxBuilder::begin_after) once.
    pub fn new(name: &str, publisher: Publisher<E>, codec: C) -> Self {
        Self::with(name, publisher, codec, Book::Nowhere)
    }

    /// As [`new`](Self::new); how far the lanes are is kept in a store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn kept(
        name: &str,
        publisher: Publisher<E>,
        codec: C,
        store: Arc<impl EventStore>,
    ) -> Result<Self, StoreError> {
        let marks = Marks::open(store, name)?;
        Ok(Self::with(name, publisher, codec, Book::Kept(marks)))
    }

    /// For a bus with a journal: an event may be forgotten when the journal has it durably, and how far the lanes are is
    /// read from the journal's events: so the next inbox of this name is to start when this one has
    /// [ended](crate::InboxReport::has_ended). Handlers that a crash keeps from an event do not see it again by this: what the
    /// journal has is theirs to be replayed from.
    ///
    /// `journal` is that of the bus: from [`BusJournal::handle`](slipring_store::BusJournal::handle).
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn journalled(
        name: &str,
        publisher: Publisher<E>,
        codec: C,
        journal: Journal,
    ) -> Result<Self, StoreError> {
        let marks = JournalMarks::open(name, journal)?;
        Ok(Self::with(name, publisher, codec, Book::Journalled(Box::new(marks))))
    }

    fn with(name: &str, publisher: Publisher<E>, codec: C, book: Book) -> Self {
        Self {
            publisher,
            codec,
            name: name.into(),
            renames: Renames::none(),
            letters_are_enough: false,
            frames: Batch::new(),
            book,
            in_hand: VecDeque::new(),
            ready: Vec::new(),
        }
    }

    /// What topics are called here.
    #[must_use = "it is built by value, another is returned"]
    pub fn rename(mut self, rules: Renames) -> Self {
        self.renames = rules;
        self
    }

    /// An event that a handler has failed on for good is done with: for a bus whose dead letters are
    /// [kept](slipring_events::DeadLetters::kept) beyond the program.
    #[must_use = "it is built by value, another is returned"]
    pub fn letters_are_enough(mut self) -> Self {
        self.letters_are_enough = true;
        self
    }

    /// The event of a parcel, or why there is none.
    fn read(&mut self, parcel: &Parcel, topic: &str) -> Result<E, Box<str>> {
        let mut entry = Entry::at(parcel.time, topic, &parcel.payload).schema(parcel.schema);
        (entry.id, entry.source, entry.stream) =
            (parcel.id, &parcel.source, parcel.stream.as_deref());
        (entry.correlation, entry.causation) = (parcel.correlation, parcel.causation);
        entry.metadata = Some(&parcel.metadata);
        self.frames.clear();
        self.frames.append(entry).map_err(|error| error.to_string())?;
        let mut frames = Frames::new(self.frames.bytes(), 0, Source::named(&self.name));
        let record = frames.next().ok_or("there is nothing in it")?;
        let record = record.map_err(|error| error.to_string())?;
        match catch_unwind(AssertUnwindSafe(|| self.codec.decode(&record))) {
            Ok(read) => read.map_err(|error| error.to_string().into()),
            Err(panic) => Err(format!("the codec has panicked: {}", message_of(panic)).into()),
        }
    }

    fn draft(&self, event: E, parcel: &Parcel, topic: String) -> Draft<E> {
        let mut draft = Draft::new(event).topic(topic).time(parcel.time);
        if let Some(id) = parcel.id {
            draft = draft.id(id);
        }
        if let Some(id) = parcel.correlation {
            draft = draft.correlation(id);
        }
        if let Some(id) = parcel.causation {
            draft = draft.causation(id);
        }
        draft.metadata(note_origin(parcel, &self.name))
    }

    fn publish(&mut self, parcel: &Parcel) -> Result<State, IntakeError> {
        let topic = self.renames.apply(&parcel.topic);
        let event = match self.read(parcel, &topic) {
            Ok(event) => event,
            Err(reason) => return Ok(State::Refused(reason)),
        };
        let draft = self.draft(event, parcel, topic);
        let published = match self.book {
            Book::Journalled(_) => {
                let sent = self.publisher.send(draft);
                sent.map(|published| State::OnJournal(published.sequence()))
            }
            Book::Nowhere | Book::Kept(_) => {
                let sent = self.publisher.send_tracked(draft);
                sent.map(|receipt| State::Published(Box::new(receipt)))
            }
        };
        published.or_else(|Refused { reason, .. }| match reason {
            RefusedReason::Topic(refused) => Ok(State::Refused(refused.to_string().into())),
            RefusedReason::Full | RefusedReason::TimedOut => Err(IntakeError::failing(reason)),
            other => Err(IntakeError::over(other)),
        })
    }

    /// What became of the oldest one, if that is known.
    fn look(&mut self, context: &mut Context<'_>) -> Result<Option<Verdict>, IntakeError> {
        let Some(oldest) = self.in_hand.front_mut() else { return Ok(None) };
        match &mut oldest.state {
            State::Refused(reason) => Ok(Some(Verdict::Refused(std::mem::take(reason)))),
            State::OnJournal(sequence) => match &mut self.book {
                Book::Journalled(marks) => marks.look(*sequence),
                Book::Nowhere | Book::Kept(_) => Ok(None),
            },
            State::Published(receipt) => match Pin::new(&mut **receipt).poll(context) {
                Poll::Pending => Ok(None),
                Poll::Ready(unhandled) => self.judge(&unhandled).map(Some),
            },
        }
    }

    fn judge(&self, unhandled: &[Unhandled]) -> Result<Verdict, IntakeError> {
        if unhandled.is_empty() {
            return Ok(Verdict::Safe);
        }
        // Handlers that leave because the bus ends have not had it.
        if self.publisher.is_closed() {
            return Err(IntakeError::over("the bus is closed, and its handlers have left"));
        }
        let has_failed = |one: &&Unhandled| matches!(one.fate, Fate::Failed(_));
        match unhandled.iter().find(has_failed) {
            Some(failed) if !self.letters_are_enough => {
                Ok(Verdict::Refused(failed.to_string().into()))
            }
            _ => Ok(Verdict::Safe),
        }
    }

    /// Writes down how far the lanes are, and then says so.
    fn conclude(&mut self, verdicts: &mut Vec<Verdict>) -> Result<(), IntakeError> {
        if self.ready.is_empty() {
            return Ok(());
        }
        let stamps = self.ready.iter().filter_map(|(stamp, _)| stamp.as_ref());
        match &mut self.book {
            Book::Nowhere => {}
            Book::Kept(marks) => {
                let said = self.ready.iter().map(|(stamp, verdict)| (stamp.as_ref(), verdict));
                marks.commit(&mut Batch::new(), stamps, refused_of(said))?;
            }
            Book::Journalled(marks) => marks.note(&self.ready)?,
        }
        verdicts.extend(self.ready.drain(..).map(|(_, verdict)| verdict));
        Ok(())
    }
}

impl<E: Event, C> IntoBus<E, C> {
    /// When the broker may forget an event.
    pub fn safe_when(&self) -> SafeWhen {
        match self.book {
            Book::Nowhere | Book::Kept(_) => SafeWhen::Handled,
            Book::Journalled(_) => SafeWhen::Journalled,
        }
    }
}

impl<E: Event, C: Codec<E>> Intake for IntoBus<E, C> {
    fn marks(&mut self) -> Result<Vec<Mark>, IntakeError> {
        match &mut self.book {
            Book::Nowhere => Ok(Vec::new()),
            Book::Kept(marks) => Ok(marks.all()),
            Book::Journalled(marks) => Ok(marks.all()),
        }
    }

    fn needs_order(&self) -> bool {
        !matches!(self.book, Book::Nowhere)
    }

    fn refused(&mut self) -> Result<Vec<RefusedBefore>, IntakeError> {
        match &self.book {
            Book::Nowhere => Ok(Vec::new()),
            Book::Kept(marks) => Ok(marks.refused()),
            Book::Journalled(marks) => Ok(marks.refused()),
        }
    }

    fn take(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        _: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError> {
        while let Some(parcel) = parcels.pop_front() {
            match self.publish(&parcel) {
                Ok(state) => self.in_hand.push_back(InHand { stamp: parcel.stamp, state }),
                Err(error) => {
                    parcels.push_front(parcel);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        verdicts: &mut Vec<Verdict>,
    ) -> Result<Option<Duration>, IntakeError> {
        // One that was taken before and is not written down goes first, as it was.
        self.conclude(verdicts)?;
        let looked = loop {
            match self.look(context) {
                Ok(Some(verdict)) => {
                    if let Some(InHand { stamp, .. }) = self.in_hand.pop_front() {
                        self.ready.push((stamp, verdict));
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.conclude(verdicts)?;
        looked?;
        if let (Book::Journalled(marks), true) = (&mut self.book, self.in_hand.is_empty()) {
            marks.idle()?;
        }
        let waits_for_journal =
            matches!(self.in_hand.front(), Some(InHand { state: State::OnJournal(_), .. }));
        Ok(waits_for_journal.then_some(LOOK))
    }

    fn end(&mut self) -> Result<(), IntakeError> {
        let Book::Journalled(marks) = &mut self.book else { return Ok(()) };
        // What is on the ring and not in the journal would be unknown to the next one, which reads the journal.
        let deadline = Instant::now() + PATIENCE_OF_DROP;
        for InHand { stamp, state } in self.in_hand.drain(..) {
            let verdict = match state {
                State::Published(_) => break,
                State::Refused(reason) => Verdict::Refused(reason),
                State::OnJournal(sequence) => match marks.wait(sequence, deadline)? {
                    Some(verdict) => verdict,
                    None => break,
                },
            };
            self.ready.push((stamp, verdict));
        }
        marks.note(&self.ready)?;
        marks.save()
    }
}
