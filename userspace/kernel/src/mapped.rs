//! Maps of the kernel side, mapped into memory: reading a counter costs no system call.

use std::{
    io,
    marker::PhantomData,
    os::fd::BorrowedFd,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use bytemuck::Pod;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The values of an array map that was created as mappable.
pub struct Mapped<T> {
    base: NonNull<u8>,
    len: usize,
    values: PhantomData<T>,
}

// SAFETY: the mapping belongs to the whole process, and all access goes through volatile or atomic words.
unsafe impl<T> Send for Mapped<T> {}

impl<T: Pod> Mapped<T> {
    const STRIDE: usize = size_of::<T>();

    /// Maps the `len` values of an array map.
    ///
    /// # Errors
    /// When the kernel refuses the mapping.
    pub fn new(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        const { assert!(Self::STRIDE.is_multiple_of(8), "the kernel rounds values up to eight bytes") };
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { mmap(ptr::null_mut(), len * Self::STRIDE, protection, flags, fd, 0) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len, values: PhantomData })
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    fn at(&self, index: usize, offset: usize, size: usize) -> Option<NonNull<u8>> {
        let inside = index < self.len && offset + size <= Self::STRIDE && offset.is_multiple_of(size);
        // SAFETY: checked to lie within the mapping.
        inside.then(|| unsafe { self.base.add(index * Self::STRIDE + offset) })
    }

    /// Copies a value. The kernel may be writing to it: words are whole, the value as such need not be.
    #[must_use]
    pub fn read(&self, index: usize) -> Option<T> {
        let value = self.at(index, 0, 1)?.cast::<T>();
        // SAFETY: within the mapping, aligned by its stride, and any bit pattern is a `T`.
        Some(unsafe { value.as_ptr().read_volatile() })
    }

    /// Replaces a value that has no other writer.
    pub fn write(&self, index: usize, value: T) {
        if let Some(place) = self.at(index, 0, 1) {
            // SAFETY: as for `read`.
            unsafe { place.cast::<T>().as_ptr().write_volatile(value) };
        }
    }

    /// A word of a value, by its offset within it.
    #[must_use]
    pub fn word(&self, index: usize, offset: usize) -> Option<&AtomicU32> {
        let word = self.at(index, offset, 4)?.cast::<u32>();
        // SAFETY: within the mapping, aligned, and only ever accessed atomically or as whole words.
        Some(unsafe { AtomicU32::from_ptr(word.as_ptr()) })
    }

    /// Adds the words of a value, from an offset on, to totals; an odd last one must be followed by padding.
    pub fn add_words(&self, index: usize, offset: usize, totals: &mut [u32]) {
        let pairs = self.pairs(index, offset, totals.len());
        for (pair, totals) in pairs.iter().zip(totals.chunks_mut(2)) {
            // Most words of a histogram are zero: two are seen to be with one load.
            let words @ 1.. = pair.load(Relaxed) else { continue };
            let halves = words.to_ne_bytes();
            for (total, word) in totals.iter_mut().zip(halves.chunks_exact(4)) {
                *total = total.wrapping_add(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
            }
        }
    }

    /// The sum of the words of a value, from an offset on; an odd last one must be followed by padding. It wraps.
    #[must_use]
    pub fn sum_words(&self, index: usize, offset: usize, count: usize) -> u32 {
        let halves = |pair: u64| (pair as u32).wrapping_add((pair >> 32) as u32);
        let pairs = self.pairs(index, offset, count).iter();
        pairs.map(|pair| halves(pair.load(Relaxed))).fold(0, u32::wrapping_add)
    }

    /// Words of a value in pairs, none where they are not all within it.
    fn pairs(&self, index: usize, offset: usize, words: usize) -> &[AtomicU64] {
        let count = words.div_ceil(2);
        let inside = offset.checked_add(count * size_of::<u64>()).is_some_and(|end| end <= Self::STRIDE);
        let Some(first) = self.at(index, offset, size_of::<u64>()).filter(|_| inside) else { return &[] };
        // SAFETY: all of them lie within the value, aligned, and are only ever accessed atomically or as whole words.
        unsafe { slice::from_raw_parts(first.cast::<AtomicU64>().as_ptr(), count) }
    }

    /// A double word of a value, by its offset within it.
    #[must_use]
    pub fn double(&self, index: usize, offset: usize) -> Option<&AtomicU64> {
        let word = self.at(index, offset, 8)?.cast::<u64>();
        // SAFETY: as for `word`.
        Some(unsafe { AtomicU64::from_ptr(word.as_ptr()) })
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; no reference to it outlives `self`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len * size_of::<T>()) };
    }
}
