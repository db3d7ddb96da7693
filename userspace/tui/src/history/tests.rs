//! Tests of the history and its limits.

use model::{
    frame::{CallStats, Exit, ProcessFrame, ProcessKey},
    glance::Quick,
    synthetic::{self, Shape},
};

use super::*;

fn filled(seed: u64, shape: Shape, limits: Limits) -> History {
    let total = Arc::new(Mutex::new(Session::new(synthetic::header(shape))));
    let mut history = History::new(total, limits);
    synthetic::frames(seed, shape).into_iter().for_each(|frame| history.push(frame));
    history
}

const SHAPE: Shape =
    Shape { frames: 200, processes: 3, threads: 0, lossy: false, inline: false, events: false };

#[test]
fn memory_is_bounded_and_no_count_is_lost() {
    let limits = Limits { frames: 100_000, sums: 300_000, slots: 50 };
    let history = filled(3, SHAPE, limits);
    assert!(history.slots.len() <= 50 && history.sum_bytes <= 300_000, "{}", history.sum_bytes);
    assert!(history.frame_bytes <= 100_000);
    assert_eq!(history.sum_bytes, history.slots.iter().map(|slot| slot.sums.bytes()).sum::<usize>());
    let counted = history.session().ledger.counted;
    let kept: u64 = history.slots.iter().map(|slot| slot.sums.ledger.counted).sum();
    assert_eq!(kept + history.gone.ledger.counted, counted);
    assert_eq!(history.cumulated(u64::MAX).sums.ledger.counted, counted);
    // The last frame of a synthetic session ends a little later than its length says.
    let pairs = history.slots.iter().zip(history.slots.iter().skip(1));
    assert!(pairs.take(history.slots.len() - 2).all(|(left, right)| left.to_ns == right.from_ns));
}

#[test]
fn processes_that_have_ended_do_not_fill_the_memory() {
    let mut history = filled(3, Shape { frames: 1, ..SHAPE }, Limits { slots: 40, ..Limits::LIVE });
    let exit = Some(Exit { status: Some(0), at_ns: 1 });
    let like = synthetic::frames(3, SHAPE).remove(0).processes.remove(0);
    for pid in 10_000..12_600 {
        let key = ProcessKey { pid, joined_ns: 1 };
        let process = ProcessFrame { key, exit, comm: "make".to_owned(), ..like.clone() };
        let at_ns = history.newest_ns() + 1_000_000;
        history.push(Frame { processes: vec![process], at_ns, span_ns: 1_000_000, ..Frame::default() });
    }
    let session = history.session();
    let calls = session.processes.values().flat_map(|it| it.syscalls.values());
    let calls: u64 = calls.map(CallStats::count).sum();
    let newest = history.cumulated(u64::MAX).sums;
    assert_eq!(newest.processes.values().map(|brief| brief.calls).sum::<u64>(), calls);
    let made = newest.processes.values().filter(|brief| brief.comm == "make");
    assert_eq!(made.map(|brief| brief.folded.max(1)).sum::<u64>(), 2600);
    for sums in [&*newest, &history.gone] {
        assert!(sums.processes.len() < 1300, "{}", sums.processes.len());
    }
}

#[test]
fn old_slots_are_coarse_and_new_ones_fine() {
    let history = filled(3, SHAPE, Limits { slots: 40, ..Limits::REPLAY });
    let span = |at: usize| history.slots[at].to_ns - history.slots[at].from_ns;
    assert!(span(0) > 4_000_000_000 && span(39) < 1_100_000_000, "{} {}", span(0), span(39));
}

#[test]
fn a_window_is_the_sum_of_its_frames() {
    let history = filled(4, SHAPE, Limits::REPLAY);
    let frames = synthetic::frames(4, SHAPE);
    let mut sums = Sums::default();
    frames[96..100].iter().for_each(|frame| sums.merge(&Sums::of(frame, &Chosen::new())));
    let window = history.window(frames[99].at_ns, 4_000_000_000);
    assert_eq!((window.from_ns, window.sums.span_ns), (96_000_000_000, 4_000_000_000));
    assert_eq!(window.sums.calls, sums.calls);
    assert_eq!(history.window(frames[99].at_ns, 1).sums.span_ns, 1_000_000_000);
}

#[test]
fn a_window_that_moves_on_is_the_same_as_one_that_is_added_up_anew() {
    let total = Arc::new(Mutex::new(Session::default()));
    let mut history = History::new(total, Limits { slots: 90, ..Limits::REPLAY });
    for (nth, frame) in synthetic::frames(4, SHAPE).into_iter().enumerate() {
        history.push(frame);
        let moved = history.window(history.newest_ns(), 60_000_000_000);
        if nth % 7 != 0 {
            continue;
        }
        let (core, _) = (history.core.take(), history.window.take());
        let anew = history.window(history.newest_ns(), 60_000_000_000);
        history.core.replace(core);
        assert_eq!(moved, anew);
    }
}

#[test]
fn sums_up_to_a_time_are_those_of_the_frames_up_to_it() {
    let mut history = filled(4, SHAPE, Limits { slots: 60, ..Limits::REPLAY });
    let at = history.step(history.newest_ns(), false);
    assert!(at < history.newest_ns());
    let counted: u64 = synthetic::frames(4, SHAPE)
        .iter()
        .filter(|frame| frame.at_ns <= at)
        .map(|frame| frame.ledger.counted)
        .sum();
    assert_eq!(history.cumulated(at).sums.ledger.counted, counted);
    history.reset();
    assert_eq!(history.cumulated(u64::MAX).sums.ledger.counted, 0);
}

#[test]
fn chosen_processes_are_counted_alone_also_in_the_past() {
    let mut history = filled(4, SHAPE, Limits::REPLAY);
    let key = *history.session().processes.keys().next().unwrap();
    history.choose(Chosen::from([key]));
    let own: u64 = history.session().processes[&key].calls().values().map(|stats| stats.count()).sum();
    assert_eq!(history.cumulated(u64::MAX).sums.call_totals().0, own);
    let before = history.cumulated(history.step(history.newest_ns(), false));
    let last = history.window(u64::MAX, 1);
    assert_eq!(before.sums.call_totals().0 + last.sums.call_totals().0, own);
    history.choose(Chosen::new());
    assert_eq!(history.cumulated(u64::MAX).sums.call_totals().0, history.session().ledger.counted);
}

#[test]
fn what_cannot_be_narrowed_any_more_is_left_out_and_told() {
    let mut history = filled(4, SHAPE, Limits { frames: 60_000, ..Limits::REPLAY });
    let key = *history.session().processes.keys().next().unwrap();
    history.choose(Chosen::from([key]));
    let window = history.window(u64::MAX, u64::MAX);
    assert!(window.from_ns > 0 && window.sums.span_ns < 200_000_000_000);
}

/// A glance at the first part of a frame.
fn glance(frame: &Frame, at_ns: u64, count: u64) -> Glance {
    let quick = Quick { count, total_ns: 10 * count };
    let (key, call) = (frame.processes[0].key, frame.processes[0].syscalls[0].call);
    Glance {
        at_ns,
        span_ns: at_ns + frame.span_ns - frame.at_ns,
        calls: vec![(call, quick)],
        processes: vec![(key, quick)],
    }
}

#[test]
fn glances_are_ahead_of_a_frame_and_part_of_it_when_it_comes() {
    let shape = Shape { frames: 3, ..SHAPE };
    let frames = synthetic::frames(4, shape);
    let mut history = filled(4, Shape { frames: 2, ..SHAPE }, Limits::LIVE);
    let counted = history.session().ledger.counted;
    let third = frames[2].clone();
    let from = third.at_ns - third.span_ns;
    let whole = third.ledger.counted;
    for (part, count) in [(4, whole / 4), (2, whole / 2)] {
        history.glance(glance(&third, from + third.span_ns / part, count));
    }
    assert_eq!(history.ahead().map(Glance::count), Some(whole / 2));
    assert_eq!((history.newest_ns(), history.newest_tick_ns()), (from, third.span_ns / 4));
    // Nothing is in the sums before it is known in full.
    assert_eq!(history.cumulated(u64::MAX).sums.ledger.counted, counted);
    let chart = |history: &History, columns| history.calls_chart(from as i64, from + third.span_ns, columns);
    let seconds = third.span_ns as f64 / 1e9;
    let near = |rate: Option<f64>, count: u64, part: f64| {
        (rate.unwrap() * seconds * part - count as f64).abs() < 1.0
    };
    let live = chart(&history, 4);
    assert!(near(live[0], whole / 4, 0.25) && near(live[1], whole / 2 - whole / 4, 0.25), "{live:?}");
    assert_eq!(live[2..], [None, None]);
    history.push(third.clone());
    assert!(history.ahead().is_none());
    assert_eq!(history.cumulated(u64::MAX).sums.ledger.counted, counted + whole);
    let past = chart(&history, 4);
    assert_eq!(past[..2], live[..2]);
    assert!(near(past[3], whole - whole / 2, 0.5), "{past:?}");
    assert!(near(chart(&history, 1)[0], whole, 1.0));
}
