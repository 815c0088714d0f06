//! The public pages under abuse and under load: whatever is thrown at them changes nothing, tells nothing, and takes no
//! more memory the longer it goes on.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use consentry::consent::token::{LONGEST, SealingKeys, UnsubscribeToken};
use jiff::Timestamp;
use serde_json::json;
use support::http::request;
use support::{DEADLINE, Gate, Upstream};

const ANNA: &str = "anna@x.example";
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

struct Stage {
    gate: Gate,
    upstream: Upstream,
}

impl Stage {
    fn set() -> Stage {
        let upstream = Upstream::start();
        let gate = Gate::in_front_of(upstream.address);
        let event = json!({
            "address": ANNA, "controller": "shop", "type": "opt_in", "at": "2026-01-10T12:00:00+01:00",
            "topics": ["offers"], "mechanism": "unticked_box_ticked", "source": "sign-up form", "text_version": "n4",
            "actor": "person",
        });
        gate.import(&[&event.to_string()]);
        Stage { gate, upstream }
    }

    fn pages(&self) -> SocketAddr {
        self.gate.listener("web.public")
    }

    /// What Anna's newsletter says; it is what shows that she still gets it.
    fn newsletter(&self) -> String {
        let mut client = self.gate.client();
        let newsletter = b"From: news@exemple.fr\r\nSubject: What is new\r\nX-Kind: newsletter\r\n\r\nThree novels.\r\nhttps://exemple.fr/desinscription/1\r\n";
        let reply = client.send("bounces@exemple.fr", &[ANNA], newsletter);
        client.quit();
        assert!(reply.starts_with("250"), "{reply}");
        String::from_utf8(self.upstream.record().accepted().last().unwrap().content.clone()).unwrap()
    }

    /// Anna's token.
    fn token(&self) -> String {
        let newsletter = self.newsletter();
        let link = newsletter.split("List-Unsubscribe: <").nth(1).and_then(|rest| rest.split('>').next()).unwrap();
        link.rsplit('/').next().unwrap().to_owned()
    }

    /// What is on record about Anna.
    fn events(&self) -> usize {
        let history = self.gate.run_command(&["contact", "history", ANNA, "--json"]);
        history.lines().filter(|line| line.contains("\"type\"")).count()
    }
}

/// Sends these bytes and reads whatever comes until the other side closes.
fn raw(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // Who is refused early may find the connection closed.
    _ = stream.write_all(bytes);
    _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn no_trick_with_a_request_leaves_a_list_or_writes_into_an_answer() {
    let stage = Stage::set();
    let token = stage.token();
    let posts = |path: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n{FORM}{headers}Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let other_path = |path: &str| posts(path, "", ONE_CLICK);
    let gets = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n");
    let table = [
        ("a query is no form", gets(&format!("/u/{token}?{ONE_CLICK}"))),
        (
            "a prefetch",
            format!(
                "GET /u/{token} HTTP/1.1\r\nHost: x.example\r\nSec-Purpose: prefetch;prerender\r\nPurpose: prefetch\r\nConnection: close\r\n\r\n"
            ),
        ),
        ("a HEAD", format!("HEAD /u/{token} HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n")),
        (
            "a GET with a body",
            format!(
                "GET /u/{token} HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n{FORM}Content-Length: {}\r\n\r\n{ONE_CLICK}",
                ONE_CLICK.len()
            ),
        ),
        (
            "a GET that would be a POST",
            format!(
                "GET /u/{token} HTTP/1.1\r\nHost: x.example\r\nX-HTTP-Method-Override: POST\r\nConnection: close\r\n{FORM}Content-Length: {}\r\n\r\n{ONE_CLICK}",
                ONE_CLICK.len()
            ),
        ),
        ("a PUT", posts(&format!("/u/{token}"), "", ONE_CLICK).replacen("POST", "PUT", 1)),
        ("a DELETE", posts(&format!("/u/{token}"), "", ONE_CLICK).replacen("POST", "DELETE", 1)),
        ("a method of nobody", posts(&format!("/u/{token}"), "", ONE_CLICK).replacen("POST", "UNSUBSCRIBE", 1)),
        ("a form that says nothing", posts(&format!("/u/{token}"), "", "")),
        (
            "a form that says something else",
            posts(&format!("/u/{token}"), "", "List-Unsubscribe=Two-Clicks&scope=mine"),
        ),
        ("a body that is JSON", posts(&format!("/u/{token}"), "", "{\"List-Unsubscribe\":\"One-Click\"}")),
        ("a directory up", other_path(&format!("/p/../u/{token}"))),
        ("a directory up, encoded", other_path(&format!("/p/%2e%2e/u/{token}"))),
        ("a slash more", other_path(&format!("//u/{token}"))),
        ("a slash behind", other_path(&format!("/u/{token}/"))),
        ("a NUL behind", other_path(&format!("/u/{token}%00"))),
        ("a token of which a letter is encoded twice", other_path(&format!("/u/%25{}{}", 41, &token[1..]))),
        ("capitals", other_path(&format!("/U/{token}"))),
        ("half a token", other_path(&format!("/u/{}", &token[..token.len() / 2]))),
        ("a token twice", other_path(&format!("/u/{token}{token}"))),
        ("a file of the host", gets("/u/..%2f..%2f..%2f..%2fetc%2fpasswd")),
        ("a header in the path", gets("/u/x%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a<script>")),
        ("a header in the form", posts("/u/me", "", "address=a%0d%0aBcc:%20eve@x.example")),
        ("markup in the form", posts("/u/me", "", "address=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")),
        ("two lengths", posts(&format!("/u/{token}"), "Content-Length: 3\r\n", ONE_CLICK)),
        (
            "a length and chunks",
            posts(
                &format!("/u/{token}"),
                "Transfer-Encoding: chunked\r\n",
                &format!(
                    "0\r\n\r\nPOST /u/{token} HTTP/1.1\r\nHost: x.example\r\n{FORM}Content-Length: 26\r\n\r\n{ONE_CLICK}"
                ),
            ),
        ),
        ("no HTTP", format!("{ONE_CLICK}\r\n\r\n")),
        ("mail", "EHLO x.example\r\nMAIL FROM:<>\r\n".to_owned()),
        ("no host", format!("POST /u/{} HTTP/1.1\r\n{FORM}Content-Length: 3\r\n\r\na=b", "A".repeat(60))),
        ("a field without end", format!("GET /u/{token} HTTP/1.1\r\nX: {}", "y".repeat(100_000))),
        ("fields without end", format!("GET /u/{token} HTTP/1.1\r\n{}", "X-Y: z\r\n".repeat(20_000))),
        ("a path without end", gets(&format!("/u/{}", "A".repeat(200_000)))),
        (
            "a length no body has",
            format!(
                "POST /u/{token} HTTP/1.1\r\nHost: x.example\r\n{FORM}Content-Length: 99999999999999999999\r\n\r\n"
            ),
        ),
        ("a huge body", posts(&format!("/u/{token}"), "", &format!("pad={}&{ONE_CLICK}", "z".repeat(3_000_000)))),
        (
            "a huge body in chunks",
            format!(
                "POST /u/{token} HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
                format!("8000\r\n{}\r\n", "z".repeat(0x8000)).repeat(80)
            ),
        ),
        (
            "a body cut off",
            format!("POST /u/{token} HTTP/1.1\r\nHost: x.example\r\n{FORM}Content-Length: 400\r\n\r\n{ONE_CLICK}"),
        ),
    ];
    let before = stage.events();
    for (trick, bytes) in table {
        let answer = raw(stage.pages(), bytes.as_bytes());
        let (head, page) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let head = head.to_ascii_lowercase();
        assert!(!head.contains("set-cookie") && !head.contains("location:"), "{trick}: {head}");
        assert!(!page.contains("<script") && !page.contains("root:"), "{trick}: {page}");
        assert!(answer.len() < 20_000, "{trick}: {} bytes come back", answer.len());
        assert_eq!(stage.events(), before, "{trick} is an objection: {head}");
    }
    stage.newsletter();
    // The same token still works, so it was the tricks that failed.
    let answer = request(stage.pages(), "POST", &format!("/u/{token}"), FORM, ONE_CLICK);
    assert_eq!((answer.status, stage.events()), (200, before + 1), "{}", answer.body);
}

#[test]
fn who_is_slow_holds_up_nobody_and_is_let_go() {
    let stage = Stage::set();
    let token = stage.token();
    let slow: Vec<TcpStream> = (0..300)
        .map(|n| {
            let mut stream = TcpStream::connect(stage.pages()).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let begun = match n % 3 {
                0 => String::new(),
                1 => format!("POST /u/{token} HTTP/1.1\r\nHo"),
                _ => format!("POST /u/{token} HTTP/1.1\r\nHost: x\r\n{FORM}Content-Length: 26\r\n\r\nList-Unsub"),
            };
            stream.write_all(begun.as_bytes()).unwrap();
            stream
        })
        .collect();
    let asked = Instant::now();
    let answer = request(stage.pages(), "GET", &format!("/u/{token}"), "", "");
    assert!(answer.status == 200 && asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let ends = slow.into_iter().map(|mut stream| {
        thread::spawn(move || {
            let mut answer = Vec::new();
            _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        })
    });
    for end in ends.collect::<Vec<_>>() {
        let answer = end.join().unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408") || answer.starts_with("HTTP/1.1 503"),
            "{answer}"
        );
    }
    assert_eq!(stage.events(), 1);
}

/// Tokens of people nobody knows, with some that are none.
fn tokens(count: u64) -> Vec<String> {
    let keys = SealingKeys::new(vec![[7; 32]]).unwrap(); // the stage's own
    let sealed = |n: u64| {
        let (mut hash, mut nonce) = ([0; 16], [0; 12]);
        hash[..8].copy_from_slice(&n.to_be_bytes());
        nonce[..8].copy_from_slice(&n.to_be_bytes());
        let topics = vec!["offers/books".to_owned()];
        let token =
            UnsubscribeToken { controller: "shop".into(), contact: 0, hash, topics, issued_at: Timestamp::now() };
        token.seal(&keys, nonce, LONGEST).unwrap()
    };
    let token = |n| if n % 2 == 0 { sealed(n) } else { format!("A{}", &sealed(n)[1..].replace(['a', 'Q'], "-")) };
    (0..count).map(token).collect()
}

/// On connections that stay open, as a provider's servers keep them: how many answers there were, by status.
fn load(to: SocketAddr, clients: usize, tokens: &[String]) -> (usize, usize) {
    let share = tokens.len().div_ceil(clients);
    let counts: Vec<(usize, usize)> = thread::scope(|scope| {
        let threads = tokens.chunks(share).map(|mine| scope.spawn(move || post_all(to, mine)));
        threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    counts.into_iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
}

fn post_all(to: SocketAddr, tokens: &[String]) -> (usize, usize) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for token in tokens {
        let length = ONE_CLICK.len();
        let post = format!("POST /u/{token} HTTP/1.1\r\nHost: x\r\n{FORM}Content-Length: {length}\r\n\r\n{ONE_CLICK}");
        stream.write_all(post.as_bytes()).unwrap();
        match read_answer(&mut stream) {
            200 => taken += 1,
            404 => refused += 1,
            other => panic!("{other} to {token}"),
        }
    }
    (taken, refused)
}

/// The status of one answer, of which every byte is taken.
fn read_answer(stream: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    let mut piece = [0; 8192];
    loop {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "the connection was closed");
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).expect("a length");
        if answer.len() - (head.len() + 4) >= length.trim().parse::<usize>().unwrap() {
            let _ = body;
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}

/// Loads the pages in rounds and gives the memory after the first and after the last one.
fn rounds(stage: &Stage, rounds: u64, each: u64) -> (u64, u64, f64) {
    let (mut first, begun) = (0, Instant::now());
    let tokens = tokens(rounds * each);
    let mut spent = begun.elapsed();
    for (n, tokens) in tokens.chunks(usize::try_from(each).unwrap()).enumerate() {
        let begun = Instant::now();
        let (taken, refused) = load(stage.pages(), 20, tokens);
        spent = if n == 0 { begun.elapsed() } else { spent + begun.elapsed() };
        assert_eq!((taken, refused), (tokens.len() / 2, tokens.len() / 2));
        first = if n == 0 { stage.gate.peak_memory() } else { first };
    }
    (first, stage.gate.peak_memory(), (rounds * each) as f64 / spent.as_secs_f64())
}

#[test]
fn thousands_of_clicks_valid_or_not_take_no_more_memory() {
    let stage = Stage::set();
    let (first, last, _) = rounds(&stage, 4, 2_000);
    assert!(last < first + 4 * 1024 * 1024, "{first} bytes after 2,000 clicks, {last} after 8,000");
}

/// `scripts/pages-load` runs this one with REQUESTS set.
#[test]
#[ignore = "as long as it is told to be"]
fn many_clicks() {
    let requests: u64 = std::env::var("REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(60_000);
    let stage = Stage::set();
    let (first, last, rate) = rounds(&stage, 10, requests / 10);
    println!(
        "{requests} clicks at {rate:.0} a second; resident at most {first} bytes after a tenth, {last} at the end"
    );
    assert!(last < first + 16 * 1024 * 1024);
}
