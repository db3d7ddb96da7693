//! Giving the CPU away: a task to other tasks, a thread to other threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use super::crew::Crew;
use super::lap::Lap;
use super::solo::{Driven, Solo, single_threaded};
use super::tasks::Tasks;
use super::work::{AsyncWork, Work, each};
use super::{Built, Counted, Run, Setup};
use crate::contract::{CpuList, Refusal};

struct Yield;

impl AsyncWork for Yield {
    async fn once(&mut self) {
        tokio::task::yield_now().await;
    }
}

/// One task on one thread.
pub fn task_alone(_: &Setup, _: usize) -> Built {
    Ok(Box::new(Driven::new(single_threaded()?, Yield)))
}

/// Many tasks on the workers.
pub fn tasks(setup: &Setup, tasks: usize) -> Built {
    Ok(Box::new(Tasks::new(setup, (0..tasks).map(|_| Yield).collect())?))
}

/// A thread that yields while no other thread wants its CPU: the price of the system call.
pub fn thread_alone(_: &Setup, _: usize) -> Built {
    Ok(Box::new(Solo::of(std::thread::yield_now)))
}

/// The CPU that both threads of a pair are to share, so that a hand-over is a context switch and nothing else.
fn one_cpu(setup: &Setup) -> Result<Setup, Refusal> {
    let first = match &setup.pin {
        Some(cpus) => cpus.first(),
        None => CpuList::allowed()?.first(),
    };
    Ok(Setup { pin: Some(first), ..setup.clone() })
}

/// Two threads on one CPU, each of which yields to the other.
pub fn threads_on_one_cpu(setup: &Setup, threads: usize) -> Built {
    let count = Arc::new(AtomicU64::new(0));
    let works = (0..threads)
        .map(|_| {
            let count = Arc::clone(&count);
            each(move || {
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::yield_now();
            })
        })
        .collect();
    let run = Crew::start(&one_cpu(setup)?, works)?;
    Ok(Box::new(Counted { run, count: move || count.load(Ordering::Relaxed) }))
}

/// A thread parks until the other one unparks it, on one CPU: two context switches each hand-over is one operation.
pub fn parked_on_one_cpu(setup: &Setup, _: usize) -> Built {
    Ok(Box::new(PingPong::start(&one_cpu(setup)?)?))
}

/// The same wherever the scheduler puts the two threads.
pub fn parked(setup: &Setup, _: usize) -> Built {
    Ok(Box::new(PingPong::start(setup)?))
}

/// One of two threads that pass a turn to and fro: even turns are the first one's, odd ones the second one's.
struct Player {
    me: usize,
    turn: Arc<AtomicU64>,
    threads: Arc<[OnceLock<Thread>; 2]>,
}

/// A park that lasts so long is looked after, so that even a lost wake-up could not hang the program.
const PATIENCE: Duration = Duration::from_secs(1);

impl Player {
    fn partner(&self) -> &Thread {
        loop {
            if let Some(thread) = self.threads[1 - self.me].get() {
                return thread;
            }
            std::thread::yield_now();
        }
    }
}

impl Work for Player {
    fn run(&mut self, operations: u64) -> u64 {
        self.threads[self.me].get_or_init(std::thread::current);
        let partner = self.partner();
        for _ in 0..operations {
            while self.turn.load(Ordering::Acquire) % 2 != self.me as u64 {
                std::thread::park_timeout(PATIENCE);
            }
            self.turn.fetch_add(1, Ordering::AcqRel);
            partner.unpark();
        }
        operations
    }
}

/// Both players play equally often, so that every lap begins with the first one.
struct PingPong {
    crew: Crew,
    turn: Arc<AtomicU64>,
}

impl PingPong {
    fn start(setup: &Setup) -> Result<Self, Refusal> {
        let turn = Arc::new(AtomicU64::new(0));
        let threads = Arc::new([OnceLock::new(), OnceLock::new()]);
        let player = |me| -> Box<dyn Work> {
            Box::new(Player { me, turn: Arc::clone(&turn), threads: Arc::clone(&threads) })
        };
        let crew = Crew::start(setup, vec![player(0), player(1)])?;
        Ok(Self { crew, turn })
    }
}

impl Run for PingPong {
    fn lap(&mut self, operations: u64) -> Result<Lap, Refusal> {
        self.crew.lap(operations.next_multiple_of(2))
    }

    fn counted(&self) -> Option<u64> {
        Some(self.turn.load(Ordering::Relaxed))
    }
}
