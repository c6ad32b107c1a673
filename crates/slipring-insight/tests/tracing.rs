//! Alerts are warnings of `tracing`, one each.
#![cfg(feature = "tracing")]

use std::{
    fmt::{self, Write as _},
    sync::mpsc::{Sender, channel},
};

use slipring::{Builder, Poll, poller};
use slipring_insight::{Rounds, Rule, Rules};
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
fn an_alert_is_one_warning_when_it_is_raised_and_one_when_it_is_cleared() {
    let (mut producer, mut dispatcher) =
        Builder::new(8, || 0_u64).then(poller("risk")).start().expect("the ring is well formed");
    let mut risk = dispatcher.poller("risk").expect("nobody has taken it");
    let rules = Rules::new("orders").with(Rule::lag("risk", 4)).with(Rule::fill(0.5));
    let (told, alerts) = channel();
    let mut rounds = Rounds::new()
        .ring(dispatcher.monitor(), rules)
        .on_alert(move |alert| told.send(alert.to_string()).expect("the test listens"));
    let (sender, heard) = channel();
    with_default(tracing_subscriber::registry().with(Listener(sender)), || {
        rounds.look();
        producer.publish_batch(4, |_, _| ()).expect("there is room");
        rounds.look();
        rounds.look();
        while matches!(risk.poll(|_, _| ()), Ok(Poll::Events(_))) {}
        rounds.look();
    });
    let heads = [
        r#"alert="raised" rule="lag" ring="orders" station="risk""#,
        r#"alert="raised" rule="fill" ring="orders""#,
        r#"alert="cleared" rule="lag" ring="orders" station="risk""#,
        r#"alert="cleared" rule="fill" ring="orders""#,
    ];
    let expected: Vec<String> = alerts
        .try_iter()
        .zip(heads)
        .map(|(alert, head)| format!("WARN slipring: message={alert} {head}"))
        .collect();
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), expected);
    assert_eq!(expected.len(), 4);
}
