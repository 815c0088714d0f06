//! One stream that may be TLS, from either side.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use super::DEADLINE;

pub enum Wire {
    Plain(TcpStream),
    ClientTls(Box<StreamOwned<ClientConnection, TcpStream>>),
    ServerTls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    pub fn plain(stream: TcpStream) -> Wire {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Wire::Plain(stream)
    }

    pub fn tcp(&self) -> &TcpStream {
        match self {
            Wire::Plain(stream) => stream,
            Wire::ClientTls(stream) => &stream.sock,
            Wire::ServerTls(stream) => &stream.sock,
        }
    }

    pub fn is_tls(&self) -> bool {
        !matches!(self, Wire::Plain(_))
    }

    /// The handshake as a client; its error is what the certificate check said.
    pub fn into_client_tls(self, config: Arc<ClientConfig>, name: &str) -> io::Result<Wire> {
        let Wire::Plain(mut tcp) = self else { panic!("TLS within TLS") };
        let name = name.to_owned().try_into().expect("a server name");
        let mut connection = ClientConnection::new(config, name).expect("a client connection");
        connection.complete_io(&mut tcp)?;
        Ok(Wire::ClientTls(Box::new(StreamOwned::new(connection, tcp))))
    }

    pub fn into_server_tls(self, config: Arc<ServerConfig>) -> io::Result<Wire> {
        let Wire::Plain(mut tcp) = self else { panic!("TLS within TLS") };
        let mut connection = ServerConnection::new(config).expect("a server connection");
        connection.complete_io(&mut tcp)?;
        Ok(Wire::ServerTls(Box::new(StreamOwned::new(connection, tcp))))
    }

    /// Ends the connection with a TCP reset.
    pub fn reset(self) {
        let tcp = self.tcp().try_clone().unwrap();
        drop_with_reset(&tcp);
    }
}

fn drop_with_reset(tcp: &TcpStream) {
    let _ = socket2::SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO));
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::ClientTls(stream) => stream.read(buffer),
            Wire::ServerTls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(buffer),
            Wire::ClientTls(stream) => stream.write(buffer),
            Wire::ServerTls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.flush(),
            Wire::ClientTls(stream) => stream.flush(),
            Wire::ServerTls(stream) => stream.flush(),
        }
    }
}
