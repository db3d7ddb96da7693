//! The ways from a producer to the aggregator: one trait, one file per variant, one list.

mod fifo;
mod link;
mod mqueue;
mod pipe;
mod ring;
mod seqpacket;
mod shm;
mod shm_futex;
mod tcp;
mod udp;
mod unix;
mod unixgram;
mod unixsock;

use std::io;

use pulse_trace_workloads::contract::Refusal;

pub use link::{
    Bound, Channel, FdOutlet, Framing, Inlet, LOOK, Outlet, ReceiveCall, SendCall, accept, guard,
};
pub use ring::{Got, RingInlet, RingOutlet};

/// Every variant, in the order of the documentation.
pub const ALL: [&dyn Transport; 10] = [
    &unixsock::UnixSock,
    &tcp::Tcp,
    &unixgram::UnixGram,
    &udp::Udp,
    &fifo::Fifo,
    &pipe::Pipe,
    &seqpacket::SeqPacket,
    &mqueue::MQueue,
    &shm::Shm,
    &shm_futex::ShmFutex,
];

/// Largest message a datagram or packet variant carries.
const LARGEST_PACKET: usize = 65_000;
/// Largest message a stream carries; more would only test the memory.
const LARGEST_STREAM: usize = 1 << 20;

/// One way from producers to the aggregator.
pub trait Transport: Send + Sync {
    /// Name of the variant on the command line.
    fn name(&self) -> &'static str;
    /// Largest write that is sure to arrive in one piece with so many producers; more is refused, not torn.
    fn largest_write(&self, producers: u64) -> usize;
    /// True when the kernel may throw a message away although the send succeeded.
    fn lossy(&self) -> bool {
        false
    }
    /// Address used when the user gives none.
    fn usual_address(&self, role: Role) -> String;
    /// A place no other run uses.
    fn private_address(&self) -> String;
    /// Opens the aggregator's side.
    fn bind(&self, at: &str, tuning: &Tuning) -> Result<Bound, Refusal>;
    /// Opens a producer's side; an error that the aggregator's start can cure is tried again by the caller.
    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet>;
    /// Messages the kernel says it threw away at the aggregator's door, where it counts them.
    fn kernel_drops(&self, _address: &str) -> Option<u64> {
        None
    }
}

/// The side that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A process that sends.
    Producer,
    /// The process that receives.
    Aggregator,
}

/// Settings of a link.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// `TCP_NODELAY` on TCP sockets.
    pub nodelay: bool,
    /// Receive buffer of sockets, size of pipes, FIFOs and rings.
    pub buffer: Option<usize>,
    /// Number of the producer; of no meaning to the aggregator.
    pub id: u32,
    /// Calls return instead of waiting; who waits is then the runtime.
    pub nonblocking: bool,
}

/// The variant of that name.
pub fn find(name: &str) -> Result<&'static dyn Transport, String> {
    ALL.into_iter().find(|transport| transport.name() == name).ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|transport| transport.name()).collect();
        format!("no such variant; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for transport in ALL {
            assert_eq!(find(transport.name()).unwrap().name(), transport.name());
            assert_eq!(ALL.iter().filter(|other| other.name() == transport.name()).count(), 1);
        }
        assert!(find("pigeon").err().unwrap().contains("unixsock, tcp"));
    }
}
