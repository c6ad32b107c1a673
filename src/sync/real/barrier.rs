//! The fences that `fence.rs` is made of.

use std::sync::atomic::{Ordering, compiler_fence, fence};

/// A fence for the compiler only.
#[inline]
pub(in crate::sync) fn compiler() {
    // ORDERING(DEKKER): the processor's half is `membarrier::execute`, on the other side.
    compiler_fence(Ordering::SeqCst);
}

/// A fence for compiler and processor.
#[inline]
pub(in crate::sync) fn processor() {
    // ORDERING(DEKKER): both sides of a symmetric handshake execute one.
    fence(Ordering::SeqCst);
}

#[cfg(all(target_os = "linux", not(miri)))]
pub(in crate::sync) mod membarrier {
    use libc::{
        MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, SYS_membarrier,
    };

    fn call(command: libc::c_int) -> bool {
        // SAFETY: membarrier(2) takes two integers (three since Linux 5.10), touches no memory of
        // ours, and reports an unknown command as an error.
        unsafe { libc::syscall(SYS_membarrier, command, 0, 0) == 0 }
    }

    /// Whether this process may use the call from now on.
    pub(in crate::sync) fn register() -> bool {
        call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    }

    /// A full fence in every other thread of the process that is running at the moment; those that
    /// are not have executed one when they stopped. If there is none, there is nobody to meet.
    ///
    /// No access of this thread moves past the call: for the processor the kernel sees to it (it
    /// leaves its own fences out only if no other thread can run), and to the compiler `syscall` is
    /// a function that it does not see into.
    pub(in crate::sync) fn execute() {
        // The call cannot fail once the process is registered, which `Fences::Asymmetric` is the
        // proof of. Registration is lost in no way but `execve`.
        assert!(call(MEMBARRIER_CMD_PRIVATE_EXPEDITED), "membarrier refused after registration");
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
pub(in crate::sync) mod membarrier {
    pub(in crate::sync) fn register() -> bool {
        false
    }

    pub(in crate::sync) fn execute() {
        unreachable!("only a registered process is asymmetric")
    }
}
