//! The aggregator on plain threads: one per connection, each waiting in its own read.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use pulse_trace_workloads::sys::signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;

use super::super::transport::{Bound, Channel, Inlet, Tuning, accept};
use super::desk::{Desk, Reception};
use super::ring;
use super::{Control, TICK};

/// Receives until the control says stop and everything is in; `drops` is asked while the socket is still there.
pub fn serve(
    desk: &Arc<Desk>,
    bound: Bound,
    tuning: Tuning,
    control: &Control,
    drops: impl Fn() -> Option<u64>,
) -> io::Result<Option<u64>> {
    let ours = Arc::clone(desk);
    let receive: Box<dyn FnOnce() + Send> = match bound.inlet {
        Inlet::Listener(listener) => {
            desk.listening();
            Box::new(move || accept_all(&ours, &listener, tuning))
        }
        Inlet::Channel(channel) => {
            desk.ready();
            Box::new(move || receive_all(&ours, &channel))
        }
        Inlet::Ring(ring) => {
            desk.ready();
            Box::new(move || ring::receive_all(&ours, ring))
        }
    };
    let ours = Arc::clone(desk);
    let receiver = thread::spawn(move || {
        receive();
        ours.receiver_ended();
    });
    wait(desk, control)?;
    let drops = drops();
    desk.finish();
    // The last writer of a FIFO: from here on it can end.
    drop(bound.keeper);
    let begun = Instant::now();
    while !receiver.is_finished() && begun.elapsed() < control.limit() {
        thread::sleep(TICK / 10);
    }
    Ok(drops)
}

/// Until the stop descriptor closes, a stop signal comes, the link ends by itself, or all expected have done.
fn wait(desk: &Desk, control: &Control) -> io::Result<()> {
    let bell = signal::bell().ok_or_else(|| io::Error::other("the stop signals are not installed"))?;
    let ended = desk.end_of_receiver();
    let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
    loop {
        let outcome = match &control.stop {
            // The process at the other end decides; a stop signal came to the producers too and is waited out.
            Some(stop) => poll(&mut [PollFd::new(stop, PollFlags::IN)], None),
            None => {
                let mut polled = [PollFd::new(&bell, PollFlags::IN), PollFd::new(&ended, PollFlags::IN)];
                poll(&mut polled, control.expecting.then_some(&tick))
            }
        };
        match outcome {
            Ok(0) if !desk.satisfied(control.quiet) => {}
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn accept_all(desk: &Arc<Desk>, listener: &OwnedFd, tuning: Tuning) {
    let mut threads = Vec::new();
    loop {
        match accept(listener.as_fd(), &tuning) {
            Ok(channel) => {
                desk.connected();
                let ours = Arc::clone(desk);
                threads.push(thread::spawn(move || {
                    receive_all(&ours, &channel);
                    ours.closed();
                }));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && !desk.finishing() => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                if error.kind() != ErrorKind::WouldBlock {
                    desk.note(&error.to_string());
                }
                break;
            }
        }
    }
    for thread in threads {
        // A receiver that panicked has said so on standard error, and its messages are missed in the sums.
        let _ = thread.join();
    }
}

fn receive_all(desk: &Desk, channel: &Channel) {
    let mut reception = Reception::new(channel.framing);
    loop {
        reception.begin();
        let got = (channel.receive)(channel.fd.as_fd(), &mut reception.buffer);
        match got {
            // Silent for the whole time-out, and nothing more will be sent.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if desk.finishing() {
                    break;
                }
            }
            got => {
                if !desk.take(&mut reception, got) {
                    break;
                }
            }
        }
    }
    desk.end(&mut reception);
}
