use model::{
    frame::{Abi, Call, CallFrame, CallStats, ProcessKey, ThreadName},
    hist::Hist,
    locks::{FutexFrame, FutexStats, LockPlace, MutexFrame, MutexSeen, MutexStats, SpinSamples, StackCount},
    sched::{Interrupt, SchedFrame, SchedStats, Waker, WakerContext},
};
use pulse_trace_common::hist::CLAMPED;

use super::*;
use crate::record::reader::LONGEST_LINE;

/// Every bucket filled with the largest count that a reader takes.
fn largest_hist() -> Hist {
    let mut hist = Hist::default();
    (hist.sum, hist.min, hist.max) = (u64::MAX, Some(u64::MAX), Some(u64::MAX));
    (hist.min_is_bound, hist.max_is_bound) = (true, true);
    (0..=CLAMPED as u16).for_each(|bucket| hist.add(bucket, 1 << 50));
    hist
}

fn largest_thread(tid: u32) -> ThreadName {
    ThreadName { tid: u32::MAX - tid, comm: "\u{1}".repeat(16) }
}

fn largest_call() -> CallFrame {
    let stats = CallStats {
        latency: largest_hist(),
        untimed: 1 << 50,
        unreturned: 1 << 50,
        in_flight: 1 << 50,
        errors: (0..160).map(|errno| (u32::MAX - errno, 1 << 50)).collect(),
        ..CallStats::default()
    };
    CallFrame {
        thread: Some(largest_thread(0)),
        call: Call { abi: Abi::Compat, nr: u32::MAX, operation: Some(u32::MAX) },
        stats,
    }
}

fn many_wakers(wakers: u32) -> SchedFrame {
    let waker =
        |pid| Waker { context: WakerContext::Interrupt(Interrupt::Network), pid, comm: "\u{1}".repeat(16) };
    let stats = SchedStats {
        on_cpu: largest_hist(),
        off_cpu: largest_hist(),
        wakers: (0..wakers).map(|pid| (waker(pid), largest_hist())).collect(),
        ..SchedStats::default()
    };
    SchedFrame { thread: Some(largest_thread(1)), stats }
}

fn deep_stacks(stacks: u64) -> Vec<StackCount> {
    let frames = |stack: u64| (0..127).map(move |frame| format!("{stack}\u{1}{frame}{}", "x".repeat(100)));
    let stack = |number| StackCount {
        frames: frames(number).collect(),
        caller: Some("x".repeat(100)),
        cut: None,
        count: 1 << 50,
    };
    (0..stacks).map(stack).collect()
}

fn place() -> LockPlace {
    LockPlace::Shared { device: u64::MAX, inode: u64::MAX, offset: u64::MAX, path: "\u{1}".repeat(4096) }
}

fn crowded_futex(stacks: u64, holders: u32) -> FutexFrame {
    let holder = |tid| ((tid, "\u{1}".repeat(16)), 1 << 50);
    let seen = MutexSeen {
        spins: largest_hist(),
        sampled: SpinSamples { all: largest_hist(), moved: largest_hist() },
        holders: (0..holders).map(holder).collect(),
        ..MutexSeen::default()
    };
    let stats = FutexStats {
        count: 1 << 50,
        wait: largest_hist(),
        mutex: Some(seen),
        stacks: deep_stacks(stacks),
        ..FutexStats::default()
    };
    FutexFrame { place: place(), address: u64::MAX, op: "WAIT_REQUEUE_PI".to_owned(), stats }
}

fn crowded_mutex(stacks: u64) -> MutexFrame {
    let stats =
        MutexStats { spin_count: largest_hist(), stacks: deep_stacks(stacks), ..MutexStats::default() };
    MutexFrame {
        place: place(),
        address: u64::MAX,
        runtime: "glibc".to_owned(),
        generation: Some("linear".to_owned()),
        kind: None,
        stats,
    }
}

fn process(pid: u32) -> ProcessFrame {
    ProcessFrame { key: ProcessKey { pid, joined_ns: u64::MAX }, ..ProcessFrame::default() }
}

fn joined(portions: &[Vec<u8>]) -> Vec<ProcessFrame> {
    let mut joined = Vec::new();
    for portion in portions {
        let text = [b"[", &portion[..], b"]"].concat();
        let processes: Vec<ProcessFrame> = serde_json::from_slice(&text).unwrap();
        processes.into_iter().for_each(|process| collect(&mut joined, process));
    }
    joined
}

#[test]
fn what_is_too_large_for_a_line_is_divided_and_comes_back_whole() {
    let heavy = |hist: &mut Hist| (hist.sum, hist.min, hist.max) = (1 << 60, Some(1 << 60), Some(1 << 60));
    let mut sched = many_wakers(100);
    [&mut sched.stats.on_cpu, &mut sched.stats.off_cpu].into_iter().for_each(heavy);
    sched.stats.wakers.values_mut().for_each(heavy);
    let mut futex = crowded_futex(60, 9000);
    heavy(&mut futex.stats.wait);
    let seen = futex.stats.mutex.as_mut().unwrap();
    [&mut seen.spins, &mut seen.sampled.all, &mut seen.sampled.moved].into_iter().for_each(heavy);
    let mut mutex = crowded_mutex(60);
    heavy(&mut mutex.stats.spin_count);
    let mut call = largest_call();
    heavy(&mut call.stats.latency);
    let other = SchedFrame { thread: None, ..sched.clone() };
    let frame = ProcessFrame {
        syscalls: vec![call; 100],
        sched: vec![other, sched],
        futexes: vec![futex.clone(), FutexFrame { op: "WAKE".to_owned(), ..futex }],
        mutexes: vec![mutex.clone(), MutexFrame { address: 1, ..mutex }],
        ..process(1)
    };
    let frames = [process(0), frame, process(2)];
    let portions = of(&frames).unwrap();
    assert!(portions.len() > 10, "{}", portions.len());
    assert!(portions.iter().all(|portion| portion.len() <= LARGEST));
    const { assert!(LARGEST * 8 < LONGEST_LINE) }
    assert!(joined(&portions) == frames);
}

#[test]
fn an_entry_is_divided_into_few_pieces_that_are_small_enough() {
    fn lengths<T: Divisible>(entry: &T) -> (usize, Vec<usize>) {
        let length = |entry: &T| serde_json::to_vec(entry).unwrap().len();
        (length(entry), pieces(entry).unwrap().iter().map(length).collect())
    }
    let all = [
        lengths(&largest_call()),
        lengths(&many_wakers(40)),
        lengths(&crowded_futex(60, 9000)),
        lengths(&crowded_mutex(60)),
    ];
    assert_eq!(all[0].1, [all[0].0]);
    for (whole, pieces) in all {
        assert!(pieces.iter().all(|piece| *piece <= LARGEST_ENTRY), "{pieces:?}");
        assert!(pieces.len() <= 2 + whole / (LARGEST_ENTRY / 2), "{whole} in {pieces:?}");
    }
}

#[test]
fn small_processes_share_a_portion() {
    let frames: Vec<ProcessFrame> = (0..100).map(process).collect();
    let portions = of(&frames).unwrap();
    assert_eq!(portions.len(), 1);
    assert_eq!(joined(&portions), frames);
    assert_eq!(of(&[]).unwrap().len(), 1);
}
