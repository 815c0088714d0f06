//! The probe against servers that stand where ours should.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::probe::{Probe, ProbeError};
use crate::config::PublicWeb;
use crate::consent::token::SealingKeys;
use crate::relay::tls;

fn keys(first: u8) -> SealingKeys {
    SealingKeys::new(vec![[first; 32]]).unwrap()
}

fn web(base_url: String) -> PublicWeb {
    PublicWeb {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        base_url,
        trusted_proxies: Vec::new(),
        mail_from: None,
        mail_upstream: String::new(),
        check_every: Duration::from_secs(300),
        check_via: None,
        check_ca_file: None,
        templates: None,
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads one request and answers it: `{answer}` becomes what these keys say to the challenge.
async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), keys: &SealingKeys, response: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.strip_prefix("GET ").unwrap().split(' ').next().unwrap();
    let challenge = path.rsplit_once("/u/alive/").expect("the fixed path").1;
    let said = response.replace("{answer}", &keys.answers(challenge)[0]);
    stream.write_all(said.as_bytes()).await.unwrap();
}

/// What the probe says of a server that answers so, below a path of its own.
async fn asked(keys_there: SealingKeys, response: &str) -> Result<(), ProbeError> {
    let (listener, address) = listen().await;
    let probe = Probe::of(&web(format!("http://{address}/mail")), keys(1)).unwrap();
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer(&mut stream, &keys_there, response).await;
    };
    tokio::join!(probe.ask(), server).0
}

const RIGHT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n{answer}";

#[tokio::test]
async fn only_the_gates_own_answer_counts() {
    assert!(asked(keys(1), RIGHT).await.is_ok());
    let both = SealingKeys::new(vec![[1; 32], [2; 32]]).unwrap();
    assert!(asked(both, RIGHT).await.is_ok());
    let parked = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{{answer}}{}", "x".repeat(5000));
    for (keys_there, response) in [(keys(2), RIGHT), (keys(1), parked), (keys(1), &long)] {
        let seen = asked(keys_there, response).await;
        assert!(matches!(seen, Err(ProbeError::NotUs)), "{seen:?}");
    }
}

#[tokio::test]
async fn a_redirect_a_login_and_a_missing_page_are_failures() {
    for (code, rest) in [(302, "Location: /login\r\n"), (401, ""), (404, ""), (502, "")] {
        let seen = asked(keys(1), &format!("HTTP/1.1 {code} X\r\n{rest}Content-Length: 0\r\n\r\n")).await;
        assert!(matches!(&seen, Err(ProbeError::Status(status)) if status.as_u16() == code), "{seen:?}");
    }
    for nonsense in ["", "220 mail.example ESMTP\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\nhalf"] {
        let seen = asked(keys(1), nonsense).await;
        assert!(matches!(seen, Err(ProbeError::Http(_) | ProbeError::NotUs)), "{nonsense:?}: {seen:?}");
    }
}

#[tokio::test]
async fn a_closed_port_is_a_failure() {
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap(); // ours, and nobody listens
    let address = bound.local_addr().unwrap().as_socket().unwrap();
    let probe = Probe::of(&web(format!("http://{address}")), keys(1)).unwrap();
    assert!(matches!(probe.ask().await, Err(ProbeError::Connect(_))));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let (listener, address) = listen().await;
    let probe = Probe::of(&web(format!("http://{address}")), keys(1)).unwrap();
    let silent = async {
        let (stream, _) = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
        drop(stream);
    };
    tokio::select! {
        seen = probe.ask() => assert!(matches!(seen, Err(ProbeError::Late)), "{seen:?}"),
        () = silent => unreachable!(),
    }
}

/// A certificate for `preferences.example`, its key, and their files.
fn certificate(folder: &tempfile::TempDir) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["preferences.example".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

#[tokio::test]
async fn a_certificate_has_to_fit_the_name_and_be_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(&folder);
    for (host, ca_file, good) in [
        ("preferences.example", Some(certificate.clone()), true),
        ("elsewhere.example", Some(certificate.clone()), false),
        ("preferences.example", None, false),
    ] {
        let (listener, address) = listen().await;
        let acceptor = tls::acceptor(&certificate, &key).unwrap();
        let settings = PublicWeb {
            check_via: Some(("127.0.0.1".to_owned(), address.port())),
            check_ca_file: ca_file.clone(),
            ..web(format!("https://{host}"))
        };
        let probe = Probe::of(&settings, keys(1)).unwrap();
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                answer(&mut stream, &keys(1), RIGHT).await;
                stream.shutdown().await.unwrap();
            }
        };
        let (seen, ()) = tokio::join!(probe.ask(), server);
        match seen {
            Ok(()) => assert!(good, "{host} {ca_file:?}"),
            Err(error) => assert!(!good && matches!(error, ProbeError::Tls(_)), "{host} {ca_file:?}: {error}"),
        }
    }
}
