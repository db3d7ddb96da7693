//! `fifo`: one named pipe. The aggregator keeps a write end open itself, so it survives all producers going away.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use pulse_trace_workloads::clean::Removal;
use pulse_trace_workloads::contract::{Refusal, cannot};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, flock, fstat, mkfifoat, open};
use rustix::io::Errno;

use super::link::{Channel, read, set_nonblocking};
use super::pipe::{largest_write, resize};
use super::unix::{private_path, usual_path};
use super::{Bound, Framing, Inlet, Outlet, Role, Transport, Tuning};

/// A named pipe in the file system.
pub struct Fifo;

impl Transport for Fifo {
    fn name(&self) -> &'static str {
        "fifo"
    }

    fn largest_write(&self, producers: u64) -> usize {
        largest_write(producers)
    }

    fn usual_address(&self, _role: Role) -> String {
        usual_path(self.name())
    }

    fn private_address(&self) -> String {
        private_path()
    }

    fn bind(&self, at: &str, tuning: &Tuning) -> Result<Bound, Refusal> {
        let other = |error: io::Error| {
            cannot(format_args!("read from the FIFO {at}"), error, "choose another place with --at")
        };
        let made = make(at).map_err(other)?;
        let fd = open_fifo(at, OFlags::RDONLY).map_err(other)?;
        // One that a killed run left has no lock on it and is used again.
        flock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let cause = "another aggregator reads it";
            cannot(
                format_args!("read from the FIFO {at}"),
                cause,
                "stop it, or choose another place with --at",
            )
        })?;
        let name = made.unwrap_or_else(|| Removal::of(at));
        let keeper = open_fifo(at, OFlags::WRONLY).map_err(other)?;
        resize(&fd, tuning).map_err(other)?;
        set_nonblocking(fd.as_fd(), tuning.nonblocking).map_err(other)?;
        let inlet = Inlet::Channel(Channel { fd, receive: read, framing: Framing::Stream });
        Ok(Bound { address: at.to_owned(), inlet, name: Some(name), keeper: Some(keeper) })
    }

    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet> {
        let fd = open_fifo(at, OFlags::WRONLY)?;
        set_nonblocking(fd.as_fd(), tuning.nonblocking)?;
        Ok(Outlet::writing(fd))
    }
}

/// Makes the FIFO; none when there was one.
fn make(at: &str) -> io::Result<Option<Removal>> {
    match mkfifoat(CWD, at, Mode::RUSR | Mode::WUSR) {
        Ok(()) => Ok(Some(Removal::of(at))),
        Err(Errno::EXIST) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens without waiting for the other side: a writer without a reader gets ENXIO.
fn open_fifo(at: &str, mode: OFlags) -> io::Result<OwnedFd> {
    let fd = open(at, mode | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::Fifo {
        Ok(fd)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "a file that is no FIFO lies there"))
    }
}
