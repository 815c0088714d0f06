//! Upstream fails at each verb in each way (table 2.L): the client hears what the table says, and never a yes to a
//! message that upstream has not acknowledged. Afterwards the same session sends as if nothing had been.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::faulty::{At, Fault, FaultyUpstream, Plan};
use crate::mail::{ANNA, SENDER, order};
use crate::support::{Authority, Client, Gate};

/// Where the client hears of it, and how the reply starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hears {
    Mail(&'static str),
    Rcpt(&'static str),
    End(&'static str),
}
use Hears::{End, Mail, Rcpt};

fn say(bytes: &str) -> Fault {
    Fault::Say(bytes.into())
}

fn chatter() -> Fault {
    Fault::Chatter(b"250 2.0.0 And another thing\r\n".to_vec())
}

/// What is no reply at all.
fn nonsense() -> Vec<Fault> {
    let endless = || [b"250 ".as_slice(), &vec![b'x'; 10 << 20], b"\r\n"].concat();
    vec![
        say("25x what\r\n"),
        say("no code\r\n"),
        say("\r\n"),
        say("250-one\r\n451 two\r\n"),
        say("250:Ok\r\n"),
        say("999 Ok\r\n"),
        Fault::Say(endless()),
        Fault::Say(b"250-more\r\n".repeat(5000)),
    ]
}

fn gone() -> [Fault; 3] {
    [Fault::Close, Fault::Reset, Fault::HalfClose]
}

/// Fills a connection's buffers several times over: upstream sees some of it before the end is written.
fn large(id: &str) -> Vec<u8> {
    let line = format!("{}\r\n", "x".repeat(76));
    [order(id), line.repeat(100_000).into_bytes()].concat()
}

/// One message; where its fate was decided and what was said.
fn attempt(client: &mut Client, content: &[u8]) -> (fn(&'static str) -> Hears, String) {
    client.line(&format!("MAIL FROM:<{SENDER}>"));
    let reply = client.reply();
    if !reply.starts_with("250") {
        return (Mail, reply);
    }
    client.line(&format!("RCPT TO:<{ANNA}>"));
    let reply = client.reply();
    if !reply.starts_with("250") {
        return (Rcpt, reply);
    }
    client.command("DATA", "354");
    client.write(content);
    client.write(b".\r\n");
    (End, client.reply())
}

struct Trial<'a> {
    upstream: &'a FaultyUpstream,
    gate: &'a Gate,
    wrong: Vec<String>,
    number: usize,
}

impl<'a> Trial<'a> {
    fn new(upstream: &'a FaultyUpstream, gate: &'a Gate) -> Trial<'a> {
        let mut trial = Trial { upstream, gate, wrong: Vec::new(), number: 0 };
        trial.goes_on(gate.client(), "the start"); // from here on EHLO asks upstream nothing
        trial
    }

    fn once(&mut self, at: At, fault: Fault, expected: Hears) {
        self.run(Plan { at, fault, lasting: false }, expected);
    }

    fn always(&mut self, at: At, fault: Fault, expected: Hears) {
        self.run(Plan { at, fault, lasting: true }, expected);
    }

    fn run(&mut self, plan: Plan, expected: Hears) {
        self.number += 1;
        let id = format!("m{}", self.number);
        let what = format!("{plan:.60?}");
        let content = if plan.at == At::Content { large(&id) } else { order(&id) };
        let mut client = self.gate.client();
        self.upstream.plan([plan]);
        let (place, reply) = attempt(&mut client, &content);
        self.upstream.plan([]);
        let has_it = self.upstream.seen().copies_of(&id);
        let (Mail(start) | Rcpt(start) | End(start)) = expected;
        if place(start) != expected || !reply.starts_with(start) {
            self.wrong.push(format!("{what}: expected {expected:?}, got {:?} {reply:?}", place("")));
        }
        let acknowledged = reply.starts_with("250");
        if acknowledged && has_it != 1 || has_it > 1 {
            self.wrong.push(format!("{what}: {reply:?}, and upstream has it {has_it} times"));
        }
        self.goes_on(client, &what);
    }

    /// I8: the session is as good as before.
    fn goes_on(&mut self, mut client: Client, what: &str) {
        let id = format!("after-{}", self.number);
        client.command("RSET", "250");
        let (_, reply) = attempt(&mut client, &order(&id));
        let copies = self.upstream.seen().copies_of(&id);
        if !reply.starts_with("250 2.0.0 Ok: queued") || copies != 1 {
            self.wrong.push(format!("after {what}: {reply:?}, {copies} copies"));
        }
        client.quit();
    }

    fn end(self) {
        assert!(self.wrong.is_empty(), "{} of {}:\n{}", self.wrong.len(), self.number, self.wrong.join("\n"));
        let stray: Vec<_> =
            self.upstream.seen().unfinished.iter().filter(|data| data.ends_with(b"QUIT\r\n")).cloned().collect();
        assert!(stray.is_empty(), "a command inside DATA");
    }
}

#[test]
fn an_upstream_that_cannot_be_reached_is_a_later() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = Gate::in_front_of(nobody);
    let mut client = gate.client();
    let (place, reply) = attempt(&mut client, &order("m"));
    assert_eq!((place(""), &reply[..10]), (Mail(""), "451 4.4.1 "));
    client.quit();
}

#[test]
fn an_upstream_that_does_not_greet_properly_is_a_later() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut trial = Trial::new(&upstream, &gate);
    for at in [At::Greeting, At::Ehlo] {
        for fault in gone() {
            trial.always(at, fault, Mail("451 4.4.1 "));
        }
        trial.always(at, say("421 4.3.2 Not now\r\n"), Mail("451 4.4.1 "));
        trial.always(at, Fault::Leave(b"421 4.3.2 Not now\r\n".to_vec()), Mail("451 4.4.1 "));
        for fault in nonsense() {
            trial.always(at, fault, Mail("451 4.5.0 "));
        }
        trial.always(at, chatter(), Mail("451 4.5.0 "));
        trial.always(at, Fault::Drip, End("250 "));
    }
    trial.always(At::Greeting, say("554 5.3.2 Never\r\n"), Mail("451 4.4.1 "));
    trial.end();
}

#[test]
fn a_refused_or_broken_login_is_a_later_and_no_mail_follows() {
    let upstream = FaultyUpstream::offering(&["AUTH PLAIN LOGIN", "ENHANCEDSTATUSCODES"]);
    let builder = Gate::builder(upstream.address);
    std::fs::write(builder.directory().join("password"), "secret\n").unwrap();
    std::fs::set_permissions(builder.directory().join("password"), Permissions::from_mode(0o600)).unwrap();
    let gate = builder.upstream("username = \"gate\"").upstream("password_file = \"password\"").start();
    let mut trial = Trial::new(&upstream, &gate);
    trial.always(At::Auth, say("535 5.7.8 Who are you\r\n"), Mail("451 4.7.5 "));
    trial.always(At::Auth, say("454 4.7.0 Not now\r\n"), Mail("451 4.7.5 "));
    trial.always(At::Auth, say("334 \r\n"), Mail("451 4.7.5 "));
    trial.always(At::Auth, say("25x\r\n"), Mail("451 4.5.0 "));
    trial.always(At::Auth, chatter(), Mail("451 4.5.0 "));
    for fault in gone() {
        trial.always(At::Auth, fault, Mail("451 4.4.1 "));
    }
    trial.always(At::Auth, Fault::Drip, End("250 "));
    trial.end();
}

#[test]
fn an_upstream_that_fails_to_start_tls_gets_no_mail() {
    let upstream = FaultyUpstream::offering(&["STARTTLS"]);
    let builder = Gate::builder(upstream.address);
    let authority = Authority::new().write_to(builder.directory());
    upstream.plan([Plan { at: At::StartTls, fault: Fault::Close, lasting: true }]);
    let gate = builder.upstream("tls = \"starttls\"").upstream(&format!("ca_file = {authority:?}")).start();
    let table = [
        (say("454 4.7.0 Not now\r\n"), "451 4.7.5 "),
        (say("220 go\r\n250 fake\r\n"), "451 4.7.5 "),
        (Fault::Leave(b"220 go\r\nthis is no handshake\r\n".to_vec()), "451 4.7.5 "),
        (Fault::Leave(b"220 go\r\n".to_vec()), "451 4.7.5 "),
        (Fault::Close, "451 4.4.1 "),
        (Fault::Reset, "451 4.4.1 "),
        (say("25x\r\n"), "451 4.5.0 "),
    ];
    for (fault, expected) in table {
        upstream.plan([Plan { at: At::StartTls, fault: fault.clone(), lasting: true }]);
        let mut client = gate.client();
        let (place, reply) = attempt(&mut client, &order("m"));
        assert!(place("") == Mail("") && reply.starts_with(expected), "{fault:?}: {reply:?}");
        client.quit();
    }
    assert!(upstream.seen().commands.iter().all(|line| line == "STARTTLS" || line == "QUIT"));
}

#[test]
fn the_envelope_is_answered_as_upstream_answers_or_later() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut trial = Trial::new(&upstream, &gate);
    for (at, hears) in [(At::Mail, Mail as fn(&'static str) -> Hears), (At::Rcpt, Rcpt)] {
        for fault in gone() {
            trial.once(at, fault, hears("451 4.4.2 "));
        }
        for fault in nonsense() {
            trial.once(at, fault, hears("451 4.5.0 "));
        }
        trial.once(at, say("354 Go ahead\r\n"), hears("451 4.5.0 "));
        trial.once(at, say("451 4.2.0 Greylisted\r\n"), hears("451 4.2.0 Greylisted"));
        trial.once(at, say("550-5.1.1 No\r\n550 5.1.1 Never\r\n"), hears("550-5.1.1 No\n550 5.1.1 Never"));
        trial.once(at, say("421 4.3.2 Leaving\r\n"), hears("451 4.3.2 Leaving"));
        trial.once(at, Fault::Leave(b"421 4.3.2 Leaving\r\n".to_vec()), hears("451 4.3.2 Leaving"));
        trial.once(at, Fault::Drip, End("250 "));
        // The answer that nobody asked for would be taken for the next one's.
        trial.once(at, chatter(), hears("451 4.5.0 "));
    }
    trial.end();
}

#[test]
fn an_upstream_lost_before_the_content_is_asked_once_more() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut trial = Trial::new(&upstream, &gate);
    for fault in gone() {
        trial.once(At::Data, fault.clone(), End("250 "));
        trial.always(At::Data, fault, End("451 4.4.2 "));
    }
    trial.once(At::Data, say("421 4.3.2 Leaving\r\n"), End("250 "));
    trial.always(At::Data, say("421 4.3.2 Leaving\r\n"), End("451 4.3.2 Leaving"));
    trial.once(At::Data, say("450 4.2.0 Busy\r\n"), End("450 4.2.0 Busy"));
    trial.once(At::Data, say("554 5.7.1 Never\r\n"), End("554 5.7.1 Never"));
    trial.once(At::Data, say("250 2.0.0 Ok\r\n"), End("451 4.5.0 "));
    for fault in nonsense() {
        trial.once(At::Data, fault, End("451 4.5.0 "));
    }
    trial.once(At::Data, chatter(), End("451 4.5.0 "));
    trial.once(At::Data, Fault::Drip, End("250 "));
    trial.end();
}

#[test]
fn an_upstream_that_closed_for_idleness_is_replaced() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    let taken = "250 2.0.0 Ok: queued\r\n";
    let farewells = [
        (At::Dot, Fault::Leave(taken.into())),
        (At::Dot, Fault::Leave(format!("{taken}421 4.4.2 Idle\r\n").into())),
        (At::Mail, Fault::Close),
        (At::Mail, Fault::Reset),
        (At::Mail, say("421 4.4.2 Idle\r\n")),
    ];
    for (n, (at, fault)) in farewells.into_iter().enumerate() {
        let plan = Plan { at, fault, lasting: false };
        let is_later = at == At::Mail;
        upstream.plan(Some(plan.clone()).filter(|_| !is_later));
        assert!(attempt(&mut client, &order(&format!("first-{n}"))).1.starts_with("250"));
        upstream.plan(Some(plan).filter(|_| is_later));
        let (_, reply) = attempt(&mut client, &order(&format!("second-{n}")));
        assert!(reply.starts_with("250"), "{reply}");
        assert_eq!(upstream.seen().copies_of(&format!("second-{n}")), 1);
    }
    client.quit();
}

#[test]
fn a_recipient_refused_at_the_second_asking_ends_the_replay() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    for (at, fault) in
        [(At::Rcpt, say("550 5.1.1 No\r\n")), (At::Mail, say("550 5.7.1 No\r\n")), (At::Greeting, Fault::Close)]
    {
        let mut client = gate.client();
        client.command(&format!("MAIL FROM:<{SENDER}>"), "250");
        client.command(&format!("RCPT TO:<{ANNA}>"), "250");
        let gone = Plan { at: At::Data, fault: Fault::Close, lasting: false };
        upstream.plan([gone, Plan { at, fault, lasting: true }]);
        client.command("DATA", "354");
        client.write(&order("m"));
        client.write(b".\r\n");
        client.expect("451 4.4.2 ");
        upstream.plan([]);
        client.quit();
    }
    assert_eq!(upstream.seen().copies_of("m"), 0);
}

#[test]
fn an_upstream_lost_within_the_content_has_nothing() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut trial = Trial::new(&upstream, &gate);
    trial.once(At::Content, Fault::Close, End("451 4.4.2 "));
    trial.once(At::Content, Fault::Reset, End("451 4.4.2 "));
    trial.once(At::Content, Fault::Leave(b"421 4.3.2 Leaving\r\n".to_vec()), End("451 "));
    // A yes before the end is a yes to something else.
    trial.once(At::Content, say("250 2.0.0 Ok: queued\r\n"), End("451 4."));
    assert_eq!(upstream.seen().copies_of("m4"), 0);
    trial.end();
}

/// The yes has come before the end, so it is none; and at the end upstream is gone.
#[test]
fn a_yes_within_the_content_is_no_yes_under_tls_either() {
    let authority = Authority::new();
    let upstream = FaultyUpstream::under_tls(authority.issue(&["127.0.0.1"]).server_config());
    let builder = Gate::builder(upstream.address);
    let ca = authority.write_to(builder.directory());
    let gate = builder.upstream("tls = \"implicit\"").upstream(&format!("ca_file = {ca:?}")).start();
    let mut trial = Trial::new(&upstream, &gate);
    trial.once(At::Mail, chatter(), Mail("451 4.5.0 "));
    trial.once(At::Data, chatter(), End("451 4.5.0 "));
    for _ in 0..5 {
        let mut client = gate.client();
        let early = Plan { at: At::Content, fault: say("250 2.0.0 Ok: queued\r\n"), lasting: false };
        upstream.plan([early, Plan { at: At::Dot, fault: Fault::Close, lasting: false }]);
        let (_, reply) = attempt(&mut client, &large("early"));
        assert!(reply.starts_with("451 4."), "{reply}");
        upstream.plan([]);
        client.quit();
    }
    assert_eq!(upstream.seen().copies_of("early"), 0);
    trial.end();
}

#[test]
fn an_answer_lost_behind_the_final_dot_is_a_later_and_noted() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut trial = Trial::new(&upstream, &gate);
    let mut unknown = 0;
    let lost: Vec<Fault> = gone().into_iter().chain(nonsense()).chain([say("354 Go on\r\n")]).collect();
    for fault in lost {
        trial.run_unknown(fault);
        unknown += 1;
    }
    trial.once(At::Dot, say("451 4.7.1 Later\r\n"), End("451 4.7.1 Later"));
    trial.once(At::Dot, say("554-5.7.1 No\r\n554 5.7.1 Never\r\n"), End("554-5.7.1 No\n554 5.7.1 Never"));
    trial.once(At::Dot, say("421 4.3.2 Leaving\r\n"), End("451 4.3.2 Leaving"));
    trial.once(
        At::Dot,
        say("250-2.0.0 Ok:\r\n250-2.0.0 queued as\r\n250 2.0.0 7\r\n"),
        End("250-2.0.0 Ok:\n250-2.0.0 queued as\n250 2.0.0 7"),
    );
    trial.once(At::Dot, Fault::Drip, End("250 2.0.0 Ok: queued"));
    trial.once(At::Dot, chatter(), End("250 2.0.0 Ok: queued"));
    trial.end();
    let log = gate.wait_for_log("every open question", |lines| {
        lines.iter().filter(|line| line.contains("indeterminate")).count() >= unknown
    });
    assert_eq!(log.iter().filter(|line| line.contains("indeterminate")).count(), unknown);
}

impl Trial<'_> {
    /// Behind the dot upstream may have the message: nobody knows, least of all the client.
    fn run_unknown(&mut self, fault: Fault) {
        self.number += 1;
        let what = format!("{fault:.60?}");
        let mut client = self.gate.client();
        self.upstream.plan([Plan { at: At::Dot, fault, lasting: false }]);
        let (_, reply) = attempt(&mut client, &order(&format!("unknown-{}", self.number)));
        if !reply.starts_with("451 4.4.2 ") {
            self.wrong.push(format!("at the dot, {what}: {reply:?}"));
        }
        self.goes_on(client, &what);
    }
}

#[test]
fn an_upstream_that_stops_is_given_up_in_time() {
    let table = [
        (At::Greeting, "greeting_timeout", Mail("451 4.4.1 ")),
        (At::Ehlo, "ehlo_timeout", Mail("451 4.4.1 ")),
        (At::Mail, "mail_timeout", Mail("451 4.4.2 ")),
        (At::Rcpt, "mail_timeout", Rcpt("451 4.4.2 ")),
        (At::Data, "data_timeout", End("451 4.4.2 ")),
        (At::Content, "write_timeout", End("451 4.4.2 ")),
        (At::Dot, "final_timeout", End("451 4.4.2 ")),
    ];
    std::thread::scope(|scope| {
        for (at, limit, expected) in table {
            scope.spawn(move || {
                let upstream = FaultyUpstream::start();
                let gate = Gate::builder(upstream.address).upstream(&format!("{limit} = \"1s\"")).start();
                let mut trial = Trial::new(&upstream, &gate);
                trial.always(at, Fault::Stop, expected);
                trial.end();
            });
        }
    });
}
