//! The protocols of the ring: states, invariants, the race that each survives, and its proof.
//!
//! This page has no items. Names in *italics* are models: `p06::one_sleeper` is the function
//! `one_sleeper` in `loom-tests/models/p06.rs`, where loom searches the interleavings of the very
//! sources of this crate, and the stale values that the memory model allows: all of them, or all
//! with a few preemptions, as the table in `loom-tests/README.md` says of each. That each memory
//! ordering named here is needed is shown by weakening it: some model fails (`cargo xtask
//! ordering-mutants`; the table is in ARCHITECTURE.md). That the models notice broken protocols is
//! shown by breaking them (`loom-tests/controls`).
//!
//! # Words
//!
//! A **cursor** *c* is the next sequence that its owner will touch: one writer, who only ever adds
//! to it (until it leaves). `x → y` says that *x* happens before *y* in the sense of the memory
//! model. *N* is the number of slots; sequence *s* lives in slot *s* mod *N*.
//!
//! One invariant carries all of it:
//!
//! > **Turn.** A thread touches the slot of *s* only if everything that others did to that slot
//! > before its turn happens before, and whoever's turn is later waits for its cursor.
//!
//! The turns of a slot, lap by lap: *claim s*, then the stations in their stages (those side by
//! side only read), then the reset hook, then *claim s + N*. What follows is how each pair of
//! neighbours in this order is held apart.
//!
//! # Claim and publish, one producer
//!
//! | state of the producer | owns | leaves it by |
//! |---|---|---|
//! | idle at *next* | nothing | a gate ≥ *next + n − N* (its cached *limit*, or a look) |
//! | writing *next .. next + n* | these slots | publishing, or a panic in the write closure |
//!
//! *Publish* is one Release store of *next + n* to the published cursor; a station's look is an
//! Acquire load of it. **Invariant:** published ≤ *next*, but for the one event whose store
//! [closing](#closing) may refuse: after that the ring is closed, and everybody goes by its end. **Race:** a station looks at the very moment of the store: it
//! sees the old value and does nothing, or the new one, and with it the writes (Release/Acquire).
//! **A panic** in the closure publishes nothing: the sequence was never visible, and is used again.
//! **Proof:** *p01::attempts*, *p01::batches*, *p05::two_attempts*, *p08::the_only_one*.
//!
//! # Claim and publish, many producers
//!
//! | word | values | written by |
//! |---|---|---|
//! | `claimed` | next sequence, and a bit *closed* | compare-and-swap of a producer, `fetch_or` of the closer |
//! | mark of a slot | the lap last published there, modulo 2^32 | the producer that holds the slot |
//!
//! A producer first sees that the gate leaves room for *first .. end*, then swaps `claimed` from
//! *first* to *end*. **Invariant:** the ranges of successful swaps are disjoint and without gaps,
//! and whoever holds one has itself acquired the cursors of all that used the slots before. Hence
//! the swap may be Relaxed: it hands out numbers; the gate hands out slots. *Publish* is, for each
//! sequence, one Release store of its lap into its mark. A station scans the marks from its own
//! cursor (Acquire) and stops at the first that is not of the right lap, so it never passes a gap.
//! **Race:** two producers claim at once: one swap fails, and tells where the word stands. The
//! later claim publishes first: the scan stops before it. A mark from a lap ago is not mistaken for
//! this lap's, because a slot's mark is at most one lap old when somebody looks at it. **Proof:**
//! *p04* (all), *p05::the_last_slot*, *p01::attempts_with_many_producers*.
//!
//! # Gate
//!
//! A producer follows the last stations by one lap: it may write *s* if *s − N* < min(their
//! cursors). It keeps the result as a limit and looks again only when that is used up.
//! **Invariant:** limit ≤ gate + *N*; a stale cursor is a smaller one, so a stale limit errs to the
//! safe side. **Race:** a slow reader beside a fast one, and a reader in the middle of an event:
//! the smallest cursor counts, and moves only behind the event. *Early release* moves it to the
//! event in hand and not further. With a **reset hook** the gate is the hook's cursor. The hook
//! runs for whoever passes last: a station moves its cursor, executes a full fence, and looks
//! whether all have passed; of two that come at once at least one sees both (Dekker). **Proof:**
//! *p03* (all), *p01::multicast*, *p13::reset_by_the_later_of_two*.
//!
//! # Stages
//!
//! A station goes no further than the smallest cursor of those that it follows; moving a cursor is
//! a Release store behind the handler's last access, looking at one an Acquire load before the
//! follower's first. **Invariant:** the followers of *s* see all that was done to it, and a station
//! that changes events is ordered against every other one (checked when the ring is built).
//! **Proof:** *p02* (all).
//!
//! # Wake
//!
//! Beside each cursor is a bell: a word of signs, a count of rings under a mutex, a condition
//! variable.
//!
//! | | sleeper | owner of the cursor |
//! |---|---|---|
//! | 1 | under the mutex: raise `AWAITED`, note the count of rings | move the cursor |
//! | 2 | **heavy fence** | **light fence** |
//! | 3 | under the mutex: sleep if the count has not moved and the cursor is still in the way | look at the signs; if `AWAITED`: under the mutex take the sign away and count, then wake all |
//!
//! **Invariant:** a thread that sleeps (naps aside, which end by themselves or by a close) has
//! raised a sign which no ring has taken away since, or a ring is on its way. **Race:** the owner moves and looks while the sleeper raises and looks. The
//! fences exclude that both miss each other: if the sleeper saw the move it does not sleep; if the
//! owner saw the sign it rings, and the sleeper finds the count moved, or sleeps already and is
//! woken, because the mutex is given up only by the wait itself. A second sleeper's sign does not
//! deceive the first, which counts rings since its own. A sleeper that waits for several cursors
//! sleeps at the bell of one that is in the way, and looks again under the mutex whether that very
//! one still is. The **fences** come in two forms, see `src/sync/fence.rs`: a full one on both
//! sides, or the compiler's on the owner's and `membarrier(2)` on the sleeper's. Each model below
//! runs with both. **Proof:** *p06* (all), *p08::a_sleeper_passes_over*.
//!
//! # Closing
//!
//! Closing settles the **end**: events before it exist and are handled by all, others never will.
//! The flags are signs on the producers' bell; they are only ever added: open → closing → sealed,
//! and halted at any time.
//!
//! *Many producers:* the closer sets the bit in `claimed`. A swap is before it, and its events will
//! be published or abandoned; or it is refused.
//!
//! *One producer* announces nothing, so three parties shake hands, each writing before it reads,
//! with a fence in between:
//!
//! | producer | closer (holds the lock of the end) | station |
//! |---|---|---|
//! | publish *e* | raise `CLOSING` | see *e* published |
//! | light fence | heavy fence | light fence |
//! | look at the flags; if closing, ask for the end | read published: that is the end | look at the flags; if closing, go no further than the end |
//!
//! **Invariant:** *e* is accepted ⇔ *e* < end ⇔ every station that neither is
//! halted nor leaves handles *e*.
//! **Race:** the closer misses *e*. Then its fence came before the producer's, who sees `CLOSING`,
//! asks, and is refused; and before that of any station that saw *e*, which sees `CLOSING`, asks,
//! and stays away. An event refused in this way is nobody's: it takes no room, and the reset hook
//! does not see it. **Proof:** *p07* (all), *p15::closed_after_the_last*.
//!
//! # Halt
//!
//! A halt raises `HALTED`, settles the end, rings every bell without a look at `AWAITED`. Each
//! station stops behind the batch in hand; each producer is refused. A fault is a halt that says
//! why: the first fault is kept, under a lock that is held while the sign is raised. **Invariant:**
//! what a station has handled is an exact prefix. **Race:** a thread falls asleep while the bells
//! ring: the sign was raised before the mutex was taken, and the sleeper looks at it with the mutex
//! held. **Proof:** *p07::halting_under_a_sleeper*, *p07::halting_a_thread*, *p09* (all).
//!
//! # Skip
//!
//! A producer of many that panics between claim and publication must not leave a gap. It lists the
//! sequences, counts them, and publishes them like others (Release on the mark, behind the list). A
//! station that has seen the mark (Acquire) sees the count, and looks at the list only if that has
//! moved. **Invariant:** whoever has seen *s* published knows whether it was abandoned; nobody
//! hands an abandoned event to a handler, and everybody's cursor passes it. **Race:** the list is
//! pruned while a station reads it: only of what every station has passed. **Proof:** *p08* (all),
//! *p13::abandoned*.
//!
//! # Leaving
//!
//! A poller that leaves sets its cursor to *detached* (Release: what it did to its last events is
//! done). Whoever followed it looks through it and follows what it followed: the producers if
//! nobody is left. Then nobody keeps many producers from lapping each other, so they keep
//! themselves: the gate is the published **prefix**, kept in a word that only grows
//! (read-modify-writes), so that a slot is written again only after its last writer is done.
//! **Invariant:** looking through never sees less than what the departed station had to wait for.
//! **Race:** several leave at once; a producer looks in between: a station is *here* with its
//! cursor or *detached*, and both are safe; who sleeps for it is woken by its departure. **Proof:**
//! *p02::looking_through_a_departed_stage*, *p03::a_reader_that_leaves*,
//! *p03::a_chain_that_leaves*, *p04::nobody_listens*, *p04::the_last_listener_leaves*,
//! *p06::whoever_is_followed_leaves*, *p06::a_producer_and_a_leaver*,
//! *p16::a_report_while_a_poller_leaves*.
//!
//! # Arriving
//!
//! A station that comes while the ring runs, a *guest*, must not begin with an event that a producer may be
//! writing over already: one that looked at the gate before has a limit that does not know of it.
//!
//! | | guest, with the lock of all seats | producer, at the gate |
//! |---|---|---|
//! | 1 | stand where the gate is, or was | look at the cursors of all stations; smallest: the gate |
//! | 2 | count the arrival (Release) | **light fence** |
//! | 3 | **heavy fence** | look at the count: nobody came since the cursors were looked at, or look again (Acquire) |
//! | 4 | look at the cursors of all others; smallest, or later: there it begins | limit = gate + *N* |
//!
//! **Invariant:** for every limit that was found without the guest, limit − *N* ≤ where it begins. **Race:** the producer
//! misses the arrival. Then its fence came before the guest's, and every cursor that it saw in 1 is seen
//! by the guest in 4 where it was, or further. It does not miss it: then it finds the guest where it stands,
//! which never is ahead of where it will begin. Two guests at a time would find each other where they do not stay:
//! hence the lock. The post that a guest leaves goes to a later one; what the first has done to its events
//! is handed on with it. **Proof:** *p10* (all).
//!
//! # Tasks
//!
//! A task that has to wait leaves its waker with the bell: under the mutex it raises `AWAITED` and adds the
//! waker to the list, executes the heavy fence, and looks once more. A ring takes the list with the sign,
//! and wakes all of it without the mutex. **Invariant:** a task that goes has its waker in a list whose sign is raised, or a
//! ring has taken it and will wake it. **Race:** as for a thread; but nothing has to be counted, because
//! a waker that is woken too early is polled and looks again. A future that is dropped takes its own waker
//! back and no other; one that goes to another task replaces it. **Proof:** *p12* (all).
//!
//! # Joining
//!
//! [`Dispatcher::join`](crate::Dispatcher::join) waits for the end to be settled (it naps at the
//! producers' bell without raising `AWAITED`, so that producers are not made to ring), then for the
//! threads. The last producer's drop closes. **Race:** it closes while the owner falls asleep:
//! closing rings every bell, and the nap looks under the mutex. **Proof:**
//! *p07::a_thread_drains_and_ends*, *p07::shutdown_under_a_producer*,
//! *p07::the_last_of_two_producers_closes*, *p15::a_poller_behind_a_thread*.
//!
//! # What no model shows
//!
//! * **The asymmetric fence itself.** That `membarrier(2)` orders a light side against a heavy one
//!   is the kernel's promise, and a test on real threads (`src/sync/fence.rs`). In a model the two
//!   order each other where they meet, and nothing else does; a meeting orders slots as well, so
//!   models whose property needs no pair run with light fences that are nothing at all.
//! * **Load buffering** (a load that reads what only happens because of it): loom does not produce
//!   it. Every access to a slot is behind an Acquire; for the count of producers, see
//!   `loom-tests/ordering-survivors.toml`.
//! * **Time.** A model's clock stands still: naps, spinning, holding off and time-outs are tested on
//!   real threads. Nor do its condition variables wake without cause.
//! * **The last handle.** The ring is freed by whoever drops the last `Arc`, which is the standard
//!   library's, in models too.
//! * **Large rings.** Models have 1 to 4 slots and up to 4 events. Arithmetic over laps is tested by
//!   properties (`src/sequence.rs`), large topologies by the stress machine and by shuttle.
