//! `pipe`: one anonymous pipe, inherited. In a shell:
//! `logagg producer --variant pipe | logagg aggregator --variant pipe`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use pulse_trace_workloads::contract::{Refusal, cannot};
use pulse_trace_workloads::sys::fd;
use rustix::fs::{FileType, fstat};
use rustix::pipe::{PIPE_BUF, fcntl_setpipe_size};

use super::link::{Channel, read, set_nonblocking};
use super::{Bound, Framing, Inlet, LARGEST_STREAM, Outlet, Role, Transport, Tuning};

/// One anonymous pipe that all producers inherit.
pub struct Pipe;

impl Transport for Pipe {
    fn name(&self) -> &'static str {
        "pipe"
    }

    fn largest_write(&self, producers: u64) -> usize {
        largest_write(producers)
    }

    fn usual_address(&self, role: Role) -> String {
        if role == Role::Aggregator { "fd:0" } else { "fd:1" }.to_owned()
    }

    fn private_address(&self) -> String {
        // Replaced by the number of an inherited end, which only the one who starts the processes knows.
        "fd:0".to_owned()
    }

    fn bind(&self, at: &str, tuning: &Tuning) -> Result<Bound, Refusal> {
        let refused = |error: io::Error| {
            cannot(
                format_args!("read from {at}"),
                error,
                "start `logagg producer --variant pipe | logagg aggregator --variant pipe`",
            )
        };
        let fd = inherited(at).map_err(refused)?;
        resize(&fd, tuning).map_err(refused)?;
        set_nonblocking(fd.as_fd(), tuning.nonblocking).map_err(refused)?;
        let inlet = Inlet::Channel(Channel { fd, receive: read, framing: Framing::Stream });
        Ok(Bound { address: at.to_owned(), inlet, name: None, keeper: None })
    }

    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet> {
        let fd = inherited(at)?;
        set_nonblocking(fd.as_fd(), tuning.nonblocking)?;
        Ok(Outlet::writing(fd))
    }
}

/// Writers that share a pipe must keep to `PIPE_BUF`: longer writes of two of them mix.
pub fn largest_write(producers: u64) -> usize {
    if producers > 1 { PIPE_BUF } else { LARGEST_STREAM }
}

/// Sets the size of a pipe or FIFO, where asked for.
pub fn resize(fd: &OwnedFd, tuning: &Tuning) -> io::Result<()> {
    if let Some(bytes) = tuning.buffer {
        fcntl_setpipe_size(fd, bytes)?;
    }
    Ok(())
}

/// The end of a pipe that came by number.
fn inherited(at: &str) -> io::Result<OwnedFd> {
    let bad = |cause: &str| io::Error::new(io::ErrorKind::InvalidInput, cause.to_owned());
    let number = at.strip_prefix("fd:").and_then(|number| number.parse().ok());
    let fd = match number.ok_or_else(|| bad("the address of a pipe is fd:NUMBER"))? {
        0 => io::stdin().as_fd().try_clone_to_owned()?,
        1 => io::stdout().as_fd().try_clone_to_owned()?,
        number => fd::adopt(number)?,
    };
    if FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::Fifo {
        Ok(fd)
    } else {
        Err(bad("it is no pipe"))
    }
}
