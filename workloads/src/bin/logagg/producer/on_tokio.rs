//! The producer as a task on tokio: timers and room are waited for in epoll, idle workers in futexes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::Result;
use pulse_trace_workloads::contract::{now_ns, stopping};
use pulse_trace_workloads::sys::epoll::watch;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::block_in_place;
use tokio::task::coop::consume_budget;
use tokio::time::{sleep, timeout};

use super::super::runtime;
use super::super::transport::{FdOutlet, LOOK, Outlet, RingOutlet, SendCall};
use super::delivery::{Step, is_gone};
use super::{Producer, RETRY, missing};

/// An open outlet; a descriptor is watched for room.
enum Link {
    Fd(AsyncFd<OwnedFd>, SendCall),
    Ring(RingOutlet),
}

impl Link {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Fd(fd, send) => send(fd.as_fd(), bytes),
            Self::Ring(ring) => ring.send(bytes),
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Fd(fd, _) => Some(fd.as_fd()),
            Self::Ring(_) => None,
        }
    }
}

/// Connects, waits for the go, sends everything.
pub fn run(producer: Producer) -> Result<Producer> {
    let runtime = runtime::start(producer.link.workers)?;
    // Spawned, so that it runs on the workers as in a service, not on the main thread.
    runtime.block_on(async { tokio::spawn(connect_and_send(producer)).await })?
}

async fn connect_and_send(mut producer: Producer) -> Result<Producer> {
    let bell = runtime::bell()?;
    let mut link =
        connect(&producer).await.map_err(|error| missing(&producer.address, &error, &producer.link))?;
    if !producer.wait_for_go()? {
        return Ok(producer);
    }
    let outcome = send_all(&mut producer, &mut link, &bell).await;
    producer.sent.error = outcome.err().map(|error| error.to_string());
    producer.conclude(link.descriptor());
    Ok(producer)
}

async fn send_all(
    producer: &mut Producer,
    link: &mut Link,
    bell: &AsyncFd<BorrowedFd<'_>>,
) -> io::Result<()> {
    for seq in 0..producer.warmups {
        producer.buffer.clear();
        producer.composer.warmup(&mut producer.buffer, seq, now_ns());
        if !deliver(producer, link).await? {
            return Ok(());
        }
        producer.sent.warmups += 1;
    }
    let begun = now_ns();
    let outcome = send_counted(producer, link, bell).await;
    producer.sent.elapsed_ns = now_ns() - begun;
    if outcome.is_err() {
        producer.book_part();
    }
    outcome
}

async fn send_counted(
    producer: &mut Producer,
    link: &mut Link,
    bell: &AsyncFd<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut pace = producer.pace();
    let mut batched = 0;
    producer.buffer.clear();
    for seq in 0..producer.planned {
        let due = pace.due_ns(seq);
        sleep_until(due, bell).await;
        if stopping() {
            break;
        }
        producer.compose(seq, due);
        batched += 1;
        if producer.is_ready(seq) {
            let begun = now_ns();
            match deliver(producer, link).await? {
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
async fn deliver(producer: &mut Producer, link: &mut Link) -> io::Result<bool> {
    // A task that never has to wait still gives way to others, as tokio's own streams do.
    consume_budget().await;
    producer.delivery.begin();
    let mut step = Step::Again;
    loop {
        step = match step {
            Step::Done => return Ok(true),
            Step::Dropped | Step::Stopped => return Ok(false),
            Step::Again => producer.attempt(|bytes| link.send(bytes)),
            Step::Full => once_there_is_room(producer, link).await?,
            Step::Reconnect => {
                producer.keep_whole_lines();
                *link = connect(producer).await?;
                Step::Again
            }
            Step::Failed(error) => return Err(error),
        }
    }
}

/// Waits for room and tries again.
async fn once_there_is_room(producer: &mut Producer, link: &mut Link) -> io::Result<Step> {
    match link {
        Link::Fd(fd, send) => {
            let Ok(guard) = timeout(LOOK, fd.writable()).await else { return Ok(Step::Again) };
            let mut guard = guard?;
            let step = producer.attempt(|bytes| send(guard.get_inner().as_fd(), bytes));
            if matches!(step, Step::Full) {
                // Still full: only now may the readiness be forgotten, or a wake-up would be.
                guard.clear_ready();
            }
            return Ok(step);
        }
        // Woken by the aggregator; meanwhile this worker's other tasks move elsewhere.
        Link::Ring(ring) if ring.sleeps() => block_in_place(|| ring.wait(LOOK)),
        // No process wakes us; a timer of tokio is no finer than this.
        Link::Ring(_) => sleep(Duration::from_millis(1)).await,
    }
    Ok(Step::Again)
}

async fn connect(producer: &Producer) -> io::Result<Link> {
    let begun = Instant::now();
    loop {
        match producer.connect() {
            Err(error) if is_gone(&error) && begun.elapsed() < producer.link.patience && !stopping() => {
                sleep(RETRY).await;
            }
            outcome => {
                return Ok(match outcome? {
                    Outlet::Fd(FdOutlet { fd, send }) => Link::Fd(watch(fd, Interest::WRITABLE)?, send),
                    Outlet::Ring(ring) => Link::Ring(ring),
                });
            }
        }
    }
}

async fn sleep_until(due_ns: Option<u64>, bell: &AsyncFd<BorrowedFd<'_>>) {
    let Some(due) = due_ns else { return };
    let wait = Duration::from_nanos(due.saturating_sub(now_ns()));
    if wait.is_zero() {
        return;
    }
    tokio::select! {
        () = sleep(wait) => {}
        _ = bell.readable() => {}
    }
}
