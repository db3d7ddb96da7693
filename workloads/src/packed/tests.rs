//! All implementations obey the same rules: against each other step by step, and with threads.

use std::sync::Mutex;
use std::thread;

use super::*;

const LIMITS: Limits = Limits { capacity: 8, threshold: 3, cooldown: 5 };
const SMALL: Arrangement = Arrangement { endpoints: 3, limits: LIMITS, padded: false, store: true };

fn all(arrangement: Arrangement) -> Vec<Box<dyn EventBuffer>> {
    vec![
        Box::new(Packed::new(arrangement, Exchange::Weak, Order::AcqRel)),
        Box::new(Packed::new(arrangement, Exchange::Strong, Order::AcqRel)),
        Box::new(Packed::new(arrangement, Exchange::Weak, Order::SeqCst)),
        Box::new(Packed::new(arrangement, Exchange::Strong, Order::SeqCst)),
        Box::new(Standard::new(arrangement)),
        Box::new(Locked::new(arrangement)),
    ]
}

fn random(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

/// Answers to a sequence of operations: outcomes, payloads, states.
fn play(buffer: &dyn EventBuffer, seed: u64) -> (Vec<u64>, Tally) {
    let (mut state, mut trace, mut tally, mut tick) = (seed, Vec::new(), Tally::default(), 0u16);
    for step in 0..2000u64 {
        let endpoint = random(&mut state, 3) as usize;
        tick = tick.wrapping_add(random(&mut state, 3) as u16);
        if random(&mut state, 5) < 3 {
            let payloads: Vec<[u8; 9]> = (0..1 + random(&mut state, 3))
                .map(|nth| {
                    let head = if random(&mut state, 4) == 0 { 0x1f8b_0800 } else { 0x6162_6364 };
                    let mut payload = [0; 9];
                    payload[..4].copy_from_slice(&u32::to_be_bytes(head));
                    payload[4] = nth as u8;
                    payload[5..].copy_from_slice(&(step as u32).to_le_bytes());
                    payload
                })
                .collect();
            let priority = random(&mut state, 4) as u8;
            let events: Vec<_> = payloads.iter().map(|payload| Event::new(payload, priority, tick)).collect();
            trace.push(buffer.enqueue(endpoint, &events, &mut tally) as u64);
        } else {
            let most = random(&mut state, 6) as u16;
            let mut out = Vec::new();
            trace.push(buffer.drain(endpoint, most, &mut tally, &mut |payload| out.push(payload)) as u64);
            trace.extend(out.iter().map(|payload| u64::from_le_bytes(payload[..8].try_into().unwrap())));
        }
        trace.push(buffer.snapshot(endpoint).pack());
    }
    (trace, tally)
}

#[test]
fn all_implementations_answer_every_random_sequence_alike() {
    for seed in 1..100 {
        let mut answers = all(SMALL).into_iter().map(|buffer| play(buffer.as_ref(), seed));
        let (trace, tally) = answers.next().unwrap();
        assert!(
            tally.trips > 0 && tally.open > 0 && tally.compressed > 0,
            "the sequence must meet every case"
        );
        for (other, mut counted) in answers {
            assert_eq!(trace, other, "{seed}");
            (counted.locks, counted.contended) = (0, 0);
            counted.cas_attempts = tally.cas_attempts;
            counted.cas_successes = tally.cas_successes;
            assert_eq!(counted, tally);
        }
    }
}

#[test]
fn one_thread_never_fails_a_strong_exchange() {
    let (_, tally) = play(&Packed::new(SMALL, Exchange::Strong, Order::AcqRel), 7);
    assert!(tally.cas_attempts > 0);
    assert_eq!(tally.cas_attempts, tally.cas_successes);
}

/// Four threads put numbered payloads in and take some out; nothing may vanish or come twice.
fn hammer(buffer: &dyn EventBuffer, endpoints: usize) {
    let (total, seen) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let sent: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..4u64)
            .map(|id| {
                let (total, seen) = (&total, &seen);
                scope.spawn(move || {
                    let (mut state, mut tally, mut mine, mut sent) =
                        (id + 1, Tally::default(), Vec::new(), 0);
                    for number in 0..4000u64 {
                        let payload = (id << 32 | number).to_le_bytes();
                        let event = Event::new(&payload, 1, (number / 8) as u16);
                        let endpoint = random(&mut state, endpoints as u64) as usize;
                        sent += buffer.enqueue(endpoint, &[event], &mut tally) as u64;
                        if random(&mut state, 3) == 0 {
                            let endpoint = random(&mut state, endpoints as u64) as usize;
                            buffer.drain(endpoint, 4, &mut tally, &mut |payload| mine.push(payload));
                        }
                        assert!(buffer.snapshot(endpoint).fill <= LIMITS.capacity);
                    }
                    total.lock().unwrap().add(&tally);
                    seen.lock().unwrap().extend(mine);
                    sent
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let mut total = total.into_inner().unwrap();
    let mut seen = seen.into_inner().unwrap();
    for endpoint in 0..endpoints {
        while buffer.drain(endpoint, 4, &mut total, &mut |payload| seen.push(payload)) > 0 {}
        assert_eq!(buffer.snapshot(endpoint).fill, 0);
    }
    assert_eq!((total.accepted, total.drained), (sent, sent));
    assert_eq!(total.accepted + total.full + total.open, 16_000);
    assert_eq!(seen.len() as u64, sent);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len() as u64, sent, "a payload came twice");
}

#[test]
fn threads_lose_nothing_and_see_nothing_twice() {
    for (endpoints, padded) in [(1, true), (3, false)] {
        for buffer in all(Arrangement { endpoints, padded, ..SMALL }) {
            hammer(buffer.as_ref(), endpoints);
        }
    }
}

#[test]
fn footprints_are_those_of_the_layout() {
    let of = |padded| {
        all(Arrangement { padded, store: false, ..SMALL }).iter().map(|b| b.footprint()).collect::<Vec<_>>()
    };
    let dense = of(false);
    let (packed, [standard, locked]) = dense.split_last_chunk().unwrap();
    assert!(packed.iter().all(|one| *one == (8, 1)), "{dense:?}");
    assert!(standard.0 > locked.0 && locked.0 > 8, "{dense:?}");
    assert!(of(true).iter().all(|(bytes, lines)| *bytes == lines * 64));
}
