//! `udp`: datagrams into one socket. The kernel drops what does not fit into the receive buffer, and counts it.

use std::fs;
use std::io;
use std::net::SocketAddr;

use pulse_trace_workloads::contract::Refusal;
use rustix::net::SocketType;
use rustix::net::sockopt::set_socket_broadcast;

use super::link::{Channel, receive};
use super::tcp::{ANY_PORT, bind_at, connect_to};
use super::{Bound, Framing, Inlet, LARGEST_PACKET, Outlet, Role, Transport, Tuning};

/// UDP datagrams to one socket.
pub struct Udp;

impl Transport for Udp {
    fn name(&self) -> &'static str {
        "udp"
    }

    fn largest_write(&self, _producers: u64) -> usize {
        LARGEST_PACKET
    }

    fn lossy(&self) -> bool {
        true
    }

    fn usual_address(&self, _role: Role) -> String {
        "127.0.0.1:9000".to_owned()
    }

    fn private_address(&self) -> String {
        ANY_PORT.to_owned()
    }

    fn bind(&self, at: &str, tuning: &Tuning) -> Result<Bound, Refusal> {
        let (fd, address) = bind_at(at, SocketType::DGRAM, tuning)?;
        let inlet = Inlet::Channel(Channel { fd, receive, framing: Framing::Messages });
        Ok(Bound { address, inlet, name: None, keeper: None })
    }

    fn connect(&self, at: &str, tuning: &Tuning) -> io::Result<Outlet> {
        let socket = connect_to(at, SocketType::DGRAM, tuning)?;
        // As syslog senders do: the aggregator may be a broadcast address.
        set_socket_broadcast(&socket, true)?;
        Ok(Outlet::writing(socket))
    }

    fn kernel_drops(&self, address: &str) -> Option<u64> {
        let port = address.parse::<SocketAddr>().ok()?.port();
        ["/proc/net/udp", "/proc/net/udp6"]
            .iter()
            .find_map(|table| drops(&fs::read_to_string(table).ok()?, port))
    }
}

/// The last column of the row whose local port it is.
fn drops(table: &str, port: u16) -> Option<u64> {
    let local = format!(":{port:04X}");
    let mut rows = table.lines().skip(1).map(str::split_whitespace);
    rows.find(|row| row.clone().nth(1).is_some_and(|address| address.ends_with(&local)))?.last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::drops;

    #[test]
    fn drops_are_read_from_the_row_of_the_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
             10: 0100007F:2328 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 11 2 0 42\n\
             11: 0100007F:2329 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12 2 0 7\n";
        assert_eq!(drops(table, 9000), Some(42));
        assert_eq!(drops(table, 9001), Some(7));
        assert_eq!(drops(table, 9002), None);
    }
}
