//! What every store has to keep: each property is a test for each store.
//!
//! Whatever is read is compared with all that was committed, field by field and in order; nothing goes into a set, so
//! that a duplicate is seen. Nothing is decided by how long something takes.

#[path = "../common/mod.rs"]
mod common;

mod concurrency;
mod events;
mod live;
mod queries;
mod retention;
mod stores;
mod values;
mod watermill;

/// Each property for each store, as a test of its own.
macro_rules! on_all_stores {
    ($($file:ident::{$($property:ident),+ $(,)?}),+ $(,)?) => {
        mod memory {
            $($(#[test]
            fn $property() {
                crate::stores::test::<crate::stores::InMemory>(crate::$file::$property);
            })+)+
        }

        #[cfg(feature = "redis")]
        mod redis {
            $($(#[test]
            fn $property() {
                crate::stores::test::<crate::stores::InRedis>(crate::$file::$property);
            })+)+
        }

        mod embedded {
            $($(#[test]
            fn $property() {
                crate::stores::test::<crate::stores::InFile>(crate::$file::$property);
            })+)+
        }
    };
}

on_all_stores! {
    events::{
        positions_are_dense_and_nothing_is_changed,
        a_batch_is_taken_as_a_whole_or_not_at_all,
        what_conflicts_leaves_nothing_behind,
        expectations_see_what_was_there_before_the_batch,
        payloads_of_any_size_and_any_bytes,
        topics_of_any_length,
        a_scan_begins_anywhere_and_ends_where_the_reader_says,
        streams_count_their_events,
        names_of_streams_are_apart,
        an_empty_batch_changes_nothing,
    },
    values::{
        values_are_put_replaced_and_removed,
        values_are_read_in_order_from_anywhere,
        a_value_tells_where_its_batch_went,
        many_values_and_large_ones,
        values_go_with_the_events_of_their_batch,
    },
    queries::{
        queries_are_exact,
        both_ends_of_a_query_are_within,
        events_of_the_same_nanosecond_are_all_kept,
        a_query_of_many_topics_is_in_order,
        a_query_ends_at_its_limit_and_where_the_reader_says,
    },
    retention::{
        what_is_removed_is_removed_everywhere,
        retention_keeps_what_it_is_told_to,
        retention_keeps_what_a_checkpoint_needs,
        old_events_go_only_with_all_before_them,
        the_ends_of_all_numbers_are_no_traps,
    },
    concurrency::{
        one_writer_wins_each_version,
        totals_add_up,
        whole_batches_are_seen,
        a_reader_may_read_meanwhile,
        who_reads_while_events_are_removed_has_what_is_there_or_is_told,
    },
    live::{
        waiting_ends_with_the_event_or_the_time,
        an_event_at_which_a_reader_panics_is_not_passed,
        who_is_behind_the_end_is_told_so_and_does_not_wait,
        a_subscription_joins_without_gap_or_duplicate,
        a_subscription_goes_on_where_its_reader_broke_off,
        a_checkpoint_is_true_with_what_was_made_of_the_events,
    },
    watermill::{
        p01_what_is_published_arrives_with_all_that_is_said_of_it,
        p02_many_subscribers_see_what_many_publishers_say,
        p05_nothing_comes_before_the_one_in_front_is_accepted,
        p06_a_subscription_goes_on_where_its_predecessor_was_closed,
        p09_every_type_comes_in_order_to_everybody,
        p11_topics_are_apart,
        p14_a_new_subscriber_gets_what_came_before_it,
        p16_each_group_gets_all_that_came_before_it_read,
    },
}
