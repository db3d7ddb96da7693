//! A hint to the cache.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "one instruction"))]

/// Asks for the line of `place` in all caches, without waiting. Nothing where the CPU has no such hint in stable Rust.
#[inline(always)]
pub fn near<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint never faults, and the reference is valid anyway.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
