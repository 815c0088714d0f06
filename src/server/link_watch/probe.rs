//! One look at the public address: a challenge that only a holder of our sealing keys can answer, so that a parking page,
//! a login or another gate behind the same name is not taken for us.

use std::fmt;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::uri::{Authority, Uri};
use axum::http::{Request, StatusCode, header};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::PublicWeb;
use crate::consent::token::SealingKeys;
use crate::relay::tls::Stream;
use crate::server::http;

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
        let request = Request::get(path)
            .header(header::HOST, self.authority.as_str())
            .header(header::USER_AGENT, "consentry")
            .header(header::CONNECTION, "close")
            .body(Body::empty())
            .map_err(|_| ProbeError::NotUs)?;
        let answer = http::exchange(self.connect().await?, request, LONGEST_ANSWER).await?;
        if answer.status != StatusCode::OK {
            return Err(ProbeError::Status(answer.status));
        }
        // Longer than ours is not ours.
        answer.body.map(|body| body.to_vec()).ok_or(ProbeError::NotUs)
    }

    async fn connect(&self) -> Result<Stream, ProbeError> {
        let (host, port) = &self.connect_to;
        let tcp = TcpStream::connect((host.as_str(), *port)).await.map_err(ProbeError::Connect)?;
        if !self.encrypted {
            return Ok(Stream::Plain(tcp));
        }
        let host = self.authority.host().trim_matches(['[', ']']);
        http::secure(tcp, host, self.web.check_ca_file.as_deref()).await.map_err(ProbeError::Tls)
    }
}
