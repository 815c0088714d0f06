//! The fields that let a recipient leave, and what becomes of a mailer's own.

use crate::shop::*;
use crate::support::{Gate, Message, Upstream};

const OWN: &str =
    "List-Unsubscribe: <https://exemple.fr/out?u=1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";

fn with(more: &str) -> Vec<u8> {
    [more.as_bytes(), BOOKS].concat()
}

/// A gate with Anna's opt-in, and what it delivers to her.
fn delivered(policy: &[(&str, &str)], content: &[u8]) -> (Message, Vec<serde_json::Value>) {
    let upstream = Upstream::start();
    let start = Gate::builder(upstream.address);
    let mut gate = policy.iter().fold(start, |gate, (name, value)| gate.policy_value(name, value)).start();
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    let reply = send(&gate, &[ANNA], content);
    assert!(reply.starts_with("250"), "{reply}");
    let journal = settled(&mut gate);
    assert_eq!(told(&journal, ANNA), "allow OK_OPT_IN delivered");
    (upstream.single_message(), journal)
}

fn notes(journal: &[serde_json::Value]) -> Vec<&str> {
    journal[0]["notes"].as_array().unwrap().iter().filter_map(|note| note.as_str()).collect()
}

#[test]
fn a_copy_carries_the_fields_of_rfc_8058_and_2919_on_top() {
    let (message, _) = delivered(&[], BOOKS);
    let link = token(&message);
    assert!(link.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{link}");
    assert_eq!(fields(&message.content, "List-Unsubscribe-Post"), ["List-Unsubscribe=One-Click"]);
    assert_eq!(fields(&message.content, "List-Id"), ["Nos offres de livres <books.offers.exemple.fr>"]);
    let text = String::from_utf8(message.content.clone()).unwrap();
    assert!(text.contains(&format!("\r\nList-Unsubscribe: <http://127.0.0.1:8080/u/{link}>\r\n")), "one line: {text}");
    let names: Vec<&str> = text.lines().filter(|line| !line.starts_with([' ', '\t'])).take(4).collect();
    let names: Vec<&str> = names.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(names, ["Received", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id"]);
    assert_eq!(without_added(&message.content), BOOKS);
}

#[test]
fn a_mailbox_for_unsubscribing_stands_behind_the_link() {
    let policy = crate::support::gate::POLICY
        .replace("kind = \"company\"", "kind = \"company\"\nunsubscribe_mailto = \"out@exemple.fr\"");
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).policy(&policy).start();
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
    let message = upstream.single_message();
    let link = token(&message);
    let expected = format!("<http://127.0.0.1:8080/u/{link}>, <mailto:out@exemple.fr?subject=unsubscribe%20{link}>");
    assert_eq!(fields(&message.content, "List-Unsubscribe"), [expected]);
}

#[test]
fn a_message_of_many_topics_has_a_link_that_fits_a_line_and_opens() {
    let paths: Vec<String> = (0..30).map(|n| format!("offers/{n:060}")).collect();
    let topics = paths.iter().map(|path| format!("[topic.\"{path}\"]\ncontroller = \"shop\"\n"));
    let policy = crate::support::gate::POLICY.replace("[[rule]]", &format!("{}[[rule]]", topics.collect::<String>()));
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).policy(&policy).listener("trust_headers = true").start();
    let opted_in: Vec<String> = paths.iter().map(|path| opt_in(ANNA, path)).collect();
    import(&gate, &opted_in);
    let said = format!("X-Consentry-Topics: {}\r\n", paths.join(",\r\n "));
    let content = [said.as_bytes(), b"X-Consentry-Class: promotional\r\n", BOOKS].concat();
    assert_eq!(&send(&gate, &[ANNA], &content)[..3], "250");

    let message = upstream.single_message();
    let line = &fields(&message.content, "List-Unsubscribe")[0];
    assert!("List-Unsubscribe: ".len() + line.len() <= 998, "{} bytes", line.len());
    let (status, answer) = one_click(&gate, &token(&message));
    assert_eq!(status, 200, "{answer}");
    assert!(send(&gate, &[ANNA], &content).starts_with("550 5.7.1"), "the objection reaches all of them");
}

#[test]
fn a_mailers_own_fields_are_replaced_however_they_are_spelt() {
    let odd = "LIST-unsubscribe :\r\n <https://exemple.fr/out?u=1>,\r\n\t<mailto:out@exemple.fr>\r\n\
               list-unsubscribe-POST: List-Unsubscribe=One-Click\r\nList-Unsubscribe: <https://exemple.fr/second>\r\n";
    for own in [OWN, odd] {
        let (message, journal) = delivered(&[], &with(own));
        token(&message);
        assert_eq!(fields(&message.content, "List-Unsubscribe-Post").len(), 1);
        assert!(!String::from_utf8_lossy(&message.content).contains("exemple.fr/out"), "{own}");
        assert_eq!(without_added(&message.content), BOOKS);
        assert!(notes(&journal).contains(&"unsub_replaced"), "{journal:?}");
    }
}

#[test]
fn kept_fields_arrive_byte_for_byte() {
    let (message, journal) = delivered(&[("existing_list_headers", "\"keep\"")], &with(OWN));
    let content = String::from_utf8(message.content).unwrap();
    assert!(content.contains(&format!("\r\n{OWN}")), "{content}");
    assert_eq!(content.matches("List-Unsubscribe:").count(), 1);
    assert!(notes(&journal).contains(&"unsub_kept"), "{journal:?}");
    assert!(!notes(&journal).contains(&"unsub_kept_without_one_click"), "{journal:?}");
}

#[test]
fn keeping_fields_that_are_not_there_adds_ours() {
    let (message, _) = delivered(&[("existing_list_headers", "\"keep\"")], BOOKS);
    token(&message);
}

#[test]
fn fields_below_the_header_section_are_not_taken_for_the_mailers() {
    let body = [BOOKS, b"\r\n--part\r\nList-Unsubscribe: <https://exemple.fr/part>\r\n".as_slice()].concat();
    let (message, _) = delivered(&[("existing_list_headers", "\"keep\"")], &body);
    token(&message);
    assert_eq!(without_added(&message.content), body);
}

/// A signature over the fields, present or absent (RFC 6376, section 5.4.2).
const SIGNED: &str = "DKIM-Signature: v=1; a=rsa-sha256; d=exemple.fr; s=k;\r\n\
    \th=From:Subject:List-Unsubscribe:List-Unsubscribe-Post; bh=x; b=y\r\n";

#[test]
fn a_signature_over_the_fields_is_left_whole() {
    for own in ["", OWN] {
        let content = with(&format!("{SIGNED}{own}"));
        let (message, journal) = delivered(&[], &content);
        let arrived = String::from_utf8(message.content).unwrap();
        let behind_received = arrived.find("\r\nDKIM-Signature").unwrap() + 2;
        assert_eq!(&arrived.as_bytes()[behind_received..], content);
        assert!(notes(&journal).contains(&"signed_unsub"), "{journal:?}");
    }
}

#[test]
fn a_signature_over_the_fields_is_refused_where_the_policy_says_so() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).policy_value("on_signed", "\"reject\"").start();
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    assert!(send(&gate, &[ANNA], &with(SIGNED)).starts_with("550 5.7.1"));
    assert_eq!(upstream.record().count("DATA"), 0);
    assert_eq!(told(&settled(&mut gate), ANNA), "allow OK_OPT_IN refused");
}

#[test]
fn a_signature_over_other_fields_is_in_nobodys_way() {
    let other = SIGNED.replace(":List-Unsubscribe:List-Unsubscribe-Post", "");
    let (message, _) = delivered(&[("on_signed", "\"reject\"")], &with(&other));
    token(&message);
}
