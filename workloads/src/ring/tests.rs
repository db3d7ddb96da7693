//! Exactly once, in order per producer, never more than fits: under random schedules, with threads, and with deaths.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use super::*;

const KINDS: [Kind; 3] = [Kind::Cas, Kind::FetchAdd, Kind::Mutex];

/// xorshift: enough to shuffle schedules, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn ring(kind: Kind, slots: u64, producers: u32, batch: u32) -> SharedRing {
    SharedRing::create(Geometry { kind, slots, payload: 24, producers, batch }, 0).unwrap().0
}

fn message(producer: u32, sequence: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&producer.to_le_bytes());
    bytes[4..].copy_from_slice(&sequence.to_le_bytes());
    bytes
}

/// Checks that messages come complete, once and in order.
struct Expect(Vec<u64>);

impl Expect {
    fn message(&mut self, producer: u32, bytes: &[u8]) {
        let next = &mut self.0[producer as usize];
        assert_eq!(bytes, message(producer, *next), "producer {producer}");
        *next += 1;
    }
}

#[test]
fn a_random_sequence_of_operations_agrees_with_a_plain_queue() {
    for kind in KINDS {
        for seed in 1..200 {
            let mut random = Random(seed);
            let ring = ring(kind, 16, 3, 4);
            let mut producers: Vec<_> = (0..3).map(|id| ring.producer(id).unwrap()).collect();
            let mut consumer = ring.consumer();
            let mut model: VecDeque<(u32, Vec<u8>)> = VecDeque::new();
            let usable = ring.geometry().usable() as usize;
            let mut out = Vec::new();
            for step in 0..400u64 {
                let id = random.below(4) as u32;
                if id == 3 {
                    let expected = model.pop_front();
                    match consumer.try_pop(&mut out) {
                        Popped::Message(producer) => assert_eq!(expected, Some((producer, out.clone()))),
                        other => assert_eq!((other, expected), (Popped::Empty, None), "{kind} {seed}"),
                    }
                    continue;
                }
                let (count, size) = (1 + random.below(4) as usize, 1 + random.below(24) as usize);
                let bytes: Vec<u8> = (0..count * size).map(|n| (step as usize * 31 + n) as u8).collect();
                let outcome = producers[id as usize].try_push_batch(&bytes, size);
                let expected = if model.len() + count <= usable { Ok(()) } else { Err(PushError::Full) };
                assert_eq!(outcome, expected, "{kind} {seed} {step}");
                if outcome.is_ok() {
                    model.extend(bytes.chunks(size).map(|chunk| (id, chunk.to_vec())));
                }
            }
        }
    }
}

/// Reserving and publishing are steps of their own here: the order of tickets counts, not the order of publication.
#[test]
fn publication_in_any_order_delivers_in_ticket_order() {
    for kind in [Kind::Cas, Kind::FetchAdd] {
        for seed in 1..300 {
            let mut random = Random(seed);
            let ring = ring(kind, 8, 3, 1);
            let mut producers: Vec<_> = (0..3).map(|id| ring.producer(id).unwrap()).collect();
            let (mut held, mut tickets) = ([None; 3], VecDeque::new());
            let mut consumer = ring.consumer();
            let (mut out, mut sent, mut expect) = (Vec::new(), [0u64; 3], Expect(vec![0; 3]));
            for _ in 0..500 {
                let id = random.below(4) as usize;
                if id < 3 {
                    let producer = &mut producers[id];
                    if let Some(ticket) = held[id].take() {
                        producer.publish(ticket, &message(id as u32, sent[id]), 12, 1);
                        producer.leave();
                        sent[id] += 1;
                    } else {
                        producer.enter();
                        match producer.reserve(1) {
                            Ok(ticket) => {
                                held[id] = Some(ticket);
                                tickets.push_back((ticket, id));
                            }
                            Err(_) => producer.leave(),
                        }
                    }
                    continue;
                }
                let next = tickets.front().copied();
                match (consumer.try_pop(&mut out), next) {
                    (Popped::Message(producer), Some((_, owner))) => {
                        assert_eq!(producer as usize, owner);
                        expect.message(producer, &out);
                        tickets.pop_front();
                    }
                    (Popped::Pending, Some((ticket, owner))) => {
                        assert_eq!(held[owner], Some(ticket));
                        let waits_for = consumer.look_at_stall(|_| true);
                        assert!(matches!(waits_for, Stall::Waiting(ids) if ids.contains(&(owner as u32))));
                    }
                    (Popped::Empty, None) => {}
                    other => panic!("{kind} {seed}: {other:?}"),
                }
            }
        }
    }
}

fn hammer(mut consumer: impl Pop, mut producers: Vec<impl Push + Send>, each: u64, batch: u64, seed: u64) {
    let count = producers.len();
    thread::scope(|scope| {
        for (id, producer) in producers.iter_mut().enumerate() {
            scope.spawn(move || {
                let mut random = Random(seed + id as u64 + 1);
                let mut next = 0;
                while next < each {
                    let size = (1 + random.below(batch)).min(each - next);
                    let bytes: Vec<u8> = (next..next + size).flat_map(|n| message(id as u32, n)).collect();
                    while producer.try_push_batch(&bytes, 12) == Err(PushError::Full) {
                        if !producer.wait_for_room(Duration::from_secs(1)) {
                            thread::yield_now();
                        }
                    }
                    next += size;
                    if random.below(16) == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
        let (mut out, mut expect) = (Vec::new(), Expect(vec![0; count]));
        let mut left = count as u64 * each;
        while left > 0 {
            match consumer.try_pop(&mut out) {
                Popped::Message(producer) => {
                    expect.message(producer, &out);
                    left -= 1;
                }
                Popped::Broken => panic!("the lock broke"),
                Popped::Empty | Popped::Pending => {
                    if !consumer.wait_for_data(Duration::from_secs(1)) {
                        thread::yield_now();
                    }
                }
            }
        }
        assert_eq!(consumer.try_pop(&mut out), Popped::Empty);
    });
}

#[test]
fn threads_lose_nothing_duplicate_nothing_and_keep_order() {
    for kind in KINDS {
        for (slots, batch, seed) in [(16, 1, 1), (16, 3, 2), (1024, 8, 3)] {
            let ring = ring(kind, slots, 4, batch);
            let producers = (0..4).map(|id| ring.producer(id).unwrap()).collect();
            hammer(ring.consumer(), producers, 3000, u64::from(batch), seed);
        }
    }
}

#[test]
fn sleeping_ends_lose_no_wake() {
    for (kind, slots, batch) in [(Kind::Cas, 2, 1), (Kind::FetchAdd, 8, 2), (Kind::Mutex, 2, 2)] {
        let ring = ring(kind, slots, 3, batch);
        let producers = (0..3).map(|id| BlockingProducer::new(ring.producer(id).unwrap())).collect();
        let consumer = BlockingConsumer::new(ring.consumer());
        hammer(consumer, producers, 2000, u64::from(batch), 9);
    }
}

#[test]
fn crossbeam_obeys_the_same_rules() {
    let queue = CrossbeamQueue::new(16);
    hammer(queue.clone(), (0..4).map(|id| queue.producer(id)).collect(), 3000, 3, 4);
}

#[test]
fn waiting_ends_give_up_in_time() {
    let ring = ring(Kind::Cas, 2, 1, 1);
    let mut producer = BlockingProducer::new(ring.producer(0).unwrap());
    let mut consumer = BlockingConsumer::new(ring.consumer());
    let (short, mut out) = (Duration::from_millis(30), Vec::new());
    assert_eq!(consumer.pop(&mut out, short), Popped::Empty);
    assert_eq!(producer.push(b"one", short), Ok(()));
    assert_eq!(producer.push(b"two", short), Ok(()));
    assert_eq!(producer.push(b"three", short), Err(PushError::Full));
    assert_eq!(consumer.pop(&mut out, short), Popped::Message(0));
    assert_eq!(out, b"one");
}

#[test]
fn a_slot_of_the_dead_is_given_up_and_one_of_the_living_is_not() {
    for kind in [Kind::Cas, Kind::FetchAdd] {
        let ring = ring(kind, 8, 3, 1);
        let mut producers: Vec<_> = (0..3).map(|id| ring.producer(id).unwrap()).collect();
        let (mut consumer, mut out) = (ring.consumer(), Vec::new());
        producers[0].abandon().unwrap();
        producers[1].try_push(b"after").unwrap();
        producers[2].enter();
        assert_eq!(consumer.try_pop(&mut out), Popped::Pending);
        assert_eq!(consumer.look_at_stall(|_| true), Stall::Waiting(vec![0, 2]));
        // Producer 2 is inside a push too: while it lives, the slot may be its own.
        assert_eq!(consumer.look_at_stall(|id| id != 0), Stall::Waiting(vec![2]));
        producers[2].leave();
        assert_eq!(consumer.look_at_stall(|id| id != 0), Stall::GivenUp { suspects: vec![0] });
        assert_eq!(consumer.given_up(), 1);
        assert_eq!((consumer.try_pop(&mut out), out.as_slice()), (Popped::Message(1), b"after".as_slice()));
        assert_eq!(consumer.look_at_stall(|_| false), Stall::None);
        // Its record must stay readable, or a later stall would have no owner.
        assert!(ring.producer(0).is_err() && ring.producer(1).is_ok());
    }
}

#[test]
fn a_consumer_can_be_restarted_and_a_stranger_is_refused() {
    let geometry = Geometry { kind: Kind::Cas, slots: 4, payload: 8, producers: 1, batch: 1 };
    let (ring, file) = SharedRing::create(geometry, 5).unwrap();
    let other = SharedRing::attach(&file).unwrap();
    assert_eq!((other.geometry(), other.extra().len()), (geometry, 5));
    let (mut producer, mut out) = (other.producer(0).unwrap(), Vec::new());
    assert_eq!(producer.try_push(b"too long for it"), Err(PushError::TooLong));
    producer.try_push(b"1").unwrap();
    producer.try_push(b"").unwrap();
    assert_eq!(ring.consumer().try_pop(&mut out), Popped::Message(0));
    let mut second = ring.consumer();
    assert_eq!((second.try_pop(&mut out), out.len()), (Popped::Message(0), 0));
    assert_eq!(second.try_pop(&mut out), Popped::Empty);
    assert!(ring.producer(1).unwrap_err().to_string().contains("use a lower id"));

    let empty = crate::sys::shm::unnamed(4096).unwrap();
    assert!(
        SharedRing::attach(&empty)
            .unwrap_err()
            .to_string()
            .starts_with("cannot attach to the ring: it is none")
    );
    let huge = Geometry { slots: 1 << 24, payload: 1 << 20, ..geometry };
    assert!(SharedRing::create(huge, 0).unwrap_err().to_string().contains("free space in /dev/shm"));
}
