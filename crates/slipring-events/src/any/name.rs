//! The names of types as topics.

use std::{
    any::{TypeId, type_name},
    cell::RefCell,
    collections::HashMap,
    fmt::Write,
};

use parking_lot::Mutex;

use crate::{id::fnv_1a, topic};

/// Made once for each type and kept for ever, of which there are as many as the program has.
type Names = HashMap<TypeId, &'static str>;

static NAMES: Mutex<Option<Names>> = Mutex::new(None);

thread_local! {
    /// What this thread has asked for before. The others need not wait for it to ask again.
    static ASKED: RefCell<Names> = RefCell::default();
}

/// The name of a type as that of a topic.
pub(super) fn of<T: 'static>() -> &'static str {
    let id = TypeId::of::<T>();
    // A thread that ends may drop its table before the events that it still has.
    let asked = ASKED.try_with(|asked| *asked.borrow_mut().entry(id).or_insert_with(shared::<T>));
    asked.unwrap_or_else(|_| shared::<T>())
}

fn shared<T: 'static>() -> &'static str {
    let mut names = NAMES.lock();
    let names = names.get_or_insert_default();
    names.entry(TypeId::of::<T>()).or_insert_with(|| topic_of(type_name::<T>()).leak())
}

/// `a::b` becomes `a.b`. What is neither a letter nor a digit becomes a hyphen between words that
/// it keeps apart, and nothing at their ends.
fn topic_of(type_name: &str) -> String {
    let mut topic = String::with_capacity(type_name.len());
    for part in type_name.split("::") {
        if !topic.is_empty() {
            topic.push('.');
        }
        let start = topic.len();
        for piece in part.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if !piece.is_empty() {
                topic.push_str(if topic.len() == start { "" } else { "-" });
                topic.push_str(piece);
            }
        }
        if topic.len() == start {
            // Of `()` nothing is left, and a word there must be.
            topic.push('_');
        }
    }
    shortened(topic)
}

/// As it is, or its beginning and a hash of the whole: names of many parameters grow long.
fn shortened(mut topic: String) -> String {
    const HASH: usize = 1 + 16;
    if topic.len() <= topic::LONGEST {
        return topic;
    }
    let hash = fnv_1a(topic.as_bytes());
    topic.truncate(topic.floor_char_boundary(topic::LONGEST - HASH));
    let _ = write!(topic, "-{hash:016x}");
    topic
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_types_have() {
        for (name, topic) in [
            ("u32", "u32"),
            ("shop::order::Created", "shop.order.Created"),
            ("alloc::vec::Vec<shop::Order>", "alloc.vec.Vec-shop.Order"),
            ("&'static str", "static-str"),
            ("[u8; 4]", "u8-4"),
            ("(i32, u8)", "i32-u8"),
            ("()", "_"),
            ("shop::main::{{closure}}", "shop.main.closure"),
            ("shop::Of<()>::{{closure}}::Größe_2", "shop.Of.closure.Größe_2"),
            ("fn(u8) -> u8", "fn-u8-u8"),
        ] {
            assert_eq!(topic_of(name), topic);
        }
        assert_eq!(of::<Option<u8>>(), "core.option.Option-u8");
    }

    #[test]
    fn the_same_type_has_the_same_name_on_every_thread() {
        let here = of::<Option<i8>>();
        let there = std::thread::spawn(of::<Option<i8>>).join().unwrap();
        assert!(std::ptr::eq(here, there));
    }

    #[test]
    fn long_names_stay_apart() {
        let (first, second) =
            (format!("{}a", "é::".repeat(200)), format!("{}b", "é::".repeat(200)));
        assert_ne!(topic_of(&first), topic_of(&second));
        assert!(topic_of(&first).len() > topic::LONGEST - 5);
    }

    proptest! {
        #[test]
        fn every_name_becomes_a_topic(name in "([a-z<>(),:é_ *#.]|::){0,400}|.*") {
            prop_assert_eq!(topic::check(&topic_of(&name)), Ok(()));
        }
    }
}
