//! What leaves is signed, and OpenDKIM and dkimpy agree that the signatures hold.

mod support;

#[path = "enforcement/shop.rs"]
#[allow(dead_code)]
mod shop;

use shop::*;
use support::dkim::{ED25519, RSA, Verifiers, put_key, signatures};
use support::{Gate, GateBuilder, Upstream};

const BOTH: &str = "[dkim.\"exemple.fr\"]\nselector = \"rsa\"\nkey_file = \"rsa.pem\"\n\
                    also = [{ selector = \"ed\", key_file = \"ed25519.pem\" }]\n";
const RECORDS: &[(&str, &[u8])] = &[("rsa._domainkey.exemple.fr", RSA), ("ed._domainkey.exemple.fr", ED25519)];
const HOLD: &[&str] = &["rsa pass", "ed pass"];

/// A mailer's signature over the list fields, there or not.
const OVER_LIST: &str = "DKIM-Signature: v=1; a=rsa-sha256; d=exemple.fr; s=rsa;\r\n\
    \th=From:Subject:List-Unsubscribe:List-Unsubscribe-Post; bh=eA==; b=eQ==\r\n";
/// And over neither.
const OVER_OTHERS: &str = "DKIM-Signature: v=1; a=rsa-sha256; d=exemple.fr; s=rsa; h=From:Subject; bh=eA==; b=eQ==\r\n";
const OWN_FIELDS: &str =
    "List-Unsubscribe: <https://exemple.fr/out?u=1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";

fn builder(upstream: &Upstream, tables: &str) -> GateBuilder {
    let builder = Gate::builder(upstream.address).settings(tables);
    put_key(builder.directory(), "rsa.pem", RSA);
    put_key(builder.directory(), "ed25519.pem", ED25519);
    builder
}

fn started(builder: GateBuilder) -> Gate {
    let gate = builder.start();
    import(&gate, &[opt_in(ANNA, "offers/books"), opt_in(BOB, "offers/books")]);
    gate
}

fn with(more: &str) -> Vec<u8> {
    [more.as_bytes(), BOOKS].concat()
}

/// What arrived last.
fn last(upstream: &Upstream) -> Vec<u8> {
    upstream.record().accepted().last().expect("a message").content.clone()
}

fn signed_names(content: &[u8]) -> Vec<Vec<String>> {
    let names = |tags: &std::collections::BTreeMap<String, String>| tags["h"].split(':').map(str::to_owned).collect();
    signatures(&fields(content, "DKIM-Signature")).iter().map(names).collect()
}

/// Without our Received and our own signatures, which stand on top.
fn without_ours(content: &[u8]) -> Vec<u8> {
    let (mut kept, mut dropping) = (Vec::new(), false);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let ours = line.starts_with(b"Received: ") || line.starts_with(b"DKIM-Signature: v=1; a=");
        dropping = if line.starts_with(b"\t") { dropping } else { ours };
        if !dropping {
            kept.extend_from_slice(line);
        }
    }
    kept
}

#[test]
fn a_personal_copy_is_signed_over_its_one_click_fields_with_every_key() {
    let Some(verifiers) = Verifiers::with(RECORDS) else { return };
    let upstream = Upstream::start();
    let gate = started(builder(&upstream, BOTH));
    for content in [with(""), with(OWN_FIELDS)] {
        assert!(send(&gate, &[ANNA, BOB], &content).starts_with("250"));
        for copy in upstream.record().accepted().iter().rev().take(2) {
            verifiers.assert(&copy.content, HOLD);
            for names in signed_names(&copy.content) {
                for name in ["from", "list-unsubscribe", "list-unsubscribe-post", "list-id", "subject", "message-id"] {
                    let expected = 2; // the one that is there, and any that might come
                    assert_eq!(names.iter().filter(|known| *known == name).count(), expected, "{name} in {names:?}");
                }
            }
            assert_eq!(fields(&copy.content, "List-Unsubscribe").len(), 1);
            assert_eq!(fields(&copy.content, "List-Unsubscribe-Post"), ["List-Unsubscribe=One-Click"]);
            let another = String::from_utf8(copy.content.clone()).unwrap().replacen(
                "List-Id:",
                "List-Unsubscribe: <https://eve.example>\r\nList-Id:",
                1,
            );
            verifiers.assert(another.as_bytes(), &["rsa fail", "ed fail"]);
        }
    }
    let tags = signatures(&fields(&last(&upstream), "DKIM-Signature"));
    for (tags, algorithm) in tags.iter().zip(["rsa-sha256", "ed25519-sha256"]) {
        let told = ["v", "a", "c", "d"].map(|name| tags[name].as_str());
        assert_eq!(told, ["1", algorithm, "relaxed/relaxed", "exemple.fr"]);
        assert!(!tags.contains_key("l") && tags["t"].parse::<u64>().is_ok(), "{tags:?}");
    }
}

#[test]
fn bodies_of_every_kind_hold_as_they_came_and_with_our_footer() {
    let Some(verifiers) = Verifiers::with(RECORDS) else { return };
    let upstream = Upstream::start();
    let gate = started(builder(&upstream, BOTH).policy_value("body_optout", "\"append\""));
    let head = "From: news@exemple.fr\r\nSubject: =?utf-8?B?w6k=?=\r\nX-Kind: newsletter\r\nMIME-Version: 1.0\r\n";
    let long = "x".repeat(3000);
    let html = "<html><body><p>Trois romans.</p></body></html>";
    let bodies = [
        "\r\nplain\r\n".to_owned(),
        "\r\n.\r\n..\r\n.a\r\n. b\r\n\r\n\r\n".to_owned(),
        "\r\n \t\r\na  b \t c \r\n\t\r\n   \r\n".to_owned(),
        format!("\r\n{long}\r\n"),
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u{c9}t\u{e9}\r\n".to_owned(),
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9=\r\n..=20\r\n".to_owned(),
        "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+VHJvaXMgcm9tYW5zPC9wPg==\r\n".to_owned(),
        format!("Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n.\r\n--b\r\nContent-Type: text/html\r\n\r\n{html}\r\n--b--\r\n"),
    ];
    let mut footers = 0;
    for body in &bodies {
        let ways = ["", "https://exemple.fr/desinscription/1\r\n"];
        for way in ways.iter().filter(|way| way.is_empty() || !body.contains("base64")) {
            let content = format!("{head}{body}{way}");
            let mut client = gate.client();
            let mail = format!("MAIL FROM:<{SENDER}> BODY=8BITMIME");
            let reply = transaction(&mut client, &mail, &[&format!("RCPT TO:<{ANNA}>")], content.as_bytes());
            assert!(reply.starts_with("250"), "{reply} to {content}");
            let arrived = last(&upstream);
            footers += usize::from(String::from_utf8_lossy(&arrived).contains("Pour ne plus"));
            verifiers.assert(&arrived, HOLD);
        }
    }
    assert!(footers >= 6, "only {footers} were given a footer in clear");
}

#[test]
fn service_mail_is_signed_and_otherwise_as_it_came() {
    let Some(verifiers) = Verifiers::with(RECORDS) else { return };
    let upstream = Upstream::start();
    let gate = started(builder(&upstream, BOTH));
    let odd_fields =
        [b"X-Odd:\t a  \r\nTO:anna@x.example\r\nCC:\r\n \tbob@x.example \r\nReply-To:\r\n".as_slice(), ORDER].concat();
    let without_body = b"From: shop@exemple.fr\r\nSubject: x\r\n".to_vec();
    let empty_body = b"From: shop@exemple.fr\r\nSubject: x\r\n\r\n".to_vec();
    let large = [ORDER, &b"..0123456789 \t 0123456789 0123456789 \r\n".repeat(50_000)].concat();
    for content in [ORDER.to_vec(), odd_fields, without_body, empty_body, large] {
        assert!(send(&gate, &[ANNA, CARL], &content).starts_with("250"));
        let arrived = last(&upstream);
        assert_eq!(without_ours(&arrived), content);
        assert!(fields(&arrived, "List-Unsubscribe-Post").is_empty());
        verifiers.assert(&arrived, HOLD);
    }
    // dkimpy reads no message with such a field at all.
    let obsolete = [b"To : anna@x.example\r\n".as_slice(), ORDER].concat();
    assert!(send(&gate, &[ANNA], &obsolete).starts_with("250"));
    verifiers.assert_opendkim(&last(&upstream), HOLD);
}

#[test]
fn what_the_author_has_signed_already_or_readers_see_differently_is_not_signed() {
    let upstream = Upstream::start();
    let gate = started(builder(&upstream, BOTH));
    let order = String::from_utf8(ORDER.to_vec()).unwrap();
    let elsewhere = OVER_OTHERS.replace("exemple.fr", "mailer.example");
    let table = [
        (format!("{OVER_OTHERS}{order}"), 0),
        (format!("{elsewhere}{order}"), 2),
        (format!("odd line\r\n{order}"), 0),
        (format!("From: b@exemple.fr\r\n{order}"), 0),
        (order.replace("From:", "From :"), 0),
        (order.replace("exemple.fr", "elsewhere.example"), 0),
        (order.replace("shop@exemple.fr", "shop@news.exemple.fr"), 0),
        (format!("{}X-Consentry-Id: 1\r\n{order}", OVER_OTHERS.replace("h=", "h=X-Consentry-Id:")), 2),
    ];
    for (content, expected) in table {
        assert!(send(&gate, &[ANNA], content.as_bytes()).starts_with("250"));
        let arrived = String::from_utf8(last(&upstream)).unwrap();
        let came = content.matches("DKIM-Signature").count();
        assert_eq!(arrived.matches("\r\nDKIM-Signature").count() - came, expected, "{arrived}");
    }
}

#[test]
fn a_key_signs_for_what_is_below_its_domain_where_the_settings_say_so() {
    let Some(verifiers) = Verifiers::with(RECORDS) else { return };
    let upstream = Upstream::start();
    let gate =
        started(builder(&upstream, &BOTH.replace("selector = \"rsa\"", "subdomains = true\nselector = \"rsa\"")));
    let order = String::from_utf8(ORDER.to_vec()).unwrap().replace("exemple.fr", "News.Exemple.fr");
    assert!(send(&gate, &[ANNA], order.as_bytes()).starts_with("250"));
    verifiers.assert(&last(&upstream), HOLD);
    assert_eq!(signatures(&fields(&last(&upstream), "DKIM-Signature"))[0]["d"], "exemple.fr");
}

#[test]
fn a_signature_that_our_edit_breaks_stays_below_one_that_holds() {
    let Some(verifiers) = Verifiers::with(RECORDS) else { return };
    for on_signed in [None, Some("\"resign\"")] {
        let upstream = Upstream::start();
        let start = builder(&upstream, BOTH).policy_value("body_optout", "\"append\"");
        let start = on_signed.into_iter().fold(start, |gate, word| gate.policy_value("on_signed", word));
        let mut gate = started(start);
        let no_way_out = String::from_utf8(with(OVER_OTHERS)).unwrap();
        let no_way_out = no_way_out.replace("https://exemple.fr/desinscription/1", "bye").into_bytes();
        for content in [with(OVER_LIST), with(&format!("{OVER_LIST}{OWN_FIELDS}")), with(OVER_OTHERS), no_way_out] {
            assert!(send(&gate, &[ANNA], &content).starts_with("250"));
            let arrived = last(&upstream);
            assert_eq!(fields(&arrived, "List-Unsubscribe").len(), 1);
            assert!(
                fields(&arrived, "List-Unsubscribe")[0].starts_with("<http://127.0.0.1:8080/u/"),
                "the link is ours"
            );
            assert_eq!(fields(&arrived, "DKIM-Signature").len(), 3);
            let theirs = signatures(&fields(&arrived, "DKIM-Signature")).pop().unwrap();
            assert_eq!(theirs["bh"], "eA==", "theirs stands below ours");
            verifiers.assert(&arrived, &["rsa pass", "ed pass", "rsa fail"]);
        }
        assert!(String::from_utf8(last(&upstream)).unwrap().contains("Pour ne plus"), "the signed one got its footer");
        let journal = settled(&mut gate);
        let noted = |row: &&serde_json::Value| row["notes"].as_array().unwrap().iter().any(|note| note == "resigned");
        assert_eq!(journal.iter().filter(noted).count(), 2, "{journal:#?}");
    }
}

#[test]
fn a_signature_is_left_or_refused_where_the_policy_says_so_or_nobody_could_sign_anew() {
    let content = with(OVER_LIST);
    let table = [
        ("\"leave\"", BOTH, "", "250", 1),
        ("\"reject\"", BOTH, "", "550 5.7.1", 0),
        ("\"resign\"", "", "", "250", 1),
        ("\"resign\"", "", "upstream_signs = true", "250", 2),
        ("\"resign\"", BOTH, "upstream_signs = true", "250", 2),
    ];
    for (on_signed, keys, upstream_line, reply, delivered) in table {
        let upstream = Upstream::start();
        let start = builder(&upstream, keys).upstream(upstream_line).policy_value("on_signed", on_signed);
        let gate = started(start);
        assert!(send(&gate, &[ANNA], &content).starts_with(reply), "{on_signed} {upstream_line}");
        let record = upstream.record();
        let arrived: Vec<_> = record.accepted().into_iter().map(|message| message.content.clone()).collect();
        let links = arrived.iter().map(|content| fields(content, "List-Unsubscribe").len()).sum::<usize>();
        let ours = arrived.iter().map(|content| fields(content, "DKIM-Signature").len() - 1).sum::<usize>();
        let signs_here = !keys.is_empty() && upstream_line.is_empty() && delivered > 0;
        assert_eq!(arrived.len(), delivered.min(1));
        assert_eq!(links, usize::from(delivered == 2), "{on_signed} {upstream_line}");
        assert_eq!(ours, if signs_here { 2 } else { 0 }, "{on_signed} {upstream_line}");
    }
}

#[test]
fn what_the_gate_writes_itself_is_signed_too() {
    let records = [RECORDS, &[("gate._domainkey.gate.example.net", RSA)]].concat();
    let Some(verifiers) = Verifiers::with(&records) else { return };
    let upstream = Upstream::start();
    let own = "[dkim.\"gate.example.net\"]\nselector = \"gate\"\nkey_file = \"rsa.pem\"\n";
    let gate = started(builder(&upstream, &format!("{BOTH}{own}")));
    assert!(send(&gate, &[ANNA, CARL], BOOKS).starts_with("250"));
    let notice =
        upstream.record().accepted().iter().find(|message| message.from.starts_with("<>")).unwrap().content.clone();
    verifiers.assert(&notice, &["gate pass"]);
    let address = gate.listener("web.public");
    assert_eq!(support::http::form(address, "/u/me", "Accept-Language: en\r\n", &[("address", ANNA)]).status, 200);
    let letter = last(&upstream);
    assert!(fields(&letter, "From")[0].contains("dpo@exemple.fr"), "{letter:?}");
    verifiers.assert(&letter, HOLD);
}

#[test]
fn signing_a_large_message_takes_no_memory() {
    let upstream = Upstream::start();
    let gate = started(builder(&upstream, BOTH));
    assert!(send(&gate, &[ANNA], ORDER).starts_with("250"));
    let before = gate.peak_memory();
    let large = [ORDER, &b"..0123456789 \t 0123456789 0123456789 \r\n".repeat(500_000)].concat();
    assert!(send(&gate, &[ANNA], &large).starts_with("250"));
    assert_eq!(fields(&last(&upstream), "DKIM-Signature").len(), 2);
    let grown = gate.peak_memory() - before;
    assert!(grown < 4 << 20, "{} KiB more for {} KiB", grown >> 10, large.len() >> 10);
}

#[test]
fn a_key_is_made_published_and_checked() {
    let upstream = Upstream::start();
    let gate = builder(&upstream, BOTH).start();
    let at = |name: &str| gate.directory().join(name).display().to_string();
    let run = |arguments: &[&str]| {
        let output = gate.command(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (kind, file) in [("rsa2048", "new-rsa.pem"), ("ed25519", "new-ed.pem")] {
        let out = at(file);
        let keygen = ["dkim", "keygen", "--domain", "Exemple.fr", "--selector", "s1", "--type", kind, "--out", &out];
        let (status, told, errors) = run(&keygen);
        assert_eq!((status, errors.as_str()), (Some(0), ""), "{told}");
        let key = std::fs::read(&out).unwrap();
        let record = consentry::message::dkim::SigningKey::read(&key).unwrap().public().record();
        assert!(
            told.contains("\ns1._domainkey.exemple.fr. IN TXT ( \"v=DKIM1; k=") && told.contains(&record),
            "{told}"
        );
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&out).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let (status, _, errors) = run(&keygen);
        assert!(status == Some(2) && errors.contains("is there already"), "{errors}");
        assert_eq!(std::fs::read(&out).unwrap(), key);
    }

    let (status, told, _) = run(&["--json", "dkim", "record"]);
    let records: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((status, records.len()), (Some(0), 2));
    assert_eq!(records[0]["name"], "rsa._domainkey.exemple.fr");
    for (index, record) in records.iter().enumerate() {
        let selector = ["rsa", "ed"][index];
        for text in [&record["record"], &record["zone"]] {
            std::fs::write(at("record.txt"), text.as_str().unwrap()).unwrap();
            let (status, told, errors) = run(&["dkim", "check", "--selector", selector, "--file", &at("record.txt")]);
            assert_eq!((status, errors.as_str()), (Some(0), ""), "{told}");
        }
        let other = ["ed", "rsa"][index];
        let (status, told, _) = run(&["--json", "dkim", "check", "--selector", other, "--file", &at("record.txt")]);
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!((status, &told["fits"]), (Some(1), &serde_json::json!(false)));
        assert!(told["differences"][1].as_str().unwrap().starts_with("p= is another key"), "{told}");
    }
    let (status, _, errors) = run(&["dkim", "check", "--file", &at("record.txt")]);
    assert!(status == Some(2) && errors.contains("--selector"), "{errors}");
    let (status, _, errors) = run(&["dkim", "record", "--domain", "other.example"]);
    assert!(status == Some(2) && errors.contains("[dkim."), "{errors}");
}
