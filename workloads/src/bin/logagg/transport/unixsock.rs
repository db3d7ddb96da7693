//! `unixsock`: a Unix-domain stream per producer. Reliable, ordered, and nothing but a copy through the kernel.

use std::io;

use pulse_trace_workloads::contract::Refusal;
use rustix::net::SocketType;

use super::unix::{connect_to, listen_at, private_path, usual_path};
use super::{Bound, LARGEST_STREAM, Outlet, Role, Transport, Tuning};

/// A Unix-domain stream of each producer.
pub struct UnixSock;

impl Transport for UnixSock {
    fn name(&self) -> &'static str {
        "unixsock"
    }

    fn largest_write(&self, _producers: u64) -> usize {
        LARGEST_STREAM
    }

    fn usual_address(&self, _role: Role) -> String {
        usual_path(self.name())
    }

    fn private_address(&self) -> String {
        private_path()
    }

    fn bind(&self, at: &str, tuning: &Tuning) -> Result<Bound, Refusal> {
        listen_at(at, SocketType::STREAM, tuning)
    }

    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet> {
        connect_to(at, SocketType::STREAM, tuning)
    }
}
