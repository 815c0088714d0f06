//! What a mailer says of its own message in X-Consentry-* fields: believed where the settings say so, always removed.

use crate::shop::*;
use crate::support::{Gate, Upstream};

const ODD: &str =
    "X-Consentry-Class: service\r\nx-CONSENTRY-Topics : offers/music\r\nX-Consentry-Unheard-Of: \r\n folded\r\n";

fn with(more: &str, content: &[u8]) -> Vec<u8> {
    [more.as_bytes(), content].concat()
}

#[test]
fn what_an_untrusted_mailer_says_is_removed_unread() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    assert!(send(&gate, &[CARL], &with(ODD, BOOKS)).contains("(CONSENT_NONE)"));
    for content in [BOOKS, ORDER] {
        assert!(send(&gate, &[ANNA], &with(ODD, content)).starts_with("250"));
    }
    for message in upstream.record().accepted() {
        let text = String::from_utf8_lossy(&message.content).to_ascii_lowercase();
        assert!(!text.contains("consentry-") && !text.contains("folded"), "{text}");
    }
    assert_eq!(without_added(&copies(&upstream)[0]), BOOKS);
    assert!(settled(&mut gate).iter().all(|row| row["class_rule"] != "header"));
}

fn copies(upstream: &Upstream) -> Vec<Vec<u8>> {
    upstream.record().accepted().iter().map(|message| message.content.clone()).collect()
}

#[test]
fn what_a_trusted_mailer_says_decides_and_is_removed_all_the_same() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).listener("trust_headers = true").start();
    import(&gate, &[opt_in(ANNA, "offers/music"), opt_in(BOB, "offers/books")]);
    let said = "X-Consentry-Class: promotional\r\nX-Consentry-Topics: offers/music\r\n";
    let plain = b"From: news@exemple.fr\r\nSubject: concerts\r\n\r\nhello https://exemple.fr/desinscription/1\r\n";
    assert!(send(&gate, &[ANNA], &with(said, plain)).starts_with("250"));
    assert!(send(&gate, &[BOB], &with(said, plain)).contains("(CONSENT_TOPIC)"));
    assert_eq!(without_added(&copies(&upstream)[0]), plain);
    let journal = settled(&mut gate);
    assert_eq!(about(&journal, ANNA)["class_rule"], "header");
    assert_eq!(about(&journal, BOB)["topics"][0], "offers/music");
}

#[test]
fn a_declared_class_that_contradicts_the_rules_is_a_conflict() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).listener("trust_headers = true").start();
    let reply = send(&gate, &[CARL], &with("X-Consentry-Class: service\r\n", BOOKS));
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    assert_eq!(about(&settled(&mut gate), CARL)["flags"][0], "CLASS_CONFLICT");
}
