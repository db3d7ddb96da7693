//! Every interleaving of small cases, explored by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p pulse-trace-workloads --lib --release loom_`

use loom::sync::Arc;
use loom::thread;

use super::*;

const LIMITS: Limits = Limits { capacity: 2, threshold: 2, cooldown: 9 };

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(body);
}

fn packed(limits: Limits, store: bool) -> Packed {
    Packed::new(Arrangement { endpoints: 1, limits, padded: true, store }, Exchange::Strong, Order::AcqRel)
}

fn offer(buffer: &Packed, byte: u8, tally: &mut Tally) -> usize {
    buffer.enqueue(0, &[Event::new(&[byte], byte & 3, 1)], tally)
}

#[test]
fn loom_packed_counts_every_event_once() {
    model(|| {
        let buffer = Arc::new(packed(LIMITS, false));
        let threads: Vec<_> = (0..2)
            .map(|id| {
                let buffer = Arc::clone(&buffer);
                thread::spawn(move || {
                    let mut tally = Tally::default();
                    offer(&buffer, id, &mut tally);
                    offer(&buffer, id, &mut tally);
                    tally
                })
            })
            .collect();
        let mut total = Tally::default();
        buffer.drain(0, 1, &mut total, &mut |_| {});
        threads.into_iter().for_each(|thread| total.add(&thread.join().unwrap()));
        let end = buffer.snapshot(0);
        assert_eq!(total.accepted + total.full + total.open, 4);
        assert_eq!(u64::from(end.events), total.accepted);
        assert_eq!(u64::from(end.fill), total.accepted - total.drained);
        assert_eq!(end.full, end.fill == LIMITS.capacity);
    });
}

/// The breaker opens exactly once, and no update of another thread is lost over it.
#[test]
fn loom_packed_trips_the_breaker_exactly_once() {
    model(|| {
        let buffer = Arc::new(packed(LIMITS, false));
        let mut total = Tally::default();
        assert_eq!(offer(&buffer, 0, &mut total) + offer(&buffer, 0, &mut total), 2);
        let threads: Vec<_> = (0..2)
            .map(|id| {
                let buffer = Arc::clone(&buffer);
                thread::spawn(move || {
                    let mut tally = Tally::default();
                    offer(&buffer, id, &mut tally);
                    tally
                })
            })
            .collect();
        offer(&buffer, 0, &mut total);
        threads.into_iter().for_each(|thread| total.add(&thread.join().unwrap()));
        assert_eq!((total.accepted, total.full, total.open, total.trips), (2, 2, 1, 1));
        assert_eq!(buffer.snapshot(0).breaker, Breaker::Open);
    });
}

/// A slot is read only when it is published, and its next event does not overwrite what is being read.
#[test]
fn loom_packed_store_delivers_payloads_once() {
    model(|| {
        let limits = Limits { capacity: 2, threshold: 60, cooldown: 9 };
        let buffer = Arc::new(packed(limits, true));
        let mut total = Tally::default();
        offer(&buffer, 1, &mut total);
        let writer = {
            let buffer = Arc::clone(&buffer);
            thread::spawn(move || {
                let mut tally = Tally::default();
                let sent = [2, 3].map(|byte| offer(&buffer, byte, &mut tally) * usize::from(byte));
                (tally, sent)
            })
        };
        let reader = {
            let buffer = Arc::clone(&buffer);
            thread::spawn(move || {
                let (mut tally, mut got) = (Tally::default(), Vec::new());
                buffer.drain(0, 1, &mut tally, &mut |payload| got.push(payload[0]));
                (tally, got)
            })
        };
        let mut got = Vec::new();
        buffer.drain(0, 1, &mut total, &mut |payload| got.push(payload[0]));
        let (tally, sent) = writer.join().unwrap();
        total.add(&tally);
        let (tally, others) = reader.join().unwrap();
        total.add(&tally);
        got.extend(others);
        buffer.drain(0, 9, &mut total, &mut |payload| got.push(payload[0]));
        got.sort_unstable();
        let mut expected: Vec<u8> = sent.iter().filter(|byte| **byte > 0).map(|byte| *byte as u8).collect();
        expected.insert(0, 1);
        assert_eq!(got, expected);
        assert_eq!((total.accepted, total.drained), (got.len() as u64, got.len() as u64));
    });
}
