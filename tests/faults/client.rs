//! Clients that leave, stall, never listen or send too much: upstream hears of none of it, and the gate goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::faulty::FaultyUpstream;
use crate::mail::{ANNA, SENDER, order};
use crate::support::{Act, Authority, Client, DEADLINE, Gate, Upstream, Verb};

/// What a client says up to the end of a message, after its EHLO.
fn conversation() -> Vec<u8> {
    let content = String::from_utf8(order("m")).unwrap();
    format!("EHLO client.example\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{ANNA}>\r\nDATA\r\n{content}.\r\n").into_bytes()
}

/// Says the first `length` bytes of it, waiting wherever a client has to.
fn begin(gate: &Gate, length: usize) -> Client {
    let said = &conversation()[..length];
    let mut client = Client::connect(gate.address());
    client.expect("220");
    let mut rest = said;
    for expected in ["250", "250", "250", "354"] {
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else { break };
        client.write(&rest[..end + 2]);
        client.expect(expected);
        rest = &rest[end + 2..];
    }
    client.write(rest);
    client.let_read();
    client
}

/// Every stage, and every byte around the end mark.
fn stages() -> Vec<usize> {
    let whole = conversation().len();
    let stages = (0..whole).filter(|length| length % 7 == 0 || *length + 8 >= whole);
    stages.collect()
}

#[test]
fn a_client_that_vanishes_before_its_end_of_data_leaves_upstream_without_a_byte_of_it() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    for length in stages() {
        drop(begin(&gate, length)); // FIN
        begin(&gate, length).reset();
    }
    let seen = upstream.wait_until_quiet();
    assert_eq!(seen.total, 0);
    assert!(seen.unfinished.is_empty(), "{:?}", seen.unfinished);
    assert!(!seen.commands.iter().any(|line| line == "DATA"), "{:?}", seen.commands);
    drop(seen);
    assert!(gate.client().send(SENDER, &[ANNA], &order("after")).starts_with("250"));
}

#[test]
fn a_client_that_half_closes_behind_its_end_of_data_still_reads_the_answer() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut client = begin(&gate, conversation().len() - 1);
    client.write(b"\n");
    client.half_close();
    client.expect("250 2.0.0 Ok: queued");
    client.expect_the_end();
    assert_eq!(upstream.seen().copies_of("m"), 1);
}

/// An upstream that takes its time at DATA: until told to go on.
fn hesitating() -> (Upstream, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (arrived, at_data) = mpsc::channel();
    let (go_on, told) = mpsc::channel();
    let told = Mutex::new(told);
    let upstream = Upstream::scripted(move |moment| {
        if moment.verb == Verb::Data && moment.nth == 0 {
            arrived.send(()).unwrap();
            told.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        }
        Act::Normal
    });
    (upstream, at_data, go_on)
}

#[test]
fn a_client_reset_behind_its_end_of_data_is_noticed_before_ours() {
    let (upstream, at_data, go_on) = hesitating();
    let gate = Gate::in_front_of(upstream.address);
    let client = begin(&gate, conversation().len());
    at_data.recv_timeout(DEADLINE).unwrap();
    client.reset();
    go_on.send(()).unwrap();
    let record = upstream.wait_for("the end of its DATA", |record| !record.unfinished.is_empty());
    assert!(record.messages.is_empty());
    let unfinished = String::from_utf8_lossy(&record.unfinished[0]).into_owned();
    assert!(!unfinished.contains("QUIT") && !unfinished.contains("RSET"), "{unfinished}");
    drop(record);
    gate.wait_for_log("the client's absence", |lines| lines.iter().any(|line| line.contains("client_gone")));
    assert!(gate.client().send(SENDER, &[ANNA], &order("after")).starts_with("250"));
}

#[test]
fn a_client_that_closes_behind_its_end_of_data_is_delivered_for() {
    let (upstream, at_data, go_on) = hesitating();
    let gate = Gate::in_front_of(upstream.address);
    let client = begin(&gate, conversation().len());
    at_data.recv_timeout(DEADLINE).unwrap();
    drop(client);
    go_on.send(()).unwrap();
    assert!(upstream.single_message().accepted);
}

#[test]
fn a_client_that_stalls_is_told_so_and_nothing_of_its_message_is_sent() {
    let upstream = FaultyUpstream::start();
    let builder = Gate::builder(upstream.address);
    let authority = Authority::new();
    authority.issue(&["gate.example.net"]).write_to(builder.directory(), "gate");
    let gate = builder
        .listener("command_timeout = \"1s\"\ndata_timeout = \"1s\"\ntls_timeout = \"1s\"\nmin_data_rate = 1000000")
        .listener("tls = \"starttls\"\ncertificate_file = \"gate.pem\"\nkey_file = \"gate.key\"")
        .start();
    let whole = conversation().len();
    let in_content = whole - 12;
    for length in [0, 30, in_content, whole - 1] {
        let mut client = begin(&gate, length);
        client.expect("421 4.4.2 ");
        client.expect_the_end();
    }

    // Slower than the rate that earns more time, however steadily.
    assert!(dribble(&gate, &conversation()[..in_content]).starts_with("421 4.4.2 "));

    let mut client = gate.client();
    client.command("STARTTLS", "220");
    client.expect_the_end(); // no handshake came
    let seen = upstream.wait_until_quiet();
    assert!(!seen.commands.iter().any(|line| line == "DATA"));
}

/// Goes on a byte at a time until the gate says something.
fn dribble(gate: &Gate, beginning: &[u8]) -> String {
    let mut stream = TcpStream::connect(gate.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let (mut said, mut buffer) = (String::new(), [0; 4096]);
    let mut listen = |stream: &mut TcpStream| {
        if let Ok(read) = stream.read(&mut buffer) {
            said.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        said.lines().next_back().unwrap_or_default().to_owned()
    };
    for line in beginning.split_inclusive(|byte| *byte == b'\n') {
        let is_command = !listen(&mut stream).starts_with("354");
        stream.write_all(line).unwrap();
        let answer = if line.starts_with(b"DATA") { "354" } else { "250 " };
        while is_command && !listen(&mut stream).starts_with(answer) {}
    }
    while listen(&mut stream).starts_with("354") {
        let _ = stream.write_all(b"x");
    }
    listen(&mut stream)
}

#[test]
fn a_client_that_never_reads_is_left() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::builder(upstream.address).listener("reply_timeout = \"1s\"\nmax_idle_commands = 1000000").start();
    let mut deaf = TcpStream::connect(gate.address()).unwrap();
    deaf.set_write_timeout(Some(DEADLINE)).unwrap();
    let many = b"EHLO client.example\r\n".repeat(1000);
    let ended = (0..10_000).find_map(|_| deaf.write_all(&many).err()).expect("the gate leaves");
    assert_ne!(ended.kind(), std::io::ErrorKind::WouldBlock, "the gate neither reads nor leaves");
    assert!(gate.client().send(SENDER, &[ANNA], &order("after")).starts_with("250"));
}

/// How much memory the gate may need beyond what it has: two pieces of each kind, far below what is sent.
const ROOM: u64 = 20 << 20;

#[test]
fn what_is_too_much_is_refused_in_bounded_memory() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    assert!(client.send(SENDER, &[ANNA], &order("first")).starts_with("250"));
    let before = gate.peak_memory();

    let long = vec![b'x'; 8 << 20];
    client.write(&long);
    client.line("");
    client.expect("500 5.5.2 ");
    let content = |head: String, body: &[u8]| [head.as_bytes(), b"\r\n", body].concat();
    let table = [
        content("Subject: a line of 8 MiB\r\n".into(), &long),
        content("X: y\r\n".repeat(100_000), b"many fields"),
        content("X-1: y\r\n".repeat(1_001), b"one field more than there may be"),
        content(format!("Subject: {}\r\n", " one MiB\r\n".repeat(105_000).trim()), b"folded"),
        content(format!("Subject: {}\r\n", "x".repeat(1 << 20)), b"a field of 1 MiB in one line"),
        content(format!("Subject: {}\r\n", "x\r\n ".repeat(20_000)), b"a field of 80 kB"),
        content(format!("X-1: {}\r\n", "y".repeat(60_000)).repeat(5), b"300 kB in five fields"),
        content(format!("X-1: {}\r\n", "y".repeat(50_000)).repeat(20), b"1 MB in twenty fields"),
    ];
    for (n, content) in table.iter().enumerate() {
        let reply = client.send(SENDER, &[ANNA], content);
        assert!(reply.starts_with("550 5.6.0 "), "{n}: {reply}");
    }
    let grown = gate.peak_memory() - before;
    assert!(grown < ROOM, "{grown} bytes more");
    assert!(client.send(SENDER, &[ANNA], &order("last")).starts_with("250"));
    assert_eq!(upstream.seen().total, 2);
}

#[test]
fn a_message_of_50_mb_needs_no_50_mb() {
    let upstream = FaultyUpstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    assert!(client.send(SENDER, &[ANNA], &order("small")).starts_with("250"));
    let before = gate.peak_memory();
    let line = format!("{}\r\n", "x".repeat(998));
    let large = [order("large"), line.repeat(50_000).into_bytes()].concat();
    assert!(client.send(SENDER, &[ANNA], &large).starts_with("250"));
    assert_eq!(upstream.seen().copies_of("large"), 1);
    let grown = gate.peak_memory() - before;
    assert!(grown < ROOM, "{grown} bytes more for {} bytes", large.len());
}
