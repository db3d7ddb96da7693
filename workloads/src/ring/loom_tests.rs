//! Every interleaving of small cases, explored by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p pulse-trace-workloads --lib --release loom_`

use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::thread;

use super::area::{Area, Backing};
use super::{Consumer, Geometry, Kind, Popped, Producer, Stall};
use crate::atomic::{Acquire, AtomicU64, Release};

fn ends(kind: Kind, slots: u64, producers: u32) -> (Vec<Producer>, Consumer) {
    let layout = Geometry { kind, slots, payload: 8, producers, batch: 1 }.layout().unwrap();
    let words = (0..layout.words).map(|_| AtomicU64::new(0)).collect();
    let area = std::sync::Arc::new(Area { backing: Backing(words), layout });
    area.format();
    let end = |id| Producer { area: std::sync::Arc::clone(&area), id, head_seen: 0 };
    ((0..producers).map(end).collect(), Consumer::new(std::sync::Arc::clone(&area)))
}

/// No wait loops inside: loom follows every branch, and a loop has too many. Who finds the ring full or empty counts it
/// and goes on; what is left is received after the others have ended.
fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);

    builder.check(body);
}

/// Two producers race for the slots while the consumer frees them. The ring starts one message before its second lap
/// ends, so slots are used again and it is full in some interleavings.
fn exactly_once(kind: Kind, slots: u64) {
    model(move || {
        let (mut producers, mut consumer) = ends(kind, slots, 2);
        let (mut got, mut out) = (Vec::new(), Vec::new());
        for _ in 0..slots - 1 {
            producers[0].try_push(&[0]).unwrap();
            assert_eq!(consumer.try_pop(&mut out), Popped::Message(0));
        }
        let (mut second, mut first) = (producers.pop().unwrap(), producers.pop().unwrap());
        let one =
            thread::spawn(move || [1, 2].into_iter().filter(|n| first.try_push(&[*n]).is_ok()).collect());
        let two = thread::spawn(move || [3].into_iter().filter(|n| second.try_push(&[*n]).is_ok()).collect());
        for _ in 0..2 {
            if let Popped::Message(producer) = consumer.try_pop(&mut out) {
                got.push((producer, out[0]));
            }
        }
        let sent: [Vec<u8>; 2] = [one.join().unwrap(), two.join().unwrap()];
        while let Popped::Message(producer) = consumer.try_pop(&mut out) {
            got.push((producer, out[0]));
        }
        let of = |id| got.iter().filter(|(from, _)| *from == id).map(|(_, byte)| *byte).collect::<Vec<_>>();
        assert_eq!([of(0), of(1)], sent);
        assert!(!sent[0].is_empty() || !sent[1].is_empty());
    });
}

#[test]
fn loom_cas_delivers_exactly_once_in_order() {
    exactly_once(Kind::Cas, 2);
}

#[test]
fn loom_fetch_add_delivers_exactly_once_in_order() {
    exactly_once(Kind::FetchAdd, 4);
}

/// One producer dies between reserving and publishing while another pushes: its slot is given up, and only that.
fn gives_up_only_the_dead(kind: Kind, slots: u64) {
    model(move || {
        let (mut producers, mut consumer) = ends(kind, slots, 2);
        let (mut living, mut dying) = (producers.pop().unwrap(), producers.pop().unwrap());
        let dead = Arc::new(AtomicBool::new(false));
        let died = Arc::clone(&dead);
        let one = thread::spawn(move || {
            dying.abandon().unwrap();
            died.store(true, Release);
        });
        let two = thread::spawn(move || living.try_push(&[7]).unwrap());
        let (mut got, mut given_up, mut out) = (0, 0, Vec::new());
        let mut look = |consumer: &mut Consumer| match consumer.try_pop(&mut out) {
            Popped::Message(producer) => {
                assert_eq!((producer, out[0]), (1, 7));
                got += 1;
            }
            Popped::Pending => match consumer.look_at_stall(|id| id != 0 || !dead.load(Acquire)) {
                Stall::GivenUp { suspects } => {
                    assert_eq!(suspects, [0]);
                    given_up += 1;
                }
                Stall::Waiting(_) | Stall::None => {}
            },
            _ => {}
        };
        for _ in 0..3 {
            look(&mut consumer);
        }
        one.join().unwrap();
        two.join().unwrap();
        for _ in 0..3 {
            look(&mut consumer);
        }
        assert_eq!((got, given_up), (1, 1));
    });
}

#[test]
fn loom_cas_gives_up_only_the_dead() {
    gives_up_only_the_dead(Kind::Cas, 2);
}

#[test]
fn loom_fetch_add_gives_up_only_the_dead() {
    gives_up_only_the_dead(Kind::FetchAdd, 4);
}
