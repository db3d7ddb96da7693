//! The common part of the three Unix-domain variants: binding a path that may exist, and connecting.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use pulse_trace_workloads::clean::{Removal, unique_path};
use pulse_trace_workloads::contract::{Refusal, cannot};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use super::link::{Bound, Inlet, look_up_from_time_to_time, set_nonblocking};
use super::{Outlet, Tuning};

/// Connections that may wait for their accept.
pub const BACKLOG: i32 = 1024;

/// Path of a variant when the user gives none.
pub fn usual_path(variant: &str) -> String {
    std::env::temp_dir().join(format!("pulse-trace-logagg.{variant}")).display().to_string()
}

/// A path no other run uses.
pub fn private_path() -> String {
    unique_path("logagg").display().to_string()
}

/// Binds (and listens, unless datagrams) at a path.
pub fn bind_at(at: &str, kind: SocketType, tuning: &Tuning) -> Result<(OwnedFd, Removal), Refusal> {
    let refused = |cause: String, remedy: &str| cannot(format_args!("listen on {at}"), cause, remedy);
    let plain = |error: Errno| refused(error.to_string(), "choose another place with --at");
    let address = SocketAddrUnix::new(at).map_err(plain)?;
    let socket = open(kind, tuning.nonblocking).map_err(plain)?;
    if let Some(bytes) = tuning.buffer {
        set_socket_recv_buffer_size(&socket, bytes).map_err(plain)?;
    }
    match bind(&socket, &address) {
        Err(Errno::ADDRINUSE) => {
            clear_stale(at, &address, kind)
                .map_err(|cause| refused(cause, "stop that aggregator, or choose another place with --at"))?;
            bind(&socket, &address).map_err(plain)?;
        }
        outcome => outcome.map_err(plain)?,
    }
    let name = Removal::of(at);
    if kind != SocketType::DGRAM {
        listen(&socket, BACKLOG).map_err(plain)?;
    }
    look_up_from_time_to_time(&socket, tuning)
        .map_err(|error| refused(error.to_string(), "choose another place with --at"))?;
    Ok((socket, name))
}

/// A listening end at a path.
pub fn listen_at(at: &str, kind: SocketType, tuning: &Tuning) -> Result<Bound, Refusal> {
    let (socket, name) = bind_at(at, kind, tuning)?;
    Ok(Bound { address: at.to_owned(), inlet: Inlet::Listener(socket), name: Some(name), keeper: None })
}

/// Connects to a path.
pub fn connect_to(at: &str, kind: SocketType, tuning: &Tuning) -> io::Result<Outlet> {
    let socket = open(kind, false)?;
    connect(&socket, &SocketAddrUnix::new(at)?)?;
    set_nonblocking(socket.as_fd(), tuning.nonblocking)?;
    Ok(Outlet::writing(socket))
}

/// Removes a socket that a killed run left; an answering socket, or what is no socket at all, stays.
fn clear_stale(at: &str, address: &SocketAddrUnix, kind: SocketType) -> Result<(), String> {
    let probe = open(kind, true).map_err(|error| error.to_string())?;
    match connect(&probe, address) {
        Err(Errno::CONNREFUSED) if is_socket(at) => {
            std::fs::remove_file(PathBuf::from(at)).map_err(|error| error.to_string())
        }
        Err(Errno::CONNREFUSED) => Err("a file that is no socket lies there".to_owned()),
        Err(Errno::PROTOTYPE) => Err("a socket of another variant listens there".to_owned()),
        _ => Err("another aggregator listens there".to_owned()),
    }
}

fn is_socket(at: &str) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(at).is_ok_and(|meta| meta.file_type().is_socket())
}

fn open(kind: SocketType, nonblocking: bool) -> Result<OwnedFd, Errno> {
    let flags = if nonblocking { SocketFlags::NONBLOCK } else { SocketFlags::empty() };
    socket_with(AddressFamily::UNIX, kind, flags | SocketFlags::CLOEXEC, None)
}
