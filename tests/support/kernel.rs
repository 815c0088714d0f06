//! What the kernel still holds of a connection, asked by sock_diag(7): so a test knows that a portion was read without
//! waiting a while and hoping.

use std::io::{Read, Write};
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

pub struct KernelQueues(Socket);

impl KernelQueues {
    pub fn open() -> KernelQueues {
        let (netlink, sock_diag) = (Domain::from(16), Protocol::from(4));
        KernelQueues(Socket::new(netlink, Type::DGRAM, Some(sock_diag)).expect("Linux with sock_diag"))
    }

    /// Nothing that we wrote waits in our send queue or in the other side's receive queue.
    pub fn are_empty(&mut self, ours: SocketAddr, theirs: SocketAddr) -> bool {
        let waits =
            |queues: Option<(u32, u32)>, which: fn((u32, u32)) -> u32| queues.is_some_and(|both| which(both) > 0);
        !waits(self.of(ours, theirs), |(_, sending)| sending)
            && !waits(self.of(theirs, ours), |(receiving, _)| receiving)
    }

    /// Bytes received and not read, written and not acknowledged. None for a connection that is not established.
    fn of(&mut self, local: SocketAddr, remote: SocketAddr) -> Option<(u32, u32)> {
        const ESTABLISHED: u8 = 1;
        self.0.write_all(&request(local, remote)).expect("a question to the kernel");
        let mut answer = [0; 1024];
        let length = self.0.read(&mut answer).expect("an answer of the kernel");
        let (header, body) = answer[..length].split_at(16);
        let is_a_socket = u16::from_ne_bytes([header[4], header[5]]) == 20;
        if !is_a_socket || body[1] != ESTABLISHED {
            return None;
        }
        let number = |at: usize| u32::from_ne_bytes(body[at..at + 4].try_into().unwrap());
        Some((number(56), number(60)))
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2` of linux/inet_diag.h, for one IPv4 connection.
fn request(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let (SocketAddr::V4(local), SocketAddr::V4(remote)) = (local, remote) else { panic!("tests talk IPv4") };
    let (af_inet, tcp) = (2, 6);
    let mut body = vec![af_inet, tcp, 0, 0];
    body.extend_from_slice(&u32::MAX.to_ne_bytes());
    body.extend_from_slice(&local.port().to_be_bytes());
    body.extend_from_slice(&remote.port().to_be_bytes());
    for address in [local.ip(), remote.ip()] {
        body.extend_from_slice(&address.octets());
        body.extend_from_slice(&[0; 12]);
    }
    body.extend_from_slice(&[0; 4]); // any interface
    body.extend_from_slice(&[0xff; 8]); // no cookie
    let (by_family, flags) = (20_u16, 1_u16);
    let mut message = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
    message.extend_from_slice(&by_family.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&[0; 8]); // sequence and port
    message.extend(body);
    message
}
