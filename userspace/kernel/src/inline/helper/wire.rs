//! What the tool and its helper say to one another: one message of JSON at a time, with a descriptor where there is one.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::inline::{About, Detail, InlineError, Removal};

/// More than any message takes.
const LARGEST: usize = 1 << 16;

/// What the tool asks for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Counters in a process.
    PutIn { pid: u32, detail: Detail, loaded: bool },
    /// Those that were put in, out again.
    Remove { pid: u32, base: u64 },
}

/// What the helper answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// They are in; the descriptor is that of the counters.
    PutIn(About),
    /// They are out.
    Removed(Removal),
    /// They are not.
    Failed(Failed),
}

/// An [`InlineError`] without the process.
#[derive(Debug, Serialize, Deserialize)]
pub enum Failed {
    Refused { reason: String, remedy: String },
    Owned { owner: u32 },
    Permission(Cause),
    Step { step: String, cause: Cause },
    Gone,
}

/// An error of the system's, as a number where it has one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cause {
    number: Option<i32>,
    words: String,
}

impl From<&io::Error> for Cause {
    fn from(error: &io::Error) -> Self {
        Self { number: error.raw_os_error(), words: error.to_string() }
    }
}

impl From<Cause> for io::Error {
    fn from(cause: Cause) -> Self {
        cause.number.map_or_else(|| Self::other(cause.words), Self::from_raw_os_error)
    }
}

impl From<&InlineError> for Failed {
    fn from(error: &InlineError) -> Self {
        match error {
            InlineError::Refused { reason, remedy, .. } => {
                Self::Refused { reason: reason.clone(), remedy: remedy.clone().into_owned() }
            }
            InlineError::Owned { owner, .. } => Self::Owned { owner: *owner },
            InlineError::Permission { cause, .. } => Self::Permission(cause.into()),
            InlineError::Step { step, cause, .. } => {
                Self::Step { step: step.clone().into_owned(), cause: cause.into() }
            }
            InlineError::Gone(_) => Self::Gone,
        }
    }
}

impl Failed {
    /// The error, of a process.
    pub fn into_error(self, pid: u32) -> InlineError {
        match self {
            Self::Refused { reason, remedy } => InlineError::Refused { pid, reason, remedy: remedy.into() },
            Self::Owned { owner } => InlineError::Owned { pid, owner },
            Self::Permission(cause) => InlineError::Permission { pid, cause: cause.into() },
            Self::Step { step, cause } => InlineError::Step { pid, step: step.into(), cause: cause.into() },
            Self::Gone => InlineError::Gone(pid),
        }
    }
}

/// Sends a message.
pub fn send(socket: BorrowedFd<'_>, message: &impl Serialize, file: Option<&File>) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = file.map(|file| [file.as_fd()]);
    if let Some(descriptors) = &descriptors {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for a message; `None` once the other side has gone.
pub fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Option<File>)>> {
    let mut bytes = vec![0; LARGEST];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC);
        let len = match received {
            Ok(message) => message.bytes,
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let file = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next().map(File::from),
            _ => None,
        });
        return match len {
            0 => Ok(None),
            len => Ok(Some((serde_json::from_slice(&bytes[..len])?, file))),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt as _};

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn every_error_arrives_as_it_was_and_so_does_a_file() {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let errors = [
            InlineError::refused(7, "it is not dumpable", "leave it"),
            InlineError::Owned { pid: 7, owner: 9 },
            InlineError::Permission { pid: 7, cause: io::Error::from_raw_os_error(1) },
            InlineError::Step { pid: 7, step: "writing code".into(), cause: io::Error::other("torn") },
            InlineError::Gone(7),
        ];
        let file = fs::File::open("/proc/self/comm").unwrap();
        for error in errors {
            send(one.as_fd(), &Reply::Failed((&error).into()), Some(&file)).unwrap();
            let received = receive(other.as_fd()).unwrap();
            let Some((Reply::Failed(failed), Some(arrived))) = received else { panic!("{received:?}") };
            assert_eq!(failed.into_error(7).to_string(), error.to_string());
            assert_eq!(arrived.metadata().unwrap().ino(), file.metadata().unwrap().ino());
        }
        drop(one);
        assert!(receive::<Reply>(other.as_fd()).unwrap().is_none());
    }
}
