//! Crossbeam's epochs: pinning, deferring, retiring memory, alone and from several threads.

use std::hint::black_box;

use crossbeam_epoch::{Guard, pin};

use super::crew::Crew;
use super::solo::Solo;
use super::work::Work;
use super::{Built, Setup};
use crate::sys;

/// Operations under one guard. A guard that is held for a whole lap lets nothing be freed meanwhile.
const STEPS: u64 = 1_000;

/// An operation done under a guard.
pub trait Step: Send + Default + 'static {
    fn step(guard: &Guard);
}

/// A closure to be called once no thread can still be looking.
#[derive(Default)]
pub struct Defer;

impl Step for Defer {
    #[inline]
    fn step(guard: &Guard) {
        guard.defer(|| {
            black_box(42);
        });
    }
}

/// An allocation to be freed once no thread can still be looking.
#[derive(Default)]
pub struct Destroy;

impl Step for Destroy {
    #[inline]
    fn step(guard: &Guard) {
        sys::epoch::allocate_and_retire(guard, black_box(42u64));
    }
}

/// A closure, and a push of the thread's bag into the global queue, which is otherwise done once in 64 times.
#[derive(Default)]
pub struct Flush;

impl Step for Flush {
    #[inline]
    fn step(guard: &Guard) {
        Defer::step(guard);
        guard.flush();
    }
}

struct Steps<S>(std::marker::PhantomData<S>);

impl<S: Step> Work for Steps<S> {
    fn run(&mut self, operations: u64) -> u64 {
        let mut left = operations;
        while left > 0 {
            let guard = pin();
            let now = left.min(STEPS);
            for _ in 0..now {
                S::step(&guard);
            }
            left -= now;
        }
        operations
    }
}

struct Pin;

impl Work for Pin {
    fn run(&mut self, operations: u64) -> u64 {
        for _ in 0..operations {
            black_box(&pin());
        }
        operations
    }
}

/// Steps of one thread.
pub fn alone<S: Step>(_: &Setup, _: usize) -> Built {
    Ok(Box::new(Solo::work(Steps::<S>(std::marker::PhantomData))))
}

/// Steps of several threads.
pub fn together<S: Step>(setup: &Setup, threads: usize) -> Built {
    let works =
        (0..threads).map(|_| -> Box<dyn Work> { Box::new(Steps::<S>(std::marker::PhantomData)) }).collect();
    Ok(Box::new(Crew::start(setup, works)?))
}

/// One thread enters and leaves the epoch.
pub fn pin_alone(_: &Setup, _: usize) -> Built {
    Ok(Box::new(Solo::work(Pin)))
}

/// Several threads enter and leave the epoch.
pub fn pin_together(setup: &Setup, threads: usize) -> Built {
    let works = (0..threads).map(|_| -> Box<dyn Work> { Box::new(Pin) }).collect();
    Ok(Box::new(Crew::start(setup, works)?))
}
