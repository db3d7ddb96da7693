//! The processor's own clock: RDTSC on x86-64, CNTVCT on aarch64; elsewhere nanoseconds of CLOCK_MONOTONIC.
#![cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    expect(unsafe_code, reason = "one instruction")
)]

/// Name of one unit of [`begin`] and [`end`].
#[cfg(target_arch = "x86_64")]
pub const UNIT: &str = "cycles";
/// Name of one unit of [`begin`] and [`end`].
#[cfg(not(target_arch = "x86_64"))]
pub const UNIT: &str = if cfg!(target_arch = "aarch64") { "ticks" } else { "ns" };

/// Reads the clock before the measured work: everything before has completed, nothing of the work has begun.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[must_use]
pub fn begin() -> u64 {
    use std::arch::x86_64::{_mm_lfence, _rdtsc};
    // SAFETY: every x86-64 has both instructions; they touch no memory.
    unsafe {
        _mm_lfence();
        let now = _rdtsc();
        _mm_lfence();
        now
    }
}

/// Reads the clock after the measured work: all of it has completed. (Its stores have left the instruction stream;
/// when another CPU sees them is not part of it.)
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[must_use]
pub fn end() -> u64 {
    begin()
}

/// True when the clock runs at one speed in all states of the processor; without that its ticks are no time.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn invariant() -> bool {
    use std::arch::x86_64::__cpuid;
    const HIGHEST: u32 = 0x8000_0000;
    const POWER: u32 = 0x8000_0007;
    __cpuid(HIGHEST).eax >= POWER && __cpuid(POWER).edx & 1 << 8 != 0
}

/// Reads the clock before the measured work.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
#[must_use]
pub fn begin() -> u64 {
    let now: u64;
    // SAFETY: the virtual counter is readable from user space on Linux; `isb` keeps the read in its place.
    unsafe { std::arch::asm!("isb", "mrs {now}, cntvct_el0", "isb", now = out(reg) now, options(nostack)) };
    now
}

/// Reads the clock after the measured work.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
#[must_use]
pub fn end() -> u64 {
    begin()
}

/// Reads the clock before the measured work.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
#[must_use]
pub fn begin() -> u64 {
    crate::contract::now_ns()
}

/// Reads the clock after the measured work.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
#[must_use]
pub fn end() -> u64 {
    crate::contract::now_ns()
}

/// True when the clock runs at one speed in all states of the processor: by definition of both.
#[cfg(not(target_arch = "x86_64"))]
#[must_use]
pub fn invariant() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_forward_and_sees_a_sleep() {
        let start = begin();
        std::thread::sleep(std::time::Duration::from_millis(5));
        // No clock here ticks slower than 1 MHz.
        assert!(end() - start > 5000);
    }
}
