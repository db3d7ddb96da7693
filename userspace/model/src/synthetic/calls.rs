//! System calls of a synthetic session.

use super::{OCTAVES, Shape, random::Random};
use crate::{
    errno,
    frame::{Abi, Call, CallFrame, CallStats, Lean, ThreadName},
};

const CALLS: [Call; 9] = [
    native(0),
    native(1),
    Call { operation: Some(0), ..native(202) },
    native(230),
    native(39),
    native(231),
    native(495),
    Call::whole(Abi::Compat, 3),
    Call::whole(Abi::Compat, 407),
];

/// A call of x86-64.
pub const fn native(nr: u32) -> Call {
    Call::whole(Abi::Native, nr)
}

pub fn calls(random: &mut Random, shape: Shape, thread: Option<&ThreadName>, last: bool) -> Vec<CallFrame> {
    let mut calls = Vec::new();
    for (index, call) in CALLS.into_iter().enumerate() {
        if random.one_in(4) {
            continue;
        }
        let floor = 60 << (2 * index);
        let stats = stats(random, shape, floor, last);
        calls.push(CallFrame { thread: thread.cloned(), call, stats });
    }
    calls
}

fn stats(random: &mut Random, shape: Shape, floor: u64, last: bool) -> CallStats {
    let mut stats = CallStats::default();
    for _ in 0..=random.below(200) {
        let spread = 1 << random.below(OCTAVES);
        stats.latency.record(floor + random.below(floor * spread));
    }
    if random.one_in(3) {
        stats.errors.insert(11, random.below(20) + 1);
        stats.errors.insert(512, random.below(3) + 1);
    }
    if shape.lossy && random.one_in(6) {
        // Longer than the last bucket begins, without a histogram, without a latency, without an errno.
        stats.latency.record((1 << 40) + random.below(1 << 40));
        stats.lean = Lean { count: 5, sum_ns: 5 * floor, max_ns: 2 * floor, max_is_bound: false };
        stats.untimed = 1;
        stats.errors.insert(errno::OTHER, 1);
    }
    (stats.blocked_ns, stats.queued_ns) = (stats.total_ns() / 2, stats.total_ns() / 16);
    stats.unreturned = u64::from(random.one_in(8));
    stats.in_flight = u64::from(last && random.one_in(4));
    stats
}
