//! How long what a ring's handlers borrow has to live: for ever, unless the ring runs in a scope.

use crate::station::Declared;

mod sealed {
    /// What depends on the lifetime. Its one implementation is [`Within`](super::Within): a lifetime in
    /// the form of a type, because a type parameter can have a default.
    pub trait Lasting {
        type Declared<E>;
        type Factory<E>;
    }
}
pub(crate) use sealed::Lasting;

/// How long a [`Station`](crate::Station) or a [`Builder`](crate::Builder) can be used: always
/// [`Within`] some lifetime.
pub trait Extent: Lasting {}

/// The lifetime of what the handlers of a [`Station`](crate::Station) or of a whole
/// [`Builder`](crate::Builder) borrow.
///
/// It is `'static` where nothing is said: `Station<E, A>` is `Station<E, A, Within<'static>>` and
/// borrows nothing that ends. One that borrows is for [`Builder::scope`](crate::Builder::scope).
///
/// # Examples
/// ```
/// use slipring::{Shared, Station, Within, read};
///
/// fn into(sums: &mut Vec<u64>) -> Station<u64, Shared, Within<'_>> {
///     read("sums", |event: &u64, _| sums.push(*event))
/// }
/// # let _ = into;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Within<'a>(std::marker::PhantomData<&'a ()>);

impl<'a> Lasting for Within<'a> {
    type Declared<E> = Declared<'a, E>;
    type Factory<E> = Box<dyn FnMut() -> E + 'a>;
}

impl Extent for Within<'_> {}
