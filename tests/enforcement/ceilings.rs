//! What a listener or an account may send at most.

use crate::shop::*;
use crate::support::{Client, Gate, Upstream};

#[test]
fn a_listener_for_service_mail_sends_no_advertising() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).listener("may_send = [\"service\"]").start();
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    let reply = send(&gate, &[ANNA], BOOKS);
    assert!(reply.starts_with("550 5.7.1") && reply.contains("(CLASS_CEILING)"), "{reply}");
    assert!(send(&gate, &[BOB], ORDER).starts_with("250"));
    let journal = settled(&mut gate);
    assert_eq!(told(&journal, ANNA), "block CLASS_CEILING refused");
    assert_eq!(told(&journal, BOB), "allow SVC_OK delivered");
}

#[test]
fn on_a_listener_for_advertising_nothing_is_service_mail() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address)
        .listener("may_send = [\"promotional\"]")
        .listener("trust_headers = true")
        .start();
    let marked = [
        b"X-Consentry-Class: service\r\nX-Consentry-Topics: offers/books\r\n",
        ORDER,
        b"https://exemple.fr/desinscription/1\r\n",
    ]
    .concat();
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    assert!(send(&gate, &[CARL], &marked).contains("(CONSENT_NONE)"));
    assert!(send(&gate, &[ANNA], &marked).starts_with("250"));
    token(&copy_for(&upstream, ANNA));
    let mut client = gate.client();
    let vacation =
        b"From: x@exemple.fr\r\nAuto-Submitted: auto-replied\r\nX-Consentry-Topics: offers/books\r\n\r\naway\r\n";
    assert!(client.send("", &[CARL], vacation).starts_with("550 5.7.1"));
}

#[test]
fn an_account_is_held_to_its_own_ceiling() {
    let upstream = Upstream::builder().capabilities(&["AUTH PLAIN", "ENHANCEDSTATUSCODES"]).start();
    let mut gate = Gate::builder(upstream.address)
        .listener("auth_without_tls = true")
        .settings("[credential.\"shop@exemple.fr\"]\nmay_send = [\"service\"]\ntrust_headers = true\n")
        .start();
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    let log_in = |user: &str| -> Client {
        use base64::Engine as _;
        let response = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0secret"));
        let mut client = gate.client();
        client.command(&format!("AUTH PLAIN {response}"), "235 2.7.0");
        client
    };
    let mut shop = log_in("shop@exemple.fr");
    assert!(shop.send(SENDER, &[ANNA], BOOKS).contains("(CLASS_CEILING)"));
    let declared = b"From: x@exemple.fr\r\nX-Consentry-Class: promotional\r\nSubject: y\r\n\r\nz\r\n";
    assert!(shop.send(SENDER, &[CARL], declared).contains("(CLASS_CEILING)"));
    assert!(shop.send(SENDER, &[BOB], ORDER).starts_with("250"));
    shop.quit();
    let mut shouted = log_in("Shop@EXEMPLE.fr");
    assert!(shouted.send(SENDER, &[ANNA], BOOKS).contains("(CLASS_CEILING)"), "upstream ignores the case of a name");
    shouted.quit();
    let mut nameless = log_in("");
    assert!(nameless.send(SENDER, &[ANNA], BOOKS).contains("(CLASS_CEILING)"));
    nameless.quit();
    let mut news = log_in("news@exemple.fr");
    assert!(news.send(SENDER, &[ANNA], BOOKS).starts_with("250"));
    news.quit();
    let journal = settled(&mut gate);
    assert_eq!(about(&journal, BOB)["credential"], "shop@exemple.fr");
    assert!(journal.iter().any(|row| row["credential"] == "news@exemple.fr" && row["reason"] == "OK_OPT_IN"));
}
