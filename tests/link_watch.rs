//! The gate and its own unsubscribe address: what mail readers cannot reach puts advertising off, and only that.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use support::http::request;
use support::{Gate, Upstream};

const ANNA: &str = "anna@x.example";
const BOOKS: &str = "From: news@exemple.fr\r\nSubject: What is new\r\nX-Kind: newsletter\r\n\r\nThree novels.\r\nhttps://exemple.fr/desinscription/1\r\n";
const ORDER: &str = "From: shop@exemple.fr\r\nSubject: Your order\r\n\r\nThank you.\r\n";

/// The web server before the gate, on a port of its own that is closed at first.
struct Front {
    socket: Option<Socket>,
    address: SocketAddr,
    /// Where the pages are, once known.
    pages: Arc<Mutex<Option<SocketAddr>>>,
}

impl Front {
    fn closed() -> Front {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Front { socket: Some(socket), address, pages: Arc::default() }
    }

    /// Listens from now on: passes on to the pages where they are known, else answers like a parked domain.
    fn open(&mut self) {
        let socket = self.socket.take().expect("still closed");
        socket.listen(128).unwrap();
        let (listener, pages): (TcpListener, _) = (socket.into(), Arc::clone(&self.pages));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let pages = *pages.lock().unwrap();
                thread::spawn(move || match pages {
                    Some(pages) => pass_on(stream, pages),
                    None => parked(stream),
                });
            }
        });
    }
}

fn parked(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 4096]);
    let _ =
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\nConnection: close\r\n\r\nThis domain is parked");
}

fn pass_on(visitor: TcpStream, pages: SocketAddr) {
    let Ok(gate) = TcpStream::connect(pages) else { return };
    let (mut from_visitor, mut to_gate) = (visitor.try_clone().unwrap(), gate.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_visitor, &mut to_gate);
        let _ = to_gate.shutdown(Shutdown::Write);
    });
    let (mut from_gate, mut to_visitor) = (gate, visitor);
    let _ = std::io::copy(&mut from_gate, &mut to_visitor);
    let _ = to_visitor.shutdown(Shutdown::Write);
}

fn start(upstream: &Upstream, front: &Front, grace: &str) -> Gate {
    let gate = Gate::builder(upstream.address)
        .base_url(&format!("http://{}", front.address))
        .settings("check_every = \"20ms\"\n[web.admin]\nlisten = \"127.0.0.1:0\"\n")
        .policy_value("endpoint_grace", grace)
        .start();
    let opt_in = json!({
        "address": ANNA, "controller": "shop", "type": "opt_in", "at": "2026-01-10T12:00:00+01:00",
        "topics": ["offers/books"], "mechanism": "unticked_box_ticked", "source": "form", "text_version": "n4",
        "actor": "person",
    });
    gate.import(&[&opt_in.to_string()]);
    gate
}

fn send(gate: &Gate, content: &str) -> String {
    let mut client = gate.client();
    let reply = client.send("bounces@exemple.fr", &[ANNA], content.as_bytes());
    client.quit();
    reply
}

fn said(gate: &Gate, words: &str) {
    gate.wait_for_log(words, |lines| lines.iter().any(|line| line.contains(words)));
}

fn readiness(gate: &Gate) -> (u16, Value) {
    let answer = request(gate.listener("web.admin"), "GET", "/readyz", "", "");
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

fn explained(gate: &Gate, arguments: &[&str]) -> String {
    String::from_utf8(gate.command(arguments).output().unwrap().stdout).unwrap()
}

#[test]
fn advertising_waits_for_the_unsubscribe_address_and_goes_when_it_is_back() {
    let (upstream, mut front) = (Upstream::start(), Front::closed());
    let mut gate = start(&upstream, &front, "\"1 ms\"");
    said(&gate, "no connection");
    said(&gate, "advertising is put off");
    let reply = send(&gate, BOOKS);
    assert!(reply.starts_with("451 4.3.0") && reply.contains("(ENDPOINT_DOWN)"), "{reply}");
    assert!(send(&gate, ORDER).starts_with("250"), "service mail does not wait");
    let (status, ready) = readiness(&gate);
    assert_eq!((status, &ready["ready"]), (200, &json!(true)), "whoever asks must not take the pages away as well");
    assert!(ready["warnings"][0].as_str().unwrap().contains("advertising is put off"), "{ready}");

    let file = gate.directory().join("books.eml");
    std::fs::write(&file, BOOKS).unwrap();
    let told = explained(&gate, &["explain", file.to_str().unwrap(), "--to", ANNA]);
    assert!(told.contains("ENDPOINT_DOWN") && told.contains("failing since"), "{told}");

    front.open();
    assert!(send(&gate, BOOKS).contains("(ENDPOINT_DOWN)"), "a parked domain is not ours");
    *front.pages.lock().unwrap() = Some(gate.listener("web.public"));
    said(&gate, "answers again");
    assert!(send(&gate, BOOKS).starts_with("250"));
    assert_eq!(readiness(&gate).1["warnings"], json!([]));
    assert!(!explained(&gate, &["explain", file.to_str().unwrap(), "--to", ANNA]).contains("ENDPOINT_DOWN"));

    gate.stop();
    let journal = gate.journal();
    let put_off = journal.iter().find(|row| row["reason"] == "ENDPOINT_DOWN").expect("a row");
    assert_eq!((&put_off["decision"], &put_off["outcome"]["result"]), (&json!("defer"), &json!("deferred")));
    let again = explained(&gate, &["explain", "--ref", put_off["ref"].as_str().unwrap()]);
    assert!(again.contains("ENDPOINT_DOWN") && !again.contains("recorded as"), "{again}");
}

/// Moves the beginning of the failure, as if so many hours had passed.
fn fails_since_hours(gate: &Gate, hours: i64) {
    let store = rusqlite::Connection::open(gate.directory().join("consentry.db")).unwrap();
    let since = jiff::Timestamp::now().as_microsecond() - hours * 3_600_000_000;
    assert_eq!(store.execute("UPDATE link_failing SET since = ?1", [since]).unwrap(), 1, "the failure was kept");
}

#[test]
fn a_restart_begins_no_new_grace() {
    let (upstream, front) = (Upstream::start(), Front::closed());
    let mut gate = start(&upstream, &front, "\"24 hours\"");
    said(&gate, "the unsubscribe address fails");
    assert!(send(&gate, BOOKS).starts_with("250"), "within the grace");
    gate.stop();
    fails_since_hours(&gate, 23);
    gate.run();
    assert!(send(&gate, BOOKS).starts_with("250"), "still within the grace");
    gate.stop();
    fails_since_hours(&gate, 25);
    gate.run();
    let reply = send(&gate, BOOKS);
    assert!(reply.contains("(ENDPOINT_DOWN)"), "{reply}");
}

#[test]
fn in_monitor_mode_a_failing_address_holds_nothing_up() {
    let (upstream, front) = (Upstream::start(), Front::closed());
    let mut gate = Gate::builder(upstream.address)
        .base_url(&format!("http://{}", front.address))
        .settings("check_every = \"20ms\"\n")
        .policy_value("endpoint_grace", "\"1 ms\"")
        .policy_value("mode", "\"monitor\"")
        .start();
    said(&gate, "advertising is put off");
    assert!(send(&gate, BOOKS).starts_with("250"));
    gate.stop();
    assert_eq!(gate.journal()[0]["reason"], "ENDPOINT_DOWN", "what would have been is recorded");
}
