//! What holds from one store to another over an outbox, a broker and an inbox, whichever broker that is: the properties
//! that Watermill asks of every one, a checker of histories, and kills at random. Servers are real ones.
//!
//! The long runs are ignored unless asked for: `SECONDS=600 cargo test --test conformance -- --ignored long`.
#![cfg(any(feature = "redis", feature = "nats", feature = "rabbitmq"))]
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

mod harness;
mod history;
mod kills;
#[path = "../engine/sim.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod sim;
mod watermill;
#[path = "../engine/world.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod world;
mod worlds;

/// Hands each property to a macro.
macro_rules! each_property {
    ($with:ident) => {
        $with! {
            p01_what_is_published_arrives_with_all_that_is_said_of_it,
            p02_those_who_share_have_each_event_once_between_them,
            p02_a_store_that_is_shared_has_each_event_once_though_some_die,
            p03_many_topics_at_once,
            p04_what_is_refused_for_now_comes_again,
            p05_nothing_comes_before_what_is_in_front_is_accepted,
            p06_an_inbox_goes_on_where_its_predecessor_was_closed,
            p07_after_many_have_come_and_gone_at_once_one_gets_all,
            p08_after_many_errors_all_is_there,
            p09_every_type_comes_in_order,
            p10_an_outbox_that_is_closed_leaves_nothing_behind,
            p11_topics_are_apart,
            p12_what_an_inbox_holds_ends_with_it,
            p13_what_is_in_hand_when_an_inbox_stops_is_for_the_next,
            p14_a_new_group_gets_what_came_before_it,
            p15_a_broker_that_is_killed_and_comes_back,
            p16_each_group_gets_all_that_came_before_it_read,
        }
    };
}

/// A test for each, with a server of its own.
#[cfg(any(feature = "redis", feature = "nats"))]
macro_rules! one_by_one {
    ($($property:ident,)*) => {
        $(
            #[test]
            fn $property() {
                crate::watermill::$property(&mut <Broker as crate::worlds::World>::start());
            }
        )*

        #[test]
        #[ignore = "as long as one likes"]
        fn long_run_with_kills() {
            crate::kills::long::<Broker>();
        }
    };
}

#[cfg(feature = "redis")]
mod redis {
    use crate::worlds::redis::Redis as Broker;

    each_property!(one_by_one);

    #[test]
    fn killed_at_random() {
        crate::kills::run::<Broker>(150, std::time::Duration::from_secs(10));
    }
}

#[cfg(feature = "nats")]
mod nats {
    use crate::worlds::nats::Nats as Broker;

    each_property!(one_by_one);
}

#[cfg(feature = "rabbitmq")]
mod rabbit {
    use crate::worlds::{World, rabbit::RabbitMq as Broker};

    /// One server, which takes seconds to start, for one behind the other.
    macro_rules! all_in_one {
        ($($property:ident,)*) => {
            #[test]
            fn all_properties() {
                let mut broker = Broker::start();
                $(
                    let begun = std::time::Instant::now();
                    crate::watermill::$property(&mut broker);
                    println!("{:>9.3?} {}", begun.elapsed(), stringify!($property));
                )*
            }
        };
    }

    each_property!(all_in_one);

    #[test]
    #[ignore = "as long as one likes"]
    fn long_run_with_kills() {
        crate::kills::long::<Broker>();
    }
}
