//! The patterns of `syncbench` as Criterion benchmarks: the same operations under the ecosystem's own instrument.
//!
//! `cargo bench -p pulse-trace-workloads --bench syncbench -- mutex` measures those with `mutex` in their name. The
//! group `fairness` is left out, since its results are shares and not times.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use pulse_trace_workloads::contract::Refusal;
use pulse_trace_workloads::patterns::{ALL, Group, Pattern, Run, Setup};

/// As the published set-up has it.
fn rigour() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .sample_size(100)
        .significance_level(0.05)
        .configure_from_args()
}

/// Criterion asks for so many operations and is told how long the laps took, so starting threads is not in it.
fn timed(pattern: &Pattern, operations: u64, run: &mut dyn Run) -> Result<Duration, Refusal> {
    let (mut elapsed, mut done) = (Duration::ZERO, 0);
    while done < operations {
        let lap = run.lap((operations - done).clamp(pattern.least, pattern.most))?;
        elapsed += lap.elapsed;
        done += lap.operations;
    }
    // Laps have a least size; what went beyond what was asked for is taken out in proportion.
    Ok(elapsed.mul_f64(operations as f64 / done as f64))
}

fn bench(criterion: &mut Criterion, pattern: &Pattern) {
    let mut group = criterion.benchmark_group(format!("{:?}", pattern.group).to_lowercase());
    group.throughput(Throughput::Elements(1));
    let name = pattern.name.split_once('/').map_or(pattern.name, |(_, rest)| rest);
    // Threads and runtime of its own for every benchmark, kept for all its samples and gone before the next one.
    let mut run = None;
    group.bench_function(name, |bencher| {
        let run = run.get_or_insert_with(|| or_end(pattern.build(&Setup::default())));
        bencher.iter_custom(|operations| or_end(timed(pattern, operations, &mut **run)));
    });
    group.finish();
}

/// Criterion's closures cannot fail: what goes wrong ends the program with its reason.
fn or_end<T>(result: Result<T, Refusal>) -> T {
    result.unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn main() {
    let mut criterion = rigour();
    for pattern in ALL.iter().filter(|pattern| pattern.group != Group::Fairness) {
        bench(&mut criterion, pattern);
    }
    criterion.final_summary();
}
