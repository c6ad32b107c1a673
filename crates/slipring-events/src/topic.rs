//! Topics, and the patterns that pick them: words with dots between, as in AMQP.

mod checked;

use std::{fmt, str::FromStr, str::Split};

#[doc(hidden)]
pub use checked::is_topic;
use checked::{Flaw, first_flaw};

/// The longest name of a topic or a pattern, in bytes: what AMQP has room for.
pub const LONGEST: usize = 255;

/// Which topics somebody wants.
///
/// A pattern is words with dots between. `*` stands for exactly one word, `#` for any number of
/// words, also for none.
///
/// # Examples
/// ```
/// use slipring_events::Pattern;
///
/// let one = Pattern::new("order.*")?;
/// assert!(one.matches("order.created"));
/// assert!(!one.matches("order"));
/// assert!(!one.matches("order.item.added"));
///
/// let any = Pattern::new("order.#")?;
/// assert!(any.matches("order"));
/// assert!(any.matches("order.item.added"));
/// # Ok::<(), slipring_events::TopicError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<str>,
    kind: Kind,
}

/// What there is to look at. Most patterns need less than word by word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Everything,
    Exactly,
    Words,
}

impl Pattern {
    /// The pattern that a text stands for.
    ///
    /// # Errors
    /// If there is an empty word, or none, if a wildcard is only a part of a word, or if the text
    /// is longer than 255 bytes.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        match first_flaw(text.as_bytes(), true) {
            Some(flaw) => Err(TopicError::new(text, flaw)),
            None => Ok(Self { text: text.into(), kind: Kind::of(text) }),
        }
    }

    /// `#`: every topic.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::Pattern;
    ///
    /// assert!(Pattern::everything().matches("order.created"));
    /// ```
    pub fn everything() -> Self {
        Self { text: "#".into(), kind: Kind::Everything }
    }

    /// Whether this is one of the topics. Nothing is allocated, and the time is at most that of
    /// comparing each word of the pattern with each word of the topic.
    ///
    /// Whether the topic is [well formed](check) is not looked at.
    pub fn matches(&self, topic: &str) -> bool {
        match self.kind {
            Kind::Everything => true,
            Kind::Exactly => *self.text == *topic,
            Kind::Words => fits(self.text.split('.'), topic.split('.')),
        }
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Kind {
    fn of(pattern: &str) -> Self {
        if pattern == "#" {
            Self::Everything
        } else if pattern.contains(['*', '#']) {
            Self::Words
        } else {
            Self::Exactly
        }
    }
}

/// Whether the words of a topic are those of a pattern.
///
/// A `#` first stands for no word. When what follows it does not fit, it takes in one word more and
/// what follows is tried again from there. Only the last `#` is ever tried again: one before it has
/// already brought its own followers to fit as far left as they can, and to move them to the right
/// leaves the last `#` less to choose from. So there is nothing to recur into.
fn fits<'a>(mut pattern: Split<'a, char>, mut topic: Split<'a, char>) -> bool {
    let mut again: Option<(Split<'a, char>, Split<'a, char>)> = None;
    loop {
        let is_fit = match pattern.next() {
            Some("#") => {
                again = Some((pattern.clone(), topic.clone()));
                true
            }
            Some("*") => topic.next().is_some(),
            Some(word) => topic.next() == Some(word),
            None if topic.next().is_none() => return true,
            None => false,
        };
        if !is_fit {
            let Some((behind, from)) = &mut again else { return false };
            if from.next().is_none() {
                return false;
            }
            (pattern, topic) = (behind.clone(), from.clone());
        }
    }
}

impl FromStr for Pattern {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        Self::new(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a name can be that of a topic.
///
/// # Errors
/// If there is an empty word, or none, or a wildcard, or if the name is longer than 255 bytes.
///
/// # Examples
/// ```
/// use slipring_events::topic;
///
/// assert!(topic::check("order.created").is_ok());
/// assert!(topic::check("order.*").is_err());
/// ```
pub fn check(topic: &str) -> Result<(), TopicError> {
    first_flaw(topic.as_bytes(), false).map_or(Ok(()), |flaw| Err(TopicError::new(topic, flaw)))
}

/// The last step of a name of many steps, be they words of a topic or parts of a path.
///
/// # Examples
/// ```
/// use slipring_events::topic;
///
/// assert_eq!(topic::last_step("shop/orders/created"), "created");
/// assert_eq!(topic::last_step("shop.orders.paid"), "paid");
/// ```
pub fn last_step(name: &str) -> &str {
    name.rsplit(['.', '/']).next().unwrap_or(name)
}

/// Why a text is no name of a topic, or no pattern.
///
/// # Examples
/// ```
/// use slipring_events::{Pattern, TopicError};
///
/// let error = Pattern::new("ord*").unwrap_err();
/// assert!(matches!(error, TopicError::PartOfWord { .. }));
/// assert!(error.to_string().contains("`ord*`"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// There is no word.
    #[error("the name is empty: give it at least one word, such as `order.created`")]
    Empty,
    /// There is a word without letters.
    #[error(
        "`{name}` has an empty word at byte {at}: take away the dot there, or write a word beside it"
    )]
    EmptyWord {
        /// The whole name.
        name: Box<str>,
        /// Where the word would be.
        at: usize,
    },
    /// An event is published under one topic, not under many.
    #[error(
        "`{topic}` has a wildcard at byte {at}: only those who subscribe use `*` and `#`; publish \
         under a topic without"
    )]
    Wildcard {
        /// The whole name.
        topic: Box<str>,
        /// Where the wildcard is.
        at: usize,
    },
    /// A wildcard stands for whole words.
    #[error(
        "`{pattern}` has a wildcard inside of a word, at byte {at}: `*` is a whole word and `#` any \
         number of them; put dots around it"
    )]
    PartOfWord {
        /// The whole pattern.
        pattern: Box<str>,
        /// Where the wildcard is.
        at: usize,
    },
    /// There is no room for it in AMQP, nor here.
    #[error("the name has {length} bytes: use at most 255, and put the rest into the event")]
    TooLong {
        /// How many bytes it has.
        length: usize,
    },
}

impl TopicError {
    fn new(name: &str, flaw: Flaw) -> Self {
        match flaw {
            Flaw::Empty => Self::Empty,
            Flaw::EmptyWord(at) => Self::EmptyWord { name: name.into(), at },
            Flaw::Wildcard(at) => Self::Wildcard { topic: name.into(), at },
            Flaw::PartOfWord(at) => Self::PartOfWord { pattern: name.into(), at },
            Flaw::TooLong => Self::TooLong { length: name.len() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    /// What the words mean, said as simply as can be.
    fn means(pattern: &[&str], topic: &[&str]) -> bool {
        match (pattern, topic) {
            ([], topic) => topic.is_empty(),
            (["#", rest @ ..], topic) => (0..=topic.len()).any(|n| means(rest, &topic[n..])),
            (["*", rest @ ..], [_, topic @ ..]) => means(rest, topic),
            ([word, rest @ ..], [first, topic @ ..]) => word == first && means(rest, topic),
            (_, []) => false,
        }
    }

    #[test]
    fn a_table_of_patterns() {
        for (text, yes, no) in [
            ("order.created", &["order.created"][..], &["order", "order.created.eu", "order."][..]),
            ("order.*", &["order.created"], &["order", "order.created.eu", "orders.created"]),
            ("*.created", &["order.created"], &["created", "a.b.created"]),
            ("order.#", &["order", "order.a", "order.a.b"], &["orders", "a.order"]),
            ("#.created", &["created", "a.created", "a.b.created"], &["created.a", "createda"]),
            ("a.#.b.#.c", &["a.b.c", "a.x.b.y.c", "a.b.b.c.c"], &["a.c", "a.b", "a.c.b"]),
            ("*.#", &["a", "a.b"], &[]),
            ("#.*.#.*", &["a.b", "a.b.c"], &["a"]),
            ("#", &["a", "a.b"], &[]),
        ] {
            let pattern = pattern(text);
            assert!(yes.iter().all(|topic| pattern.matches(topic)), "{text}");
            assert!(!no.iter().any(|topic| pattern.matches(topic)), "{text}");
        }
        assert_eq!(Pattern::everything(), pattern("#"));
    }

    #[test]
    fn many_wildcards_do_not_multiply() {
        // Followed up one by one, the ways to share 120 words among 60 wildcards outlast us all.
        let many = pattern(&["#.a"; 60].join("."));
        let topic = ["a"; 120].join(".");
        assert!(many.matches(&topic));
        assert!(!many.matches(&format!("{topic}.b")));
        assert!(pattern(&["#"; 100].join(".")).matches(&topic));
    }

    #[test]
    fn each_flaw_is_named() {
        let name: Box<str> = "a..b".into();
        assert_eq!(check("a..b"), Err(TopicError::EmptyWord { name: name.clone(), at: 2 }));
        assert_eq!(Pattern::new("a..b"), Err(TopicError::EmptyWord { name, at: 2 }));
        assert_eq!(check(""), Err(TopicError::Empty));
        assert_eq!(Pattern::new(""), Err(TopicError::Empty));
        for (at, text) in [(0, "."), (0, ".a"), (2, "a."), (4, "a.b..c")] {
            assert_eq!(check(text), Err(TopicError::EmptyWord { name: text.into(), at }));
        }
        for (at, text) in [(2, "a.*"), (0, "#"), (3, "a.b*"), (1, "a#.b")] {
            assert_eq!(check(text), Err(TopicError::Wildcard { topic: text.into(), at }));
        }
        for (at, text) in [(3, "ord*"), (0, "*ord"), (2, "a.**"), (3, "a.b#.c"), (2, "a.#*")] {
            assert_eq!(
                Pattern::new(text),
                Err(TopicError::PartOfWord { pattern: text.into(), at })
            );
        }
    }

    #[test]
    fn a_name_has_at_most_255_bytes() {
        let (long, longer) = ("é".repeat(127) + "x", "é".repeat(128));
        assert_eq!((check(&long), check(&longer)), (Ok(()), too_long()));
        assert!(Pattern::new(&long).is_ok());
        assert_eq!(Pattern::new(&longer).map(drop), too_long());
    }

    fn too_long() -> Result<(), TopicError> {
        Err(TopicError::TooLong { length: 256 })
    }

    #[test]
    fn the_last_step_of_a_path_or_a_topic() {
        for (name, step) in [("a/b/q", "q"), ("a.b.q", "q"), ("q", "q"), ("a/b.c", "c"), ("", "")] {
            assert_eq!(last_step(name), step);
        }
    }

    proptest! {
        #[test]
        fn patterns_mean_what_the_rules_say(
            words in prop::collection::vec("[ab*#]", 1..8),
            topic in prop::collection::vec("[ab]", 1..9),
        ) {
            let pattern = Pattern::new(&words.join(".")).unwrap();
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let steps: Vec<_> = topic.iter().map(String::as_str).collect();
            prop_assert_eq!(pattern.matches(&topic.join(".")), means(&words, &steps));
        }

        #[test]
        fn a_topic_is_a_pattern_for_itself(text in "[a-c.*#é]{0,12}") {
            if check(&text).is_ok() {
                let itself = pattern(&text);
                prop_assert!(itself.matches(&text));
                prop_assert_eq!(itself.to_string(), text);
            }
        }

        #[test]
        fn the_rules_hold_for_any_text(text in "[a-b.*#é]{0,10}|.*|[a.]{250,260}") {
            let is_worded = !text.split('.').any(str::is_empty) && text.len() <= LONGEST;
            let has_wildcard = text.contains(['*', '#']);
            let is_whole =
                text.split('.').all(|word| matches!(word, "*" | "#") || !word.contains(['*', '#']));
            prop_assert_eq!(check(&text).is_ok(), is_worded && !has_wildcard);
            prop_assert_eq!(Pattern::new(&text).is_ok(), is_worded && is_whole);
        }
    }
}
