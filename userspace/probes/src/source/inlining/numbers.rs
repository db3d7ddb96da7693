//! From what was counted to what is told of it.

use binary::locate::{register::Reg, replaceable::Passing, site::Generation};
use kernel::inline::Counts;
use model::{
    hist::Hist,
    inline::{InlineFrame, InlineKind, InlineStats},
    locks::MutexStats,
};
use pulse_trace_common::hist;

/// Of all ends of spins, whichever register has the count.
const SPIN_ENDS: Passing = Passing::SpinEnd(Reg::Rax);

/// Acquisitions of any kind.
pub fn acquisitions(counts: &Counts) -> u64 {
    counts.of(Passing::AdaptiveAttempt) + counts.of(Passing::NormalAttempt)
}

/// Those that found the mutex taken.
pub fn contended(counts: &Counts) -> u64 {
    counts.of(SPIN_ENDS) + counts.of(Passing::NormalWait)
}

/// By kind of mutex.
pub fn by_kind(new: &Counts, generation: Option<Generation>) -> Vec<InlineFrame> {
    let adaptive = InlineStats {
        acquisitions: new.of(Passing::AdaptiveAttempt),
        contended: new.of(SPIN_ENDS),
        gave_up: new.of(Passing::GaveUp),
        went_to_kernel: new.of(Passing::AdaptiveWait),
        spins: distribution(&new.spins),
    };
    let waited = new.of(Passing::NormalWait);
    let normal = InlineStats {
        acquisitions: new.of(Passing::NormalAttempt),
        contended: waited,
        went_to_kernel: waited,
        ..InlineStats::default()
    };
    let generation = generation.map(|generation| generation.to_string());
    let all = [(InlineKind::Adaptive, generation, adaptive), (InlineKind::Normal, None, normal)];
    let seen = all.into_iter().filter(|(.., stats)| *stats != InlineStats::default());
    seen.map(|(kind, generation, stats)| InlineFrame { kind, generation, stats }).collect()
}

/// Of one mutex.
pub fn of_lock(new: &Counts) -> MutexStats {
    let waited = new.of(Passing::NormalWait);
    MutexStats {
        calls: acquisitions(new),
        contended: contended(new),
        // What does not spin gets nothing by spinning.
        gave_up: new.of(Passing::GaveUp) + waited,
        went_to_kernel: new.of(Passing::AdaptiveWait) + waited,
        spin_count: distribution(&new.spins),
        ..MutexStats::default()
    }
}

fn distribution(spins: &[u64]) -> Hist {
    let mut distribution = Hist::default();
    for (value, count) in (0..).zip(spins).filter(|(_, count)| **count > 0) {
        distribution.add(hist::index(value) as u16, *count);
        distribution.sum += value * count;
        distribution.min = distribution.min.or(Some(value));
        distribution.max = Some(value);
    }
    distribution
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_exact_in_count_sum_and_ends() {
        let mut spins = vec![0; 200];
        (spins[1], spins[7], spins[130]) = (5, 2, 1);
        let hist = distribution(&spins);
        assert_eq!((hist.count(), hist.sum, hist.min, hist.max), (8, 149, Some(1), Some(130)));
    }
}
