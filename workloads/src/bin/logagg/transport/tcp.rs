//! `tcp`: a TCP connection per producer, over loopback unless told otherwise.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use pulse_trace_workloads::contract::{Refusal, cannot};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_reuseaddr, set_tcp_nodelay};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with};

use super::link::{look_up_from_time_to_time, set_nonblocking};
use super::unix::BACKLOG;
use super::{Bound, Inlet, LARGEST_STREAM, Outlet, Role, Transport, Tuning};

/// A TCP connection of each producer.
pub struct Tcp;

impl Transport for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn largest_write(&self, _producers: u64) -> usize {
        LARGEST_STREAM
    }

    fn usual_address(&self, _role: Role) -> String {
        "127.0.0.1:9000".to_owned()
    }

    fn private_address(&self) -> String {
        ANY_PORT.to_owned()
    }

    fn bind(&self, at: &str, tuning: &Tuning) -> Result<Bound, Refusal> {
        let (socket, address) = bind_at(at, SocketType::STREAM, tuning)?;
        listen(&socket, BACKLOG).map_err(|error| refused(at, error))?;
        Ok(Bound { address, inlet: Inlet::Listener(socket), name: None, keeper: None })
    }

    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet> {
        let socket = connect_to(at, SocketType::STREAM, tuning)?;
        // Set either way, so that the option costs the same call on both sides of a comparison.
        set_tcp_nodelay(&socket, tuning.nodelay)?;
        Ok(Outlet::writing(socket))
    }
}

/// Loopback, and the kernel chooses a free port.
pub const ANY_PORT: &str = "127.0.0.1:0";

/// Binds a socket of the internet families; answers the address it got.
pub fn bind_at(at: &str, kind: SocketType, tuning: &Tuning) -> Result<(OwnedFd, String), Refusal> {
    let address = parse(at).map_err(|error| refused(at, error))?;
    let socket = open(&address, kind, tuning.nonblocking).map_err(|error| refused(at, error))?;
    if kind == SocketType::STREAM {
        // A restarted aggregator must not wait for the old connections' time to pass.
        set_socket_reuseaddr(&socket, true).map_err(|error| refused(at, error))?;
    }
    if let Some(bytes) = tuning.buffer {
        set_socket_recv_buffer_size(&socket, bytes).map_err(|error| refused(at, error))?;
    }
    bind(&socket, &address).map_err(|error| refused(at, error))?;
    look_up_from_time_to_time(&socket, tuning).map_err(|error| refused(at, error))?;
    let got = getsockname(&socket).and_then(SocketAddr::try_from).map_err(|error| refused(at, error))?;
    Ok((socket, got.to_string()))
}

/// Connects a socket of the internet families.
pub fn connect_to(at: &str, kind: SocketType, tuning: &Tuning) -> io::Result<OwnedFd> {
    let address = parse(at)?;
    let socket = open(&address, kind, false)?;
    connect(&socket, &address)?;
    set_nonblocking(socket.as_fd(), tuning.nonblocking)?;
    Ok(socket)
}

fn parse(at: &str) -> io::Result<SocketAddr> {
    at.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "this is no ADDRESS:PORT"))
}

fn open(address: &SocketAddr, kind: SocketType, nonblocking: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = if nonblocking { SocketFlags::NONBLOCK } else { SocketFlags::empty() };
    socket_with(family, kind, flags | SocketFlags::CLOEXEC, None)
}

fn refused(at: &str, cause: impl std::fmt::Display) -> Refusal {
    cannot(format_args!("listen on {at}"), cause, "choose a free ADDRESS:PORT with --at (port 0: any)")
}
