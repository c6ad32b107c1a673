//! Fetching memory before it is needed.
//!
//! A line that another core has written or read last takes a hundred nanoseconds and more to come
//! over. Asked for early, it comes while there is something else to do.

/// How far ahead of the event in a handler's hands, within a run: as many lines as come over while
/// one would be waited for.
pub(crate) const LINES_AHEAD_IN_A_RUN: usize = 10;
const LINE: usize = 64;

/// How many items of an array make so many lines; at least one.
#[inline(always)]
pub(crate) const fn items_in<T>(lines: usize) -> u64 {
    let bytes = if size_of::<T>() == 0 { LINE } else { size_of::<T>() };
    let items = lines * LINE / bytes;
    if items == 0 { 1 } else { items as u64 }
}

/// Where the lines of an item begin, the first few of them: those that lie behind them come by themselves, as memory
/// that is gone through does.
#[inline(always)]
pub(crate) fn lines_of<T>(item: *const T) -> impl Iterator<Item = *const u8> {
    const MOST: usize = 4;
    let lines = const { size_of::<T>().div_ceil(LINE) }.clamp(1, MOST);
    (0..lines).map(move |line| item.cast::<u8>().wrapping_add(line * LINE))
}

/// A hint for a place: any address will do, and nothing is read or written.
macro_rules! hint {
    ($(#[$doc:meta])* $name:ident, $x86:literal, $arm:literal) => {
        $(#[$doc])*
        #[inline(always)]
        #[allow(clippy::pointers_in_nomem_asm_block)] // It touches no memory that the language knows of.
        pub(crate) fn $name<T>(place: *const T) {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: a prefetch changes neither memory nor registers nor flags, and does not fault.
            unsafe {
                std::arch::asm!($x86, in(reg) place, options(nomem, nostack, preserves_flags));
            }
            #[cfg(all(target_arch = "aarch64", not(miri)))]
            // SAFETY: as above.
            unsafe {
                std::arch::asm!($arm, in(reg) place, options(nomem, nostack, preserves_flags));
            }
            #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
            let _ = place;
        }
    };
}

hint! {
    /// Has the line of `place` fetched for writing, where the processor can be asked.
    for_writing, "prefetchw [{}]", "prfm pstl1keep, [{}]"
}
hint! {
    /// Has the line of `place` fetched for reading, where the processor can be asked.
    for_reading, "prefetcht0 [{}]", "prfm pldl1keep, [{}]"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_empty_items_look_one_and_three_ahead() {
        assert_eq!((items_in::<u64>(3), items_in::<u32>(3)), (24, 48));
        assert_eq!((items_in::<[u64; 8]>(3), items_in::<[u64; 128]>(3)), (3, 1));
        assert_eq!(items_in::<()>(3), 3);
    }

    #[test]
    fn any_address_will_do() {
        for_writing(std::ptr::without_provenance::<u64>(8));
        for_reading(std::ptr::null::<u64>());
        let place = 7_u64;
        for_writing(&raw const place);
        assert_eq!(place, 7);
    }
}
