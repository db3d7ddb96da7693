//! One worker: makes the calls.

use std::time::Duration;

use pulse_trace_workloads::{
    contract::{Warmup, now_ns, stopping},
    sys::{calls::Kind, pages::Pages},
};

use crate::args::Args;

/// Calls that were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Number of calls of each kind, in the order of [`Args::kinds`].
    pub each: Vec<u64>,
    /// Calls that did not end as they must.
    pub odd: u64,
}

impl Made {
    /// None, of so many kinds.
    pub fn none(kinds: usize) -> Self {
        Self { each: vec![0; kinds], odd: 0 }
    }

    /// Adds what another worker made.
    pub fn add(&mut self, other: &Self) {
        self.each.iter_mut().zip(&other.each).for_each(|(mine, theirs)| *mine += theirs);
        self.odd += other.odd;
    }
}

/// Calls between two looks at the stop flag.
const CHUNK: u64 = 1024;

/// Makes every call as often as it is to be made. The order differs from worker to worker, by the seed.
pub fn work(args: &Args, worker: u64) -> Made {
    let kinds = args.kinds();
    let mut made = Made::none(kinds.len());
    let mut pace = args.rate.map(Pace::new);
    let first = args.common.seed.wrapping_add(worker) as usize % kinds.len().max(1);
    for at in (first..kinds.len()).chain(0..first) {
        let kind = kinds[at];
        let mut left = args.count;
        while left > 0 && !stopping() {
            let chunk = left.min(CHUNK);
            match &mut pace {
                Some(pace) => (0..chunk).for_each(|_| {
                    made.odd += u64::from(!kind.make_as_expected());
                    pace.made_one();
                }),
                None => made.odd += straight(kind, chunk),
            }
            made.each[at] += chunk;
            left -= chunk;
        }
    }
    made.odd += u64::from(!touch(args.touch_pages));
    spin(args.spin);
    made
}

/// Writes to so many fresh pages; whether there was room for them.
fn touch(pages: u32) -> bool {
    pages == 0 || Pages::map(pages as usize).map(|mut pages| pages.touch()).is_ok()
}

/// Keeps the CPU busy for a time.
fn spin(time: Option<Duration>) {
    let end = now_ns() + time.map_or(0, |time| time.as_nanos() as u64);
    while now_ns() < end && !stopping() {
        (0..1000).for_each(|_| std::hint::spin_loop());
    }
}

/// As fast as possible; how many did not end as they must.
fn straight(kind: Kind, count: u64) -> u64 {
    (0..count).map(|_| u64::from(!kind.make_as_expected())).sum()
}

/// Calls before the handshake, which are no part of the truth.
pub fn warm_up(args: &Args) {
    let kinds = args.kinds();
    let round = || {
        for kind in &kinds {
            let _ = kind.make();
        }
    };
    match args.common.warmup {
        Some(Warmup::Operations(count)) => (0..count).for_each(|_| round()),
        Some(Warmup::Time(time)) => {
            let end = now_ns() + time.as_nanos() as u64;
            while now_ns() < end && !kinds.is_empty() {
                round();
            }
        }
        None => {}
    }
}

/// Keeps to a number of calls a second.
struct Pace {
    begin: u64,
    rate: u64,
    made: u64,
}

impl Pace {
    fn new(rate: u64) -> Self {
        Self { begin: now_ns(), rate, made: 0 }
    }

    fn made_one(&mut self) {
        self.made += 1;
        while u128::from(self.made) * 1_000_000_000
            > u128::from(now_ns() - self.begin) * u128::from(self.rate)
        {
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}
