//! `mqueue`: one POSIX message queue. Ten messages fit unless the system allows more; a full queue makes the sender
//! wait.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;

use pulse_trace_workloads::clean::{Removal, unique_name};
use pulse_trace_workloads::contract::{Refusal, cannot};
use pulse_trace_workloads::sys::mqueue::{self, Capacity};
use rustix::fs::{FlockOperation, flock};

use super::link::{Bound, Channel, FdOutlet, Framing, Inlet, LOOK, Outlet};
use super::{LARGEST_PACKET, Role, Transport, Tuning};

/// A POSIX message queue.
pub struct MQueue;

impl Transport for MQueue {
    fn name(&self) -> &'static str {
        "mqueue"
    }

    fn largest_write(&self, _producers: u64) -> usize {
        limit("msgsize_max", 8192).min(LARGEST_PACKET)
    }

    fn usual_address(&self, _role: Role) -> String {
        "/pulse-trace-logagg".to_owned()
    }

    fn private_address(&self) -> String {
        format!("/{}", unique_name("logagg"))
    }

    fn bind(&self, at: &str, tuning: &Tuning) -> Result<Bound, Refusal> {
        let refused = |error: io::Error| {
            let remedy =
                "choose another /NAME with --at, or raise /proc/sys/fs/mqueue/queues_max and `ulimit -q`";
            cannot(format_args!("open the message queue {at}"), error, remedy)
        };
        if tuning.buffer.is_some() {
            let cause = "its size is set by /proc/sys/fs/mqueue/msg_max";
            return Err(cannot("size a message queue", cause, "leave --buffer out"));
        }
        let capacity = Capacity { messages: limit("msg_max", 10), size: self.largest_write(1) };
        let fd = mqueue::open(at, Some(capacity), tuning.nonblocking).map_err(refused)?;
        // One that a killed run left has no lock on it and is used again.
        flock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let remedy = "stop that aggregator, or choose another /NAME with --at";
            cannot(format_args!("open the message queue {at}"), "another aggregator reads it", remedy)
        })?;
        let name = Some(Removal::of_queue(at));
        let inlet = Inlet::Channel(Channel { fd, receive, framing: Framing::Messages });
        Ok(Bound { address: at.to_owned(), inlet, name, keeper: None })
    }

    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet> {
        Ok(Outlet::Fd(FdOutlet { fd: mqueue::open(at, None, tuning.nonblocking)?, send }))
    }
}

/// Limit of this system for an unprivileged queue.
fn limit(name: &str, usual: usize) -> usize {
    let text = fs::read_to_string(format!("/proc/sys/fs/mqueue/{name}")).unwrap_or_default();
    text.trim().parse().unwrap_or(usual)
}

fn send(queue: BorrowedFd, bytes: &[u8]) -> io::Result<usize> {
    mqueue::send(queue, bytes, LOOK).map(|()| bytes.len()).map_err(late_is_would_block)
}

fn receive(queue: BorrowedFd, buffer: &mut [u8]) -> io::Result<usize> {
    mqueue::receive(queue, buffer, LOOK).map_err(late_is_would_block)
}

/// A blocking queue that was full, or empty, for the whole wait says the same as a non-blocking one.
fn late_is_would_block(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::TimedOut { io::ErrorKind::WouldBlock.into() } else { error }
}
