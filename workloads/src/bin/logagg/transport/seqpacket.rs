//! `seqpacket`: a Unix-domain connection per producer that keeps message boundaries, reliably and in order.

use std::io;

use pulse_trace_workloads::contract::Refusal;
use rustix::net::SocketType;

use super::unix::{connect_to, listen_at, private_path, usual_path};
use super::{Bound, LARGEST_PACKET, Outlet, Role, Transport, Tuning};

/// A Unix-domain socket that keeps message boundaries.
pub struct SeqPacket;

impl Transport for SeqPacket {
    fn name(&self) -> &'static str {
        "seqpacket"
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
        listen_at(at, SocketType::SEQPACKET, tuning)
    }

    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet> {
        connect_to(at, SocketType::SEQPACKET, tuning)
    }
}
