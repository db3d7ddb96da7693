//! The ends of a link. Every variant of a kernel object is a descriptor, so one pair of runtimes serves them all.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use pulse_trace_workloads::clean::Removal;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{SocketFlags, accept_with};

use super::Tuning;
use super::ring::{RingInlet, RingOutlet};

/// A blocking call returns at least this often, so that its thread can see that the run is over.
pub const LOOK: Duration = Duration::from_millis(250);

/// System call by which a variant sends.
pub type SendCall = fn(BorrowedFd, &[u8]) -> io::Result<usize>;
/// System call by which a variant receives.
pub type ReceiveCall = fn(BorrowedFd, &mut [u8]) -> io::Result<usize>;

/// A producer's end.
#[derive(Debug)]
pub enum Outlet {
    /// A kernel object.
    Fd(FdOutlet),
    /// A ring in shared memory.
    Ring(RingOutlet),
}

/// A producer's end that is a descriptor.
#[derive(Debug)]
pub struct FdOutlet {
    /// Descriptor to wait on when the link is full.
    pub fd: OwnedFd,
    /// Sends a piece of the bytes (a message variant: all or nothing). `WouldBlock` means full.
    pub send: SendCall,
}

impl Outlet {
    /// An end that is written to with `write(2)`.
    pub fn writing(fd: OwnedFd) -> Self {
        Self::Fd(FdOutlet { fd, send: write })
    }
}

/// The aggregator's end.
#[derive(Debug)]
pub enum Inlet {
    /// Connections are accepted, each a stream of its own.
    Listener(OwnedFd),
    /// All producers write into one.
    Channel(Channel),
    /// A ring in shared memory.
    Ring(RingInlet),
}

/// One descriptor to receive from.
#[derive(Debug)]
pub struct Channel {
    /// Descriptor to wait on when the link is empty.
    pub fd: OwnedFd,
    /// Receives; `WouldBlock` means nothing there (or, when blocking, nothing for [`LOOK`]).
    pub receive: ReceiveCall,
    /// Relation of bytes to lines.
    pub framing: Framing,
}

/// Relation of received bytes to lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A line may come in pieces; no bytes means the end.
    Stream,
    /// Every receive holds whole lines; there is no end.
    Messages,
}

/// The aggregator's end with all that belongs to it.
#[derive(Debug)]
pub struct Bound {
    /// Address to pass to the producers.
    pub address: String,
    /// End to receive from.
    pub inlet: Inlet,
    /// The name to remove at the end.
    pub name: Option<Removal>,
    /// A writer of our own that keeps a FIFO from ending while producers come and go.
    pub keeper: Option<OwnedFd>,
}

/// Guards what the private address of a variant names; addresses without a name need no guard.
pub fn guard(address: &str, variant: &str) -> Option<Removal> {
    match (variant, address.starts_with('/')) {
        ("mqueue", _) => Some(Removal::of_queue(address)),
        (_, true) => Some(Removal::of(address)),
        (_, false) => None,
    }
}

/// Accepts one connection; its framing is that of a stream, also for packets, whose end is a receive of nothing.
pub fn accept(listener: BorrowedFd, tuning: &Tuning) -> io::Result<Channel> {
    let flags = if tuning.nonblocking { SocketFlags::NONBLOCK } else { SocketFlags::empty() };
    let fd = accept_with(listener, flags | SocketFlags::CLOEXEC)?;
    look_up_from_time_to_time(&fd, tuning)?;
    Ok(Channel { fd, receive: read, framing: Framing::Stream })
}

/// Gives a blocking socket a receive time-out of [`LOOK`]; it holds for `accept` too.
pub fn look_up_from_time_to_time(socket: &OwnedFd, tuning: &Tuning) -> io::Result<()> {
    if !tuning.nonblocking {
        set_socket_timeout(socket, Timeout::Recv, Some(LOOK))?;
    }
    Ok(())
}

/// Sends with `write(2)`.
pub fn write(fd: BorrowedFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(fd, bytes)?)
}

/// Receives with `read(2)`.
pub fn read(fd: BorrowedFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(fd, buffer)?)
}

/// `recv(2)`, for datagrams.
pub fn receive(fd: BorrowedFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(fd, buffer, rustix::net::RecvFlags::empty())?.0)
}

/// Switches `O_NONBLOCK` on or off.
pub fn set_nonblocking(fd: BorrowedFd, on: bool) -> io::Result<()> {
    let mut flags = rustix::fs::fcntl_getfl(fd)?;
    flags.set(rustix::fs::OFlags::NONBLOCK, on);
    Ok(rustix::fs::fcntl_setfl(fd, flags)?)
}
