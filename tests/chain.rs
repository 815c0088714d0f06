//! `existing_list_headers = "chain"`: our link stands in the mailer's place, and who leaves by it leaves there too.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use rusqlite::Connection;
use serde_json::{Value, json};
use support::gate::POLICY;
use support::http::{form, request};
use support::peers::until;
use support::{DEADLINE, Gate, Upstream};

const ANNA: &str = "anna@x.example";

/// A mailer's web server: answers each request as it is told, or not at all, and keeps what it was asked.
struct Mailer {
    address: SocketAddr,
    asked: Arc<(Mutex<Vec<String>>, Condvar)>,
}

/// What to answer to the request of this number; an empty line is silence.
type Script = fn(usize) -> &'static str;

impl Mailer {
    fn start(script: Script) -> Mailer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new((Mutex::new(Vec::new()), Condvar::new())));
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(text) = read_request(&stream) else { continue };
                let number = {
                    let mut asked = kept.0.lock().unwrap();
                    asked.push(text);
                    kept.1.notify_all();
                    asked.len() - 1
                };
                match script(number) {
                    "" => silent.push(stream),
                    status => {
                        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                        let _ = stream.write_all(answer.as_bytes());
                    }
                }
            }
        });
        Mailer { address, asked }
    }

    fn wait_for(&self, requests: usize) -> Vec<String> {
        let asked = self.asked.0.lock().unwrap();
        let (asked, late) = self.asked.1.wait_timeout_while(asked, DEADLINE, |asked| asked.len() < requests).unwrap();
        assert!(!late.timed_out(), "asked {} times only", asked.len());
        asked.clone()
    }

    fn newsletter(&self) -> String {
        format!(
            "From: news@exemple.fr\r\nSubject: What is new\r\nX-Kind: newsletter\r\n\
             List-Unsubscribe: <mailto:leave@exemple.fr>, <http://{}/leave?who=42&list=7>\r\n\
             List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n\
             Three novels.\r\nhttps://exemple.fr/desinscription/1\r\n",
            self.address
        )
    }
}

fn read_request(stream: &TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        text.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8(body).ok()?)
}

fn opt_in(address: &str) -> String {
    json!({
        "address": address, "controller": "shop", "type": "opt_in", "at": "2026-01-10T12:00:00+01:00",
        "topics": ["offers"], "mechanism": "unticked_box_ticked", "source": "sign-up form", "text_version": "n4",
        "actor": "person",
    })
    .to_string()
}

const REACHABLE: &str = "[chain]\nhosts = [\"127.0.0.1\"]\nnetworks = [\"127.0.0.0/8\"]\n";

fn gate(upstream: &Upstream, chain: &str) -> Gate {
    let gate = Gate::builder(upstream.address)
        .policy(&format!("existing_list_headers = \"chain\"\n{POLICY}"))
        .settings(chain)
        .start();
    gate.import(&[&opt_in(ANNA), &opt_in("ben@x.example")]);
    gate
}

fn relay(gate: &Gate, to: &[&str], content: &str) -> String {
    let mut client = gate.client();
    let reply = client.send("bounces@exemple.fr", to, content.as_bytes());
    client.quit();
    reply
}

/// The copy that went, and the path of our link in it.
fn copy(upstream: &Upstream) -> (String, String) {
    let copy = String::from_utf8(upstream.single_message().content).unwrap();
    let path = format!("/u/{}", copy.split("/u/").nth(1).unwrap().split('>').next().unwrap());
    (copy, path)
}

#[track_caller]
fn click(gate: &Gate, path: &str) {
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = request(gate.listener("web.public"), "POST", path, headers, "List-Unsubscribe=One-Click");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn handed_on(gate: &Gate) -> Vec<Value> {
    gate.run_command(&["journal", "handed-on", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Once the only one has been tried so often, or is over.
fn once(gate: &Gate, is_so: impl Fn(&Value) -> bool) -> Value {
    until("the unsubscribe that is passed on", || handed_on(gate).into_iter().next().filter(|row| is_so(row)))
}

fn notes(gate: &Gate) -> String {
    gate.journal()[0]["notes"].to_string()
}

#[test]
fn who_leaves_by_the_page_of_choices_leaves_at_the_mailer_too() {
    let (upstream, mailer) = (Upstream::start(), Mailer::start(|_| "200 OK"));
    let gate = gate(&upstream, REACHABLE);
    assert!(relay(&gate, &[ANNA], &mailer.newsletter()).starts_with("250"));
    let page = copy(&upstream).1.replace("/u/", "/p/");
    let answer = form(gate.listener("web.public"), &page, "", &[("step", "off")]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let asked = &mailer.wait_for(1)[0];
    assert!(asked.starts_with("POST /leave?who=42&list=7 HTTP/1.1\r\n"), "{asked}");
    once(&gate, |row| row["done"] == true);
}

#[test]
fn who_leaves_by_our_link_leaves_at_the_mailer_too() {
    let (upstream, mailer) = (Upstream::start(), Mailer::start(|_| "200 OK"));
    let gate = gate(&upstream, REACHABLE);
    assert!(relay(&gate, &[ANNA], &mailer.newsletter()).starts_with("250"));
    let (copy, path) = copy(&upstream);
    assert_eq!(copy.matches("List-Unsubscribe:").count(), 1, "{copy}");
    assert!(!copy.contains("who=42") && !copy.contains("leave@exemple.fr"), "{copy}");
    assert!(notes(&gate).contains("unsub_chained"));

    click(&gate, &path);
    click(&gate, &path);
    let asked = &mailer.wait_for(1)[0];
    assert!(asked.starts_with("POST /leave?who=42&list=7 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_ascii_lowercase().contains("\r\ncontent-type: application/x-www-form-urlencoded\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\nList-Unsubscribe=One-Click"), "{asked}");
    let row = once(&gate, |row| row["done"] == true);
    assert_eq!((&row["tries"], &row["result"]), (&json!(1), &json!("200")));
    let reference = row["ref"].as_str().unwrap();
    let story = gate.run_command(&["journal", "show", reference]);
    assert!(story.contains(&format!("passed on to {}: 200 at", mailer.address)), "{story}");
    assert!(!story.contains("who=42"), "{story}");
    assert!(relay(&gate, &[ANNA], &mailer.newsletter()).contains("(OBJ_TOPIC)"));
    assert_eq!(mailer.wait_for(1).len(), 1, "passed on once");
    assert!(!gate.log().join("\n").contains("who=42"));
}

#[test]
fn a_mailer_that_is_out_of_order_is_asked_again() {
    let upstream = Upstream::start();
    let mailer = Mailer::start(|number| if number == 0 { "503 Not now" } else { "204 No Content" });
    let gate = gate(&upstream, REACHABLE);
    relay(&gate, &[ANNA], &mailer.newsletter());
    click(&gate, &copy(&upstream).1);
    mailer.wait_for(2);
    let row = once(&gate, |row| row["done"] == true);
    assert_eq!((&row["tries"], &row["result"]), (&json!(2), &json!("204")));
}

#[test]
fn a_gate_that_is_killed_passes_on_what_waits_when_it_is_back() {
    let upstream = Upstream::start();
    let mailer = Mailer::start(|number| if number == 0 { "" } else { "200 OK" });
    let mut gate = gate(&upstream, REACHABLE);
    relay(&gate, &[ANNA], &mailer.newsletter());
    click(&gate, &copy(&upstream).1);
    mailer.wait_for(1);
    gate.kill();
    gate.run();
    mailer.wait_for(2);
    once(&gate, |row| row["done"] == true);
}

#[test]
fn a_redirect_is_not_followed_and_what_is_gone_is_over() {
    for (script, result) in [
        ((|_| "302 Found\r\nLocation: http://127.0.0.1:1/x") as Script, "302; redirects are not followed"),
        (|_| "404 Not Found", "404"),
    ] {
        let (upstream, mailer) = (Upstream::start(), Mailer::start(script));
        let gate = gate(&upstream, REACHABLE);
        relay(&gate, &[ANNA], &mailer.newsletter());
        click(&gate, &copy(&upstream).1);
        let row = once(&gate, |row| row["next_at"].is_null());
        assert_eq!((&row["done"], &row["result"]), (&json!(false), &json!(result)));
        let story = gate.run_command(&["journal", "show", row["ref"].as_str().unwrap()]);
        assert!(story.contains("not passed on to") && story.contains(result), "{story}");
    }
}

#[test]
fn nothing_is_passed_on_into_our_own_network_or_to_a_host_nobody_named() {
    let (upstream, mailer) = (Upstream::start(), Mailer::start(|_| "200 OK"));
    let inside = gate(&upstream, "[chain]\nhosts = [\"127.0.0.1\"]\n");
    relay(&inside, &[ANNA], &mailer.newsletter());
    click(&inside, &copy(&upstream).1);
    let row = once(&inside, |row| row["tries"] != 0);
    assert!(row["result"].as_str().unwrap().contains("no public address"), "{row}");

    let elsewhere_upstream = Upstream::start();
    let elsewhere =
        gate(&elsewhere_upstream, "[chain]\nhosts = [\"*.mailer.example\"]\nnetworks = [\"127.0.0.0/8\"]\n");
    relay(&elsewhere, &[ANNA], &mailer.newsletter());
    assert!(notes(&elsewhere).contains("unsub_not_chained"));
    click(&elsewhere, &copy(&elsewhere_upstream).1);
    assert!(handed_on(&elsewhere).is_empty());
    assert!(mailer.asked.0.lock().unwrap().is_empty());
}

#[test]
fn a_link_that_several_share_is_nobodys() {
    let (upstream, mailer) = (Upstream::start(), Mailer::start(|_| "200 OK"));
    let gate = gate(&upstream, REACHABLE);
    assert!(relay(&gate, &[ANNA, "ben@x.example"], &mailer.newsletter()).starts_with("250"));
    assert!(notes(&gate).contains("unsub_not_chained"));
}

#[test]
fn whoever_is_erased_leaves_no_link_of_a_mailer_behind() {
    let (upstream, mailer) = (Upstream::start(), Mailer::start(|_| "200 OK"));
    let mut gate = gate(&upstream, REACHABLE);
    relay(&gate, &[ANNA], &mailer.newsletter());
    click(&gate, &copy(&upstream).1);
    once(&gate, |row| row["done"] == true);
    let rows = |gate: &Gate| {
        let store = Connection::open(gate.directory().join("consentry.db")).unwrap();
        let sql = "SELECT (SELECT count (*) FROM mailer_link) + (SELECT count (*) FROM hand_on)";
        store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(rows(&gate), 2);
    gate.run_command(&["contact", "erase", ANNA, "--yes", "--by", "Zoé"]);
    assert_eq!(rows(&gate), 0);
    gate.run_command(&["ledger", "verify"]);
    gate.stop();
}
