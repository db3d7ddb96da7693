//! The producer as a task on tokio: timers and room are waited for in epoll, idle workers in futexes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::Result;
use pulse_trace_workloads::contract::{now_ns, stopping};
use pulse_trace_workloads::sys::epoll::watch;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop::consume_budget;
use tokio::time::{sleep, timeout};

use super::super::runtime;
use super::super::transport::{LOOK, Outlet, SendCall};
use super::delivery::{Step, is_gone};
use super::{Producer, RETRY, missing};

/// An open outlet, watched for room.
struct Link {
    fd: AsyncFd<OwnedFd>,
    send: SendCall,
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
    if !producer.handshake.ready_then_go()? {
        return Ok(producer);
    }
    let outcome = send_all(&mut producer, &mut link, &bell).await;
    producer.sent.error = outcome.err().map(|error| error.to_string());
    producer.conclude(link.fd.as_fd());
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
    loop {
        match producer.attempt(link.fd.as_fd(), link.send) {
            Step::Done => return Ok(true),
            Step::Dropped | Step::Stopped => return Ok(false),
            Step::Again => {}
            Step::Full => {
                if let Some(step) = once_there_is_room(producer, link).await? {
                    return Ok(step);
                }
            }
            Step::Reconnect => {
                producer.keep_whole_lines();
                *link = connect(producer).await?;
            }
            Step::Failed(error) => return Err(error),
        }
    }
}

/// Waits until epoll reports room and tries again; an answer ends the delivery.
async fn once_there_is_room(producer: &mut Producer, link: &mut Link) -> io::Result<Option<bool>> {
    let Ok(guard) = timeout(LOOK, link.fd.writable()).await else { return Ok(None) };
    let mut guard = guard?;
    match producer.attempt(guard.get_inner().as_fd(), link.send) {
        Step::Done => Ok(Some(true)),
        Step::Dropped | Step::Stopped => Ok(Some(false)),
        Step::Full => {
            // Still full: only now may the readiness be forgotten, or a wake-up would be.
            guard.clear_ready();
            Ok(None)
        }
        Step::Again => Ok(None),
        Step::Failed(error) => Err(error),
        Step::Reconnect => {
            drop(guard);
            producer.keep_whole_lines();
            *link = connect(producer).await?;
            Ok(None)
        }
    }
}

async fn connect(producer: &Producer) -> io::Result<Link> {
    let begun = Instant::now();
    loop {
        match producer.connect() {
            Err(error) if is_gone(&error) && begun.elapsed() < producer.link.patience && !stopping() => {
                sleep(RETRY).await;
            }
            outcome => {
                let Outlet { fd, send } = outcome?;
                return Ok(Link { fd: watch(fd, Interest::WRITABLE)?, send });
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
