//! Thundering herd: many wait behind a barrier, are released at once, and all want the same lock.
//!
//! An operation is one herd: from its release until its last member has had the lock. Gathering the herd is not timed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::runtime::Runtime;

use super::lap::{Lap, Observed, Share, nanos};
use super::solo::multi_threaded;
use super::{Built, Run, Setup};
use crate::contract::{Refusal, cannot};

/// Means that keeps a herd back until it is released.
pub trait Pen: Send + Sync + 'static {
    /// A pen for a herd and the one who opens it.
    fn new(herd: usize) -> Self;
    /// A member waits to be let go.
    fn wait(&self);
    /// Lets all go at once.
    fn open(&self);
}

/// A `std::sync::Barrier`: the one who opens is the last to arrive.
pub struct BehindBarrier(Barrier);

impl Pen for BehindBarrier {
    fn new(herd: usize) -> Self {
        Self(Barrier::new(herd + 1))
    }

    fn wait(&self) {
        self.0.wait();
    }

    fn open(&self) {
        self.0.wait();
    }
}

/// A condition variable, and everybody notified.
pub struct BehindCondvar {
    generation: Mutex<(u64, usize)>,
    changed: Condvar,
    herd: usize,
}

impl Pen for BehindCondvar {
    fn new(herd: usize) -> Self {
        Self { generation: Mutex::new((0, 0)), changed: Condvar::new(), herd }
    }

    fn wait(&self) {
        let mut state = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.0;
        state.1 += 1;
        while state.0 == before {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self) {
        loop {
            let mut state = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
            // A member that announced itself but does not wait yet would be left behind.
            if state.1 == self.herd {
                *state = (state.0 + 1, 0);
                self.changed.notify_all();
                return;
            }
            drop(state);
            std::thread::yield_now();
        }
    }
}

/// State that the herd and its keeper share.
struct Field<P> {
    pen: P,
    /// Members about to wait, over all herds.
    arrived: AtomicU64,
    /// When each member of the present herd had its turn; also the lock they all want.
    turns: Mutex<Vec<Instant>>,
    /// Members that had their turn, over all herds.
    served: AtomicU64,
    over: std::sync::atomic::AtomicBool,
}

impl<P: Pen> Field<P> {
    fn live(&self) {
        loop {
            self.arrived.fetch_add(1, Ordering::AcqRel);
            self.pen.wait();
            if self.over.load(Ordering::Acquire) {
                return;
            }
            self.turns.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
            self.served.fetch_add(1, Ordering::AcqRel);
        }
    }
}

fn await_count(counter: &AtomicU64, count: u64) {
    while counter.load(Ordering::Acquire) < count {
        std::thread::yield_now();
    }
}

struct Herd<P: Pen> {
    field: Arc<Field<P>>,
    members: Vec<JoinHandle<()>>,
    herds: u64,
}

/// Threads behind a pen.
pub fn threads<P: Pen>(setup: &Setup, herd: usize) -> Built {
    setup.check()?;
    let field = Arc::new(Field {
        pen: P::new(herd),
        arrived: AtomicU64::new(0),
        turns: Mutex::new(Vec::with_capacity(herd)),
        served: AtomicU64::new(0),
        over: false.into(),
    });
    let mut members = Vec::with_capacity(herd);
    for nth in 0..herd {
        let (field, pin) = (Arc::clone(&field), setup.pin.clone());
        let body = move || {
            // Tried above.
            let _ = pin.map(|cpus| cpus.pin(nth));
            field.live();
        };
        // A failure half-way leaves the first ones waiting until the program ends, which is what it does next.
        let thread = std::thread::Builder::new().name(format!("herd-{nth}")).spawn(body);
        members.push(thread.map_err(|error| {
            cannot(format_args!("start thread {nth}"), error, "raise the limit `ulimit -u`")
        })?);
    }
    Ok(Box::new(Herd { field, members, herds: 0 }))
}

impl<P: Pen> Herd<P> {
    /// Releases one herd and waits for the last; returns the release and every member's turn.
    fn release(&mut self) -> (Instant, Vec<Instant>) {
        let herd = self.members.len() as u64;
        self.herds += 1;
        await_count(&self.field.arrived, self.herds * herd);
        let released = Instant::now();
        self.field.pen.open();
        await_count(&self.field.served, self.herds * herd);
        let mut turns = self.field.turns.lock().unwrap_or_else(PoisonError::into_inner);
        (released, std::mem::replace(&mut *turns, Vec::with_capacity(self.members.len())))
    }
}

impl<P: Pen> Run for Herd<P> {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        Ok(lap_of_herds((0..operations).map(|_| self.release())))
    }

    fn observe(&mut self, operations: u64, _: u64) -> Result<Option<Observed>, Refusal> {
        Ok(Some(observed_herds((0..operations).map(|_| self.release()))))
    }

    fn counted(&self) -> Option<u64> {
        Some(self.field.served.load(Ordering::Relaxed) / self.members.len().max(1) as u64)
    }
}

impl<P: Pen> Drop for Herd<P> {
    fn drop(&mut self) {
        await_count(&self.field.arrived, (self.herds + 1) * self.members.len() as u64);
        self.field.over.store(true, Ordering::Release);
        self.field.pen.open();
        for member in self.members.drain(..) {
            let _ = member.join();
        }
    }
}

/// The sum of the herds, without what lies between them.
fn lap_of_herds(herds: impl Iterator<Item = (Instant, Vec<Instant>)>) -> Lap {
    let began = Instant::now();
    let (mut elapsed, mut operations) = (std::time::Duration::ZERO, 0);
    for (released, turns) in herds {
        elapsed += turns.iter().max().map_or(std::time::Duration::ZERO, |last| *last - released);
        operations += 1;
    }
    let share = Share { operations, began, ended: began + elapsed };
    Lap::of(vec![share])
}

/// Time that each member waited from the release to its turn; counted in herds, recorded per member.
fn observed_herds(herds: impl Iterator<Item = (Instant, Vec<Instant>)>) -> Observed {
    let mut seen = Observed::default();
    for (released, turns) in herds {
        seen.operations += 1;
        for turn in turns {
            seen.latency.record(nanos(turn.saturating_duration_since(released)));
        }
    }
    seen
}

struct TaskHerd {
    runtime: Runtime,
    herd: usize,
    herds: u64,
}

/// Tasks behind a `tokio::sync::Barrier` that want a `tokio::sync::Mutex`.
pub fn tasks(setup: &Setup, herd: usize) -> Built {
    Ok(Box::new(TaskHerd { runtime: multi_threaded(setup)?, herd, herds: 0 }))
}

impl TaskHerd {
    fn releases(&mut self, herds: u64) -> Result<Vec<(Instant, Vec<Instant>)>, Refusal> {
        let herd = self.herd;
        self.herds += herds;
        self.runtime
            .block_on(async move {
                let mut all = Vec::new();
                for _ in 0..herds {
                    all.push(one_task_herd(herd).await?);
                }
                Ok::<_, tokio::task::JoinError>(all)
            })
            .map_err(|error| {
                cannot("finish a lap", format_args!("one of its tasks died: {error}"), "report it")
            })
    }
}

/// Spawns a herd, lets it gather, and releases it. The keeper arrives last, once all have announced themselves.
async fn one_task_herd(herd: usize) -> Result<(Instant, Vec<Instant>), tokio::task::JoinError> {
    let barrier = Arc::new(tokio::sync::Barrier::new(herd + 1));
    let lock = Arc::new(tokio::sync::Mutex::new(0u64));
    let arrived = Arc::new(AtomicU64::new(0));
    let members: Vec<_> = (0..herd)
        .map(|_| {
            let (barrier, lock, arrived) = (Arc::clone(&barrier), Arc::clone(&lock), Arc::clone(&arrived));
            tokio::spawn(async move {
                arrived.fetch_add(1, Ordering::AcqRel);
                barrier.wait().await;
                *lock.lock().await += 1;
                Instant::now()
            })
        })
        .collect();
    while arrived.load(Ordering::Acquire) < herd as u64 {
        tokio::task::yield_now().await;
    }
    let released = Instant::now();
    barrier.wait().await;
    let mut turns = Vec::with_capacity(herd);
    for member in members {
        turns.push(member.await?);
    }
    Ok((released, turns))
}

impl Run for TaskHerd {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        Ok(lap_of_herds(self.releases(operations)?.into_iter()))
    }

    fn observe(&mut self, operations: u64, _: u64) -> Result<Option<Observed>, Refusal> {
        Ok(Some(observed_herds(self.releases(operations)?.into_iter())))
    }
}
