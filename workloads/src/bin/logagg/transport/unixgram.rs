//! `unixgram`: Unix-domain datagrams into one socket. On Linux they are neither lost nor reordered: a full queue makes
//! the sender wait.

use std::io;

use pulse_trace_workloads::contract::Refusal;
use rustix::net::SocketType;

use super::link::{Channel, receive};
use super::unix::{bind_at, connect_to, private_path, usual_path};
use super::{Bound, Framing, Inlet, LARGEST_PACKET, Outlet, Role, Transport, Tuning};

/// Receive buffer unless the user says otherwise: room for thousands of messages.
const BUFFER: usize = 1 << 20;

/// Datagrams to one Unix-domain socket.
pub struct UnixGram;

impl Transport for UnixGram {
    fn name(&self) -> &'static str {
        "unixgram"
    }

    fn largest_write(&self, _producers: u64) -> usize {
        LARGEST_PACKET
    }

    fn usual_address(&self, _role: Role) -> String {
        usual_path(self.name())
    }

    fn private_address(&self) -> String {
        private_path()
    }

    fn bind(&self, at: &str, tuning: &Tuning) -> Result<Bound, Refusal> {
        let tuning = Tuning { buffer: tuning.buffer.or(Some(BUFFER)), ..*tuning };
        let (fd, name) = bind_at(at, SocketType::DGRAM, &tuning)?;
        let inlet = Inlet::Channel(Channel { fd, receive, framing: Framing::Messages });
        Ok(Bound { address: at.to_owned(), inlet, name: Some(name), keeper: None })
    }

    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet> {
        connect_to(at, SocketType::DGRAM, tuning)
    }
}
