//! Events of any type on one bus.
//!
//! The value lies in the event itself if it has room, so a small one costs no allocation: not when
//! it is made, not when it is cloned, not when it is dropped. `smallbox` does the keeping; this file
//! adds the cloning, the names and the way back to the type.

mod name;

use std::{any::Any, fmt};

use smallbox::{SmallBox, smallbox};

use crate::{Carries, Event};

/// A value of any type that can be cloned and shared between threads.
///
/// Values of up to [`ROOM`](Self::ROOM) bytes lie in the event, larger ones in memory of their own.
/// For the types of one program an enum made with [`events!`](crate::events) is as short to write,
/// smaller if they are, and the compiler knows what is on the bus.
///
/// # Examples
/// ```
/// use slipring_events::{AnyEvent, Event};
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct OrderCreated { number: u64 }
///
/// let event = AnyEvent::named("order.created", OrderCreated { number: 7 });
/// assert_eq!(event.name(), "order.created");
/// assert_eq!(event.get(), Some(&OrderCreated { number: 7 }));
/// assert_eq!(event.get::<String>(), None);
/// assert!(event.is_inline());
/// ```
pub struct AnyEvent {
    slot: Slot,
    /// None is the name of the type, which is looked up when somebody asks.
    name: Option<&'static str>,
}

type Slot = SmallBox<dyn Value, Room>;

/// Where a value lies, unless it is larger or wants a larger alignment.
///
/// There must be no padding in it: the bytes of a value that came to lie there would be lost when
/// the event is moved.
#[repr(align(16))]
struct Room {
    _words: [u64; AnyEvent::ROOM / 8],
}

impl AnyEvent {
    /// The largest value that needs no memory of its own, in bytes.
    pub const ROOM: usize = 64;

    /// An event named after its type: `shop::order::Created` is `shop.order.Created`, and
    /// `Vec<shop::Order>` is `alloc.vec.Vec-shop.Order`.
    ///
    /// The compiler may name types otherwise in another version, and this name says where the type
    /// stands: give events that leave the program [a name](Self::named).
    ///
    /// # Examples
    /// ```
    /// use slipring_events::{AnyEvent, Event};
    ///
    /// assert_eq!(AnyEvent::new(7_u32).name(), "u32");
    /// ```
    pub fn new<T: Clone + Send + Sync + 'static>(value: T) -> Self {
        Self { slot: smallbox!(value), name: None }
    }

    /// An event with a name of its own, which must be one of a [topic](crate::topic::check) if it is
    /// published without another.
    pub fn named<T: Clone + Send + Sync + 'static>(name: &'static str, value: T) -> Self {
        Self { name: Some(name), ..Self::new(value) }
    }

    /// The value, if it is a `T`.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        (*self.slot).as_any().downcast_ref()
    }

    /// Whether it has no memory of its own.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::AnyEvent;
    ///
    /// assert!(AnyEvent::new([0_u8; 64]).is_inline());
    /// assert!(!AnyEvent::new([0_u8; 65]).is_inline());
    /// ```
    pub fn is_inline(&self) -> bool {
        // Nothing to store is stored nowhere, whatever its alignment.
        !self.slot.is_heap() || size_of_val(&*self.slot) == 0
    }
}

/// What a value can do when its type is forgotten.
trait Value: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn cloned(&self) -> Slot;
    fn type_topic(&self) -> &'static str;
}

impl<T: Clone + Send + Sync + 'static> Value for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn cloned(&self) -> Slot {
        smallbox!(self.clone())
    }

    fn type_topic(&self) -> &'static str {
        name::of::<T>()
    }
}

impl Clone for AnyEvent {
    fn clone(&self) -> Self {
        Self { slot: (*self.slot).cloned(), name: self.name }
    }
}

impl fmt::Debug for AnyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyEvent")
            .field("name", &self.name())
            .field("is_inline", &self.is_inline())
            .finish_non_exhaustive()
    }
}

impl Event for AnyEvent {
    fn name(&self) -> &'static str {
        self.name.unwrap_or_else(|| (*self.slot).type_topic())
    }
}

/// For `AnyEvent` itself it is the whole event, so that a handler may ask for all of them.
impl<T: Clone + Send + Sync + 'static> Carries<T> for AnyEvent {
    fn get(&self) -> Option<&T> {
        let whole: &dyn Any = self;
        whole.downcast_ref().or_else(|| self.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use allocation_counter::measure;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    #[derive(Clone, Debug, PartialEq)]
    #[repr(align(128))]
    struct Aligned(u8);

    #[derive(Clone, Debug, PartialEq)]
    #[repr(align(128))]
    struct AlignedNothing;

    /// Counts those that are there.
    struct Counted<const N: usize>(Arc<AtomicUsize>, [u8; N]);

    impl<const N: usize> Counted<N> {
        fn new(count: &Arc<AtomicUsize>) -> Self {
            count.fetch_add(1, Ordering::Relaxed);
            Self(Arc::clone(count), [7; N])
        }
    }

    impl<const N: usize> Clone for Counted<N> {
        fn clone(&self) -> Self {
            Self::new(&self.0)
        }
    }

    impl<const N: usize> Drop for Counted<N> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn check<T: Clone + Send + Sync + PartialEq + fmt::Debug + 'static>(
        value: &T,
        is_inline: bool,
    ) {
        let event = AnyEvent::new(value.clone());
        let moved = Box::new(event.clone());
        for event in [event, *moved] {
            assert_eq!(event.get(), Some(value));
            assert_eq!(event.is_inline(), is_inline);
            assert!(std::ptr::from_ref(event.get::<T>().unwrap()).is_aligned());
            assert_eq!(event.get::<char>(), None);
        }
    }

    #[test]
    fn values_of_all_sizes_and_alignments() {
        check(&(), true);
        check(&7_u8, true);
        check(&[7_u8; 64], true);
        check(&[7_u8; 65], false);
        check(&[u128::MAX; 4], true);
        check(&String::from("an order"), true);
        check(&[7_u64; 1000], false);
        check(&Aligned(7), false);
        check(&AlignedNothing, true);
        check(&(7_u8, 7_u64, 7_u8), true);
        check::<Option<Arc<str>>>(&Some("shared".into()), true);
    }

    #[test]
    fn small_values_are_made_cloned_and_dropped_without_an_allocation() {
        let allocations = |make: fn() -> AnyEvent| {
            let used = measure(|| {
                let events = [make(), make().clone()];
                assert!(events.iter().all(|event| event.get::<char>().is_none()));
            });
            assert_eq!(used.count_current, 0, "what was taken is given back");
            used.count_total
        };
        assert_eq!(allocations(|| AnyEvent::new([7_u64; 8])), 0);
        assert_eq!(allocations(|| AnyEvent::named("a", (7_u8, 7_u128))), 0);
        assert_eq!(allocations(|| AnyEvent::new(())), 0);
        assert_eq!(allocations(|| AnyEvent::new(AlignedNothing)), 0);
        assert_eq!(allocations(|| AnyEvent::new([7_u64; 9])), 3);
        assert_eq!(allocations(|| AnyEvent::new(Aligned(7))), 3);
    }

    #[test]
    fn every_value_is_dropped_once() {
        fn drops<const N: usize>(is_inline: bool) {
            let count = Arc::new(AtomicUsize::new(0));
            let there = || count.load(Ordering::Relaxed);
            let event = AnyEvent::new(Counted::<N>::new(&count));
            assert_eq!((event.is_inline(), there()), (is_inline, 1));
            let copies = vec![event.clone(), event.clone()];
            assert_eq!(there(), 3);
            assert!(copies.iter().all(|copy| copy.get::<Counted<N>>().unwrap().1 == [7; N]));
            drop(event);
            assert_eq!(there(), 2);
            drop(copies);
            assert_eq!((there(), Arc::strong_count(&count)), (0, 1));
        }
        drops::<0>(true);
        drops::<56>(true);
        drops::<57>(false);
        drops::<5000>(false);
    }

    #[test]
    fn a_clone_that_panics_leaves_the_value_whole() {
        #[derive(Debug)]
        struct Fragile(String);
        impl Clone for Fragile {
            fn clone(&self) -> Self {
                panic!("{} cannot be copied", self.0)
            }
        }
        let event = AnyEvent::new(Fragile("glass".into()));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| event.clone()));
        assert!(result.is_err());
        assert_eq!(event.get::<Fragile>().unwrap().0, "glass");
    }

    #[test]
    fn it_carries_its_value_and_itself() {
        fn carried<T: Clone>(event: &impl Carries<T>) -> Option<T> {
            event.get().cloned()
        }
        let event = AnyEvent::new(7_u32);
        assert_eq!(carried::<u32>(&event), Some(7));
        assert_eq!(carried::<u64>(&event), None);
        assert_eq!(carried::<AnyEvent>(&event).unwrap().get(), Some(&7_u32));
    }

    #[test]
    fn an_event_is_named_by_its_type_or_as_told() {
        let named = AnyEvent::named("order.created", 7_u32);
        assert_eq!((named.name(), named.clone().name()), ("order.created", "order.created"));
        assert_eq!(AnyEvent::new(7_u32).clone().name(), "u32");
        let debug = format!("{:?}", AnyEvent::new(Aligned(7)));
        assert!(debug.contains("slipring_events.any.tests.Aligned"), "{debug}");
        assert!(debug.contains("is_inline: false"), "{debug}");
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn it_is_as_large_as_it_must_be() {
        assert_eq!(size_of::<Room>(), AnyEvent::ROOM);
        assert_eq!(size_of::<AnyEvent>(), 96);
        assert_eq!(size_of::<Option<AnyEvent>>(), 96);
    }
}
