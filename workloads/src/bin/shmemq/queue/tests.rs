//! Both queues under every lock: order, bounds, and nothing lost between two threads.

use std::thread;

use pulse_trace_workloads::sys::queue_map::{LockWords, LockedHeader, QueueMap, SpscHeader};
use pulse_trace_workloads::sys::shm;

use super::*;
use crate::locks::{Backoff, Futex, Linear, Lock, Restated, Spin, Ticket};
use crate::message::{Tally, stamp};

const GEOMETRY: Geometry = Geometry { capacity: 3, size: 16 };

fn locked<L: Lock<Memory = LockWords>>(init: fn(&mut LockWords)) -> [Locked<L>; 2] {
    let geometry = GEOMETRY;
    let room = geometry.room().unwrap();
    let file = shm::unnamed(QueueMap::<LockedHeader<LockWords>>::bytes(room).unwrap()).unwrap();
    init(&mut QueueMap::<LockedHeader<LockWords>>::of(&file, room).unwrap().header_mut().lock);
    [(); 2].map(|()| Locked::new(QueueMap::of(&file, room).unwrap(), geometry, 100))
}

fn spsc() -> [Spsc; 2] {
    let geometry = GEOMETRY;
    let room = geometry.room().unwrap();
    let file = shm::unnamed(QueueMap::<SpscHeader>::bytes(room).unwrap()).unwrap();
    [(); 2].map(|()| Spsc::new(QueueMap::of(&file, room).unwrap(), geometry))
}

/// Puts in and takes out in an order given by a pseudo-random sequence, beside a model that cannot be wrong.
fn agrees_with_a_model<Q: Queue>([mut writer, mut reader]: [Q; 2], seed: u64) {
    let mut model = std::collections::VecDeque::new();
    let mut state = seed;
    let mut number = 0;
    let mut element = [0; 16];
    for _ in 0..2_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if state >> 63 == 0 {
            stamp(&mut element, number);
            let room = model.len() < 3;
            assert_eq!(writer.try_enqueue(&element).unwrap(), room);
            if room {
                model.push_back(element);
                number += 1;
            }
        } else {
            let expected: Option<[u8; 16]> = model.pop_front();
            assert_eq!(reader.try_dequeue(&mut element).unwrap(), expected.is_some());
            assert!(expected.is_none_or(|expected| expected == element));
        }
    }
    let (writes, reads) = (writer.attempts(), reader.attempts());
    assert_eq!(writes.enqueued, number);
    assert_eq!(reads.dequeued + model.len() as u64, number);
    assert_eq!(writes.total() + reads.total(), 2_000);
    if let Some(used) = writer.lock() {
        assert_eq!(used.counters.acquisitions, writes.total());
    }
}

/// A writer and a reader at once, each in a hurry.
fn passes_everything<Q: Queue + Send>([mut writer, mut reader]: [Q; 2]) {
    const MESSAGES: u64 = 20_000;
    let tally = thread::scope(|scope| {
        scope.spawn(move || {
            let mut element = [0; 16];
            for number in 0..MESSAGES {
                stamp(&mut element, number);
                while !writer.try_enqueue(&element).unwrap() {
                    thread::yield_now();
                }
            }
        });
        let mut tally = Tally::default();
        let mut element = [0; 16];
        while tally.received < MESSAGES {
            if reader.try_dequeue(&mut element).unwrap() {
                tally.receive(&element, 3);
            } else {
                thread::yield_now();
            }
        }
        tally
    });
    assert!(tally.perfect(), "{tally:?}");
}

#[test]
fn any_order_of_operations_agrees_with_the_model() {
    for seed in 1..20 {
        agrees_with_a_model(spsc(), seed);
        agrees_with_a_model(locked::<Futex>(|_| ()), seed);
        agrees_with_a_model(locked::<Ticket>(|_| ()), seed);
    }
}

#[test]
fn two_threads_lose_nothing() {
    passes_everything(spsc());
    passes_everything(locked::<Spin>(|_| ()));
    passes_everything(locked::<Restated<Linear>>(Restated::<Linear>::init));
    passes_everything(locked::<Restated<Backoff>>(Restated::<Backoff>::init));
}

#[test]
fn the_warm_up_can_be_forgotten() {
    let [mut writer, _] = locked::<Futex>(|_| ());
    writer.try_enqueue(&[0; 16]).unwrap();
    writer.forget();
    assert_eq!(writer.attempts(), Attempts::default());
    assert_eq!(writer.lock().unwrap().counters.acquisitions, 0);
}

#[test]
fn a_geometry_too_large_has_no_room() {
    assert_eq!(Geometry { capacity: u64::MAX, size: 2 }.room(), None);
    assert_eq!(Geometry { capacity: 1000, size: usize::MAX }.room(), None);
}
