//! One look at the public address: a challenge that only a holder of our sealing keys can answer, so that a parking page,
//! a login or another gate behind the same name is not taken for us.

use std::fmt;
use std::io;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::uri::{Authority, Uri};
use axum::http::{Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::PublicWeb;
use crate::consent::token::SealingKeys;
use crate::relay::tls::{self, Stream, TlsError};

/// From the name look-up to the last byte.
const PATIENCE: Duration = Duration::from_secs(20);
/// Our answer has 43 bytes.
const LONGEST_ANSWER: usize = 1024;

/// How to look.
pub struct Probe {
    keys: SealingKeys,
    authority: Authority,
    /// Before `/u/`.
    path: String,
    encrypted: bool,
    connect_to: (String, u16),
    web: PublicWeb,
}

/// What a visitor would have met.
#[derive(Debug)]
pub enum ProbeError {
    Connect(io::Error),
    Tls(String),
    Http(hyper::Error),
    Status(StatusCode),
    /// Something answers, and it is not this gate.
    NotUs,
    Late,
    Random,
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProbeError::Connect(error) => write!(f, "no connection ({error}); do the web server and its name stand?"),
            ProbeError::Tls(error) => write!(f, "no TLS ({error}); look at the certificate, or set check_ca_file"),
            ProbeError::Http(error) => write!(f, "no HTTP answer ({error}); look at the web server's log"),
            ProbeError::Status(status) => {
                write!(f, "answered {status}; does the web server pass all of /u/ on to web.public.listen?")
            }
            ProbeError::NotUs => f.write_str(
                "somebody else answers; does the web server pass /u/ on to this gate, unchanged and without a login?",
            ),
            ProbeError::Late => write!(f, "no answer within {} s; look at the web server's log", PATIENCE.as_secs()),
            ProbeError::Random => f.write_str("the system gives no random bytes"),
        }
    }
}

impl From<TlsError> for ProbeError {
    fn from(error: TlsError) -> ProbeError {
        ProbeError::Tls(error.to_string())
    }
}

impl From<hyper::Error> for ProbeError {
    fn from(error: hyper::Error) -> ProbeError {
        ProbeError::Http(error)
    }
}

impl Probe {
    /// `None` when the address is none, which the settings do not let through.
    pub fn of(web: &PublicWeb, keys: SealingKeys) -> Option<Probe> {
        let uri: Uri = web.base_url.parse().ok()?;
        let encrypted = uri.scheme_str() == Some("https");
        let authority = uri.authority()?.clone();
        let port = authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let connect_to = web.check_via.clone().unwrap_or((host, port));
        let path = uri.path().trim_end_matches('/').to_owned();
        Some(Probe { keys, authority, path, encrypted, connect_to, web: web.clone() })
    }

    pub async fn ask(&self) -> Result<(), ProbeError> {
        timeout(PATIENCE, self.challenge()).await.unwrap_or(Err(ProbeError::Late))
    }

    async fn challenge(&self) -> Result<(), ProbeError> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).map_err(|_| ProbeError::Random)?;
        let challenge: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let answer = self.get(&format!("{}/u/alive/{challenge}", self.path)).await?;
        let expected = self.keys.answers(&challenge);
        if expected.iter().any(|ours| answer == ours.as_bytes()) { Ok(()) } else { Err(ProbeError::NotUs) }
    }

    /// One request on a connection of its own. No redirect is followed: mail providers' machines follow none.
    async fn get(&self, path: &str) -> Result<Vec<u8>, ProbeError> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect().await?)).await?;
        let request = Request::get(path)
            .header(header::HOST, self.authority.as_str())
            .header(header::USER_AGENT, "consentry")
            .header(header::CONNECTION, "close")
            .body(Body::empty())
            .map_err(|_| ProbeError::NotUs)?;
        let exchange = async {
            let answer = sender.send_request(request).await?;
            if answer.status() != StatusCode::OK {
                return Err(ProbeError::Status(answer.status()));
            }
            // Longer than ours is not ours.
            let body = to_bytes(Body::new(answer.into_body()), LONGEST_ANSWER).await.map_err(|_| ProbeError::NotUs)?;
            Ok(body.to_vec())
        };
        let mut exchange = std::pin::pin!(exchange);
        // The connection ends with its only exchange, which has then been answered or broken off.
        tokio::select! {
            answer = &mut exchange => answer,
            _ = connection => exchange.await,
        }
    }

    async fn connect(&self) -> Result<Stream, ProbeError> {
        let (host, port) = &self.connect_to;
        let tcp = TcpStream::connect((host.as_str(), *port)).await.map_err(ProbeError::Connect)?;
        if !self.encrypted {
            return Ok(Stream::Plain(tcp));
        }
        let connector = tls::connector(self.web.check_ca_file.as_deref())?;
        let host = self.authority.host().trim_matches(['[', ']']);
        let name = tls::server_name(host).ok_or_else(|| ProbeError::Tls("the name fits no certificate".into()))?;
        let tls = connector.connect(name, tcp).await.map_err(|error| ProbeError::Tls(error.to_string()))?;
        Ok(Stream::Client(Box::new(tls)))
    }
}
