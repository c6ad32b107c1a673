//! What every bus has to keep, whoever runs the handlers: the universal properties of Watermill's suite for pub/sub
//! (its P1 to P16, at full size), over every kind of subscriber.
//!
//! Stricter than there: whatever arrives is counted, never put into a set, so that a duplicate is seen; and nothing is
//! decided by how long something takes.
//!
//! Not here, because a bus lives in memory and has no end but its own:
//! * P6 (a subscription goes on where its predecessor was closed) and P14 (a new subscriber gets the whole history)
//!   need events that outlast their handler: the stores keep them, in slipring-store's suite of the same name.
//! * P15 (reconnecting to a broker that was restarted) comes with the bridges to brokers.

mod drivers;
mod properties;

use drivers::Kind;

/// Each property for each kind, as a test of its own.
macro_rules! on_all_kinds {
    ($($property:ident),+ $(,)?) => {
        on_all_kinds! { @kinds [$($property)+] inline Inline, thread Thread, pooled Pooled, by_hand ByHand, tokio Tokio, smol Smol }
    };
    (@kinds $properties:tt $($module:ident $kind:ident),+) => {
        $(on_all_kinds! { @kind $properties $module $kind })+
    };
    (@kind [$($property:ident)+] $module:ident $kind:ident) => {
        mod $module {
            use super::{Kind, drivers::in_time, properties};

            $(#[test]
            fn $property() {
                in_time(|| properties::$property(Kind::$kind));
            })+
        }
    };
}

on_all_kinds! {
    p01_what_is_published_arrives_with_all_that_is_said_of_it,
    p02_many_subscribers_see_what_many_publishers_say,
    p02_many_subscribers_share_what_many_publishers_say,
    p03_many_topics_at_once,
    p04_what_was_refused_comes_again,
    p05_nothing_comes_before_the_one_in_front_is_accepted,
    p07_subscribers_come_and_go_at_once,
    p08_after_many_errors_everything_has_arrived,
    p09_every_type_comes_in_order_to_everybody,
    p10_none_is_lost_around_the_close,
    p11_topics_are_apart,
    p12_what_a_handler_holds_ends_with_its_subscription,
    p13_a_subscription_that_ends_leaves_its_events_to_the_next,
    p16_each_gets_all_that_came_before_it_read,
}
