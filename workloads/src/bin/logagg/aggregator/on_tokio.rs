//! The aggregator on tokio: a task per connection, all waiting in epoll.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use pulse_trace_workloads::sys::epoll::{watch, watch_borrowed};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking, yield_now};
use tokio::time::{sleep, timeout};

use super::super::runtime;
use super::super::transport::{Bound, Channel, Framing, Inlet, ReceiveCall, RingInlet, Tuning, accept};
use super::desk::{Desk, Reception};
use super::ring;
use super::{Control, GRACE, TICK};

/// A channel, watched for messages.
struct Ear {
    fd: AsyncFd<OwnedFd>,
    receive: ReceiveCall,
    framing: Framing,
}

impl Ear {
    fn new(channel: Channel) -> io::Result<Self> {
        let Channel { fd, receive, framing } = channel;
        Ok(Self { fd: watch(fd, Interest::READABLE)?, receive, framing })
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fd.async_io(Interest::READABLE, |fd| (self.receive)(fd.as_fd(), buffer)).await
    }
}

/// Becomes true when nothing more will be sent.
type Finish = watch::Receiver<bool>;

/// Receives until the control says stop and everything is in; `drops` is asked while the socket is still there.
pub fn serve(
    desk: &Arc<Desk>,
    bound: Bound,
    tuning: Tuning,
    control: &Control,
    workers: Option<u16>,
    drops: impl Fn() -> Option<u64>,
) -> Result<Option<u64>> {
    let runtime = runtime::start(workers)?;
    let drops = runtime.block_on(async {
        let (say, finish) = watch::channel(false);
        let mut receiver = match bound.inlet {
            Inlet::Listener(listener) => {
                let listener = watch(listener, Interest::READABLE)?;
                desk.listening();
                tokio::spawn(accept_all(Arc::clone(desk), listener, tuning, finish))
            }
            Inlet::Channel(channel) => {
                let channel = Ear::new(channel)?;
                desk.ready();
                tokio::spawn(receive_all(Arc::clone(desk), channel, finish))
            }
            Inlet::Ring(ring) => {
                desk.ready();
                receive_ring(Arc::clone(desk), ring)
            }
        };
        wait(desk, control, &mut receiver).await?;
        let drops = drops();
        desk.finish();
        // The last writer of a FIFO: from here on it can end.
        drop(bound.keeper);
        // Refused only when every receiver has ended already.
        let _ = say.send(true);
        if !receiver.is_finished() {
            // Late receivers are left behind; what they have entered counts.
            let _ = timeout(control.limit(), receiver).await;
        }
        io::Result::Ok(drops)
    })?;
    runtime.shutdown_background();
    Ok(drops)
}

/// Until the stop descriptor closes, a stop signal comes, the link ends by itself, or all expected have done.
async fn wait(desk: &Desk, control: &Control, receiver: &mut JoinHandle<()>) -> io::Result<()> {
    let bell = runtime::bell()?;
    let stop = match &control.stop {
        Some(stop) => Some(watch_borrowed(stop.as_fd(), Interest::READABLE)?),
        None => None,
    };
    tokio::select! {
        _ = receiver => {}
        // The process at the other end decides; a stop signal came to the producers too and is waited out.
        () = closed(stop.as_ref()) => {}
        _ = bell.readable(), if stop.is_none() => {}
        () = satisfied(desk, control), if stop.is_none() && control.expecting => {}
    }
    Ok(())
}

async fn closed(stop: Option<&AsyncFd<BorrowedFd<'_>>>) {
    match stop {
        // An error of the wait is taken as the end, like the closing itself.
        Some(stop) => drop(stop.readable().await),
        None => pending().await,
    }
}

async fn satisfied(desk: &Desk, control: &Control) {
    while !desk.satisfied(control.quiet) {
        sleep(TICK).await;
    }
}

async fn accept_all(desk: Arc<Desk>, listener: AsyncFd<OwnedFd>, tuning: Tuning, mut finish: Finish) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.async_io(Interest::READABLE, |fd| accept(fd.as_fd(), &tuning)) => accepted,
            // What has connected by now may have sent, too.
            _ = finish.changed() => match accept(listener.as_fd(), &tuning) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                accepted => {
                    finish.mark_changed();
                    accepted
                }
            },
        };
        match accepted.and_then(Ear::new) {
            Ok(ear) => {
                desk.connected();
                let (ours, finish) = (Arc::clone(&desk), finish.clone());
                connections.spawn(async move {
                    receive_all(Arc::clone(&ours), ear, finish).await;
                    ours.closed();
                });
            }
            Err(error) => {
                desk.note(&error.to_string());
                break;
            }
        }
    }
    connections.join_all().await;
}

/// One that sleeps on a futex gets a thread of its own, as any blocking interface does; one that polls is a task.
fn receive_ring(desk: Arc<Desk>, mut ring: RingInlet) -> JoinHandle<()> {
    if ring.sleeps() {
        return spawn_blocking(move || ring::receive_all(&desk, ring));
    }
    tokio::spawn(async move {
        let mut reception = ring::reception();
        let mut turns = 0;
        while let Some(idle) = ring::receive(&desk, &mut ring, &mut reception) {
            if !idle {
                turns = 0;
                consume_budget().await;
            } else if turns < ring::TURNS {
                turns += 1;
                yield_now().await;
            } else {
                // A timer of tokio is no finer than this.
                sleep(Duration::from_millis(1)).await;
            }
        }
    })
}

async fn receive_all(desk: Arc<Desk>, ear: Ear, mut finish: Finish) {
    let mut reception = Reception::new(ear.framing);
    let mut finishing = *finish.borrow_and_update();
    loop {
        let receive = ear.receive(&mut reception.buffer);
        let got = if finishing {
            // Silence now means that everything is in.
            let Ok(got) = timeout(GRACE, receive).await else { break };
            got
        } else {
            tokio::select! {
                got = receive => got,
                _ = finish.changed() => {
                    finishing = true;
                    continue;
                }
            }
        };
        if !desk.take(&mut reception, got) {
            break;
        }
    }
    desk.end(&mut reception);
}
