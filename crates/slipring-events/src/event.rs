//! What a bus carries.

/// What goes through a [`Bus`](crate::Bus): usually an enum of a program's own, made with
/// [`events!`](crate::events), or [`AnyEvent`](crate::AnyEvent) where the types are not known beforehand.
///
/// An event is cloned only when a handler has failed and the ring is to go on without it: for a retry later, for
/// the dead letters.
///
/// # Examples
/// ```
/// use slipring_events::Event;
///
/// #[derive(Clone)]
/// enum Sensor { Temperature(f32), Battery(u8) }
///
/// impl Event for Sensor {
///     fn name(&self) -> &'static str {
///         match self {
///             Self::Temperature(_) => "sensor.temperature",
///             Self::Battery(_) => "sensor.battery",
///         }
///     }
/// }
/// ```
pub trait Event: Clone + Send + Sync + 'static {
    /// The name of its type, words with dots between: `order.created`. It is the
    /// [topic](crate::Pattern) unless one is given when it is published.
    fn name(&self) -> &'static str;
}

/// An event that may be a `T`. Handlers [subscribe](crate::Registration::on) to a type by it.
pub trait Carries<T>: Event {
    /// The `T`, if it is one.
    fn get(&self) -> Option<&T>;
}

/// An enum of the events of a program: each variant holds one type and has a name.
///
/// A variant holds the struct that is called as it is, or the type in its brackets. The enum is an
/// [`Event`], made [`From`] each type and [carrying](Carries) each, so a handler for one type is not
/// even compiled for a bus that cannot carry it. It is `Clone` and `Debug`, with whatever attributes
/// are written on it and on the variants. Each type may be there once; two events of the same data
/// are two types.
///
/// # Examples
/// ```
/// use slipring_events::{Carries, Event, events};
///
/// #[derive(Clone, Debug, PartialEq)]
/// pub struct OrderCreated { number: u64 }
///
/// #[derive(Clone, Debug, PartialEq)]
/// pub struct Payment { cents: u64 }
///
/// events! {
///     /// What happens in a shop.
///     #[derive(PartialEq)]
///     pub enum Shop {
///         /// Somebody has ordered.
///         OrderCreated = "order.created",
///         /// The money is there.
///         Paid(Payment) = "order.paid",
///     }
/// }
///
/// let event = Shop::from(Payment { cents: 1999 });
/// assert_eq!(event.name(), "order.paid");
/// assert_eq!(event.get(), Some(&Payment { cents: 1999 }));
/// assert_eq!(Carries::<OrderCreated>::get(&event), None);
/// ```
///
/// A name that cannot be one of a [topic](crate::topic::check) does not compile:
/// ```compile_fail
/// # #[derive(Clone, Debug)]
/// # pub struct OrderCreated;
/// slipring_events::events! {
///     pub enum Shop { OrderCreated = "order.*" }
/// }
/// ```
#[macro_export]
macro_rules! events {
    // What a variant holds.
    (@held $variant:ident) => { $variant };
    (@held $variant:ident $held:ty) => { $held };

    (
        $(#[$enum_attribute:meta])*
        $visibility:vis enum $name:ident {
            $(
                $(#[$attribute:meta])*
                $variant:ident $(($held:ty))? = $topic:literal
            ),+ $(,)?
        }
    ) => {
        $(#[$enum_attribute])*
        #[derive(Clone, Debug)]
        $visibility enum $name {
            $(
                $(#[$attribute])*
                $variant($crate::events!(@held $variant $($held)?)),
            )+
        }

        $(
            const _: () = ::core::assert!(
                $crate::topic::is_topic($topic),
                "{}",
                ::core::concat!(
                    "`", $topic, "` is no name of a topic: write words with dots between, without `*` \
                     and `#` and in at most 255 bytes",
                ),
            );
        )+

        impl $crate::Event for $name {
            fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $topic,)+
                }
            }
        }

        $(
            impl ::core::convert::From<$crate::events!(@held $variant $($held)?)> for $name {
                fn from(event: $crate::events!(@held $variant $($held)?)) -> Self {
                    Self::$variant(event)
                }
            }

            impl $crate::Carries<$crate::events!(@held $variant $($held)?)> for $name {
                // Of an enum of one variant, all are that one.
                #[allow(unreachable_patterns)]
                fn get(&self) -> ::core::option::Option<&$crate::events!(@held $variant $($held)?)> {
                    match self {
                        Self::$variant(event) => ::core::option::Option::Some(event),
                        _ => ::core::option::Option::None,
                    }
                }
            }
        )+
    };
}

#[cfg(test)]
mod tests {
    use crate::{Carries, Event};

    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct Created {
        number: u64,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    pub(crate) struct Cancelled;

    crate::events! {
        /// What happens to an order.
        #[derive(PartialEq)]
        #[non_exhaustive]
        pub(crate) enum Order {
            /// It is there.
            Created = "order.created",
            /// It is gone.
            Cancelled = "order.cancelled",
            Noted(Vec<String>) = "order.noted.{by}"
        }
    }

    crate::events! {
        enum Single { Cancelled = "größe" }
    }

    #[test]
    fn each_variant_has_its_name() {
        let events = [
            Order::from(Created { number: 7 }),
            Order::Cancelled(Cancelled),
            Order::from(vec![String::from("in a hurry")]),
        ];
        let names = events.map(|event| event.name());
        assert_eq!(names, ["order.created", "order.cancelled", "order.noted.{by}"]);
    }

    #[test]
    fn each_variant_carries_its_type_and_no_other() {
        let event = Order::from(Created { number: 7 });
        assert_eq!(Carries::<Created>::get(&event), Some(&Created { number: 7 }));
        assert_eq!(Carries::<Cancelled>::get(&event), None);
        assert_eq!(Carries::<Vec<String>>::get(&event), None);
        assert_eq!(event.clone(), event);
        assert_eq!(format!("{event:?}"), "Created(Created { number: 7 })");
    }

    #[test]
    fn an_enum_of_one_event() {
        let event = Single::from(Cancelled);
        assert_eq!((event.get(), event.name()), (Some(&Cancelled), "größe"));
    }
}
