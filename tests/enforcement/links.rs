//! The way out in a delivered copy, used at the gate's own pages.

use crate::shop::*;
use crate::support::{Gate, Upstream};

#[test]
fn one_click_blocks_the_very_next_message_and_nothing_else() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    import(&gate, &[opt_in(ANNA, "offers/books"), opt_in(BOB, "offers/books")]);
    assert!(send(&gate, &[ANNA, BOB], BOOKS).starts_with("250"));
    let link = token(&copy_for(&upstream, ANNA));
    for _ in 0..2 {
        let (status, answer) = one_click(&gate, &link);
        assert_eq!(status, 200, "{answer}");
        let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        assert!(!head.contains("\r\nset-cookie:") && !head.contains("\r\nlocation:"), "{head}");
    }
    let reply = send(&gate, &[ANNA], BOOKS);
    assert!(reply.starts_with("550 5.7.1") && reply.contains("(OBJ_TOPIC)"), "{reply}");
    assert!(send(&gate, &[BOB], BOOKS).starts_with("250"), "one link is one person's");
    assert!(send(&gate, &[ANNA], ORDER).starts_with("250"), "her orders go on");
    let history = gate.run_command(&["contact", "history", ANNA, "--json"]);
    let mechanisms = history.matches("\"one_click\"").count();
    assert_eq!(mechanisms, 1, "one objection, however often she clicks: {history}");
    let journal = settled(&mut gate);
    assert!(journal.iter().any(|row| row["recipient"] == ANNA && row["reason"] == "OBJ_TOPIC"));
}

#[test]
fn looking_at_a_link_changes_nothing() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
    let path = format!("/u/{}", token(&copy_for(&upstream, ANNA)));
    let web = gate.listener("web.public");
    for _ in 0..3 {
        let (status, page) = http(web, "GET", &path, "");
        assert!(status == 200 && page.contains("<button"), "{page}");
    }
    let (status, answer) = http(web, "HEAD", &path, "");
    assert!(status == 200 && answer.ends_with("\r\n\r\n"), "a HEAD has no body: {answer}");
    assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
    let journal = settled(&mut gate);
    let days: Vec<_> = journal.iter().map(|row| row["last_day"].clone()).collect();
    assert_eq!(days, ["2029-01-10", "2029-01-10"]);
}

#[test]
fn a_link_outlives_the_key_it_was_sealed_with() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
    let link = token(&copy_for(&upstream, ANNA));
    gate.run_command(&["keys", "rotate"]);
    gate.stop();
    gate.run();
    assert_eq!(one_click(&gate, &link).0, 200);
    assert!(send(&gate, &[ANNA], BOOKS).contains("(OBJ_TOPIC)"));
}

#[test]
fn a_link_that_was_tampered_with_is_no_link() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    import(&gate, &[opt_in(ANNA, "offers/books")]);
    assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
    let link = token(&copy_for(&upstream, ANNA));
    let other = if link.ends_with('A') { 'B' } else { 'A' };
    let bent: String = other.to_string() + &link[1..link.len() - 1] + &other.to_string();
    assert_eq!(one_click(&gate, &bent).0, 404);
    assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
}
