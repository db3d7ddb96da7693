//! The two queues' memory: made by one process, mapped by both sides.

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use pulse_trace_workloads::contract::{Refusal, cannot};
use pulse_trace_workloads::sys::pthread::{Attributes, Kind, PthreadMutex};
use pulse_trace_workloads::sys::queue_map::{LockWords, LockedHeader, QueueMap, Shareable, SpscHeader};
use pulse_trace_workloads::sys::shm;

use crate::locks::{Backoff, Linear, Restated};
use crate::mutex::Mutex;
use crate::queue::Geometry;

/// The file of one queue: without a name, so that it goes with the last process that has it open.
#[derive(Debug)]
pub struct Memory {
    file: File,
    /// Offset in the file of the number of elements put in so far.
    counter: usize,
}

impl Memory {
    /// Makes an empty queue and its lock.
    pub fn new(mutex: Mutex, geometry: Geometry) -> Result<Self, Refusal> {
        match mutex {
            Mutex::Plain => pthread(geometry, Kind::Normal, Extra::None),
            Mutex::Adaptive => pthread(geometry, Kind::Adaptive, Extra::None),
            Mutex::Pi => pthread(geometry, Kind::Normal, Extra::Inherit),
            Mutex::Robust => pthread(geometry, Kind::Normal, Extra::Robust),
            Mutex::Recursive => pthread(geometry, Kind::Recursive, Extra::None),
            Mutex::Errorcheck => pthread(geometry, Kind::ErrorCheck, Extra::None),
            Mutex::Spin | Mutex::Ticket | Mutex::Futex => words(geometry, |_| ()),
            Mutex::Restated222 => words(geometry, Restated::<Linear>::init),
            Mutex::Restated236 => words(geometry, Restated::<Backoff>::init),
            Mutex::Lockfree => make::<SpscHeader>(geometry, offset_of!(SpscHeader, write), |_| Ok(())),
        }
    }

    /// A path under which every process of the same user can open it, for as long as this one lives.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }

    /// Elements put in so far, for display: read beside the mapping, so that no side waits for it.
    pub fn passed(&self) -> u64 {
        let mut count = [0; 8];
        // The file is longer than its header, and an index that cannot be read shows no progress.
        let _ = self.file.read_exact_at(&mut count, self.counter as u64);
        u64::from_ne_bytes(count)
    }
}

enum Extra {
    None,
    Robust,
    Inherit,
}

fn pthread(geometry: Geometry, kind: Kind, extra: Extra) -> Result<Memory, Refusal> {
    let (robust, inherit) = (matches!(extra, Extra::Robust), matches!(extra, Extra::Inherit));
    let attributes = Attributes { kind, robust, inherit };
    let counter = offset_of!(LockedHeader<PthreadMutex>, write);
    make::<LockedHeader<PthreadMutex>>(geometry, counter, |header| header.lock.init(attributes))
}

fn words(geometry: Geometry, init: impl FnOnce(&mut LockWords)) -> Result<Memory, Refusal> {
    make::<LockedHeader<LockWords>>(geometry, offset_of!(LockedHeader<LockWords>, write), |header| {
        init(&mut header.lock);
        Ok(())
    })
}

fn make<H: Shareable>(
    geometry: Geometry,
    counter: usize,
    init: impl FnOnce(&mut H) -> io::Result<()>,
) -> Result<Memory, Refusal> {
    let Geometry { capacity, size } = geometry;
    let what = format!("create a queue of {capacity} elements of {size} bytes in /dev/shm");
    let remedy = "use a smaller --size or --capacity, or make room in /dev/shm";
    let room = geometry.room().and_then(|room| QueueMap::<H>::bytes(room).map(|bytes| (room, bytes)));
    let Some((room, bytes)) = room else {
        return Err(cannot(what, "that is more than the address space holds", remedy));
    };
    let made = shm::unnamed(bytes).and_then(|file| {
        let mut map = QueueMap::<H>::of(&file, room)?;
        init(map.header_mut())?;
        Ok(Memory { file, counter })
    });
    made.map_err(|error| cannot(what, error, remedy))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_kind_can_be_made_and_none_larger_than_the_memory() {
        for mutex in Mutex::value_variants() {
            let small = Geometry { capacity: 2, size: 3 };
            let memory = Memory::new(*mutex, small).unwrap();
            assert!(memory.path().exists(), "{}", mutex.name());
            assert_eq!(memory.passed(), 0, "{}", mutex.name());
            for size in [1 << 40, usize::MAX] {
                let refusal = Memory::new(*mutex, Geometry { capacity: 1000, size }).unwrap_err().to_string();
                assert!(refusal.starts_with("cannot create a queue of 1000 elements"), "{refusal}");
            }
        }
    }
}
