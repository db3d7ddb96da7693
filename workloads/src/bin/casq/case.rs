//! One cell of the sweep: a queue, a number of producers, a way of logging.

use anyhow::Result;
use pulse_trace_workloads::contract::cannot;
use pulse_trace_workloads::ring::{Geometry, Kind};

use crate::args::{Log, Options, Queue};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub queue: Queue,
    pub producers: u32,
    pub log: Log,
}

impl Case {
    /// Every combination, in the order given.
    pub fn all(options: &Options) -> Vec<Self> {
        let mut cases = Vec::new();
        for &producers in &options.producers {
            for &log in &options.log {
                cases.extend(options.queue.iter().map(|&queue| Self { queue, producers, log }));
            }
        }
        cases
    }

    /// Messages of producer `id`: as even as possible, in whole pushes.
    pub fn share(&self, options: &Options, id: u32) -> u64 {
        let calls = options.pushes.div_ceil(u64::from(options.batch));
        let (each, rest) = (calls / u64::from(self.producers), calls % u64::from(self.producers));
        (each + u64::from(u64::from(id) < rest)) * u64::from(options.batch)
    }

    pub fn in_threads(&self, options: &Options) -> bool {
        options.threads || self.queue == Queue::Crossbeam
    }

    pub fn geometry(&self, options: &Options) -> Geometry {
        let kind = match self.queue {
            Queue::FetchAdd => Kind::FetchAdd,
            Queue::Mutex => Kind::Mutex,
            Queue::Cas | Queue::Futex | Queue::Crossbeam => Kind::Cas,
        };
        let (slots, payload) = (options.slots, options.size as usize);
        Geometry { kind, slots, payload, producers: self.producers, batch: options.batch }
    }
}

/// Refuses what could only fail later.
pub fn validate(options: &Options, cases: &[Case]) -> Result<()> {
    for case in cases {
        // The same check for every queue, so that crossbeam is given the same slots.
        pulse_trace_workloads::ring::SharedRing::bytes(case.geometry(options), 0)?;
        if let Some(id) = options.kill {
            if case.in_threads(options) {
                let remedy = "leave out --threads and crossbeam, or --kill";
                Err(cannot("kill a producer", "it is a thread of this process", remedy))?;
            }
            if id >= case.producers {
                let cause = format!("a run of {} has no producer {id}", case.producers);
                Err(cannot("kill a producer", cause, "ids start at 0; give a lower one"))?;
            }
        }
    }
    let memory = options.pushes.saturating_mul(crate::samples::SAMPLE_BYTES);
    if options.log.contains(&Log::Deferred) && memory > available_memory() / 2 {
        let cause = format!("{memory} bytes of samples are more than half of the free memory");
        Err(cannot("log deferred", cause, "use fewer --pushes, or --log per-thread"))?;
    }
    Ok(())
}

fn available_memory() -> u64 {
    let lines = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = lines
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse().ok());
    // Not told: let the allocation itself decide.
    available.map_or(u64::MAX, |kib: u64| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    fn options(args: &[&str]) -> Options {
        Cli::try_parse_from([&["casq"], args].concat()).unwrap().options
    }

    #[test]
    fn shares_add_up_to_whole_pushes() {
        let options = options(&["--pushes", "1001", "--batch", "4", "--producers", "5"]);
        let case = Case::all(&options)[0];
        let shares: Vec<_> = (0..5).map(|id| case.share(&options, id)).collect();
        assert_eq!(shares, [204, 200, 200, 200, 200]);
    }

    #[test]
    fn a_sweep_is_every_combination() {
        let options = options(&["--queue", "cas,mutex", "--producers", "1,2", "--log", "none,deferred"]);
        let cases = Case::all(&options);
        assert_eq!(cases.len(), 8);
        assert_eq!(cases[1], Case { queue: Queue::Mutex, producers: 1, log: Log::None });
    }

    #[test]
    fn the_impossible_is_refused() {
        for bad in [
            &["--kill", "0", "--threads"][..],
            &["--kill", "3", "--producers", "3"],
            &["--slots", "500"],
            &["--queue", "fetch-add", "--slots", "8", "--producers", "9"],
            &["--log", "deferred", "--pushes", "1000000000"],
        ] {
            let options = options(bad);
            let refusal = validate(&options, &Case::all(&options)).unwrap_err().to_string();
            assert!(refusal.starts_with("cannot ") && refusal.contains("; "), "{bad:?}: {refusal}");
        }
    }
}
