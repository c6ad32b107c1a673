//! What fails is told to `tracing`, and what does not is not.
#![cfg(feature = "tracing")]

use std::{
    fmt::{self, Write as _},
    sync::mpsc::{Sender, channel},
};

use slipring_events::{AnyEvent, Bus, Retry, Step};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    subscriber::with_default,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

/// Passes on what it hears, a line for each event.
struct Listener(Sender<String>);

/// Fields, as ` name=value`.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").expect("it is a string");
    }
}

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let data = event.metadata();
        let mut fields = Fields(format!("{} {}:", data.level(), data.target()));
        event.record(&mut fields);
        self.0.send(fields.0).expect("the test listens");
    }
}

#[test]
fn each_failure_is_a_warning_and_each_dead_letter_an_error() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let (_handler, mut hand) = bus
        .handler("odd")
        .on::<u32>()
        .retry(Retry::immediately(1))
        .by_hand(|number, _| if number % 2 == 1 { Ok(()) } else { Err("even") })
        .unwrap();
    let mut publisher = bus.publisher();
    for number in 1..=3_u32 {
        publisher.publish(AnyEvent::new(number)).unwrap();
    }
    let (sender, heard) = channel();
    with_default(tracing_subscriber::registry().with(Listener(sender)), || {
        while hand.step() == Step::Moved {}
    });
    let heard: Vec<String> = heard.try_iter().collect();
    let warning = |attempt| {
        format!(
            "WARN slipring::events: message=a handler has failed handler=\"odd\" sequence=1 \
             attempt={attempt} error=\"even\""
        )
    };
    let letter =
        "ERROR slipring::events: message=a dead letter handler=\"odd\" sequence=1 reason=even";
    assert_eq!(heard, [warning(1), warning(2), letter.to_owned()]);
}
