//! Events that a peer may copy word by word, even while they are written.

#![allow(unsafe_code)]

use photon_ring::Pod;
use slipring_bench::event::{Staged, Words};

/// An event that is words and nothing else.
///
/// # Safety
///
/// Every field is an integer, and there is no padding.
pub unsafe trait Plain: Copy + Default + Send + Sync + Unpin + 'static {}

// SAFETY: one array of words.
unsafe impl<const N: usize> Plain for Words<N> {}

// SAFETY: words and one array of words, all of one size and alignment.
unsafe impl<const REST: usize> Plain for Staged<REST> {}

const _: () = assert!(size_of::<Staged<0>>() == size_of::<[u64; 3]>());
const _: () = assert!(size_of::<Staged<5>>() == size_of::<[u64; 8]>());

/// The event as `photon-ring` wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Bits<E>(pub E);

// SAFETY: `Plain` asks for all that `Pod` does: every bit pattern is valid, and there is no padding.
unsafe impl<E: Plain> Pod for Bits<E> {}
