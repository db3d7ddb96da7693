//! A few unpredictable bits for less than a clock call.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "reads the time stamp counter"))]

/// Low bits of the cheapest clock; no order between calls is promised.
#[inline(always)]
#[must_use]
pub fn bits() -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every x86-64 has the instruction, and Linux leaves it enabled for user mode.
        (unsafe { core::arch::x86_64::_rdtsc() }) as u32
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        crate::contract::now_ns() as u32
    }
}
