//! The orderly end: nobody new is let in, who waits is told, who is at it finishes; and with a socket that outlives the
//! gate a restart refuses nobody.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use std::{fs, thread};

use crate::faulty::{At, Fault, FaultyUpstream, Plan};
use crate::mail::{ANNA, SENDER, order};
use crate::support::peers::until;
use crate::support::{Act, Client, DEADLINE, Gate, Upstream, Verb};

/// The gate again, with a time limit for its end.
fn with_drain_timeout(upstream: SocketAddr, limit: &str) -> Gate {
    let mut gate = Gate::in_front_of(upstream);
    gate.stop();
    let settings = fs::read_to_string(&gate.settings).unwrap();
    fs::write(&gate.settings, format!("drain_timeout = \"{limit}\"\n{settings}")).unwrap();
    gate.run();
    gate
}

fn begin_message(gate: &Gate) -> Client {
    let mut client = gate.client();
    client.envelope(SENDER, &[ANNA]);
    client.write(b"Subject: half a mess");
    client.let_read();
    client
}

#[test]
fn at_the_end_idle_sessions_are_told_and_a_message_in_progress_is_finished() {
    let upstream = FaultyUpstream::start();
    let mut gate = with_drain_timeout(upstream.address, "50s");
    let mut sending = begin_message(&gate);
    let mut waiting = begin_message(&gate);
    let mut greeted = Client::connect(gate.address());
    greeted.expect("220");
    let mut idle = gate.client();
    let mut between = gate.client();
    between.command(&format!("MAIL FROM:<{SENDER}>"), "250");
    // Upstream hesitates at its final answer until told otherwise.
    upstream.plan([Plan { at: At::Dot, fault: Fault::Stop, lasting: false }]);
    waiting.write(b"age\r\n\r\nbody\r\n.\r\n");
    drop(upstream.wait_for("a message", |seen| seen.commands.iter().any(|line| line == "DATA")));

    gate.signal("TERM");
    for client in [&mut greeted, &mut idle, &mut between] {
        client.expect("421 4.3.2 ");
        client.expect_the_end();
    }
    // Every runtime closes its own door; the last one may do so a moment after the first sessions are told.
    until("nobody is let in any more", || TcpStream::connect(gate.address()).err());
    sending.write(b"age\r\nX-Id: finished\r\n\r\nbody\r\n.\r\n");
    sending.expect("250 2.0.0 Ok: queued");
    sending.expect("421 4.3.2 ");
    sending.expect_the_end();
    assert_eq!(upstream.seen().copies_of("finished"), 1);

    upstream.plan([]); // upstream leaves without an answer: the client hears that
    waiting.expect("451 4.4.2 ");
    waiting.expect("421 4.3.2 ");
    waiting.expect_the_end();
    assert!(gate.wait_for_exit().success());
}

#[test]
fn a_message_that_is_not_finished_in_time_is_given_up() {
    let upstream = FaultyUpstream::start();
    let mut gate = with_drain_timeout(upstream.address, "1s");
    let mut half = begin_message(&gate);
    gate.signal("TERM");
    half.expect("421 4.3.2 ");
    half.expect_the_end();
    assert!(gate.wait_for_exit().success());
    let seen = upstream.wait_until_quiet();
    assert!(!seen.commands.iter().any(|line| line == "DATA"));
}

#[test]
fn who_waits_for_an_answer_of_upstream_waits_on_beyond_that_time() {
    let (arrived, at_dot) = mpsc::channel();
    let (answer, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::scripted(move |moment| {
        if moment.verb == Verb::Dot {
            arrived.send(()).unwrap();
            told.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        }
        Act::Normal
    });
    let mut gate = with_drain_timeout(upstream.address, "1s");
    let mut waiting = begin_message(&gate);
    waiting.write(b"age\r\n\r\nbody\r\n.\r\n");
    at_dot.recv_timeout(DEADLINE).unwrap();
    let mut half = begin_message(&gate);
    gate.signal("TERM");
    half.expect("421 4.3.2 "); // the time is over
    half.expect_the_end();
    let last_call = Duration::from_secs(3); // longer than what others get to leave
    assert!(at_dot.recv_timeout(last_call).is_err(), "nothing new goes upstream");
    answer.send(()).unwrap();
    waiting.expect("250 2.0.0 Ok: queued");
    waiting.expect("421 4.3.2 ");
    assert!(gate.wait_for_exit().success());
    assert!(upstream.single_message().accepted);
}

#[test]
fn a_second_signal_changes_nothing() {
    let upstream = FaultyUpstream::start();
    let mut gate = with_drain_timeout(upstream.address, "50s");
    let mut sending = begin_message(&gate);
    let mut idle = gate.client();
    gate.signal("TERM");
    idle.expect("421 4.3.2 ");
    gate.signal("TERM");
    sending.write(b"age\r\n\r\nbody\r\n.\r\n");
    sending.expect("250 2.0.0 Ok: queued");
    assert!(gate.wait_for_exit().success());
}

/// A gate on a socket that somebody else holds open, as systemd does.
struct Activated {
    child: Child,
    log: mpsc::Receiver<String>,
}

impl Activated {
    /// The socket becomes descriptor 3 of the process, whose number has to be in LISTEN_PID.
    fn start(gate: &Gate, socket: &TcpListener) -> Activated {
        let serve = gate.command(&["serve"]);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg("exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$@\"").arg("sh");
        shell.arg(serve.get_program()).args(serve.get_args());
        shell.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "submission").env("NO_COLOR", "1");
        let socket = OwnedFd::from(socket.try_clone().unwrap());
        let mut child = shell.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (line, log) = mpsc::channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|text| line.send(text)));
        Activated { child, log }
    }

    fn wait_until_it_serves(&self) {
        let mut said = Vec::new();
        while let Ok(line) = self.log.recv_timeout(DEADLINE) {
            if line.contains("policy in force") {
                return;
            }
            said.push(line);
        }
        panic!("the gate does not serve:\n{}", said.join("\n"));
    }

    fn stop(&mut self) {
        let sent = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends one message after the other in sessions of its own; how many were acknowledged.
fn keep_sending(gate: SocketAddr, number: usize, enough: &AtomicBool) -> usize {
    let mut acknowledged = 0;
    for turn in 0.. {
        if enough.load(Ordering::SeqCst) {
            break;
        }
        let id = format!("load-{number}-{turn}");
        // A session that the end of a gate cuts off is told so; the next one has the next gate.
        while !send_one(gate, &id) {}
        acknowledged += 1;
    }
    acknowledged
}

fn send_one(gate: SocketAddr, id: &str) -> bool {
    let mut client = Client::connect(gate); // refused: the test has failed
    let commands = [format!("MAIL FROM:<{SENDER}>"), format!("RCPT TO:<{ANNA}>"), "DATA".to_owned()];
    client.expect("220");
    for command in ["EHLO client.example".to_owned()].into_iter().chain(commands) {
        client.line(&command);
        if client.reply().starts_with("421 4.3.2") {
            return false;
        }
    }
    client.write(&order(id));
    client.write(b".\r\n");
    client.expect("250");
    true
}

#[test]
fn a_restart_on_a_socket_that_stays_open_refuses_nobody() {
    let upstream = FaultyUpstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    gate.stop();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut running = Activated::start(&gate, &socket);
    running.wait_until_it_serves();
    let enough = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let enough = Arc::clone(&enough);
            thread::spawn(move || keep_sending(address, number, &enough))
        })
        .collect();
    for _ in 0..3 {
        let before = upstream.seen().total;
        drop(upstream.wait_for("more mail", |seen| seen.total >= before + 20));
        running.stop();
        running = Activated::start(&gate, &socket);
    }
    let before = upstream.seen().total;
    drop(upstream.wait_for("mail through the last gate", |seen| seen.total >= before + 20));
    enough.store(true, Ordering::SeqCst);
    let acknowledged: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert_eq!(upstream.seen().total, acknowledged);
}
