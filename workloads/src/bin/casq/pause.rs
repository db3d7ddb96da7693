//! Ways to wait for the other side without burning the CPU that it needs.

use std::hint::spin_loop;
use std::thread;
use std::time::Duration;

use crate::args::Pause;

const SPINS: u32 = 6;
const YIELDS: u32 = 12;

/// One wait; it grows while it is repeated.
#[derive(Debug)]
pub struct Waiting {
    pause: Pause,
    times: u32,
}

impl Waiting {
    pub fn new(pause: Pause) -> Self {
        Self { pause, times: 0 }
    }

    pub fn pause(&mut self) {
        self.times += 1;
        match (self.pause, self.times) {
            (Pause::Backoff, times @ 0..=SPINS) => (0..1 << times).for_each(|_| spin_loop()),
            (Pause::Backoff, YIELDS..) => thread::sleep(Duration::from_micros(50)),
            _ => thread::yield_now(),
        }
    }

    /// It has an end: the next one starts small again.
    pub fn over(&mut self) {
        self.times = 0;
    }
}
