//! One HTTP request on a connection of its own. No redirect is followed and no cookie kept.

use std::path::Path;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::relay::tls::{self, Stream};

/// What was answered; the body when it is wanted and no longer than that.
pub struct Answer {
    pub status: StatusCode,
    pub body: Option<Bytes>,
}

/// Speaks TLS with a host whose name its certificate has to carry. What stands in the way is told in words.
pub async fn secure(tcp: TcpStream, host: &str, ca_file: Option<&Path>) -> Result<Stream, String> {
    let connector = tls::connector(ca_file).map_err(|error| error.to_string())?;
    let name = tls::server_name(host).ok_or("the name fits no certificate")?;
    let tls = connector.connect(name, tcp).await.map_err(|error| error.to_string())?;
    Ok(Stream::Client(Box::new(tls)))
}

/// Asks, and reads the answer: of its body `longest` bytes at most, and nothing where that is 0.
pub async fn exchange(stream: Stream, request: Request<Body>, longest: usize) -> Result<Answer, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = match longest {
            0 => None,
            _ => to_bytes(Body::new(answer.into_body()), longest).await.ok(),
        };
        Ok(Answer { status, body })
    };
    let mut exchange = std::pin::pin!(exchange);
    // The connection ends with its only exchange, which has then been answered or broken off.
    tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}
