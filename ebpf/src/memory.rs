//! The few raw operations on map values that the probes share.

use core::intrinsics::{AtomicOrdering::Relaxed, atomic_cxchg, atomic_xadd};

use aya_ebpf::maps::{Array, PerCpuArray};

/// The map's values can be mapped into userspace, which then reads them without a system call.
pub const MMAPABLE: u32 = 1 << 10;

/// A value of an array map, to be read and written by the program that runs on this CPU.
///
/// Values are plain integers, every access is a single aligned word, and writers on other CPUs go through [`add`]
/// and [`add32`] where a word can have two of them. The verifier proves the bounds.
#[inline(always)]
pub fn slot<T>(map: &Array<T>, index: u32) -> Option<&'static mut T> {
    let pointer = map.get_ptr_mut(index)?;
    // SAFETY: the verifier has seen the null check, and map values live as long as the program.
    Some(unsafe { &mut *pointer })
}

/// Adds to a word that other CPUs may add to at the same time.
#[inline(always)]
pub fn add(word: &mut u64, amount: u64) {
    // SAFETY: map values are aligned to eight bytes, and no reference to them is kept across calls.
    unsafe { atomic_xadd::<u64, u64, { Relaxed }>(word, amount) };
}

/// [`add`] for words of 32 bits.
#[inline(always)]
pub fn add32(word: &mut u32, amount: u32) {
    // SAFETY: as for `add`; the field is aligned to four bytes.
    unsafe { atomic_xadd::<u32, u32, { Relaxed }>(word, amount) };
}

/// Raises a word to a value, whichever CPUs do so at the same time.
#[inline(always)]
pub fn raise(word: &mut u64, value: u64) {
    if value > *word {
        raise_slowly(word, value);
    }
}

/// Lowers a word to a value; 0 stands for none.
#[inline(always)]
pub fn lower(word: &mut u64, value: u64) {
    if *word == 0 || value < *word {
        lower_slowly(word, value);
    }
}

#[inline(never)]
fn raise_slowly(word: &mut u64, value: u64) {
    replace(word, value, |seen| value > seen);
}

#[inline(never)]
fn lower_slowly(word: &mut u64, value: u64) {
    replace(word, value, |seen| seen == 0 || value < seen);
}

/// Tries to replace a word: each failure is a better value of another CPU.
const TRIES: usize = 16;

/// Replaces a word for as long as the value is better. Before Linux 5.12 userspace makes the exchange a plain store:
/// there, two CPUs that do so at the same time may leave the lesser value.
#[inline(always)]
fn replace(word: &mut u64, value: u64, is_better: impl Fn(u64) -> bool) {
    let word = core::ptr::from_mut(word);
    for _ in 0..TRIES {
        // SAFETY: a valid map word; volatile, because another CPU may have written in between.
        let seen = unsafe { word.read_volatile() };
        if !is_better(seen) {
            return;
        }
        // SAFETY: as above, and aligned to eight bytes.
        let (found, _) = unsafe { atomic_cxchg::<u64, { Relaxed }, { Relaxed }>(word, seen, value) };
        if found == seen {
            return;
        }
    }
}

/// Copies a word out of a map of whose values no reference can be taken: an entry that may go away later, or
/// this CPU's own.
#[inline(always)]
pub fn read(word: *const u32) -> u32 {
    // SAFETY: a look-up returned it and the caller has checked it; the memory stays valid until the program ends.
    unsafe { word.read() }
}

/// This CPU's own value of a map.
#[inline(always)]
pub fn own<T>(map: &PerCpuArray<T>) -> Option<&'static mut T> {
    let pointer = map.get_ptr_mut(0)?;
    // SAFETY: as for `slot`; programs that interrupt this one put back what they find, or add atomically.
    Some(unsafe { &mut *pointer })
}

/// Counts one up in this CPU's own copy of an array of counters. Programs on user code can be interrupted by others of
/// their kind: the addition is atomic all the same.
#[inline(always)]
pub fn bump_at<const N: usize>(counters: *mut [u64; N], index: usize) {
    // SAFETY: as for `read`.
    if let Some(count) = element(unsafe { &mut *counters }, index) {
        add(count, 1);
    }
}

/// An element of an array within a map value. The compiler must not be cleverer about the index than the verifier, or
/// it removes the very check that the verifier wants to see.
#[inline(always)]
pub fn element<T, const N: usize>(values: &mut [T; N], index: usize) -> Option<&mut T> {
    // SAFETY: reads a local variable.
    let index = unsafe { (&raw const index).read_volatile() };
    values.get_mut(index)
}

/// Copies a value word by word: the compiler would make a call of it, or put it on the stack, which is too small.
#[inline(always)]
pub fn copy<T: Copy>(from: &T, to: *mut T) {
    let words = size_of::<T>() / size_of::<u64>();
    let (from, to) = (core::ptr::from_ref(from).cast::<u64>(), to.cast::<u64>());
    for at in 0..words {
        // SAFETY: both are valid for the whole of `T`, which is aligned to eight bytes and a multiple of them long.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
}
