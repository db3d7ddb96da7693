//! The producer as one plain thread: every call waits in the kernel.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::Result;
use pulse_trace_workloads::contract::{now_ns, stopping};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{ClockId, clock_nanosleep_absolute};

use super::super::transport::{LOOK, Outlet};
use super::delivery::{Step, is_gone};
use super::{Producer, RETRY, missing};

/// Connects, waits for the go, sends everything.
pub fn run(mut producer: Producer) -> Result<Producer> {
    let mut outlet =
        connect(&producer).map_err(|error| missing(&producer.address, &error, &producer.link))?;
    if !producer.wait_for_go()? {
        return Ok(producer);
    }
    let outcome = send_all(&mut producer, &mut outlet);
    producer.sent.error = outcome.err().map(|error| error.to_string());
    producer.conclude(descriptor(&outlet));
    Ok(producer)
}

fn send_all(producer: &mut Producer, outlet: &mut Outlet) -> io::Result<()> {
    for seq in 0..producer.warmups {
        producer.buffer.clear();
        producer.composer.warmup(&mut producer.buffer, seq, now_ns());
        if !deliver(producer, outlet)? {
            return Ok(());
        }
        producer.sent.warmups += 1;
    }
    let begun = now_ns();
    let outcome = send_counted(producer, outlet);
    producer.sent.elapsed_ns = now_ns() - begun;
    if outcome.is_err() {
        producer.book_part();
    }
    outcome
}

fn send_counted(producer: &mut Producer, outlet: &mut Outlet) -> io::Result<()> {
    let mut pace = producer.pace();
    let mut batched = 0;
    producer.buffer.clear();
    for seq in 0..producer.planned {
        let due = pace.due_ns(seq);
        sleep_until(due);
        if stopping() {
            break;
        }
        producer.compose(seq, due);
        batched += 1;
        if producer.is_ready(seq) {
            let begun = now_ns();
            match deliver(producer, outlet)? {
                true => producer.book(batched, begun),
                false if stopping() => break,
                false => producer.sent.dropped += batched,
            }
            producer.buffer.clear();
            batched = 0;
        }
    }
    Ok(())
}

/// Sends the buffer; false when it was dropped or a stop was asked for.
fn deliver(producer: &mut Producer, outlet: &mut Outlet) -> io::Result<bool> {
    producer.delivery.begin();
    loop {
        match producer.attempt(|bytes| send(outlet, bytes)) {
            Step::Done => return Ok(true),
            Step::Dropped | Step::Stopped => return Ok(false),
            Step::Again => {}
            Step::Full => wait_for_room(outlet),
            Step::Reconnect => {
                producer.keep_whole_lines();
                *outlet = connect(producer)?;
            }
            Step::Failed(error) => return Err(error),
        }
    }
}

fn send(outlet: &mut Outlet, bytes: &[u8]) -> io::Result<usize> {
    match outlet {
        Outlet::Fd(outlet) => (outlet.send)(outlet.fd.as_fd(), bytes),
        Outlet::Ring(ring) => ring.send(bytes),
    }
}

fn descriptor(outlet: &Outlet) -> Option<BorrowedFd<'_>> {
    match outlet {
        Outlet::Fd(outlet) => Some(outlet.fd.as_fd()),
        Outlet::Ring(_) => None,
    }
}

/// Only a link that does not block by itself needs it; a blocking one has room again, or has waited already.
fn wait_for_room(outlet: &mut Outlet) {
    let outlet = match outlet {
        Outlet::Fd(outlet) => outlet,
        Outlet::Ring(ring) => return ring.wait(LOOK),
    };
    let look = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
    // Woken early or not, the next attempt tells.
    let _ = poll(&mut [PollFd::new(&outlet.fd, PollFlags::OUT)], Some(&look));
}

fn connect(producer: &Producer) -> io::Result<Outlet> {
    let begun = Instant::now();
    loop {
        match producer.connect() {
            Err(error) if is_gone(&error) && begun.elapsed() < producer.link.patience && !stopping() => {
                std::thread::sleep(RETRY.min(producer.link.patience));
            }
            outcome => return outcome,
        }
    }
}

fn sleep_until(due_ns: Option<u64>) {
    let Some(due) = due_ns else { return };
    while now_ns() < due && !stopping() {
        let due = Duration::from_nanos(due);
        let at = Timespec { tv_sec: due.as_secs() as i64, tv_nsec: i64::from(due.subsec_nanos()) };
        // Interrupted by a stop: the loop looks.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &at);
    }
}
