//! The faults: what is broken, where, and which models must notice.
//!
//! `text` stands once in the library's file, layout and comments aside; where the fault is awake,
//! `broken` is executed in its place. Either both are expressions or both are statements.

/// One place where the library is broken on purpose.
#[derive(Debug)]
pub struct Fault {
    pub name: &'static str,
    /// What the models must find violated.
    pub property: &'static str,
    pub what: &'static str,
    /// Below `src`.
    pub file: &'static str,
    pub text: &'static str,
    pub broken: &'static str,
    /// Each of these models must fail.
    pub caught_by: &'static [&'static str],
}

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "published_before_it_is_written",
        property: "p01",
        what: "a single event is published before its slot is written",
        file: "producer.rs",
        text: "write(&mut slot[0]); held.end(); writing.publish().map(|range| range.start)",
        broken: "let (circuit, first) = (&writing.producer.ring.circuit, writing.first); let \
            published = writing.producer.claims.publish(circuit, first, 1); write(&mut slot[0]); \
            held.end(); std::mem::forget(writing); published.map(|()| first)",
        caught_by: &["p01::spinning", "p01::attempts", "p01::attempts_with_many_producers"],
    },
    Fault {
        name: "only_the_first_of_a_batch",
        property: "p01",
        what: "of a batch of the only producer, the first event is published",
        file: "producer.rs",
        text: "circuit.sequencer.single.publish(end); circuit.lifecycle.admit(end)?;",
        broken: "circuit.sequencer.single.publish(first + 1); circuit.lifecycle.admit(end)?;",
        caught_by: &["p01::batches"],
    },
    Fault {
        name: "a_half_read_batch_counts_as_read",
        property: "p01",
        what: "a polled batch that is dropped moves over what was not read",
        file: "poller.rs",
        text: "if thread::panicking() { self.done } else { self.read }",
        broken: "Progress { at: self.to, ..self.read }",
        caught_by: &["p01::a_batch_dropped_half_read"],
    },
    Fault {
        name: "handled_again",
        property: "p01",
        what: "a station moves its shared cursor, but not its own",
        file: "consumer.rs",
        text: "self.cursor = to; self.post().stand_at(to);",
        broken: "self.post().stand_at(to); self.cursor = to.min(self.cursor + 1);",
        caught_by: &["p01::batches"],
    },
    Fault {
        name: "the_neighbour_s_slot",
        property: "p01",
        what: "a handler gets the slot behind its event's",
        file: "lent.rs",
        text: "ring.slot(first)",
        broken: "ring.slot(first + 1)",
        caught_by: &["p01::attempts"],
    },
    Fault {
        name: "the_stage_before_is_not_followed",
        property: "p02",
        what: "a station follows the producers, whatever was declared",
        file: "circuit.rs",
        text: "self.smallest(&self.posts[index].follows, || self.sequencer.available(from, limit))",
        broken: "self.sequencer.available(from, limit)",
        caught_by: &[
            "p02::pipeline_of_one_slot",
            "p02::pipeline",
            "p11::a_team_behind_a_stage/asymmetric",
        ],
    },
    Fault {
        name: "the_first_of_several_is_followed",
        property: "p02",
        what: "of the stations that it follows, a station looks at the first only",
        file: "circuit.rs",
        text: "self.smallest(&self.posts[index].follows, || self.sequencer.available(from, limit))",
        broken: "let follows = &self.posts[index].follows; \
            self.smallest(&follows[..follows.len().min(1)], || self.sequencer.available(from, \
            limit))",
        caught_by: &["p02::diamond"],
    },
    Fault {
        name: "moved_before_it_is_handled",
        property: "p02",
        what: "a station moves its cursor before it handles the events",
        file: "consumer.rs",
        text: "self.handle(work, from, to)",
        broken: "self.move_to(to); self.handle(work, from, to)",
        caught_by: &["p02::pipeline_of_one_slot", "p03::one_slot"],
    },
    Fault {
        name: "looked_through_to_nothing",
        property: "p02",
        what: "whoever followed a station that left follows nobody",
        file: "circuit.rs",
        text: "self.through(index, &origin, &mut Seen::default())",
        broken: "DETACHED",
        caught_by: &["p02::looking_through_a_departed_stage"],
    },
    Fault {
        name: "looked_through_to_the_producers",
        property: "p02",
        what: "whoever followed a station that left follows the producers",
        file: "circuit.rs",
        text: "self.through(index, &origin, &mut Seen::default())",
        broken: "origin()",
        caught_by: &["p03::a_chain_that_leaves", "p02::looking_through_a_departed_stage"],
    },
    Fault {
        name: "looked_through_to_where_it_stood",
        property: "p02",
        what: "whoever followed a station that left stays behind its last position",
        file: "circuit.rs",
        text: "self.through(index, &origin, &mut Seen::default())",
        broken: "self.posts[index].figures.left_at.get()",
        caught_by: &["p02::looking_through_a_departed_stage", "p03::a_reader_that_leaves"],
    },
    Fault {
        name: "a_lap_and_one",
        property: "p03",
        what: "a producer goes one event further than a lap ahead",
        file: "producer.rs",
        text: "(gate + circuit.capacity.lap_len())",
        broken: "(gate + circuit.capacity.lap_len() + 1)",
        caught_by: &[
            "p01::references_held",
            "p13::taken_out",
            "p13::unread_and_overwritten",
            "p03::one_slot",
            "p04::wrapping",
        ],
    },
    Fault {
        name: "one_less_is_waited_for",
        property: "p03",
        what: "a producer that waits for room waits for one slot less than it needs",
        file: "producer.rs",
        text: "end.saturating_sub(circuit.capacity.lap_len())",
        broken: "end.saturating_sub(circuit.capacity.lap_len() + 1)",
        caught_by: &["p03::one_slot"],
    },
    Fault {
        name: "the_first_of_the_last",
        property: "p03",
        what: "of several last stations, producers look at the first only",
        file: "circuit.rs",
        text: "self.smallest(&self.last, || self.ungated())",
        broken: "self.smallest(&self.last[..1], || self.ungated())",
        caught_by: &["p01::multicast", "p03::the_slower_of_two"],
    },
    Fault {
        name: "a_limit_that_nobody_gave",
        property: "p03",
        what: "a producer that has asked for room once takes it for a lap of it",
        file: "producer.rs",
        text: "if end > self.limit { self.limit = make_room(circuit, end, patience, help)?; } if \
            circuit.lifecycle.is_refusing() { return Err(circuit.lifecycle.refusal()); } \
            Ok(self.next)",
        broken: "if end > self.limit { make_room(circuit, end, patience, help)?; self.limit = end + \
            circuit.capacity.lap_len(); } if circuit.lifecycle.is_refusing() { return \
            Err(circuit.lifecycle.refusal()); } Ok(self.next)",
        caught_by: &["p03::one_slot"],
    },
    Fault {
        name: "at_once_beyond_the_limit",
        property: "p03",
        what: "the only producer claims one event more than there is room for, without asking",
        file: "producer.rs",
        text: "self.next + count <= self.limit",
        broken: "self.next + count <= self.limit + 1",
        caught_by: &["p03::one_slot"],
    },
    Fault {
        name: "released_one_too_far",
        property: "p03",
        what: "an early release lets the event in hand go, too",
        file: "handler.rs",
        text: "Place::of(self.post, self.worker).stand_at(self.sequence);",
        broken: "Place::of(self.post, self.worker).stand_at(self.sequence + 1);",
        caught_by: &["p03::early_release"],
    },
    Fault {
        name: "claimed_by_load_and_store",
        property: "p04",
        what: "a claim is a load and a store",
        file: "sequencer/multi.rs",
        text: "self.claimed.compare_exchange(first, end, Ordering::Relaxed, \
            Ordering::Relaxed).map(|_| ())",
        broken: "let claimed = self.claimed.load(Ordering::Relaxed); if claimed == first { \
            self.claimed.store(end, Ordering::Relaxed); Ok(()) } else { Err(claimed) }",
        caught_by: &["p04::two_each", "p04::one_each", "p04::wrapping"],
    },
    Fault {
        name: "claimed_without_a_look_at_the_gate",
        property: "p04",
        what: "one of many producers claims whether there is room or not",
        file: "producer.rs",
        text: "let end = self.next + count; self.limit = make_room(circuit, end, patience, help)?;",
        broken: "self.limit = self.limit.max(self.next + count);",
        caught_by: &["p04::wrapping"],
    },
    Fault {
        name: "many_at_once_beyond_the_limit",
        property: "p04",
        what: "one of many producers claims one event more than there is room for, without asking",
        file: "producer.rs",
        text: "self.next + count > self.limit || circuit.lifecycle.is_refusing()",
        broken: "self.next + count > self.limit + 1 || circuit.lifecycle.is_refusing()",
        caught_by: &["p04::wrapping"],
    },
    Fault {
        name: "room_for_the_guess",
        property: "p04",
        what: "a producer whose guess was wrong claims what is next without asking for room",
        file: "producer.rs",
        text: "self.next = next; Ok(None)",
        broken: "self.next = next + count; let is_ours = \
            Self::sequencer(circuit).try_claim(next, next + count).is_ok(); Ok(is_ours.then_some(next))",
        caught_by: &["p04::wrapping", "p05::the_last_slot"],
    },
    Fault {
        name: "a_gap_is_passed",
        property: "p04",
        what: "what is published behind a gap counts, too",
        file: "sequencer/multi.rs",
        text: "marks.iter().take_while(|mark| seen(mark)).count()",
        broken: "marks.iter().filter(|mark| seen(mark)).count()",
        caught_by: &["p04::a_gap"],
    },
    Fault {
        name: "the_mark_of_the_lap_before",
        property: "p04",
        what: "a slot is marked with its event's lap, which it carries already",
        file: "sequencer/multi.rs",
        text: "self.capacity.lap(sequence).wrapping_add(1)",
        broken: "self.capacity.lap(sequence)",
        caught_by: &["p04::one_each"],
    },
    Fault {
        name: "a_batch_is_marked_by_its_first",
        property: "p04",
        what: "of a batch of one of many producers, the first event is marked",
        file: "sequencer/multi.rs",
        text: "mark.store(lap, Ordering::Release);",
        broken: "if std::ptr::eq(mark, &self.marks[self.capacity.slot(first)]) { mark.store(lap, \
            Ordering::Release); }",
        caught_by: &["p04::batch_against_single"],
    },
    Fault {
        name: "claimed_is_as_good_as_published",
        property: "p04",
        what: "with no station left, producers follow what is claimed",
        file: "circuit.rs",
        text: "self.sequencer.ungated()",
        broken: "self.sequencer.claimed()",
        caught_by: &["p04::two_listeners_leave", "p04::nobody_listens"],
    },
    Fault {
        name: "the_prefix_is_not_kept",
        property: "p04",
        what: "a station that leaves does not tell how far it saw events published",
        file: "circuit.rs",
        text: "self.sequencer.keep_prefix(cursor); post.figures.left_at.set(cursor); \
            post.cursor.hand_on(DETACHED); post.bell.ring();",
        broken: "post.figures.left_at.set(cursor); post.cursor.hand_on(DETACHED); \
            post.bell.ring();",
        caught_by: &["p04::the_last_listener_leaves"],
    },
    Fault {
        name: "the_prefix_is_kept_too_late",
        property: "p06",
        what: "a station tells how far it saw events published when it has left",
        file: "circuit.rs",
        text: "self.sequencer.keep_prefix(cursor); post.figures.left_at.set(cursor); \
            post.cursor.hand_on(DETACHED); post.bell.ring();",
        broken: "post.figures.left_at.set(cursor); post.cursor.hand_on(DETACHED); \
            self.sequencer.keep_prefix(cursor); post.bell.ring();",
        caught_by: &["p06::one_of_many_producers_and_a_leaver/symmetric"],
    },
    Fault {
        name: "the_prefix_goes_back",
        property: "p04",
        what: "a producer that is late takes the published prefix back",
        file: "sequencer/multi.rs",
        text: "self.prefix.fetch_max(end, Ordering::AcqRel).max(end)",
        broken: "self.prefix.store(end, Ordering::Release); end",
        caught_by: &["p04::nobody_listens"],
    },
    Fault {
        name: "full_after_the_claim",
        property: "p05",
        what: "a producer claims, finds the ring full, and leaves a hole",
        file: "producer.rs",
        text: "let end = self.next + count; self.limit = make_room(circuit, end, patience, help)?;",
        broken: "let end = self.next + count; match make_room(circuit, end, patience, help) { \
            Ok(limit) => self.limit = limit, Err(error) => { let _ = \
            Self::sequencer(circuit).try_claim(self.next, end); return Err(error); } }",
        caught_by: &["p05::the_last_slot"],
    },
    Fault {
        name: "full_with_room_for_one",
        property: "p05",
        what: "a ring with one free slot counts as full",
        file: "producer.rs",
        text: "end.saturating_sub(circuit.capacity.lap_len())",
        broken: "(end + 1).saturating_sub(circuit.capacity.lap_len())",
        caught_by: &["p05::two_attempts", "p16::room"],
    },
    Fault {
        name: "an_attempt_waits",
        property: "p05",
        what: "an attempt waits for room",
        file: "circuit.rs",
        text: "if matches!(patience, Patience::None) { return Err(PublishError::Full); }",
        broken: "",
        caught_by: &["p05::two_attempts"],
    },
    Fault {
        name: "a_refusal_takes_a_sequence",
        property: "p05",
        what: "a refused attempt takes a sequence",
        file: "producer.rs",
        text: "if end > self.limit { self.limit = make_room(circuit, end, patience, help)?; } if \
            circuit.lifecycle.is_refusing() { return Err(circuit.lifecycle.refusal()); } \
            Ok(self.next)",
        broken: "if end > self.limit { match make_room(circuit, end, patience, help) { Ok(limit) => \
            self.limit = limit, Err(error) => { self.next = end; return Err(error); } } } if \
            circuit.lifecycle.is_refusing() { return Err(circuit.lifecycle.refusal()); } \
            Ok(self.next)",
        caught_by: &["p05::two_attempts"],
    },
    Fault {
        name: "rung_before_published",
        property: "p06",
        what: "one of many producers rings before it publishes",
        file: "producer.rs",
        text: "Self::sequencer(circuit).publish(first, first + count); \
            circuit.lifecycle.published.ring_if_awaited(); Ok(())",
        broken: "circuit.lifecycle.published.ring_if_awaited(); \
            Self::sequencer(circuit).publish(first, first + count); Ok(())",
        caught_by: &["p06::two_publishers/symmetric", "p06::two_publishers/asymmetric"],
    },
    Fault {
        name: "looked_before_it_is_published",
        property: "p06",
        what: "the only producer looks at the signs before it publishes",
        file: "producer.rs",
        text: "circuit.sequencer.single.publish(end); circuit.lifecycle.admit(end)?;",
        broken: "circuit.lifecycle.admit(end)?; circuit.sequencer.single.publish(end);",
        caught_by: &["p06::one_sleeper/symmetric", "p07::closing_under_a_producer/asymmetric"],
    },
    Fault {
        name: "rung_before_moved",
        property: "p06",
        what: "a station rings before it moves its cursor",
        file: "post.rs",
        text: "self.cursor.hand_on(sequence); self.bell.ring_if_awaited();",
        broken: "self.bell.ring_if_awaited(); self.cursor.hand_on(sequence);",
        caught_by: &[
            "p06::two_producers/asymmetric",
            "p06::a_follower/asymmetric",
            "p06::a_producer/symmetric",
        ],
    },
    Fault {
        name: "not_rung",
        property: "p06",
        what: "the only producer does not ring",
        file: "lifecycle.rs",
        text: "self.published.answer(signs);",
        broken: "",
        caught_by: &[
            "p06::two_sleepers/asymmetric",
            "p06::one_sleeper/symmetric",
            "p06::one_sleeper/asymmetric",
        ],
    },
    Fault {
        name: "rung_if_nobody_waits",
        property: "p06",
        what: "a bell rings if nobody waits",
        file: "bell.rs",
        text: "signs & AWAITED != 0",
        broken: "signs & AWAITED == 0",
        caught_by: &["p06::one_sleeper/symmetric", "p06::a_producer/asymmetric"],
    },
    Fault {
        name: "looked_before_the_sign",
        property: "p06",
        what: "a sleeper raises its sign after its last look",
        file: "bell.rs",
        text: "let rings_before = { let rings = self.rings.lock(); self.signs.fetch_or(AWAITED, \
            Ordering::Relaxed); *rings }; self.fences.heavy(); let rings = self.rings.lock(); if \
            *rings == rings_before && must_wait() { drop(self.condvar.wait(rings, deadline)); }",
        broken: "let rings = self.rings.lock(); if must_wait() { self.signs.fetch_or(AWAITED, \
            Ordering::Relaxed); self.fences.heavy(); drop(self.condvar.wait(rings, deadline)); }",
        caught_by: &["p06::one_sleeper/symmetric", "p06::one_sleeper/asymmetric"],
    },
    Fault {
        name: "not_looked_again",
        property: "p06",
        what: "a sleeper raises its sign and sleeps without another look",
        file: "bell.rs",
        text: "let rings_before = { let rings = self.rings.lock(); self.signs.fetch_or(AWAITED, \
            Ordering::Relaxed); *rings }; self.fences.heavy(); let rings = self.rings.lock(); if \
            *rings == rings_before && must_wait() { drop(self.condvar.wait(rings, deadline)); }",
        broken: "let rings_before = { let rings = self.rings.lock(); self.signs.fetch_or(AWAITED, \
            Ordering::Relaxed); *rings }; self.fences.heavy(); let rings = self.rings.lock(); if \
            *rings == rings_before { drop(self.condvar.wait(rings, deadline)); }",
        caught_by: &["p06::one_sleeper/symmetric", "p06::one_sleeper/asymmetric"],
    },
    Fault {
        name: "a_ring_in_between_is_missed",
        property: "p06",
        what: "a sleeper does not ask whether the bell has rung since it raised its sign",
        file: "bell.rs",
        text: "let rings_before = { let rings = self.rings.lock(); self.signs.fetch_or(AWAITED, \
            Ordering::Relaxed); *rings }; self.fences.heavy(); let rings = self.rings.lock(); if \
            *rings == rings_before && must_wait() { drop(self.condvar.wait(rings, deadline)); }",
        broken: "{ let _rings = self.rings.lock(); \
            self.signs.fetch_or(AWAITED, Ordering::Relaxed); } self.fences.heavy(); let rings = \
            self.rings.lock(); if must_wait() { \
            drop(self.condvar.wait(rings, deadline)); }",
        caught_by: &["p06::one_sleeper/symmetric", "p06::one_sleeper/asymmetric"],
    },
    Fault {
        name: "a_ring_is_not_counted",
        property: "p06",
        what: "a ring takes the sign away and is not counted",
        file: "bell.rs",
        text: "let mut rings = self.rings.lock(); *rings += 1; self.signs.fetch_and(!AWAITED, \
            Ordering::Relaxed); drop(rings); self.condvar.notify_all();",
        broken: "let rings = self.rings.lock(); self.signs.fetch_and(!AWAITED, Ordering::Relaxed); \
            drop(rings); self.condvar.notify_all();",
        caught_by: &["p06::one_sleeper/symmetric"],
    },
    Fault {
        name: "rung_without_the_mutex",
        property: "p06",
        what: "a bell rings while a sleeper is between its look and its sleep",
        file: "bell.rs",
        text: "let mut rings = self.rings.lock(); *rings += 1; self.signs.fetch_and(!AWAITED, \
            Ordering::Relaxed); drop(rings); self.condvar.notify_all();",
        broken: "self.signs.fetch_and(!AWAITED, Ordering::Relaxed); self.condvar.notify_all();",
        caught_by: &["p06::one_sleeper/symmetric", "p06::one_sleeper/asymmetric"],
    },
    Fault {
        name: "asleep_at_the_wrong_bell",
        property: "p06",
        what: "a sleeper chooses the bell of the first station that it follows",
        file: "circuit.rs",
        text: "(cursor <= from).then_some(&post.bell)",
        broken: "Some(&post.bell)",
        caught_by: &["p06::a_follower_of_two/symmetric", "p06::a_producer_behind_two/asymmetric"],
    },
    Fault {
        name: "asleep_at_a_bell_that_has_rung_for_good",
        property: "p06",
        what: "a sleeper asks whether it must wait, but not whether it is still for this bell",
        file: "wait.rs",
        text: "holder().is_some_and(|now| ptr::eq(now, bell))",
        broken: "holder().is_some()",
        caught_by: &["p06::a_follower_of_two/symmetric", "p06::a_producer_behind_two/symmetric"],
    },
    Fault {
        name: "left_in_silence",
        property: "p06",
        what: "a station leaves without waking those who sleep for it",
        file: "circuit.rs",
        text: "self.sequencer.keep_prefix(cursor); post.figures.left_at.set(cursor); \
            post.cursor.hand_on(DETACHED); post.bell.ring();",
        broken: "self.sequencer.keep_prefix(cursor); post.figures.left_at.set(cursor); \
            post.cursor.hand_on(DETACHED);",
        caught_by: &[
            "p06::whoever_is_followed_leaves/symmetric",
            "p06::a_producer_and_a_leaver/asymmetric",
        ],
    },
    Fault {
        name: "left_and_still_there",
        property: "p06",
        what: "a station that leaves keeps its cursor where it was",
        file: "circuit.rs",
        text: "self.sequencer.keep_prefix(cursor); post.figures.left_at.set(cursor); \
            post.cursor.hand_on(DETACHED); post.bell.ring();",
        broken: "self.sequencer.keep_prefix(cursor); post.figures.left_at.set(cursor); \
            post.cursor.hand_on(cursor); post.bell.ring();",
        caught_by: &["p06::a_producer_and_a_leaver/symmetric"],
    },
    Fault {
        name: "closed_in_silence",
        property: "p07",
        what: "closing wakes nobody",
        file: "circuit.rs",
        text: "self.lifecycle.settle(|| self.sequencer.close()); self.wake_all();",
        broken: "self.lifecycle.settle(|| self.sequencer.close());",
        caught_by: &[
            "p07::a_closed_ring_wakes_its_readers/symmetric",
            "p07::a_closed_ring_wakes_its_producer/asymmetric",
        ],
    },
    Fault {
        name: "the_end_is_read_before_the_flag",
        property: "p07",
        what: "the closer reads what is published before it raises its flag",
        file: "lifecycle.rs",
        text: "self.published.raise(CLOSING); self.fences.heavy(); *end = Some(last());",
        broken: "*end = Some(last()); self.fences.heavy(); self.published.raise(CLOSING);",
        caught_by: &[
            "p07::closing_under_a_producer/symmetric",
            "p07::closing_under_a_producer/asymmetric",
        ],
    },
    Fault {
        name: "a_station_goes_beyond_the_end",
        property: "p07",
        what: "a station does not ask where the settled end is",
        file: "consumer.rs",
        text: "to = to.min(circuit.lifecycle.settled_end());",
        broken: "",
        caught_by: &["p07::closing_under_a_producer/asymmetric"],
    },
    Fault {
        name: "every_event_counts",
        property: "p07",
        what: "the only producer does not ask whether its event came before the end",
        file: "lifecycle.rs",
        text: "!Flags(signs).are_closing() || end <= self.settled_end()",
        broken: "true",
        caught_by: &[
            "p07::two_closers/asymmetric",
            "p07::closing_under_a_producer/symmetric",
            "p07::closing_under_a_producer/asymmetric",
        ],
    },
    Fault {
        name: "claims_go_on",
        property: "p07",
        what: "closing reads the claim word and leaves it open",
        file: "sequencer/multi.rs",
        text: "self.claimed.fetch_or(CLOSED, Ordering::Relaxed) & !CLOSED",
        broken: "self.claimed.load(Ordering::Relaxed)",
        caught_by: &["p07::closing_under_many_producers/symmetric"],
    },
    Fault {
        name: "the_first_of_two_producers_closes",
        property: "p07",
        what: "the ring closes with the first producer that goes",
        file: "circuit.rs",
        text: "self.producers.fetch_sub(1, Ordering::AcqRel) == 1",
        broken: "self.producers.fetch_sub(1, Ordering::AcqRel); true",
        caught_by: &["p07::the_last_of_two_producers_closes"],
    },
    Fault {
        name: "nobody_closes",
        property: "p07",
        what: "the ring stays open when the last producer goes",
        file: "circuit.rs",
        text: "self.producers.fetch_sub(1, Ordering::AcqRel) == 1",
        broken: "self.producers.fetch_sub(1, Ordering::AcqRel); false",
        caught_by: &[
            "p07::the_last_of_two_producers_closes",
            "p07::a_thread_drains_and_ends/symmetric",
        ],
    },
    Fault {
        name: "a_refused_event_is_reset",
        property: "p07",
        what: "the reset hook is given an event that was refused",
        file: "circuit.rs",
        text: "published.min(self.lifecycle.settled_end())",
        broken: "published",
        caught_by: &[
            "p07::a_refused_event_is_not_reset/symmetric",
            "p07::a_refused_event_is_not_reset/asymmetric",
        ],
    },
    Fault {
        name: "a_refused_event_is_reported",
        property: "p07",
        what: "a report counts an event that was refused",
        file: "circuit.rs",
        text: "self.end().unwrap_or_else(|| self.sequencer.claimed())",
        broken: "self.sequencer.claimed()",
        caught_by: &["p07::shutdown_under_a_producer/symmetric"],
    },
    Fault {
        name: "a_producer_sleeps_on_a_closed_ring",
        property: "p07",
        what: "a producer does not ask whether the ring closes before it sleeps",
        file: "circuit.rs",
        text: "if self.lifecycle.is_refusing() { return None; }",
        broken: "",
        caught_by: &["p07::a_closed_ring_wakes_its_producer/symmetric"],
    },
    Fault {
        name: "a_station_sleeps_on_a_closed_ring",
        property: "p07",
        what: "a station does not ask whether the stream has ended before it sleeps",
        file: "circuit.rs",
        text: "self.lifecycle.is_halted() || self.end() == Some(from)",
        broken: "false",
        caught_by: &["p07::a_closed_ring_wakes_its_readers/symmetric"],
    },
    Fault {
        name: "abandoned_and_not_published",
        property: "p08",
        what: "an abandoned sequence stays unpublished",
        file: "producer.rs",
        text: "circuit.skips.add(first, first + count, passed_by_all); \
            Self::sequencer(circuit).publish(first, first + count); \
            circuit.lifecycle.published.ring_if_awaited();",
        broken: "circuit.skips.add(first, first + count, passed_by_all);",
        caught_by: &["p08::one_of_two", "p08::in_the_middle_of_a_batch"],
    },
    Fault {
        name: "abandoned_and_not_listed",
        property: "p08",
        what: "an abandoned sequence is published like any other",
        file: "producer.rs",
        text: "circuit.skips.add(first, first + count, passed_by_all); \
            Self::sequencer(circuit).publish(first, first + count); \
            circuit.lifecycle.published.ring_if_awaited();",
        broken: "Self::sequencer(circuit).publish(first, first + count); \
            circuit.lifecycle.published.ring_if_awaited();",
        caught_by: &["p13::abandoned", "p08::one_of_two"],
    },
    Fault {
        name: "listed_after_it_is_published",
        property: "p08",
        what: "an abandoned sequence is published, then listed",
        file: "producer.rs",
        text: "circuit.skips.add(first, first + count, passed_by_all); \
            Self::sequencer(circuit).publish(first, first + count); \
            circuit.lifecycle.published.ring_if_awaited();",
        broken: "Self::sequencer(circuit).publish(first, first + count); circuit.skips.add(first, \
            first + count, passed_by_all); circuit.lifecycle.published.ring_if_awaited();",
        caught_by: &["p08::one_of_two", "p08::in_the_middle_of_a_batch"],
    },
    Fault {
        name: "abandoned_in_silence",
        property: "p08",
        what: "an abandoned sequence is published without waking anybody",
        file: "producer.rs",
        text: "circuit.skips.add(first, first + count, passed_by_all); \
            Self::sequencer(circuit).publish(first, first + count); \
            circuit.lifecycle.published.ring_if_awaited();",
        broken: "circuit.skips.add(first, first + count, passed_by_all); \
            Self::sequencer(circuit).publish(first, first + count);",
        caught_by: &[
            "p08::a_sleeper_passes_over/symmetric",
            "p08::a_sleeper_passes_over/asymmetric",
        ],
    },
    Fault {
        name: "the_only_one_loses_a_sequence",
        property: "p08",
        what: "the only producer uses a sequence up before it has published",
        file: "producer.rs",
        text: "(is_free && !circuit.lifecycle.is_refusing()).then_some(self.next)",
        broken: "if is_free && !circuit.lifecycle.is_refusing() { self.next += count; Some(self.next - \
            count) } else { None }",
        caught_by: &["p08::the_only_one"],
    },
    Fault {
        name: "the_list_is_read_once",
        property: "p08",
        what: "a station that has met an abandoned sequence never reads the list again",
        file: "skips.rs",
        text: "count != self.seen",
        broken: "self.seen == 0",
        caught_by: &["p08::one_after_another"],
    },
    Fault {
        name: "halt_goes_on",
        property: "p09",
        what: "the policy is to halt, and the ring goes on",
        file: "consumer.rs",
        text: "if let Stop::Fault(fault) = stop { self.ring.circuit.halt(Some(fault)); } Step::Halted",
        broken: "drop(stop); Step::Halted",
        caught_by: &[
            "p09::halt_wakes_the_producer/symmetric",
            "p09::halt_stops_the_others/asymmetric",
        ],
    },
    Fault {
        name: "halted_in_silence",
        property: "p09",
        what: "a halt wakes nobody",
        file: "circuit.rs",
        text: "self.lifecycle.halt(fault); self.close();",
        broken: "self.lifecycle.halt(fault); self.lifecycle.settle(|| self.sequencer.close());",
        caught_by: &[
            "p07::halting_a_thread/asymmetric",
            "p09::halt_wakes_the_producer/symmetric",
            "p07::halting_under_a_sleeper/asymmetric",
        ],
    },
    Fault {
        name: "woken_before_the_halt",
        property: "p09",
        what: "a halt wakes everybody before it says that it is one",
        file: "circuit.rs",
        text: "self.lifecycle.halt(fault); self.close();",
        broken: "self.close(); self.lifecycle.halt(fault);",
        caught_by: &["p09::halt_wakes_the_producer/symmetric"],
    },
    Fault {
        name: "the_last_fault_is_told",
        property: "p09",
        what: "of two faults the later one is told",
        file: "lifecycle.rs",
        text: "let mut first = self.fault.lock(); if first.is_none() { *first = fault; } \
            self.published.raise(HALTED);",
        broken: "*self.fault.lock() = fault; self.published.raise(HALTED);",
        caught_by: &["p09::two_faults"],
    },
    Fault {
        name: "halted_before_the_fault_is_known",
        property: "p09",
        what: "the ring says that it is halted before it can say why",
        file: "lifecycle.rs",
        text: "let mut first = self.fault.lock(); if first.is_none() { *first = fault; } \
            self.published.raise(HALTED);",
        broken: "self.published.raise(HALTED); let mut first = self.fault.lock(); if \
            first.is_none() { *first = fault; }",
        caught_by: &["p09::halt_wakes_the_producer/symmetric"],
    },
    Fault {
        name: "halt_passes_the_event",
        property: "p09",
        what: "a station that halts the ring passes the event that it failed on",
        file: "consumer.rs",
        text: "let fault = Fault::new(Arc::clone(&self.post().name), at, failure); return \
            Err(Stop::Fault(fault));",
        broken: "self.stand_at(at + unit); let fault = Fault::new(Arc::clone(&self.post().name), \
            at, failure); return Err(Stop::Fault(fault));",
        caught_by: &[
            "p09::halt_wakes_the_producer/asymmetric",
            "p09::a_thread_that_panics/symmetric",
            "p11::one_fails/asymmetric",
        ],
    },
    Fault {
        name: "skip_stands_still",
        property: "p09",
        what: "the policy is to skip, and the station stays where it is",
        file: "consumer.rs",
        text: "self.place().figures().newly_skipped.add(unit)",
        broken: "return Err(Stop::Halted)",
        caught_by: &["p09::skip_makes_room/symmetric"],
    },
    Fault {
        name: "skip_drops_the_rest",
        property: "p09",
        what: "the policy is to skip an event, and the rest of the batch goes with it",
        file: "consumer.rs",
        text: "from = failed_at + unit;",
        broken: "return Ok(());",
        caught_by: &["p09::skip_in_a_batch"],
    },
    Fault {
        name: "an_owner_nobody_waits_for",
        property: "p11",
        what: "it counts as known whose an event is before it is written down",
        file: "worker.rs",
        text: "routes.move_end(to); Ok(to)",
        broken: "routes.move_end(to + 1); Ok(to)",
        caught_by: &["p11::by_key_a_follower/asymmetric"],
    },
    Fault {
        name: "everybody_s_own",
        property: "p11",
        what: "a worker takes what is another one's by its key",
        file: "team.rs",
        text: "owner(*sequence) == worker as u32",
        broken: "owner(*sequence) != NOBODYS",
        caught_by: &["p11::by_key_one_each/asymmetric"],
    },
    Fault {
        name: "both_find_out",
        property: "p11",
        what: "two workers find out at once whose the events are, and the later one takes the end back",
        file: "worker.rs",
        text: "if from > self.cursor { return Ok(from); }",
        broken: "let from = self.cursor;",
        caught_by: &["p11::by_key_one_each/asymmetric"],
    },
    Fault {
        name: "own_events_passed_in_silence",
        property: "p11",
        what: "one of a keyed team moves on and the station does not",
        file: "worker.rs",
        text: "self.pass_over(self.cursor, to); self.put_down(to, to - from)",
        broken: "self.pass_over(self.cursor, to); self.cursor = to; Step::Moved(to - from)",
        caught_by: &["p11::by_key_a_producer/asymmetric"],
    },
    Fault {
        name: "a_share_for_two",
        property: "p11",
        what: "a worker takes up what another one was faster to claim",
        file: "team.rs",
        text: "hand.take(from); self.0.compare_exchange(from, to, Ordering::Release, \
            Ordering::Relaxed).is_ok()",
        broken: "hand.take(from); let _ = self.0.compare_exchange(from, to, \
            Ordering::Release, Ordering::Relaxed).is_ok(); true",
        caught_by: &[
            "p11::one_event/symmetric",
            "p11::one_event/asymmetric",
            "p11::one_each/symmetric",
            "p11::one_each/asymmetric",
        ],
    },
    Fault {
        name: "shared_by_load_and_store",
        property: "p11",
        what: "a share is claimed by a load and a store",
        file: "team.rs",
        text: "hand.take(from); self.0.compare_exchange(from, to, Ordering::Release, \
            Ordering::Relaxed).is_ok()",
        broken: "hand.take(from); let is_ours = self.0.load(Ordering::Relaxed) == from; if \
            is_ours { self.0.store(to, Ordering::Release); } is_ours",
        caught_by: &["p11::one_event/symmetric", "p11::one_event/asymmetric"],
    },
    Fault {
        name: "claimed_with_empty_hands",
        property: "p11",
        what: "a worker does not say what it claims",
        file: "team.rs",
        text: "hand.take(from); self.0.compare_exchange(from, to, Ordering::Release, \
            Ordering::Relaxed).is_ok()",
        broken: "self.0.compare_exchange(from, to, Ordering::Release, \
            Ordering::Relaxed).is_ok()",
        caught_by: &["p11::one_each/asymmetric", "p11::one_fails/asymmetric"],
    },
    Fault {
        name: "claimed_before_it_is_in_the_hand",
        property: "p11",
        what: "a worker says what it has claimed when it has",
        file: "team.rs",
        text: "hand.take(from); self.0.compare_exchange(from, to, Ordering::Release, \
            Ordering::Relaxed).is_ok()",
        broken: "let is_ours = self.0.compare_exchange(from, to, Ordering::Release, \
            Ordering::Relaxed).is_ok(); if is_ours { hand.take(from); } is_ours",
        caught_by: &["p11::a_follower/asymmetric"],
    },
    Fault {
        name: "both_see_the_other_s_hand_full",
        property: "p11",
        what: "of two workers that put down at once, neither sees the other",
        file: "team.rs",
        text: "fence::full(); let claimed = self.claimed(); \
            self.hands.iter().map(|hand| \
            hand.from.passed()).min().unwrap_or(NOTHING).min(claimed)",
        broken: "let claimed = self.claimed(); self.hands.iter().map(|hand| \
            hand.from.passed()).min().unwrap_or(NOTHING).min(claimed)",
        caught_by: &["p11::a_follower/asymmetric"],
    },
    Fault {
        name: "the_hands_before_the_claims",
        property: "p11",
        what: "a worker looks at the hands, then at the claims",
        file: "team.rs",
        text: "fence::full(); let claimed = self.claimed(); \
            self.hands.iter().map(|hand| \
            hand.from.passed()).min().unwrap_or(NOTHING).min(claimed)",
        broken: "fence::full(); let smallest = self.hands.iter().map(|hand| \
            hand.from.passed()).min(); let claimed = \
            self.claimed(); \
            smallest.unwrap_or(NOTHING).min(claimed)",
        caught_by: &["p11::a_follower/asymmetric"],
    },
    Fault {
        name: "claimed_is_as_good_as_handled",
        property: "p11",
        what: "the station passes what is claimed, whoever has it in hand",
        file: "team.rs",
        text: "fence::full(); let claimed = self.claimed(); \
            self.hands.iter().map(|hand| \
            hand.from.passed()).min().unwrap_or(NOTHING).min(claimed)",
        broken: "fence::full(); self.claimed()",
        caught_by: &["p11::a_follower/asymmetric"],
    },
    Fault {
        name: "the_first_hand_is_looked_at",
        property: "p11",
        what: "of the workers, the first one's hand is looked at",
        file: "team.rs",
        text: "fence::full(); let claimed = self.claimed(); \
            self.hands.iter().map(|hand| \
            hand.from.passed()).min().unwrap_or(NOTHING).min(claimed)",
        broken: "fence::full(); let claimed = self.claimed(); \
            self.hands[0].from.passed().min(claimed)",
        caught_by: &["p11::a_follower/asymmetric"],
    },
    Fault {
        name: "put_down_and_not_passed",
        property: "p11",
        what: "a worker puts down what it had, and nobody moves the station's cursor",
        file: "post.rs",
        text: "team.put_down(hand, sequence); self.post.follow_team(team);",
        broken: "team.put_down(hand, sequence);",
        caught_by: &[
            "p11::a_sleeping_follower/asymmetric",
            "p11::a_producer_behind_a_team/asymmetric",
            "p11::reset/symmetric",
        ],
    },
    Fault {
        name: "passed_before_it_is_put_down",
        property: "p11",
        what: "a worker moves the station's cursor, then puts down what it had",
        file: "post.rs",
        text: "team.put_down(hand, sequence); self.post.follow_team(team);",
        broken: "self.post.follow_team(team); team.put_down(hand, sequence);",
        caught_by: &[
            "p11::a_sleeping_follower/asymmetric",
            "p11::a_producer_behind_a_team/asymmetric",
        ],
    },
    Fault {
        name: "a_late_worker_takes_the_cursor_back",
        property: "p11",
        what: "a worker stores where it found the station, whoever was faster",
        file: "post.rs",
        text: "self.cursor.raise(team.reached()); self.bell.ring_if_awaited();",
        broken: "self.cursor.hand_on(team.reached()); self.bell.ring_if_awaited();",
        caught_by: &["p11::a_follower/asymmetric"],
    },
    Fault {
        name: "a_team_passes_in_silence",
        property: "p11",
        what: "a worker moves the station's cursor and does not ring",
        file: "post.rs",
        text: "self.cursor.raise(team.reached()); self.bell.ring_if_awaited();",
        broken: "self.cursor.raise(team.reached());",
        caught_by: &[
            "p11::a_sleeping_follower/asymmetric",
            "p11::a_sleeping_follower_of_one/symmetric",
            "p11::a_producer_behind_a_team/asymmetric",
        ],
    },
    Fault {
        name: "a_team_rings_before_it_passes",
        property: "p11",
        what: "a worker rings, then moves the station's cursor",
        file: "post.rs",
        text: "self.cursor.raise(team.reached()); self.bell.ring_if_awaited();",
        broken: "self.bell.ring_if_awaited(); self.cursor.raise(team.reached());",
        caught_by: &["p11::a_sleeping_follower/asymmetric"],
    },
    Fault {
        name: "a_guess_stays_in_the_hand",
        property: "p11",
        what: "a worker that was not fast enough and finds nothing else keeps its hand as it is",
        file: "worker.rs",
        text: "if claim.is_err() { hand.rest(); } self.place().follow_team(); \
            self.ring.clear_passed();",
        broken: "self.place().follow_team(); self.ring.clear_passed();",
        caught_by: &["p11::a_sleeping_follower/asymmetric", "p11::reset/asymmetric"],
    },
    Fault {
        name: "a_guess_is_put_down_in_silence",
        property: "p11",
        what: "whoever could not pass a guess is not made up for",
        file: "worker.rs",
        text: "if claim.is_err() { hand.rest(); } self.place().follow_team(); \
            self.ring.clear_passed();",
        broken: "if claim.is_err() { hand.rest(); }",
        caught_by: &[
            "p11::a_sleeping_follower/asymmetric",
            "p11::a_worker_that_publishes/asymmetric",
        ],
    },
    Fault {
        name: "a_guess_is_forgotten_with_the_next_claim",
        property: "p11",
        what: "whoever could not pass a guess is made up for if nothing else is claimed",
        file: "worker.rs",
        text: "if claim.is_err() { hand.rest(); } self.place().follow_team(); \
            self.ring.clear_passed();",
        broken: "if claim.is_err() { hand.rest(); self.place().follow_team(); \
            self.ring.clear_passed(); }",
        caught_by: &["p11::a_worker_that_publishes/asymmetric"],
    },
    Fault {
        name: "the_next_claim_is_forgotten_with_a_guess",
        property: "p11",
        what: "a worker that was not fast enough puts down what it claims next",
        file: "worker.rs",
        text: "if claim.is_err() { hand.rest(); } self.place().follow_team(); \
            self.ring.clear_passed();",
        broken: "hand.rest(); self.place().follow_team(); self.ring.clear_passed();",
        caught_by: &["p11::one_each/asymmetric"],
    },
    Fault {
        name: "what_a_guess_held_up_is_not_reset",
        property: "p11",
        what: "a worker that was in the way does not see to the reset hook",
        file: "worker.rs",
        text: "if claim.is_err() { hand.rest(); } self.place().follow_team(); \
            self.ring.clear_passed();",
        broken: "if claim.is_err() { hand.rest(); } self.place().follow_team();",
        caught_by: &["p11::reset/symmetric", "p11::reset/asymmetric"],
    },
    Fault {
        name: "asleep_behind_the_claims",
        property: "p11",
        what: "a worker does not ask whether its guess still stands before it sleeps",
        file: "circuit.rs",
        text: "self.posts[index].team.as_ref().is_some_and(|team| team.has_dealt(from))",
        broken: "false",
        caught_by: &["p11::many_producers/asymmetric"],
    },
    Fault {
        name: "in_the_team_s_way_is_in_its_own",
        property: "p11",
        what: "a worker that publishes takes what the others hold up for its own",
        file: "circuit.rs",
        text: "hand.map_or_else(|| post.cursor.glance(), Hand::from) < need",
        broken: "post.cursor.glance() < need",
        caught_by: &["p11::a_worker_that_publishes/asymmetric"],
    },
    Fault {
        name: "reset_before_the_last_has_passed",
        property: "p13",
        what: "the reset hook gets what was published, whoever still reads it",
        file: "ring.rs",
        text: "self.circuit.last_passed()",
        broken: "self.circuit.claimed()",
        caught_by: &["p13::reset"],
    },
    Fault {
        name: "freed_before_it_is_reset",
        property: "p13",
        what: "producers get a slot before the reset hook has had it",
        file: "ring.rs",
        text: "self.circuit.cleared()",
        broken: "let at = self.circuit.cleared(); self.circuit.cleared_to(to); at",
        caught_by: &["p13::reset"],
    },
    Fault {
        name: "not_reset",
        property: "p13",
        what: "producers do not wait for the reset hook",
        file: "circuit.rs",
        text: "cleared.passed()",
        broken: "self.last_passed()",
        caught_by: &["p06::a_producer_behind_the_reset_hook/asymmetric", "p13::reset"],
    },
    Fault {
        name: "both_think_the_other_is_later",
        property: "p13",
        what: "of two last stations that pass a slot at once, neither sees the other",
        file: "ring.rs",
        text: "fence::full();",
        broken: "",
        caught_by: &["p13::reset_by_the_later_of_two"],
    },
    Fault {
        name: "a_reset_slot_is_not_given_back",
        property: "p13",
        what: "the reset hook's cursor stays where it was",
        file: "ring.rs",
        text: "self.circuit.cleared_to(at);",
        broken: "",
        caught_by: &["p13::reset"],
    },
    Fault {
        name: "the_producer_does_not_help",
        property: "p13",
        what: "a producer that needs room leaves the reset hook to the stations",
        file: "circuit.rs",
        text: "if self.cleared.is_some() { help(); }",
        broken: "",
        caught_by: &["p13::reset_of_what_nobody_read"],
    },
    Fault {
        name: "over_when_it_is_closed",
        property: "p15",
        what: "a station that finds nothing on a closed ring takes it for the end",
        file: "consumer.rs",
        text: "circuit.end() == Some(from)",
        broken: "circuit.end().is_some()",
        caught_by: &["p15::closed_after_the_last", "p15::a_poller_behind_a_thread/symmetric"],
    },
    Fault {
        name: "never_over",
        property: "p15",
        what: "a station does not notice that the stream has ended",
        file: "consumer.rs",
        text: "circuit.end() == Some(from)",
        broken: "false",
        caught_by: &["p15::closed_after_the_last"],
    },
    Fault {
        name: "gated_by_nothing",
        property: "p15",
        what: "a poller behind others says `Gated` when nothing is published",
        file: "circuit.rs",
        text: "!self.posts[index].follows.is_empty() && self.is_published(from)",
        broken: "!self.posts[index].follows.is_empty()",
        caught_by: &["p15::gated_or_idle"],
    },
    Fault {
        name: "the_position_of_who_left",
        property: "p16",
        what: "a report takes the cursor of a station that left for a position",
        file: "post.rs",
        text: "self.figures.left_at.get()",
        broken: "DETACHED",
        caught_by: &["p16::a_report_while_a_poller_leaves"],
    },
    Fault {
        name: "left_before_it_says_where",
        property: "p16",
        what: "a station leaves, then tells where it stood",
        file: "circuit.rs",
        text: "self.sequencer.keep_prefix(cursor); post.figures.left_at.set(cursor); \
            post.cursor.hand_on(DETACHED); post.bell.ring();",
        broken: "self.sequencer.keep_prefix(cursor); post.cursor.hand_on(DETACHED); \
            post.figures.left_at.set(cursor); post.bell.ring();",
        caught_by: &["p16::a_report_while_a_poller_leaves"],
    },
    Fault {
        name: "skipped_counts_as_handled",
        property: "p16",
        what: "a station passes what it skipped, then tells so",
        file: "post.rs",
        text: "self.figures.settle(); self.advance(sequence);",
        broken: "self.advance(sequence); self.figures.settle();",
        caught_by: &["p16::a_report_while_a_poller_skips"],
    },
    Fault {
        name: "less_than_no_room",
        property: "p16",
        what: "the room is a difference of two figures that were read one after the other",
        file: "producer.rs",
        text: "circuit.claimed().saturating_sub(circuit.last_passed())",
        broken: "circuit.claimed() - circuit.last_passed()",
        caught_by: &["p16::room_of_many_producers"],
    },
];
