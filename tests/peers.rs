//! The gate among mail software that nobody here wrote: servers before and behind it, clients of four kinds.

mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll};

use samotop::mail::{AcceptsDispatch, Builder, DispatchResult, MailDispatch, MailSetup, Name};
use samotop::server::TcpServer;
use samotop::smtp::{Esmtp, SmtpParser, SmtpSession};
use support::peers::{Exim, OpenSmtpd, Postfix, own_address, program, wait_until_it_listens};
use support::{Client, DEADLINE, Gate, Message, Upstream};

const CONSENT: &str = r#"{"address":"anna@example.net","controller":"shop","type":"opt_in","topics":["offers/books"],"at":"2026-01-05T10:00:00Z","actor":"person","mechanism":"unticked_box_ticked","text_version":"v1","source":"the shop's order form"}"#;
const NEWSLETTER: &[u8] = b"From: Librairie <news@exemple.fr>\r\nTo: you@example.net\r\nSubject: new books\r\n\
    Message-ID: <n1@exemple.fr>\r\nX-Kind: newsletter\r\n\r\nMany new books.\r\nhttps://exemple.fr/desinscription/1\r\n";
const ORDER: &[u8] = b"From: Librairie <shop@exemple.fr>\r\nTo: you@example.net\r\nSubject: your order\r\n\
    Message-ID: <o1@exemple.fr>\r\n\r\nIt is on its way.\r\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}

/// The whole way: client → Postfix → gate → Postfix → mailbox. A gate needs its upstream's address before it starts and
/// Postfix the gate's, so they start from the back.
#[test]
fn from_one_postfix_through_the_gate_into_the_mailbox_of_another() {
    let Some(receiving) = Postfix::with_a_mailbox() else { return };
    let gate = Gate::in_front_of(receiving.address);
    gate.import(&[CONSENT]);
    let Some(sending) = Postfix::relaying_to(gate.address()) else { return };

    let mut client = Client::ready(sending.address);
    client.send("shop@exemple.fr", &["bea@example.net"], ORDER);
    client.send("news@exemple.fr", &["anna@example.net", "bea@example.net"], NEWSLETTER);
    client.quit();
    // The newsletter's notice about bea goes to news@exemple.fr, which upstream does not host: it waits there or bounces.
    let delivered = receiving.wait_for_mailbox(2);
    let of = |subject: &str| delivered.iter().filter(|message| text(message).contains(subject)).collect::<Vec<_>>();
    assert_eq!(of("Subject: your order\n").len(), 1);
    let newsletters = of("Subject: new books\n");
    assert_eq!(newsletters.len(), 1, "anna's only");
    let copy = text(newsletters[0]);
    assert!(
        copy.contains("Delivered-To: anna@example.net\n") || copy.contains("X-Original-To: anna@example.net\n"),
        "{copy}"
    );
    assert!(copy.contains("\nList-Unsubscribe: <http://127.0.0.1:8080/u/"), "{copy}");
    assert!(copy.contains("\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n"), "{copy}");
    assert!(copy.ends_with("\nMany new books.\nhttps://exemple.fr/desinscription/1\n"), "{copy}");
}

/// One order in, one order out.
#[track_caller]
fn arrives_once(upstream: &Upstream, recipient: &str, body: &str) -> Message {
    let message = upstream.single_message();
    assert!(message.accepted);
    assert_eq!(message.to, [format!("<{recipient}>")]);
    assert!(text(&message.content).trim_end().ends_with(body), "{}", text(&message.content));
    message
}

#[track_caller]
fn run(command: &mut Command, input: &[u8]) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

#[test]
fn swaks_sends_through_the_gate() {
    let Some(swaks) = program("swaks") else { return };
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let server = gate.address().to_string();
    let arguments =
        ["--server", &server, "--from", "shop@exemple.fr", "--to", "anna@example.net", "--body", "from swaks"];
    run(Command::new(swaks).args(arguments).args(["--helo", "client.example", "--suppress-data"]), b"");
    arrives_once(&upstream, "anna@example.net", "from swaks");
}

#[test]
fn msmtp_sends_through_the_gate() {
    let Some(msmtp) = program("msmtp") else { return };
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut command = Command::new(msmtp);
    command.args(["--file=/dev/null", "--host=127.0.0.1", &format!("--port={}", gate.address().port())]);
    command.args(["--from=shop@exemple.fr", "anna@example.net"]);
    run(&mut command, b"Subject: x\n\nfrom msmtp\n.with a dot\n");
    arrives_once(&upstream, "anna@example.net", "from msmtp\n.with a dot");
}

#[test]
fn python_smtplib_sends_through_the_gate() {
    let Some(python) = program("python3") else { return };
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let script = "import smtplib, sys\n\
        with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as server:\n\
        \x20   refused = server.sendmail('shop@exemple.fr', ['anna@example.net'], 'Subject: x\\n\\nfrom smtplib\\n.\\nend')\n\
        sys.exit(len(refused))\n";
    run(Command::new(python).args(["-c", script, &gate.address().port().to_string()]), b"");
    arrives_once(&upstream, "anna@example.net", "from smtplib\n.\nend");
}

#[test]
fn smtp_source_sends_two_hundred_messages_in_ten_sessions() {
    let Some(smtp_source) = program("smtp-source") else { return };
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    let mut command = Command::new(smtp_source);
    command.args(["-d", "-s", "10", "-m", "200", "-l", "4096", "-f", "shop@exemple.fr", "-t", "anna@example.net"]);
    run(command.arg(format!("inet:{}", gate.address())), b"");
    gate.stop();
    let record = upstream.wait_until_quiet();
    assert_eq!((record.accepted().len(), record.violations.len()), (200, 0));
}

#[test]
fn an_opensmtpd_behind_the_gate_takes_and_sends_on() {
    let next = Upstream::start();
    let Some(opensmtpd) = OpenSmtpd::relaying_to(next.address) else { return };
    let gate = Gate::in_front_of(opensmtpd.address);
    let mut client = gate.client();
    assert!(client.send("shop@exemple.fr", &["anna@example.net"], ORDER).starts_with("250"));
    client.quit();
    arrives_once(&next, "anna@example.net", "It is on its way.");
}

#[test]
fn an_exim_behind_the_gate_takes_the_message() {
    let Some(exim) = Exim::queueing() else { return };
    let mut gate = Gate::in_front_of(exim.address);
    let mut client = gate.client();
    assert!(client.send("shop@exemple.fr", &["anna@example.net"], ORDER).starts_with("250"));
    client.quit();
    gate.stop();
    assert_eq!(exim.accepted_senders(), ["shop@exemple.fr"]);
}

/// What samotop was given: recipients and content of each closed message.
#[derive(Default)]
struct Delivered {
    messages: Mutex<Vec<(Vec<String>, Vec<u8>)>>,
    changed: Condvar,
}

#[derive(Clone)]
struct Keep(Arc<Delivered>);

impl std::fmt::Debug for Keep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Keep")
    }
}

impl<T: AcceptsDispatch> MailSetup<T> for Keep {
    fn setup(self, config: &mut T) {
        config.add_last_dispatch(self);
    }
}

impl MailDispatch for Keep {
    fn open_mail_body<'a, 's, 'f>(
        &'a self,
        session: &'s mut SmtpSession,
    ) -> Pin<Box<dyn Future<Output = DispatchResult> + Send + 'f>>
    where
        'a: 'f,
        's: 'f,
    {
        let to = session.transaction.rcpts.iter().map(|recipient| recipient.address.address()).collect();
        session.transaction.sink = Some(Box::pin(Sink { to, content: Vec::new(), delivered: Arc::clone(&self.0) }));
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Sink {
    to: Vec<String>,
    content: Vec<u8>,
    delivered: Arc<Delivered>,
}

impl futures_io::AsyncWrite for Sink {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.content.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let message = (std::mem::take(&mut self.to), std::mem::take(&mut self.content));
        self.delivered.messages.lock().unwrap().push(message);
        self.delivered.changed.notify_all();
        Poll::Ready(Ok(()))
    }
}

fn samotop() -> (SocketAddr, Arc<Delivered>) {
    let (address, delivered) = (own_address(), Arc::new(Delivered::default()));
    let keep = Keep(Arc::clone(&delivered));
    std::thread::spawn(move || {
        let service = Builder + Name::new("samotop") + keep + Esmtp.with(SmtpParser);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(TcpServer::on(address.to_string()).serve(service.build())).unwrap();
    });
    wait_until_it_listens(address);
    (address, delivered)
}

#[test]
fn samotop_behind_the_gate_gets_what_was_sent() {
    let (address, delivered) = samotop();
    let gate = Gate::in_front_of(address);
    gate.import(&[CONSENT]);
    let mut client = gate.client();
    let body = b"Subject: dots\r\n\r\n.one\r\n.\r\n..two\r\n";
    assert!(client.send("shop@exemple.fr", &["anna@example.net", "bea@example.net"], body).starts_with("250"));
    let reply = client.send("news@exemple.fr", &["bea@example.net"], NEWSLETTER);
    assert!(reply.starts_with("550 5.7.1 <bea@example.net> withheld: "), "{reply}");
    assert!(client.send("news@exemple.fr", &["anna@example.net"], NEWSLETTER).starts_with("250"));
    client.quit();

    let waited =
        delivered.changed.wait_timeout_while(delivered.messages.lock().unwrap(), DEADLINE, |all| all.len() < 2);
    let messages = waited.unwrap().0;
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].0, ["anna@example.net", "bea@example.net"]);
    assert!(messages[0].1.ends_with(body), "{}", text(&messages[0].1));
    assert_eq!(messages[1].0, ["anna@example.net"]);
    assert!(text(&messages[1].1).contains("\nList-Unsubscribe: <"), "{}", text(&messages[1].1));
}
