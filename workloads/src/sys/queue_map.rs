//! One message queue in shared memory: a header of atomics and a lock, then the elements.
//!
//! The header of a locked queue has the layout a C program would give it (mutex first, then the two indices), so a
//! queue can be shared with one.
#![expect(unsafe_code, reason = "a mapping is a raw pointer, and elements are copied through it")]

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::mm::{MapFlags, ProtFlags};

use super::pthread::PthreadMutex;

/// Types that may lie in memory other processes write to.
///
/// # Safety
///
/// Every byte pattern is a value, all zero is a sensible one, and all access through a shared reference is atomic (or
/// goes through a lock made for it).
pub unsafe trait Shareable {}

/// The memory of our own locks: of the size and shape of glibc's mutex, so that both kinds of queue are laid out alike.
pub type LockWords = [AtomicU32; size_of::<PthreadMutex>() / size_of::<u32>()];

/// Header of a queue under a lock.
#[repr(C)]
#[derive(Debug)]
pub struct LockedHeader<L> {
    /// The lock that protects the rest.
    pub lock: L,
    /// Elements taken out so far.
    pub read: AtomicU64,
    /// Elements put in so far.
    pub write: AtomicU64,
}

/// A counter with 128 bytes of its own: neighbouring cache lines are fetched in pairs.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub struct Lonely(pub AtomicU64);

/// Header of a queue without a lock: one writer, one reader.
#[repr(C)]
#[derive(Debug, Default)]
pub struct SpscHeader {
    /// Elements taken out so far; written by the reader alone.
    pub read: Lonely,
    /// Elements put in so far; written by the writer alone.
    pub write: Lonely,
}

// SAFETY: an atomic array: any bytes are a value.
unsafe impl Shareable for LockWords {}
// SAFETY: all zero is PTHREAD_MUTEX_INITIALIZER; it is used through its own functions only.
unsafe impl Shareable for PthreadMutex {}
// SAFETY: atomics beside a shareable lock; `repr(C)` and no padding matters.
unsafe impl<L: Shareable> Shareable for LockedHeader<L> {}
// SAFETY: atomics only.
unsafe impl Shareable for SpscHeader {}

/// Offset of the elements of a queue.
#[must_use]
pub const fn data_offset<H>() -> usize {
    size_of::<H>()
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
const _: () = assert!(data_offset::<LockedHeader<PthreadMutex>>() == 56);

/// A mapped queue with a header of type `H` and `room` bytes of elements.
#[derive(Debug)]
pub struct QueueMap<H> {
    base: NonNull<u8>,
    room: usize,
    header: PhantomData<H>,
}

// SAFETY: the mapping belongs to no thread, and what lies in it is `Shareable`.
unsafe impl<H: Shareable> Send for QueueMap<H> {}

impl<H: Shareable> QueueMap<H> {
    /// Bytes a file needs for `room` bytes of elements; none when that overflows.
    #[must_use]
    pub fn bytes(room: usize) -> Option<usize> {
        data_offset::<H>().checked_add(room)
    }

    /// Maps `file`, touched beforehand so that no page fault falls into a measurement.
    ///
    /// # Errors
    ///
    /// The file is too short, or the kernel refuses the mapping.
    pub fn of(file: &File, room: usize) -> io::Result<Self> {
        let bytes = Self::bytes(room).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is too short"));
        }
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::POPULATE);
        // SAFETY: a new mapping at an address the kernel chooses touches nothing that exists.
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), bytes, protection, flags, file, 0) }?;
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(Self { base, room, header: PhantomData })
    }

    /// Header of the queue.
    #[must_use]
    #[inline]
    pub fn header(&self) -> &H {
        // SAFETY: the mapping is page-aligned and longer than `H`; `H: Shareable` takes any bytes.
        unsafe { self.base.cast().as_ref() }
    }

    /// The header, to be set up before anybody else maps the file.
    #[must_use]
    pub fn header_mut(&mut self) -> &mut H {
        // SAFETY: as above, and `&mut self` keeps every other borrow of this process away.
        unsafe { self.base.cast().as_mut() }
    }

    /// Copies an element in. The queue's protocol keeps the other side away from these bytes meanwhile.
    #[inline]
    pub fn put(&self, offset: usize, element: &[u8]) {
        assert!(offset <= self.room && element.len() <= self.room - offset, "element outside the queue");
        // SAFETY: inside the mapping, just checked; `element` is memory of our own, so they do not overlap.
        unsafe {
            let to = self.base.add(data_offset::<H>() + offset).as_ptr();
            std::ptr::copy_nonoverlapping(element.as_ptr(), to, element.len());
        }
    }

    /// Copies an element out; see [`Self::put`].
    #[inline]
    pub fn get(&self, offset: usize, element: &mut [u8]) {
        assert!(offset <= self.room && element.len() <= self.room - offset, "element outside the queue");
        // SAFETY: as in `put`; any bytes are a value of `u8`.
        unsafe {
            let from = self.base.add(data_offset::<H>() + offset).as_ptr();
            std::ptr::copy_nonoverlapping(from, element.as_mut_ptr(), element.len());
        }
    }
}

impl<H> Drop for QueueMap<H> {
    fn drop(&mut self) {
        let bytes = data_offset::<H>() + self.room;
        // SAFETY: exactly what `of` mapped; every borrow of it has ended. Nothing can be done about a refusal.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), bytes) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;
    use crate::sys::shm;

    #[test]
    fn two_mappings_see_the_same_header_and_elements() {
        let file = shm::unnamed(QueueMap::<SpscHeader>::bytes(100).unwrap()).unwrap();
        let one = QueueMap::<SpscHeader>::of(&file, 100).unwrap();
        let two = QueueMap::<SpscHeader>::of(&file, 100).unwrap();
        one.header().write.0.store(3, Relaxed);
        one.put(97, b"abc");
        let mut element = [0; 3];
        two.get(97, &mut element);
        assert_eq!((two.header().write.0.load(Relaxed), &element), (3, b"abc"));
    }

    #[test]
    #[should_panic(expected = "outside the queue")]
    fn an_element_outside_is_refused() {
        let file = shm::unnamed(QueueMap::<SpscHeader>::bytes(8).unwrap()).unwrap();
        QueueMap::<SpscHeader>::of(&file, 8).unwrap().put(usize::MAX, b"x");
    }

    #[test]
    fn a_short_file_is_refused() {
        let file = shm::unnamed(64).unwrap();
        let error = QueueMap::<LockedHeader<LockWords>>::of(&file, 4096).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(QueueMap::<SpscHeader>::bytes(usize::MAX), None);
    }
}
