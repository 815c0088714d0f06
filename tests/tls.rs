//! TLS on both legs (R80–R87): nothing said in clear is carried into TLS, nothing goes upstream that was not verified.

mod support;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use support::upstream::{UpstreamBuilder, say};
use support::{Act, Authority, Client, Gate, GateBuilder, Upstream, Verb, dialogue};

/// The gate with a certificate for `localhost` on its listener.
fn with_certificate(builder: GateBuilder, authority: &Authority, tls: &str) -> GateBuilder {
    authority.issue(&["localhost"]).write_to(builder.directory(), "gate");
    builder.listener(&format!("tls = \"{tls}\"")).listener("certificate_file = \"gate.pem\"\nkey_file = \"gate.key\"")
}

/// The gate's upstream leg, verified against this authority.
fn verifying(builder: GateBuilder, authority: &Authority, tls: &str) -> GateBuilder {
    authority.write_to(builder.directory());
    builder.upstream(&format!("tls = \"{tls}\"")).upstream("ca_file = \"ca.pem\"")
}

fn under_starttls(gate: &Gate, authority: &Authority) -> Client {
    let mut client = gate.client();
    client.command("STARTTLS", "220");
    client.start_tls(authority.client_config(), "localhost");
    client.hello();
    client
}

const MESSAGE: &[u8] = b"Subject: your order\r\n\r\nhello\r\n";

#[test]
fn starttls_on_both_legs_carries_a_message() {
    let authority = Authority::new();
    let upstream = Upstream::builder().starttls(authority.issue(&["127.0.0.1"]).server_config()).start();
    let builder = with_certificate(Gate::builder(upstream.address), &authority, "starttls");
    let gate = verifying(builder, &authority, "starttls").start();
    let mut client = under_starttls(&gate, &authority);
    assert!(client.send("shop@example.com", &["anna@example.net"], MESSAGE).starts_with("250"));
    client.quit();
    let message = upstream.single_message();
    assert!(message.tls);
    assert!(String::from_utf8_lossy(&message.content).contains("with ESMTPS id"), "the Received line tells of TLS");
}

#[test]
fn implicit_tls_on_both_legs_carries_a_message() {
    let authority = Authority::new();
    let upstream = Upstream::builder().implicit_tls(authority.issue(&["127.0.0.1"]).server_config()).start();
    let builder = with_certificate(Gate::builder(upstream.address), &authority, "implicit");
    let gate = verifying(builder, &authority, "implicit").start();
    let mut client = Client::connect_tls(gate.address(), authority.client_config(), "localhost");
    client.expect("220");
    let offered = client.hello();
    assert!(!offered.contains("STARTTLS"), "{offered}");
    assert!(client.send("shop@example.com", &["anna@example.net"], MESSAGE).starts_with("250"));
    client.quit();
    assert!(upstream.single_message().tls);
}

fn starttls_gate() -> (Upstream, Authority, Gate) {
    let (upstream, authority) = (Upstream::start(), Authority::new());
    let gate = with_certificate(Gate::builder(upstream.address), &authority, "starttls").start();
    (upstream, authority, gate)
}

#[test]
fn plaintext_behind_starttls_ends_the_connection_and_is_never_executed() {
    for name in ["starttls-with-a-command-behind-it", "starttls-with-a-message-behind-it", "starttls-then-clear-text"] {
        let (upstream, _, mut gate) = starttls_gate();
        dialogue::hold(&mut Client::connect(gate.address()), name);
        gate.stop();
        let record = upstream.wait_until_quiet();
        let said = record.commands.iter().filter(|(_, line)| !line.starts_with("EHLO") && line != "QUIT");
        assert_eq!(said.count(), 0, "{name}: {:?}", record.commands);
    }
}

#[test]
fn starttls_is_refused_where_it_has_no_place() {
    let (_upstream, _, gate) = starttls_gate();
    for name in ["starttls-inside-a-transaction", "starttls-with-an-argument"] {
        dialogue::hold(&mut Client::connect(gate.address()), name);
    }
}

#[test]
fn tls_starts_the_session_anew() {
    let (_upstream, authority, gate) = starttls_gate();
    let mut client = gate.client();
    client.command("STARTTLS", "220");
    client.start_tls(authority.client_config(), "localhost");
    client.command("MAIL FROM:<shop@example.com>", "503 5.5.1");
    let offered = client.hello();
    assert!(!offered.contains("STARTTLS"), "{offered}");
    client.command("STARTTLS", "503 5.5.1");
    client.quit();
}

#[test]
fn a_listener_without_a_certificate_has_no_tls_to_start() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    client.command("STARTTLS", "454 4.7.0");
    client.quit();
}

#[test]
fn a_listener_that_requires_tls_takes_no_mail_in_clear() {
    let (upstream, authority) = (Upstream::start(), Authority::new());
    let builder = with_certificate(Gate::builder(upstream.address), &authority, "starttls");
    let gate = builder.listener("require_tls = true").start();
    dialogue::hold(&mut Client::connect(gate.address()), "require-tls");
    let mut client = under_starttls(&gate, &authority);
    assert!(client.send("shop@example.com", &["anna@example.net"], MESSAGE).starts_with("250"));
}

/// MAIL is refused for the operator to mend, and upstream saw no mail and no secret.
#[track_caller]
fn nothing_goes_upstream(name: &str, upstream: UpstreamBuilder, authority: &Authority, tls: &str) {
    let upstream = upstream.start();
    let builder = Gate::builder(upstream.address);
    std::fs::write(builder.directory().join("password"), "secret\n").unwrap();
    let chmod = std::process::Command::new("chmod").arg("600").arg(builder.directory().join("password")).status();
    assert!(chmod.unwrap().success());
    let builder = builder.upstream("username = \"shop\"\npassword_file = \"password\"");
    let mut gate = verifying(builder, authority, tls).start();
    let mut client = gate.client();
    client.line("MAIL FROM:<shop@example.com>");
    let reply = client.reply();
    assert!(reply.starts_with("451 4.7.5"), "{name}: {reply}");
    client.command("NOOP", "250"); // the session goes on
    gate.stop();
    let record = upstream.wait_until_quiet();
    assert_eq!((record.count("MAIL"), record.count("AUTH"), record.credentials.len()), (0, 0, 0), "{name}");
}

fn certificates(authority: &Authority) -> Vec<(&'static str, Arc<ServerConfig>)> {
    let other = Authority::new();
    vec![
        ("another name", authority.issue(&["mx.elsewhere.example"]).server_config()),
        ("another address", authority.issue(&["127.0.0.2"]).server_config()),
        ("the name as common name only", authority.issue_common_name("127.0.0.1").server_config()),
        ("expired", authority.issue_expired(&["127.0.0.1"]).server_config()),
        ("self-signed", Authority::self_signed(&["127.0.0.1"]).server_config()),
        ("another authority", other.issue(&["127.0.0.1"]).server_config()),
    ]
}

#[test]
fn an_upstream_that_cannot_prove_its_name_gets_nothing() {
    let authority = Authority::new();
    for (name, config) in certificates(&authority) {
        nothing_goes_upstream(name, Upstream::builder().starttls(Arc::clone(&config)), &authority, "starttls");
        nothing_goes_upstream(name, Upstream::builder().implicit_tls(config), &authority, "implicit");
    }
}

#[test]
fn an_upstream_without_tls_gets_nothing_where_tls_is_demanded() {
    let authority = Authority::new();
    let config = || authority.issue(&["127.0.0.1"]).server_config();
    nothing_goes_upstream("STARTTLS stripped", Upstream::builder(), &authority, "starttls");
    let refusing = Upstream::builder().starttls(config()).script(|moment| match moment.verb {
        Verb::StartTls => say("454 4.7.0 TLS not available"),
        _ => Act::Normal,
    });
    nothing_goes_upstream("STARTTLS refused", refusing, &authority, "starttls");
    let injecting = Upstream::builder().starttls(config()).script(|moment| match moment.verb {
        Verb::StartTls => Act::Raw(b"220 2.0.0 Go ahead\r\n250-fake\r\n250 AUTH PLAIN\r\n".to_vec()),
        _ => Act::Normal,
    });
    nothing_goes_upstream("a reply injected before TLS", injecting, &authority, "starttls");
}

#[test]
fn what_upstream_offered_before_tls_is_forgotten() {
    let authority = Authority::new();
    let config = authority.issue(&["127.0.0.1"]).server_config();
    let upstream = Upstream::builder().starttls(config).script(|moment| match (moment.verb, moment.tls) {
        (Verb::Ehlo, false) => say("250 upstream.example\nSTARTTLS\nSMTPUTF8\n8BITMIME"),
        (Verb::Ehlo, true) => say("250 upstream.example\nDSN"),
        _ => Act::Normal,
    });
    let upstream = upstream.start();
    let gate = verifying(Gate::builder(upstream.address), &authority, "starttls").start();
    let mut first = gate.client();
    first.command("MAIL FROM:<shop@example.com>", "250");
    first.quit();
    let mut client = Client::connect(gate.address());
    client.expect("220");
    let offered = client.hello();
    assert!(offered.contains("DSN") && !offered.contains("SMTPUTF8") && !offered.contains("8BITMIME"), "{offered}");
}

#[test]
fn a_login_passes_through_under_tls_and_never_in_clear() {
    let authority = Authority::new();
    let upstream = Upstream::builder()
        .starttls(authority.issue(&["127.0.0.1"]).server_config())
        .capabilities(&["PIPELINING", "SIZE 1000000", "AUTH PLAIN LOGIN"])
        .start();
    let builder = with_certificate(Gate::builder(upstream.address), &authority, "starttls");
    let mut gate = verifying(builder, &authority, "starttls").start();
    let plain = STANDARD.encode("\0anna\0s3cret!word");

    let mut client = gate.client();
    client.command(&format!("AUTH PLAIN {plain}"), "538 5.7.11");
    assert!(upstream.record().credentials.is_empty());
    client.quit();

    let mut client = under_starttls(&gate, &authority);
    client.command(&format!("AUTH PLAIN {plain}"), "235 2.7.0");
    assert!(client.send("shop@example.com", &["anna@example.net"], MESSAGE).starts_with("250"));
    client.quit();
    let mut client = under_starttls(&gate, &authority);
    client.command("AUTH LOGIN", "334");
    client.command(&STANDARD.encode("anna"), "334");
    client.command(&STANDARD.encode("s3cret!word"), "235 2.7.0");
    client.quit();
    gate.stop();

    let record = upstream.wait_until_quiet();
    let login = ("anna".to_owned(), "s3cret!word".to_owned());
    assert_eq!(record.credentials, [login.clone(), login]);
    assert_eq!(record.messages[0].user.as_deref(), Some("anna"));
    let log = gate.log().join("\n");
    assert!(!log.contains("s3cret") && !log.contains(&plain), "a secret in the log");
}

fn refusing_logins(authority: &Authority) -> Upstream {
    Upstream::builder()
        .starttls(authority.issue(&["127.0.0.1"]).server_config())
        .capabilities(&["AUTH PLAIN"])
        .script(|moment| match moment.verb {
            Verb::Auth => say("535 5.7.8 no such user here"),
            _ => Act::Normal,
        })
        .start()
}

#[test]
fn upstream_refusing_a_login_is_heard_word_for_word() {
    let authority = Authority::new();
    let upstream = refusing_logins(&authority);
    let builder = with_certificate(Gate::builder(upstream.address), &authority, "starttls");
    let gate = verifying(builder, &authority, "starttls").start();
    let mut client = under_starttls(&gate, &authority);
    client.command(&format!("AUTH PLAIN {}", STANDARD.encode("\0anna\0wrong")), "535 5.7.8 no such user here");
    client.quit();
}

#[test]
fn a_client_cannot_guess_passwords_for_ever() {
    let authority = Authority::new();
    let upstream = refusing_logins(&authority);
    let builder = with_certificate(Gate::builder(upstream.address), &authority, "starttls").listener("max_errors = 3");
    let gate = verifying(builder, &authority, "starttls").start();
    let mut client = under_starttls(&gate, &authority);
    let guess = format!("AUTH PLAIN {}", STANDARD.encode("\0anna\0wrong"));
    client.command(&guess, "535");
    client.command(&guess, "535");
    client.command(&guess, "421 4.7.0");
    client.expect_the_end();
}
