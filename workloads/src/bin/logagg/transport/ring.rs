//! The common part of the two shared-memory variants: a named file in `/dev/shm` with a ring of byte messages in it.
//!
//! The aggregator makes the file and locks it; producers map it. One slot takes one write.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use pulse_trace_workloads::clean::{Removal, unique_name};
use pulse_trace_workloads::contract::{Refusal, cannot};
use pulse_trace_workloads::ring::{
    BlockingConsumer, BlockingProducer, Consumer, Geometry, Kind, Popped, Producer, PushError, SharedRing,
    Stall,
};
use pulse_trace_workloads::sys::shm;
use rustix::fs::{FlockOperation, flock};

use super::{Bound, Inlet, Outlet, Tuning};

/// Bytes of a slot: the largest write.
pub const SLOT: usize = 4096;
/// Bytes of all slots unless the user says otherwise.
const BUFFER: usize = 1 << 20;
/// Producers a ring has room for.
const PRODUCERS: u32 = 256;
/// A slot that is reserved for so long and not published may belong to a dead producer.
const SUSPICIOUS: Duration = Duration::from_millis(20);
/// Number of the extra word that says whether an aggregator means to receive: 1 open, 0 closed.
const OPEN: usize = 0;
/// Turns of waiting that only give way, before it sleeps.
const TURNS: u32 = 50;

/// A producer's end.
#[derive(Debug)]
pub struct RingOutlet {
    ring: SharedRing,
    push: Pushing,
    turns: u32,
}

#[derive(Debug)]
enum Pushing {
    Polling(Producer),
    Sleeping(BlockingProducer),
}

/// The aggregator's end.
#[derive(Debug)]
pub struct RingInlet {
    ring: SharedRing,
    pop: Popping,
    pending_since: Option<Instant>,
    turns: u32,
    /// Keeps the lock on the file that marks a living receiver.
    _lock: File,
}

#[derive(Debug)]
enum Popping {
    Polling(Consumer),
    Sleeping(BlockingConsumer),
}

/// Result of a look into the ring.
#[derive(Debug)]
pub enum Got {
    /// A write of this many bytes.
    Bytes(usize),
    /// A slot of a producer that died while it wrote: its message is lost.
    Torn,
    /// A producer is writing.
    Pending,
    /// No message in the ring.
    Empty,
}

/// A place no other run uses.
pub fn private_place() -> String {
    format!("/dev/shm/{}", unique_name("logagg"))
}

/// Makes the ring at a path, or goes on with one whose aggregator has died.
pub fn bind(at: &str, tuning: &Tuning, sleeping: bool) -> Result<Bound, Refusal> {
    let refused =
        |error: io::Error| cannot(format_args!("use the ring {at}"), error, "choose another place with --at");
    let file =
        File::options().read(true).write(true).create(true).truncate(false).open(at).map_err(refused)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        let remedy = "stop that aggregator, or choose another place with --at";
        cannot(format_args!("use the ring {at}"), "another aggregator reads it", remedy)
    })?;
    let mut name = Removal::of(at);
    let ring = match file.metadata().map_err(refused)?.len() {
        0 => make(&file, tuning)?,
        // A file that holds no ring belongs to another program and must stay.
        _ => SharedRing::attach(&file).inspect_err(|_| name.keep())?,
    };
    let Some(open) = ring.extra().get(OPEN) else {
        name.keep();
        return Err(cannot(
            format_args!("use the ring {at}"),
            "it was not made by logagg",
            "choose another place with --at",
        ));
    };
    open.store(1, Ordering::Release);
    let consumer = ring.consumer();
    let pop = if sleeping {
        Popping::Sleeping(BlockingConsumer::new(consumer))
    } else {
        Popping::Polling(consumer)
    };
    let inlet = Inlet::Ring(RingInlet { ring, pop, pending_since: None, turns: 0, _lock: file });
    Ok(Bound { address: at.to_owned(), inlet, name: Some(name), keeper: None::<OwnedFd> })
}

fn make(file: &File, tuning: &Tuning) -> Result<SharedRing, Refusal> {
    let slots = (tuning.buffer.unwrap_or(BUFFER) / SLOT).max(2).next_power_of_two() as u64;
    let geometry = Geometry { kind: Kind::Cas, slots, payload: SLOT, producers: PRODUCERS, batch: 1 };
    let bytes = SharedRing::bytes(geometry, 1)?;
    shm::allocate(file, bytes).map_err(|error| {
        let remedy = "free space in /dev/shm, or give a smaller --buffer";
        cannot(format_args!("get {bytes} bytes of shared memory"), error, remedy)
    })?;
    SharedRing::create_in(file, geometry, 1)
}

/// Maps the ring at a path as producer `tuning.id`.
pub fn connect(at: &str, tuning: &Tuning, sleeping: bool) -> io::Result<Outlet> {
    let file = File::options().read(true).write(true).open(at)?;
    if file.metadata()?.len() == 0 {
        // Its aggregator is just making it.
        return Err(ErrorKind::NotFound.into());
    }
    let unfit = |refusal: Refusal| io::Error::new(ErrorKind::InvalidInput, refusal.to_string());
    let ring = SharedRing::attach(&file).map_err(unfit)?;
    let producer = ring.producer(tuning.id).map_err(unfit)?;
    let push = if sleeping {
        Pushing::Sleeping(BlockingProducer::new(producer))
    } else {
        Pushing::Polling(producer)
    };
    Ok(Outlet::Ring(RingOutlet { ring, push, turns: 0 }))
}

impl RingOutlet {
    /// Pushes one write.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.ring.extra()[OPEN].load(Ordering::Acquire) == 0 {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let outcome = match &mut self.push {
            Pushing::Polling(producer) => producer.try_push(bytes),
            Pushing::Sleeping(producer) => producer.try_push(bytes),
        };
        match outcome {
            Ok(()) => {
                self.turns = 0;
                Ok(bytes.len())
            }
            Err(PushError::Full) => Err(ErrorKind::WouldBlock.into()),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    /// Waits for room in the calling thread, `limit` at most.
    pub fn wait(&mut self, limit: Duration) {
        match &mut self.push {
            Pushing::Sleeping(producer) => producer.wait_for_room(limit),
            Pushing::Polling(_) => pause(&mut self.turns),
        }
    }

    /// True when [`Self::wait`] sleeps in the kernel until it is woken.
    pub fn sleeps(&self) -> bool {
        matches!(self.push, Pushing::Sleeping(_))
    }
}

impl RingInlet {
    /// Looks for the next write.
    pub fn receive(&mut self, out: &mut Vec<u8>) -> io::Result<Got> {
        let popped = match &mut self.pop {
            Popping::Polling(consumer) => consumer.try_pop(out),
            Popping::Sleeping(consumer) => consumer.try_pop(out),
        };
        match popped {
            Popped::Message(_) => {
                (self.pending_since, self.turns) = (None, 0);
                Ok(Got::Bytes(out.len()))
            }
            Popped::Empty => {
                self.pending_since = None;
                Ok(Got::Empty)
            }
            Popped::Pending => Ok(self.suspect()),
            Popped::Broken => Err(io::Error::other("the ring is broken")),
        }
    }

    fn suspect(&mut self) -> Got {
        if self.pending_since.get_or_insert_with(Instant::now).elapsed() < SUSPICIOUS {
            return Got::Pending;
        }
        let ring = &self.ring;
        let stall = match &mut self.pop {
            Popping::Polling(consumer) => consumer.look_at_stall(|id| ring.alive(id)),
            Popping::Sleeping(consumer) => consumer.look_at_stall(|id| ring.alive(id)),
        };
        if matches!(stall, Stall::GivenUp { .. }) {
            self.pending_since = None;
            return Got::Torn;
        }
        Got::Pending
    }

    /// Waits for a write in the calling thread, `limit` at most.
    pub fn wait(&mut self, limit: Duration) {
        match &mut self.pop {
            Popping::Sleeping(consumer) => consumer.wait_for_data(limit),
            Popping::Polling(_) => pause(&mut self.turns),
        }
    }

    /// True when [`Self::wait`] sleeps in the kernel until it is woken.
    pub fn sleeps(&self) -> bool {
        matches!(self.pop, Popping::Sleeping(_))
    }
}

impl Drop for RingInlet {
    fn drop(&mut self) {
        // Producers that have the memory mapped must not write into the void.
        self.ring.extra()[OPEN].store(0, Ordering::Release);
    }
}

/// Gives way at first, then sleeps: 50 us to 1 ms. Turning in a loop would starve the other side on few CPUs.
fn pause(turns: &mut u32) {
    *turns = turns.saturating_add(1);
    if *turns <= TURNS {
        thread::yield_now();
    } else {
        thread::sleep(Duration::from_micros(50) * (*turns - TURNS).min(20));
    }
}
