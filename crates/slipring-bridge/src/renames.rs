//! Other names for topics on the other side.

/// What topics are called on the other side: the first rule whose prefix a topic begins with gives it another one. What no
/// rule is for stays as it is.
///
/// A prefix ends where a word ends: `order` is one of `order` and of `order.created`, and none of `orders.created`.
///
/// # Examples
/// ```
/// use slipring_bridge::Renames;
///
/// let out = Renames::none().prefix("order", "shop.order").prefix("", "other");
/// assert_eq!(out.apply("order.created"), "shop.order.created");
/// assert_eq!(out.apply("orders.created"), "other.orders.created");
/// let back = Renames::none().prefix("shop", "");
/// assert_eq!(back.apply("shop.order.created"), "order.created");
/// assert_eq!(Renames::none().apply("order"), "order");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "rules are built by value, others are returned"]
pub struct Renames {
    rules: Vec<(String, String)>,
}

impl Renames {
    /// All stays as it is.
    pub fn none() -> Self {
        Self::default()
    }

    /// Topics that begin with these words begin with those in their place. With no words before, those are put in front;
    /// with none after, the first are taken away, unless nothing would be left.
    pub fn prefix(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        self.rules.push((before.into(), after.into()));
        self
    }

    /// What a topic is called on the other side.
    pub fn apply(&self, topic: &str) -> String {
        for (before, after) in &self.rules {
            let rest = match topic.strip_prefix(before.as_str()) {
                Some(rest) if before.is_empty() || rest.is_empty() => rest,
                Some(rest) => match rest.strip_prefix('.') {
                    Some(rest) => rest,
                    None => continue,
                },
                None => continue,
            };
            return match (after.is_empty(), rest.is_empty()) {
                (true, true) => topic.to_owned(),
                (true, false) => rest.to_owned(),
                (false, true) => after.clone(),
                (false, false) => format!("{after}.{rest}"),
            };
        }
        topic.to_owned()
    }
}
