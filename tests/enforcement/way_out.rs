//! A way out in the body: looked for, put in its place for each recipient, or added.

use crate::shop::*;
use crate::support::gate::POLICY;
use crate::support::{Gate, Message, Upstream};
use serde_json::Value;

const HEAD: &str = "From: news@exemple.fr\r\nSubject: What is new\r\nX-Kind: newsletter\r\nMIME-Version: 1.0\r\n";
const FIXED: &str = "http://127.0.0.1:8080/u/me";

fn gate(upstream: &Upstream, body_optout: &str) -> Gate {
    let gate = Gate::builder(upstream.address).policy_value("body_optout", &format!("\"{body_optout}\"")).start();
    import(&gate, &[opt_in(ANNA, "offers/books"), opt_in(BOB, "offers/books")]);
    gate
}

fn plain(more: &str, body: &str) -> Vec<u8> {
    format!("{HEAD}{more}\r\n{body}\r\n").into_bytes()
}

/// The same in a text and, in quoted-printable and in base64, as HTML.
fn alternative(way: &str) -> Vec<u8> {
    use base64::Engine as _;
    let html = format!("<html><body><p>Trois romans</p><a href=\"{way}\">Partir</a></body></html>\r\n");
    let base64 = base64::engine::general_purpose::STANDARD.encode(html);
    format!(
        "{HEAD}Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nTrois =C3=A9crits\r\n{}\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{base64}\r\n--b--\r\n",
        way.replace("/u/", "=\r\n/u/")
    )
    .into_bytes()
}

/// What the text parts say to somebody's mail program.
fn read(message: &Message) -> Vec<String> {
    let parsed = mail_parser::MessageParser::default().parse(&message.content).unwrap();
    let text = |part: &mail_parser::MessagePart<'_>| match &part.body {
        mail_parser::PartType::Text(text) | mail_parser::PartType::Html(text) => Some(text.to_string()),
        _ => None,
    };
    parsed.parts.iter().filter_map(text).collect()
}

fn link(message: &Message) -> String {
    format!("http://127.0.0.1:8080/u/{}", token(message))
}

fn notes(row: &Value) -> Vec<&str> {
    row["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[test]
fn the_fixed_address_is_each_recipients_own_link_in_text_and_html() {
    let upstream = Upstream::start();
    let gate = gate(&upstream, "require");
    assert!(send(&gate, &[ANNA, BOB], &alternative(FIXED)).starts_with("250"));
    let copies = [ANNA, BOB].map(|recipient| copy_for(&upstream, recipient));
    for (copy, other) in [(&copies[0], &copies[1]), (&copies[1], &copies[0])] {
        let parts = read(copy);
        assert_eq!(parts.len(), 2);
        for part in &parts {
            assert_eq!(part.matches(&link(copy)).count(), 1, "{part}");
            assert!(!part.contains(FIXED) && !part.contains(&link(other)), "{part}");
        }
        assert_eq!(parts[0].trim_end(), format!("Trois écrits\r\n{}", link(copy)));
    }
    let web = gate.listener("web.public");
    let (status, page) = http(web, "GET", &format!("/u/{}", token(&copies[0])), "");
    assert!(status == 200 && page.contains("<button"), "the link opens the page: {page}");
    assert_eq!(one_click(&gate, &token(&copies[0])).0, 200);
    assert!(send(&gate, &[ANNA], &alternative(FIXED)).contains("(OBJ_TOPIC)"));
    assert!(send(&gate, &[BOB], &alternative(FIXED)).starts_with("250"), "the other link is another person's");
}

#[test]
fn advertising_without_a_way_out_is_withheld_and_told_why() {
    let upstream = Upstream::start();
    let mut gate = gate(&upstream, "require");
    let reply = send(&gate, &[ANNA], &plain("", "Three novels."));
    assert!(reply.starts_with("550 5.7.1") && reply.contains("(MSG_NO_OPTOUT)"), "{reply}");
    assert!(
        send(&gate, &[ANNA], &plain("", "Out: https://exemple.fr.evil/desinscription/")).contains("(MSG_NO_OPTOUT)")
    );
    assert!(send(&gate, &[ANNA], &alternative("https://exemple.fr/livres")).contains("(MSG_NO_OPTOUT)"));
    assert!(send(&gate, &[ANNA], &alternative("https://exemple.fr/desinscription/7")).starts_with("250"));
    assert!(send(&gate, &[CARL], ORDER).starts_with("250"), "service mail needs none");
    let journal = settled(&mut gate);
    let refused: Vec<&Value> = journal.iter().filter(|row| row["reason"] == "MSG_NO_OPTOUT").collect();
    assert_eq!(refused.len(), 3);
    let told = gate.command(&["explain", "--ref", refused[0]["ref"].as_str().unwrap(), "--json"]).output().unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["recipients"][0]["reason"], "MSG_NO_OPTOUT", "told again from what was kept: {told}");
    assert_eq!(told["recipients"][0]["because"], "the message offers no way out in its body");
}

#[test]
fn a_footer_with_the_recipients_own_link_is_added_where_the_policy_says_so() {
    let upstream = Upstream::start();
    let mut gate = gate(&upstream, "append");
    assert!(send(&gate, &[ANNA, BOB], &alternative("https://exemple.fr/livres")).starts_with("250"));
    for recipient in [ANNA, BOB] {
        let copy = copy_for(&upstream, recipient);
        let parts = read(&copy);
        assert!(
            parts[0].starts_with("Trois écrits\r\nhttps://exemple.fr/livres\r\n\r\nPour ne plus recevoir"),
            "{}",
            parts[0]
        );
        assert_eq!(parts[0].matches(&link(&copy)).count(), 1);
        let anchor = format!("href=\"{}\">Se désinscrire</a>", link(&copy));
        assert!(
            parts[1].replace("\r\n", " ").contains(&anchor) && parts[1].trim_end().ends_with("</p>\r\n</body></html>"),
            "{}",
            parts[1]
        );
    }
    assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
    let with_link = upstream.record().accepted().last().unwrap().content.clone();
    assert_eq!(without_added(&with_link), BOOKS, "a way out that is there is enough");
    let journal = settled(&mut gate);
    assert!(
        notes(&journal[0]).contains(&"footer") || notes(journal.last().unwrap()).contains(&"footer"),
        "{journal:#?}"
    );
}

#[test]
fn the_footer_speaks_the_language_of_the_message_in_the_controllers_words() {
    let footer = "kind = \"company\"\nfooter = { en = \"Enough of {name}? {link}\", de = \"Abmelden: {link}\" }";
    let policy = format!("body_optout = \"append\"\n{}", POLICY.replace("kind = \"company\"", footer));
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).policy(&policy).start();
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    let table = [
        ("Content-Language: en-GB\r\n", "Enough of Librairie Exemple?"),
        ("Content-Language: de\r\n", "Abmelden:"),
        ("", "Pour ne plus recevoir"),
    ];
    for (field, expected) in table {
        assert!(send(&gate, &[ANNA], &plain(field, "Three novels.")).starts_with("250"));
        let text = String::from_utf8(upstream.record().accepted().last().unwrap().content.clone()).unwrap();
        assert!(text.contains(&format!("\r\n\r\nThree novels.\r\n\r\n{expected}")), "{text}");
    }
}

#[test]
fn what_is_signed_gets_no_footer_and_no_other_link() {
    let upstream = Upstream::start();
    let mut gate = gate(&upstream, "append");
    let signature = "DKIM-Signature: v=1; a=rsa-sha256; d=exemple.fr; s=a; h=from:subject; bh=x; b=y\r\n";
    let reply = send(&gate, &[ANNA], &plain(signature, "Three novels."));
    assert!(reply.starts_with("550") && reply.contains("(MSG_NO_OPTOUT)"), "{reply}");
    let signed = plain(signature, &format!("Three novels. {FIXED}"));
    assert!(send(&gate, &[ANNA], &signed).starts_with("250"), "the fixed address leads out as it is");
    assert_eq!(without_added(&upstream.single_message().content), signed);
    let journal = settled(&mut gate);
    let refused = journal.iter().find(|row| row["reason"] == "MSG_NO_OPTOUT").unwrap();
    assert!(refused["because"].as_str().unwrap().contains("signed or encrypted"), "{refused}");
}

#[test]
fn a_warning_lets_it_pass_as_it_came_and_says_so_in_the_journal() {
    let upstream = Upstream::start();
    let mut gate = gate(&upstream, "warn");
    let content = plain("", "Three novels.");
    assert!(send(&gate, &[ANNA], &content).starts_with("250"));
    assert_eq!(without_added(&upstream.single_message().content), content);
    let journal = settled(&mut gate);
    assert!(notes(&journal[0]).contains(&"no_way_out"), "{journal:#?}");
}

#[test]
fn an_author_elsewhere_is_not_the_sender() {
    let upstream = Upstream::start();
    let gate = gate(&upstream, "require");
    let out = "https://exemple.fr/desinscription/1";
    let from = |from: &str| String::from_utf8(plain("", out)).unwrap().replace("news@exemple.fr", from).into_bytes();
    for author in ["news@elsewhere.example", "news@exemple.fr, x@elsewhere.example", "news@sub.exemple.fr", "nobody"] {
        let reply = send(&gate, &[ANNA], &from(author));
        assert!(reply.starts_with("550") && reply.contains("(MSG_IDENTITY)"), "{author}: {reply}");
    }
    assert!(send(&gate, &[ANNA], &from("a@exemple.fr, b@EXEMPLE.fr")).starts_with("250"));
}

#[test]
fn nothing_is_written_where_nothing_is_enforced() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address)
        .policy_value("mode", "\"monitor\"")
        .policy_value("body_optout", "\"append\"")
        .start();
    let content = plain("", &format!("Three novels. {FIXED}"));
    assert!(send(&gate, &[CARL], &content).starts_with("250"));
    assert!(send(&gate, &[CARL], &plain("", "Three novels.")).starts_with("250"));
    let record = upstream.record();
    let contents: Vec<Vec<u8>> = record.accepted().iter().map(|message| without_added(&message.content)).collect();
    assert_eq!(contents, [content, plain("", "Three novels.")]);
}

#[test]
fn a_message_too_big_for_memory_is_edited_while_it_streams() {
    let upstream = Upstream::start();
    let gate = gate(&upstream, "append");
    let image = format!("{}\r\n", "QUJD".repeat(19)).repeat(60_000);
    let content = format!(
        "{HEAD}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {image}--b\r\nContent-Type: text/plain\r\n\r\n.Three novels: {FIXED}\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--b--\r\n"
    );
    let mut client = gate.client();
    let mail = format!("MAIL FROM:<{SENDER}> SIZE={}", content.len());
    let reply = transaction(
        &mut client,
        &mail,
        &[&format!("RCPT TO:<{ANNA}>"), &format!("RCPT TO:<{BOB}>")],
        content.as_bytes(),
    );
    assert!(reply.starts_with("250"), "{reply}");
    for recipient in [ANNA, BOB] {
        let copy = copy_for(&upstream, recipient);
        let expected = content.replace(FIXED, &link(&copy));
        assert!(
            without_added(&copy.content) == expected.as_bytes(),
            "the link in its place, and every other byte as it came"
        );
        let declared = copy.from.split("SIZE=").nth(1).map(|size| size.trim().parse::<usize>().unwrap());
        assert!(declared.is_none_or(|declared| declared >= copy.content.len()), "{}", copy.from);
    }
}
