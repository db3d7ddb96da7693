//! Channels between threads: one or several senders and receivers, or one thread that does both.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::crew::Crew;
use super::solo::Solo;
use super::work::Work;
use super::{Built, Counted, Setup};

/// Messages a bounded channel holds.
pub const CAPACITY: usize = 1_000;

/// One way to open a channel.
pub trait Kind: 'static {
    /// The sending half.
    type Tx: Tx + Clone;
    /// The receiving half.
    type Rx: Rx;
    /// Opens a channel.
    fn open() -> (Self::Tx, Self::Rx);
}

/// A sending half; it waits while the channel is full, and answers false when there is no receiver any more.
pub trait Tx: Send + 'static {
    fn send(&self, value: u64) -> bool;
}

/// A receiving half; it waits while the channel is empty.
pub trait Rx: Send + 'static {
    fn receive(&self) -> Option<u64>;
}

impl Tx for mpsc::Sender<u64> {
    #[inline]
    fn send(&self, value: u64) -> bool {
        mpsc::Sender::send(self, value).is_ok()
    }
}

impl Tx for mpsc::SyncSender<u64> {
    #[inline]
    fn send(&self, value: u64) -> bool {
        mpsc::SyncSender::send(self, value).is_ok()
    }
}

impl Rx for mpsc::Receiver<u64> {
    #[inline]
    fn receive(&self) -> Option<u64> {
        self.recv().ok()
    }
}

impl Tx for crossbeam_channel::Sender<u64> {
    #[inline]
    fn send(&self, value: u64) -> bool {
        crossbeam_channel::Sender::send(self, value).is_ok()
    }
}

impl Rx for crossbeam_channel::Receiver<u64> {
    #[inline]
    fn receive(&self) -> Option<u64> {
        self.recv().ok()
    }
}

/// A single receiver that several threads share: what the standard library offers in place of many receivers.
#[derive(Clone)]
pub struct SharedRx(Arc<Mutex<mpsc::Receiver<u64>>>);

impl Rx for SharedRx {
    #[inline]
    fn receive(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
}

/// `std::sync::mpsc::channel`, without a bound.
pub struct Std;
/// `std::sync::mpsc::sync_channel`, with room for [`CAPACITY`] messages.
pub struct StdBounded;
/// [`Std`] with its receiver behind a mutex.
pub struct StdShared;
/// `crossbeam_channel::unbounded`, without a bound.
pub struct Crossbeam;
/// `crossbeam_channel::bounded` with room for so many messages; none means sender and receiver meet.
pub struct CrossbeamBounded<const ROOM: usize>;

impl Kind for Std {
    type Tx = mpsc::Sender<u64>;
    type Rx = mpsc::Receiver<u64>;
    fn open() -> (Self::Tx, Self::Rx) {
        mpsc::channel()
    }
}

impl Kind for StdBounded {
    type Tx = mpsc::SyncSender<u64>;
    type Rx = mpsc::Receiver<u64>;
    fn open() -> (Self::Tx, Self::Rx) {
        mpsc::sync_channel(CAPACITY)
    }
}

impl Kind for StdShared {
    type Tx = mpsc::Sender<u64>;
    type Rx = SharedRx;
    fn open() -> (Self::Tx, Self::Rx) {
        let (tx, rx) = mpsc::channel();
        (tx, SharedRx(Arc::new(Mutex::new(rx))))
    }
}

impl Kind for Crossbeam {
    type Tx = crossbeam_channel::Sender<u64>;
    type Rx = crossbeam_channel::Receiver<u64>;
    fn open() -> (Self::Tx, Self::Rx) {
        crossbeam_channel::unbounded()
    }
}

impl<const ROOM: usize> Kind for CrossbeamBounded<ROOM> {
    type Tx = crossbeam_channel::Sender<u64>;
    type Rx = crossbeam_channel::Receiver<u64>;
    fn open() -> (Self::Tx, Self::Rx) {
        crossbeam_channel::bounded(ROOM)
    }
}

struct Sending<T>(T);

impl<T: Tx> Work for Sending<T> {
    fn run(&mut self, operations: u64) -> u64 {
        for value in 0..operations {
            // A receiver that died is reported by its own thread; what was not sent is missing from the count.
            if !self.0.send(value) {
                return value;
            }
        }
        operations
    }
}

struct Receiving<R> {
    channel: R,
    received: Arc<AtomicU64>,
}

impl<R: Rx> Work for Receiving<R> {
    fn run(&mut self, operations: u64) -> u64 {
        let mut got = 0;
        while got < operations {
            let Some(value) = self.channel.receive() else { break };
            black_box(value);
            got += 1;
        }
        self.received.fetch_add(got, Ordering::Relaxed);
        got
    }
}

fn between<R: Rx>(setup: &Setup, senders: Vec<Box<dyn Work>>, receivers: Vec<R>) -> Built {
    let received = Arc::new(AtomicU64::new(0));
    let receivers = receivers
        .into_iter()
        .map(|channel| -> Box<dyn Work> { Box::new(Receiving { channel, received: Arc::clone(&received) }) })
        .collect();
    let run = Crew::teams(setup, vec![senders, receivers])?;
    Ok(Box::new(Counted { run, count: move || received.load(Ordering::Relaxed) }))
}

fn sending<T: Tx + Clone>(tx: &T, senders: usize) -> Vec<Box<dyn Work>> {
    (0..senders).map(|_| -> Box<dyn Work> { Box::new(Sending(tx.clone())) }).collect()
}

/// All threads but one send, the last one receives.
pub fn to_one<K: Kind>(setup: &Setup, threads: usize) -> Built {
    let (tx, rx) = K::open();
    between(setup, sending(&tx, threads - 1), vec![rx])
}

/// Half of the threads send, the other half receives.
pub fn to_many<K: Kind<Rx: Clone>>(setup: &Setup, threads: usize) -> Built {
    let (tx, rx) = K::open();
    between(setup, sending(&tx, threads / 2), vec![rx; threads / 2])
}

/// One thread puts a message in and takes it out again: the price of the channel itself, no thread waits.
pub fn in_and_out<K: Kind>(_: &Setup, _: usize) -> Built {
    let (tx, rx) = K::open();
    let received = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&received);
    let run = Solo::of(move || {
        if tx.send(black_box(1)) {
            // A plain load and store: only this thread writes.
            let got = rx.receive().unwrap_or(0);
            counter.store(counter.load(Ordering::Relaxed) + got, Ordering::Relaxed);
        }
    });
    Ok(Box::new(Counted { run, count: move || received.load(Ordering::Relaxed) }))
}
