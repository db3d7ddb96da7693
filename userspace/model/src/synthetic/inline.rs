//! Mutexes as counters inside of a process see them.

use super::{Shape, random::Random};
use crate::inline::{InlineCost, InlineFrame, InlineKind, InlineStats};

const SEED: u64 = 0x1117_ea5e_0000_0001;

pub fn process(shape: Shape, index: u32, number: u32) -> Vec<InlineFrame> {
    if !shape.inline {
        return Vec::new();
    }
    let mut random = Random(SEED ^ u64::from(index) << 32 ^ u64::from(number));
    let mut adaptive = InlineStats { contended: 400 + random.below(200), ..InlineStats::default() };
    adaptive.acquisitions = adaptive.contended * 11 + random.below(300);
    adaptive.gave_up = adaptive.contended / 9;
    adaptive.went_to_kernel = adaptive.gave_up * 2 / 3;
    for acquisition in 0..adaptive.contended {
        adaptive.spins.record(if acquisition % 5 == 0 { 1 } else { 1 + random.skewed(7) });
    }
    let contended = 30 + random.below(30);
    let normal = InlineStats {
        acquisitions: 9000 + random.below(900),
        contended,
        went_to_kernel: contended,
        ..InlineStats::default()
    };
    let generation = Some("exponential back-off: the count is the sum of the pauses".to_owned());
    let mut frames = vec![InlineFrame { kind: InlineKind::Adaptive, generation, stats: adaptive }];
    if index > 0 {
        frames.push(InlineFrame { kind: InlineKind::Normal, generation: None, stats: normal });
    }
    frames
}

pub fn cost(shape: Shape, number: u32) -> Option<InlineCost> {
    let last = number + 1 == shape.frames;
    shape.inline.then_some(InlineCost {
        put_in_ns: if number == 0 { 3_200_000 } else { 0 },
        taken_out_ns: if last { 1_700_000 } else { 0 },
        programs: if number == 0 { 3 } else { 0 },
        late: if number == 0 { 2 } else { 0 },
        late_cpu_ns: if number == 0 { 4_100_000 } else { 0 },
        left_alone: u64::from(last),
    })
}
