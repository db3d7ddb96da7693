//! Mutexes as probes in the library see them, as long as the budget lets them.

use super::{
    Shape,
    futex::{self, ADAPTIVE, SHARED},
    random::Random,
    stacks,
};
use crate::locks::{LockPlace, MutexFrame, MutexKind, MutexStats};

/// Reports whether the probes are attached during an interval: a lossy session detaches them half-way.
pub const fn attached(shape: Shape, number: u32) -> bool {
    !shape.lossy || number == 0 || number < shape.frames / 2
}

pub fn process(random: &mut Random, shape: Shape, index: u32, number: u32) -> Vec<MutexFrame> {
    if !attached(shape, number) {
        return Vec::new();
    }
    let mut mutexes = vec![glibc(random, futex::private(index, 0), futex::address(index, 0), ADAPTIVE)];
    if index < 2 {
        mutexes.push(glibc(random, futex::shared_place(index), futex::address(index, 1), SHARED));
    }
    if index % 3 == 2 {
        mutexes.push(rust(random, index));
    }
    mutexes
}

fn glibc(random: &mut Random, place: LockPlace, address: u64, kind: MutexKind) -> MutexFrame {
    let mut stats = MutexStats { contended: 300 + random.below(300), ..MutexStats::default() };
    stats.calls = stats.contended * 11;
    stats.gave_up = stats.contended / 9;
    stats.went_to_kernel = stats.gave_up * 2 / 3;
    for acquisition in 0..stats.contended {
        let spins = if acquisition % 5 == 0 { 1 } else { 1 + random.skewed(7) };
        stats.spin_count.record(spins);
        stats.spin_time.record(60 + 38 * spins + random.below(200));
    }
    for hold in 0..stats.calls / 10 {
        // Mostly short, and some a hundred times as long.
        stats.hold.record(900 + hold % 97 * (hold % 89) * (1 + 20 * (hold % 7 / 6)));
    }
    stats.stacks = stacks::mutex(random).into_iter().take(2).collect();
    let generation = Some("exponential back-off".to_owned());
    MutexFrame { place, address, runtime: "glibc 2.36".to_owned(), generation, kind: Some(kind), stats }
}

/// Its slow path tells neither how often it spun nor what kind it is.
fn rust(random: &mut Random, index: u32) -> MutexFrame {
    let mut stats = MutexStats { contended: 80 + random.below(80), ..MutexStats::default() };
    stats.went_to_kernel = stats.contended / 2;
    stats.gave_up = stats.went_to_kernel;
    for _ in 0..stats.contended {
        stats.spin_time.record(200 + random.below(40_000));
    }
    stats.stacks = stacks::rust_mutex(random);
    let (place, address) = (futex::private(index, 5), futex::address(index, 5));
    MutexFrame { place, address, runtime: "Rust std".to_owned(), generation: None, kind: None, stats }
}
