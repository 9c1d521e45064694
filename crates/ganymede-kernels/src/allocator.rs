//! The allocator that programs should give their tensors.

pub use mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`.
const PURGE_DELAY: std::ffi::c_int = 15;

/// Lets the process keep memory that it freed, instead of giving it back to the system and taking it again, zeroed anew, at the next step of a training. For the
/// start of a program whose global allocator is [`MiMalloc`]; elsewhere it has no effect.
pub fn keep_freed_memory() {
    // SAFETY: setting an option stores a number in a table of mimalloc's own; the option exists in every version 2 and 3.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}
