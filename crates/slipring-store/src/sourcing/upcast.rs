//! Events in forms of long ago.

use std::{collections::HashMap, error::Error, fmt};

use serde_json::Value;

use crate::{
    Record,
    sourcing::{ReadError, ReadProblem},
};

type Fault = Box<dyn Error + Send + Sync>;
type Step = Box<dyn Fn(Form) -> Result<Vec<Form>, Fault> + Send + Sync>;

/// What turns the forms that events had long ago into those of today, step by step.
///
/// The forms of a program's events have numbers. New events are written with the latest one
/// ([`Entry::schema`](crate::Entry::schema)). Where an event changes between two numbers, a step says how: it makes one
/// event of the next form of it, several, none, or one with another topic. What has no step at a number did not change
/// there. So each step counts the number up by one, and there is no going round in circles.
///
/// It stands before the [`Codec`](crate::Codec), which sees forms of today only.
///
/// # Examples
/// Names were one field at first; and what was called `customer.registered` then is two events now:
/// ```
/// use serde_json::json;
/// use slipring_store::sourcing::{Form, Upcasters};
///
/// let upcasters = Upcasters::to(2)
///     .json("customer.registered", 0, |mut value| {
///         let name = value["name"].as_str().ok_or("there is no name")?.to_owned();
///         let (first, last) = name.split_once(' ').ok_or("the name is one word")?;
///         value["name"] = json!({ "first": first, "last": last });
///         Ok(value)
///     })?
///     .step("customer.registered", 1, |form| {
///         let value = form.json()?;
///         Ok(vec![
///             Form::of("customer.created", &json!({ "name": value["name"] })),
///             Form::of("address.given", &json!({ "town": value["town"] })),
///         ])
///     })?;
/// assert!(upcasters.json("customer.registered", 1, Ok).is_err()); // There is one already.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Upcasters {
    steps: HashMap<Box<str>, Vec<(u16, Step)>>,
    latest: u16,
}

/// An event in one of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Form {
    /// What it is called.
    pub topic: String,
    /// What happened, as it is stored.
    pub payload: Vec<u8>,
}

/// A step from a form that there is a step from already, or from one that is not an older one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("form {from} of `{topic}` {}", if *.is_old { "has a step already" } else { "is not older than the latest" })]
pub struct UpcastRefused {
    topic: Box<str>,
    from: u16,
    is_old: bool,
}

impl Form {
    /// One with JSON as its content.
    pub fn of(topic: impl Into<String>, value: &Value) -> Self {
        Self { topic: topic.into(), payload: value.to_string().into_bytes() }
    }

    /// One with those bytes.
    pub fn bytes(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), payload: payload.into() }
    }

    /// Its content, if that is JSON.
    ///
    /// # Errors
    /// It is not.
    pub fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.payload)
    }
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps: Vec<_> = self
            .steps
            .iter()
            .flat_map(|(topic, steps)| steps.iter().map(move |(from, _)| (&**topic, *from)))
            .collect();
        steps.sort_unstable();
        f.debug_struct("Upcasters").field("latest", &self.latest).field("steps", &steps).finish()
    }
}

impl Upcasters {
    /// Without a step, for a program whose latest form has that number.
    pub fn to(latest: u16) -> Self {
        Self { steps: HashMap::new(), latest }
    }

    /// The number of the form that is written.
    pub fn latest(&self) -> u16 {
        self.latest
    }

    /// What becomes of the form `from` of events with that topic in the next one.
    ///
    /// # Errors
    /// There is such a step already, or `from` is the latest form or a later one.
    pub fn step(
        mut self,
        topic: &str,
        from: u16,
        step: impl Fn(Form) -> Result<Vec<Form>, Fault> + Send + Sync + 'static,
    ) -> Result<Self, UpcastRefused> {
        let refused = |is_old| Err(UpcastRefused { topic: topic.into(), from, is_old });
        if from >= self.latest {
            return refused(false);
        }
        let steps = self.steps.entry(topic.into()).or_default();
        match steps.binary_search_by_key(&from, |(from, _)| *from) {
            Ok(_) => refused(true),
            Err(at) => {
                steps.insert(at, (from, Box::new(step)));
                Ok(self)
            }
        }
    }

    /// The same for JSON where one event stays one with that topic.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn json(
        self,
        topic: &str,
        from: u16,
        step: impl Fn(Value) -> Result<Value, Fault> + Send + Sync + 'static,
    ) -> Result<Self, UpcastRefused> {
        self.step(topic, from, move |form| {
            let value = step(form.json()?)?;
            Ok(vec![Form::of(form.topic, &value)])
        })
    }

    /// The first step from that form or a later one.
    fn next(&self, topic: &str, from: u16) -> Option<&(u16, Step)> {
        let steps = self.steps.get(topic)?;
        steps.get(steps.partition_point(|(at, _)| *at < from))
    }

    /// Calls with each event in its form of today that a stored one has become, in order.
    pub(crate) fn each(
        &self,
        record: &Record<'_>,
        mut reader: impl FnMut(&Record<'_>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        if record.schema > self.latest {
            return Err(ReadError::of(record, ReadProblem::Later { known: self.latest }));
        }
        if self.next(record.topic, record.schema).is_none() {
            return reader(&Record { schema: self.latest, ..*record });
        }
        // The next one to be looked at is the last one.
        let first = Form { topic: record.topic.into(), payload: record.payload.into() };
        let mut left = vec![(record.schema, first)];
        while let Some((schema, form)) = left.pop() {
            let Some((from, step)) = self.next(&form.topic, schema) else {
                let Form { topic, payload } = &form;
                reader(&Record { schema: self.latest, topic, payload, ..*record })?;
                continue;
            };
            let topic = form.topic.as_str().into();
            let made = step(form).map_err(|error| {
                let problem = error.to_string().into();
                ReadError::of(record, ReadProblem::Upcast { topic, from: *from, problem })
            })?;
            left.extend(made.into_iter().rev().map(|form| (from + 1, form)));
        }
        Ok(())
    }
}
