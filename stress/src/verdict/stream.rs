//! What was published: which sequence holds which event, as the producers were told.

use crate::{
    evidence::{Answer, Call, Evidence, Manner, Refusal},
    plan::Plan,
};

/// An event that a publish call returned `Ok` for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub sequence: u64,
    pub producer: u32,
    pub number: u32,
    /// The clock when the first and the last event of its call were written.
    pub ticks: Option<(u64, u64)>,
}

#[derive(Debug)]
pub struct Stream {
    first: u64,
    /// In the order of their sequences.
    pub accepted: Vec<Accepted>,
    /// Sequences that were claimed by one of many producers and given up.
    pub abandoned: u64,
}

impl Stream {
    /// Puts together what the producers have written down.
    pub fn of(plan: &Plan, evidence: &Evidence, wrong: &mut Vec<String>) -> Self {
        let mut accepted = Vec::new();
        let mut abandoned = 0;
        for (producer, ledger) in evidence.ledgers.iter().enumerate() {
            let (mut next, mut has_ended) = (0, false);
            for call in &ledger.calls {
                if let Some(complaint) = complaint(plan, call, has_ended) {
                    wrong.push(format!("producer {producer}: {complaint}: {call:?}"));
                }
                match &call.answer {
                    Answer::Accepted(range) => {
                        if range.start < next {
                            wrong.push(format!("producer {producer}: out of order: {call:?}"));
                        }
                        next = range.end;
                        let numbers = call.number..;
                        accepted.extend(range.clone().zip(numbers).map(|(sequence, number)| {
                            let producer = producer as u32;
                            Accepted { sequence, producer, number, ticks: call.ticks }
                        }));
                    }
                    Answer::Panicked if plan.is_multi => abandoned += call.count as u64,
                    // Nothing was claimed: none of its events may be seen.
                    Answer::Panicked | Answer::GivenUp => {}
                    Answer::Refused(refusal) => has_ended |= *refusal == Refusal::Ended,
                }
            }
        }
        accepted.sort_unstable_by_key(|accepted| accepted.sequence);
        let stream = Self { first: plan.first, accepted, abandoned };
        stream.check_sequences(wrong);
        stream
    }

    fn check_sequences(&self, wrong: &mut Vec<String>) {
        let sequences = || self.accepted.iter().map(|accepted| accepted.sequence);
        for (one, next) in sequences().zip(sequences().skip(1)) {
            if one == next {
                wrong.push(format!("sequence {one} was given to two events"));
            }
        }
        // Every sequence up to the end is accepted or abandoned: so there are as many gaps as
        // abandoned sequences, and none of them lies behind.
        let (first, end) = (self.first, self.end());
        if let Some(outside) = sequences().find(|sequence| !(first..end).contains(sequence)) {
            wrong.push(format!("sequence {outside} lies outside of {first}..{end}"));
        }
    }

    /// The end of all sequences, if the producers were told the truth.
    pub fn end(&self) -> u64 {
        self.first + self.accepted.len() as u64 + self.abandoned
    }

    /// The event of a sequence.
    pub fn find(&self, sequence: u64) -> Option<&Accepted> {
        let index = self.accepted.binary_search_by_key(&sequence, |accepted| accepted.sequence);
        index.ok().map(|index| &self.accepted[index])
    }
}

/// What is wrong with a call by itself, after others of the same producer.
fn complaint(plan: &Plan, call: &Call, has_ended: bool) -> Option<&'static str> {
    let Call { count, manner, was_closed, written, answer, .. } = call;
    let is_large = *count > plan.capacity;
    match answer {
        _ if is_large && *answer != Answer::Refused(Refusal::TooLarge) => {
            Some("a batch that cannot fit")
        }
        Answer::Accepted(_) | Answer::Panicked if *was_closed || has_ended => {
            Some("written after the end")
        }
        Answer::Accepted(range) if range.clone().count() != *count || written != count => {
            Some("not as many events as asked for")
        }
        Answer::Panicked if *written == 0 => Some("a panic out of nothing"),
        // The only producer notices the end when it has written, and publishes nothing then.
        Answer::Refused(Refusal::Ended) if !plan.is_multi && !was_closed && !has_ended => None,
        Answer::GivenUp if *was_closed || has_ended => Some("it awaits room after the end"),
        Answer::GivenUp if *written > 0 => Some("given up after it was written"),
        Answer::GivenUp if *manner != Manner::Awaiting => Some("nobody awaits it"),
        Answer::Refused(_) if *written > 0 => Some("refused after it was written"),
        Answer::Refused(Refusal::TooLarge) if !is_large => Some("a batch that would fit"),
        Answer::Refused(Refusal::Full) if *manner != Manner::Trying => Some("it should wait"),
        Answer::Refused(Refusal::TimedOut) if *manner != Manner::Timed => Some("it has no time"),
        Answer::Accepted(_) | Answer::Panicked | Answer::Refused(_) | Answer::GivenUp => None,
    }
}
