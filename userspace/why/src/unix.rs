//! The other ends of unix sockets, as the kernel tells them over netlink.

use std::{collections::BTreeMap, io, time::Duration};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
    sockopt::{Timeout, set_socket_timeout},
};

/// Numbers of the kernel's interface: `linux/netlink.h`, `linux/sock_diag.h`, `linux/unix_diag.h`.
const BY_FAMILY: u16 = 20;
const REQUEST_ALL: u16 = 0x301;
const DONE: u16 = 3;
const ERROR: u16 = 2;
const UNIX: u8 = 1;
const ALL_STATES: u32 = u32::MAX;
const SHOW_PEER: u32 = 4;
const PEER: u16 = 2;
/// Length of a message's header, of the question, and of what is told of a socket before its attributes.
const HEADER: usize = 16;
const QUESTION: usize = 24;
const ABOUT: usize = 16;
/// The kernel answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(1);

/// Inodes of connected unix sockets, each with that of its other end. Sockets of other network namespaces are not among
/// them; none are where the kernel does not tell.
pub fn peers() -> BTreeMap<u64, u64> {
    ask().unwrap_or_default()
}

fn ask() -> io::Result<BTreeMap<u64, u64>> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    send(&socket, &question(), SendFlags::empty())?;
    let (mut peers, mut answer) = (BTreeMap::new(), vec![0; 64 << 10]);
    loop {
        let (length, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
        if length == 0 || read(&answer[..length], &mut peers) {
            return Ok(peers);
        }
    }
}

/// All unix sockets, with their peers.
fn question() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + QUESTION);
    bytes.extend(((HEADER + QUESTION) as u32).to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST_ALL.to_ne_bytes());
    // Sequence number and sender.
    bytes.extend([0; 8]);
    bytes.extend([UNIX, 0, 0, 0]);
    bytes.extend(ALL_STATES.to_ne_bytes());
    // Any inode.
    bytes.extend([0; 4]);
    bytes.extend(SHOW_PEER.to_ne_bytes());
    bytes.extend([0xff; 8]);
    bytes
}

/// Reads messages; true after the last one.
fn read(mut messages: &[u8], peers: &mut BTreeMap<u64, u64>) -> bool {
    while let (Some(length), Some(kind)) = (word(messages, 0), half(messages, 4)) {
        let length = length as usize;
        if kind == DONE || kind == ERROR || length < HEADER {
            return true;
        }
        let Some(message) = messages.get(HEADER..length) else { return true };
        if let (Some(inode), Some(peer)) = (word(message, 4), message.get(ABOUT..).and_then(peer)) {
            peers.insert(u64::from(inode), u64::from(peer));
        }
        messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// The inode of the other end, among the attributes of a socket.
fn peer(mut attributes: &[u8]) -> Option<u32> {
    loop {
        let (length, kind) = (half(attributes, 0)? as usize, half(attributes, 2)?);
        if kind == PEER {
            return word(attributes, 4);
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::{fd::AsRawFd as _, unix::net::UnixStream};

    use super::*;
    use crate::files::{Open, open};

    #[test]
    fn two_ends_are_each_others_peers() {
        let (one, other) = UnixStream::pair().unwrap();
        let inode = |socket: &UnixStream| match open(std::process::id(), socket.as_raw_fd() as u64) {
            Some(Open::Socket(inode)) => inode,
            found => panic!("{found:?}"),
        };
        let peers = peers();
        // Some kernels are built without it.
        if !peers.is_empty() {
            assert_eq!(peers.get(&inode(&one)), Some(&inode(&other)));
            assert_eq!(peers.get(&inode(&other)), Some(&inode(&one)));
        }
    }

    #[test]
    fn a_message_that_is_cut_or_lies_about_its_length_ends_the_reading() {
        let mut peers = BTreeMap::new();
        let mut message = [0_u8; 40];
        for length in [0_u32, 3, 16, 39, 41, u32::MAX] {
            message[..4].copy_from_slice(&length.to_ne_bytes());
            message[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
            for cut in 0..message.len() {
                read(&message[..cut], &mut peers);
            }
        }
        assert!(peers.is_empty());
        assert_eq!(peer(&[0, 0, 0, 0]), None);
    }
}
