//! Memory shared between processes, seen as three arrays: locks, cells (32 bits, for futexes) and words (64 bits).
//!
//! It holds only atomics and locks, so safe code can use it, independently of what the other processes do. A mapping
//! comes from a file: unnamed in `/dev/shm`, so that no way of dying leaves anything behind, or one that the caller
//! names.
#![expect(unsafe_code, reason = "a mapping is a raw pointer")]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};

use super::robust::RobustMutex;

/// A futex word with a cache line of its own.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Cell(AtomicU32);

impl Deref for Cell {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        &self.0
    }
}

const LINE: usize = 64;
const _: () = assert!(size_of::<Cell>() == LINE && size_of::<RobustMutex>() == LINE);

/// Number of locks, cells and words of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Process-shared robust mutexes.
    pub locks: usize,
    /// Futex words of 32 bits.
    pub cells: usize,
    /// Plain 64-bit words.
    pub words: usize,
}

impl Shape {
    /// Bytes of the whole, none when it overflows.
    #[must_use]
    pub fn bytes(self) -> Option<usize> {
        let lines = self.locks.checked_add(self.cells)?;
        lines.checked_mul(LINE)?.checked_add(self.words.checked_mul(8)?)
    }
}

/// A shared, writable mapping; all zero when its file is new.
#[derive(Debug)]
pub struct SharedMap {
    base: NonNull<u8>,
    shape: Shape,
    bytes: usize,
}

// SAFETY: everything reachable through it is an atomic or a lock made for several threads.
unsafe impl Send for SharedMap {}
// SAFETY: as above.
unsafe impl Sync for SharedMap {}

impl SharedMap {
    /// Maps the first bytes of `file`, touched beforehand so that no page fault falls into a measurement.
    ///
    /// The file must not shrink while it is mapped: the kernel answers a touch behind its end with SIGBUS.
    ///
    /// # Errors
    ///
    /// The file is shorter than the shape, or the kernel refuses the mapping.
    pub fn of(file: &File, shape: Shape) -> io::Result<Self> {
        let bytes = shape.bytes().filter(|bytes| *bytes > 0);
        let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is too short"));
        }
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::POPULATE);
        // SAFETY: a new mapping at an address the kernel chooses touches nothing that exists.
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), bytes, protection, flags, file, 0) }?;
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(Self { base, shape, bytes })
    }

    /// Locks of the mapping.
    #[must_use]
    #[inline]
    pub fn locks(&self) -> &[RobustMutex] {
        // SAFETY: the mapping starts with `locks` lines, page-aligned; any bytes are a value of the type.
        unsafe { std::slice::from_raw_parts(self.base.cast().as_ptr(), self.shape.locks) }
    }

    /// The futex words.
    #[must_use]
    #[inline]
    pub fn cells(&self) -> &[Cell] {
        // SAFETY: `cells` lines follow the locks inside the mapping, line-aligned; any bytes are an atomic.
        unsafe {
            let first = self.base.add(self.shape.locks * LINE);
            std::slice::from_raw_parts(first.cast().as_ptr(), self.shape.cells)
        }
    }

    /// The 64-bit words; the first one starts a cache line.
    #[must_use]
    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: `words` words follow the cells inside the mapping, line-aligned; any bytes are an atomic.
        unsafe {
            let first = self.base.add((self.shape.locks + self.shape.cells) * LINE);
            std::slice::from_raw_parts(first.cast().as_ptr(), self.shape.words)
        }
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        // SAFETY: exactly what `of` mapped; every borrow of it has ended. Nothing can be done about a refusal.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// A file in `/dev/shm` without a name: gone with its last descriptor, even after SIGKILL. Inherit it to share it.
///
/// # Errors
///
/// `/dev/shm` is missing, or has less free space than `bytes` (`StorageFull`).
pub fn unnamed(bytes: usize) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open("/dev/shm", flags, Mode::RUSR | Mode::WUSR)?);
    allocate(&file, bytes)?;
    Ok(file)
}

/// Gives `file` its size and its pages now, so that a full `/dev/shm` is an error here and not SIGBUS later.
///
/// # Errors
///
/// There is less free space than `bytes` (`StorageFull`).
pub fn allocate(file: &File, bytes: usize) -> io::Result<()> {
    // Asked first: an allocation that fails half-way has taken the last page from everybody meanwhile.
    let space = rustix::fs::fstatvfs(file)?;
    if space.f_blocks > 0 && (bytes as u64).div_ceil(space.f_frsize) > space.f_bavail {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes as u64)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn two_mappings_of_one_file_are_the_same_memory() {
        let shape = Shape { locks: 1, cells: 2, words: 9 };
        let file = unnamed(shape.bytes().unwrap()).unwrap();
        let (one, two) = (SharedMap::of(&file, shape).unwrap(), SharedMap::of(&file, shape).unwrap());
        one.words()[8].store(7, Relaxed);
        one.cells()[1].store(8, Relaxed);
        assert_eq!((two.words()[8].load(Relaxed), two.cells()[1].load(Relaxed)), (7, 8));
        assert_eq!(two.words()[..8].iter().map(|w| w.load(Relaxed)).sum::<u64>(), 0);
    }

    #[test]
    fn a_short_file_and_a_full_device_are_refused() {
        let file = unnamed(4096).unwrap();
        let long = Shape { locks: 0, cells: 0, words: 513 };
        assert_eq!(SharedMap::of(&file, long).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(unnamed(1 << 46).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(Shape { locks: 0, cells: 0, words: usize::MAX }.bytes(), None);
    }
}
