//! Messages between two processes of the tool: one at a time, with descriptors where there are any.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Longest message; it has to fit into the buffer that every socket has.
pub const LARGEST: usize = 128 << 10;
/// Descriptors of one message.
pub const FILES: usize = 16;

/// One end of the channel.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

/// An error of the system's, as a number where it has one.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

impl Channel {
    /// One end, and the socket of the other.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self::over(one), other))
    }

    /// The end that this socket is.
    #[must_use]
    pub fn over(socket: OwnedFd) -> Self {
        Self { socket, buffer: Vec::new() }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the other side has gone, or the message is too long.
    pub fn send(&self, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
        if bytes.len() > LARGEST {
            return Err(io::Error::other("the message is too long"));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(files));
        }
        loop {
            match sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                sent => return sent.map(|_| ()).map_err(Into::into),
            }
        }
    }

    /// Waits for a message; `None` once the other side has gone.
    ///
    /// # Errors
    /// When what comes is no message.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<File>)>> {
        self.buffer.resize(LARGEST, 0);
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut into = [IoSliceMut::new(&mut self.buffer)];
            let received = recvmsg(&self.socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC);
            let len = match received {
                Ok(message) => message.bytes,
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            let files = control.drain().flat_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => descriptors.map(File::from).collect(),
                _ => Vec::new(),
            });
            let files: Vec<File> = files.collect();
            return match len {
                0 => Ok(None),
                len => {
                    Ok(Some((postcard::from_bytes(&self.buffer[..len]).map_err(io::Error::other)?, files)))
                }
            };
        }
    }

    /// Reports whether a message comes within this time.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn waits(&self, time: Duration) -> io::Result<bool> {
        let time = Timespec::try_from(time).ok();
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut polled, time.as_ref()) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_message_arrives_with_its_files_and_an_end_is_noticed() {
        let (one, other) = Channel::pair().unwrap();
        let mut other = Channel::over(other);
        assert!(!other.waits(Duration::ZERO).unwrap());
        let file = File::open("/proc/self/comm").unwrap();
        one.send(&("text", Cause::from(&io::Error::from_raw_os_error(2))), &[file.as_fd(), one.as_fd()])
            .unwrap();
        assert!(other.waits(Duration::ZERO).unwrap());
        let ((text, cause), files): ((String, Cause), _) = other.receive().unwrap().unwrap();
        assert_eq!((text.as_str(), io::Error::from(cause).raw_os_error()), ("text", Some(2)));
        assert_eq!(files[0].metadata().unwrap().ino(), file.metadata().unwrap().ino());
        assert_eq!(files.len(), 2);
        assert!(one.send(&vec![0u8; LARGEST], &[]).is_err());
        one.send(&vec![1u8; LARGEST - 8], &[]).unwrap();
        assert_eq!(other.receive::<Vec<u8>>().unwrap().unwrap().0.len(), LARGEST - 8);
        drop((one, files));
        assert!(other.receive::<String>().unwrap().is_none());
    }

    #[test]
    fn noise_is_an_error() {
        let (one, other) = Channel::pair().unwrap();
        one.send(&[0xffu8; 32], &[]).unwrap();
        assert!(Channel::over(other).receive::<(String, Cause)>().is_err());
    }
}
