//! A sweep is a list of cells: every lock with every size, number of round trips and spin limit.

use pulse_trace_workloads::contract::Warmup;
use serde::Serialize;

use crate::args::Args;
use crate::mutex::Mutex;
use crate::plan::Plan;
use crate::queue::Geometry;

/// The varied parameters of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Lock of both queues.
    pub mutex: Mutex,
    /// Bytes of a message.
    pub size: u64,
    /// Round trips to make.
    pub repetitions: u64,
    /// Spin limit; null is the C library's own.
    pub spin_tunable: Option<i32>,
}

/// All cells, locks innermost: what is to be compared runs side by side in time.
pub fn sweep(args: &Args) -> Vec<Cell> {
    let every: Vec<Mutex> = clap::ValueEnum::value_variants().to_vec();
    let kinds = if args.every_mutex { &every } else { &args.mutex };
    let mut cells = Vec::new();
    for &repetitions in &args.repetitions {
        for &size in &args.size {
            for &mutex in kinds {
                // A limit means nothing to a lock that does not spin up to it: one cell is enough.
                let tunables = if mutex.spins_up_to_the_tunable() { &args.spin_tunable[..] } else { &[] };
                let cell = |spin_tunable| Cell { mutex, size, repetitions, spin_tunable };
                cells.extend(tunables.iter().map(|limit| cell(Some(*limit))));
                cells.extend(tunables.is_empty().then(|| cell(None)));
            }
        }
    }
    cells
}

impl Cell {
    /// The size of its queues.
    pub fn geometry(&self, args: &Args) -> Geometry {
        // On a 32-bit machine a size beyond its memory is refused when the queue is made.
        Geometry { capacity: args.capacity, size: usize::try_from(self.size).unwrap_or(usize::MAX) }
    }

    /// The plan of both sides; the paths are filled in by the side that makes the memory.
    pub fn plan(&self, args: &Args) -> Plan {
        let (warmup_operations, warmup_ns) = match args.common.warmup {
            // Once round the ring: every page has been touched by both sides.
            None => (args.capacity.min(self.repetitions), None),
            Some(Warmup::Operations(operations)) => (operations, None),
            Some(Warmup::Time(time)) => (0, Some(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))),
        };
        Plan {
            mutex: self.mutex,
            geometry: self.geometry(args),
            repetitions: self.repetitions,
            spin_tunable: self.spin_tunable,
            warmup_operations,
            warmup_ns,
            per_yield: args.yield_after,
            timeout_ns: u64::try_from(args.timeout.as_nanos()).unwrap_or(u64::MAX),
            time_every: args.time_every,
            count_futex: args.count_futex,
            crash_at: args.crash_at,
            to_server: Default::default(),
            to_client: Default::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_sweep_is_the_product_and_limits_go_to_those_who_heed_them() {
        let args = Args::try_parse_from([
            "shmemq",
            "--mutex=plain,adaptive",
            "--size=16,1024",
            "--repetitions=10,20",
            "--spin-tunable=10,1000",
        ])
        .unwrap();
        let cells = sweep(&args);
        assert_eq!(cells.len(), 2 * 2 * (1 + 2));
        assert_eq!(cells[0], Cell { mutex: Mutex::Plain, size: 16, repetitions: 10, spin_tunable: None });
        assert_eq!(cells[2].spin_tunable, Some(1000));
        assert_eq!(cells[0].plan(&args).warmup_operations, 10);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            &["--size=0"][..],
            &["--repetitions=0"],
            &["--capacity=0"],
            &["--mutex=fancy"],
            &["--spin-tunable=32768"],
            &["--spin-tunable=-1"],
            &["--timeout=0"],
            &["--timeout=inf"],
            &["--role=server"],
            &["--name=x"],
            &["--yield-after=0"],
        ] {
            let line = std::iter::once("shmemq").chain(bad.iter().copied());
            assert!(Args::try_parse_from(line).is_err(), "{bad:?}");
        }
    }
}
