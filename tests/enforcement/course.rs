//! What becomes of a message when some, all or none of its recipients agreed.

use crate::shop::*;
use crate::support::gate::POLICY;
use crate::support::{Gate, Upstream};

/// The notices to the sender among what upstream took.
fn notices(upstream: &Upstream) -> Vec<String> {
    let record = upstream.record();
    let from_nobody = record.accepted().into_iter().filter(|message| message.from.starts_with("<>"));
    from_nobody.map(|message| String::from_utf8(message.content.clone()).unwrap()).collect()
}

#[test]
fn of_three_recipients_only_the_one_who_agreed_gets_it() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    three_people(&gate);
    let reply = send(&gate, &[ANNA, BOB, CARL], BOOKS);
    assert!(reply.starts_with("250 2.0.0 Ok: queued as U"), "{reply}");
    assert!(reply.contains("(2 recipients withheld; ref "), "{reply}");
    for secret in [ANNA, BOB, CARL, "OBJ", "CONSENT"] {
        assert!(!reply.contains(secret), "{reply}");
    }
    let to_sender = format!(">{SENDER}");
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA}"), &to_sender]);
    let copy = copy_for(&upstream, ANNA);
    assert_eq!(without_added(&copy.content), BOOKS);
    token(&copy);
    let notices = notices(&upstream);
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains(BOB) && notices[0].contains(CARL) && !notices[0].contains(ANNA), "{}", notices[0]);
    let journal = settled(&mut gate);
    assert_eq!(told(&journal, ANNA), "allow OK_OPT_IN delivered");
    assert_eq!(told(&journal, BOB), "block OBJ_TOPIC withheld");
    assert_eq!(told(&journal, CARL), "block CONSENT_NONE withheld");
    assert_eq!(about(&journal, ANNA)["outcome"]["code"], 250);
}

/// The notice is the gate's own: rules about the mailer's mail, and what mail waits for, are not about it.
#[test]
fn the_notice_goes_out_whatever_the_policy_says_of_mail_from_there() {
    let all_of_it = "\n[[rule]]\nid = \"all-of-it\"\nwhen.listener = \"submission\"\nclass = \"promotional\"\n";
    let waiting = format!("service_without_store = \"defer\"\n{POLICY}");
    for policy in [waiting, format!("{POLICY}{all_of_it}")] {
        let upstream = Upstream::start();
        let gate = Gate::builder(upstream.address).policy(&policy).start();
        three_people(&gate);
        let reply = send(&gate, &[ANNA, BOB], BOOKS);
        assert!(reply.starts_with("250"), "{reply}\n{policy}");
        assert_eq!(notices(&upstream).len(), 1);
    }
}

#[test]
fn two_who_agreed_get_a_copy_each_that_differs_in_nothing_but_the_link() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    import(&gate, &[opt_in(ANNA, "offers/books"), opt_in(BOB, "offers")]);
    let reply = send(&gate, &[ANNA, BOB], BOOKS);
    assert!(reply.starts_with("250 2.0.0 Ok: queued as U") && !reply.contains("withheld"), "{reply}");
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA}"), &format!("{SENDER}>{BOB}")]);
    let (anna, bob) = (copy_for(&upstream, ANNA), copy_for(&upstream, BOB));
    assert_ne!(token(&anna), token(&bob));
    assert_eq!(without_added(&anna.content), BOOKS);
    assert_eq!(without_added(&bob.content), BOOKS);
    assert!(!String::from_utf8_lossy(&anna.content).contains(BOB), "a copy tells of another recipient");
    assert!(!fields(&anna.content, "Received")[0].contains(" for "), "a copy of several says for whom it is");
}

#[test]
fn a_message_nobody_agreed_to_is_refused_with_a_line_for_each() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    three_people(&gate);
    let alone = send(&gate, &[CARL], BOOKS);
    let (line, reference) = alone.rsplit_once(' ').unwrap();
    assert_eq!(
        line,
        format!(
            "550 5.7.1 <{CARL}> withheld: no consent on record for offers/books (CONSENT_NONE); \
             the address itself is fine; ref"
        )
    );
    let both = send(&gate, &[BOB, CARL], BOOKS);
    let lines: Vec<&str> = both.lines().collect();
    assert_eq!(lines.len(), 2, "{both}");
    assert!(lines[0].starts_with(&format!("550-5.7.1 <{BOB}> withheld: ")) && lines[0].contains("(OBJ_TOPIC)"));
    assert!(lines[1].starts_with(&format!("550 5.7.1 <{CARL}> withheld: ")) && lines[1].contains("(CONSENT_NONE)"));
    assert_eq!(upstream.record().count("DATA"), 0);
    let journal = settled(&mut gate);
    let found = journal.iter().find(|row| row["ref"] == reference).expect("the reference finds its row");
    assert_eq!(found["reply"], alone);
    assert_eq!(found["outcome"]["result"], "refused");
}

#[test]
fn of_many_withheld_recipients_ten_are_named() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let strangers: Vec<String> = (0..12).map(|n| format!("stranger{n}@example.net")).collect();
    let reply = send(&gate, &strangers.iter().map(String::as_str).collect::<Vec<_>>(), BOOKS);
    let lines: Vec<&str> = reply.lines().collect();
    assert_eq!(lines.len(), 11, "{reply}");
    assert_eq!(lines[10], "550 5.7.1 and 2 more withheld");
}

/// Everything any table of the store holds that can be read as text.
fn dump(gate: &Gate) -> String {
    let store = rusqlite::Connection::open(gate.directory().join("consentry.db")).unwrap();
    let mut tables = store.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut text = String::new();
    for table in tables {
        let mut rows = store.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                match row.get::<_, rusqlite::types::Value>(column).unwrap() {
                    rusqlite::types::Value::Text(cell) => text += &format!("{table}: {cell}\n"),
                    rusqlite::types::Value::Blob(cell) => text += &String::from_utf8_lossy(&cell),
                    _ => {}
                }
            }
        }
    }
    text
}

#[test]
fn of_a_message_refused_as_a_whole_each_row_keeps_only_its_own_line() {
    for whole in ["550", "451"] {
        let upstream = Upstream::start();
        let mut gate = Gate::builder(upstream.address)
            .policy_value("mixed_recipients", "\"reject_all\"")
            .policy_value("freq_action", "\"delay\"")
            .start();
        three_people(&gate);
        let mut to = vec![ANNA, BOB, CARL];
        if whole == "451" {
            // Both have had the one message a week that they want.
            let wish = |who: &str| {
                format!(
                    r#"{{"address":"{who}","controller":"shop","type":"frequency","limit":"weekly","actor":"person"}}"#
                )
            };
            import(&gate, &[opt_in(CARL, "offers/books"), wish(ANNA), wish(CARL)]);
            to = vec![ANNA, CARL];
            assert!(send(&gate, &to, BOOKS).starts_with("250"));
            let next = String::from_utf8(BOOKS.to_vec()).unwrap().replace("<1@", "<7@");
            let reply = send(&gate, &to, next.as_bytes());
            assert!(reply.starts_with("451") && reply.contains(ANNA) && reply.contains(CARL), "{reply}");
        } else {
            let reply = send(&gate, &to, BOOKS);
            assert!(reply.starts_with("550") && reply.contains(BOB) && reply.contains(CARL), "{reply}");
        }
        gate.stop();
        let exported = gate.run_command(&["contact", "export", CARL]);
        assert!(exported.contains(CARL) && !exported.contains("bob@") && !exported.contains("anna@"), "{exported}");
        gate.run_command(&["contact", "erase", CARL, "--yes", "--by", "marie"]);
        let left = dump(&gate);
        assert!(left.contains(ANNA), "{left}");
        let named: Vec<&str> = left.lines().filter(|line| line.contains("carl@")).collect();
        assert!(named.is_empty(), "{named:#?}");
    }
}

#[test]
fn reject_all_names_the_withheld_and_delivers_to_nobody() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).policy_value("mixed_recipients", "\"reject_all\"").start();
    three_people(&gate);
    let reply = send(&gate, &[ANNA, BOB, CARL], BOOKS);
    assert!(reply.starts_with("550-5.7.1") && reply.contains(BOB) && reply.contains(CARL), "{reply}");
    assert!(!reply.contains(ANNA), "{reply}");
    assert_eq!(upstream.record().count("DATA"), 0);
    let journal = settled(&mut gate);
    assert_eq!(told(&journal, ANNA), "allow OK_OPT_IN refused");
    assert_eq!(told(&journal, BOB), "block OBJ_TOPIC refused");
}

#[test]
fn discard_takes_what_nobody_agreed_to_and_forgets_it() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).policy_value("refusal", "\"discard\"").start();
    three_people(&gate);
    let reply = send(&gate, &[BOB, CARL], BOOKS);
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    assert_eq!(upstream.record().count("DATA"), 0);
    let journal = settled(&mut gate);
    assert_eq!(told(&journal, BOB), "block OBJ_TOPIC discarded");
    assert_eq!(told(&journal, CARL), "block CONSENT_NONE discarded");
}

#[test]
fn monitor_mode_changes_nothing_and_records_everything() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).policy_value("mode", "\"monitor\"").start();
    three_people(&gate);
    let reply = send(&gate, &[ANNA, BOB, CARL], BOOKS);
    assert!(reply.starts_with("250 2.0.0 Ok: queued as U") && !reply.contains("withheld"), "{reply}");
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA},{BOB},{CARL}")]);
    let content = upstream.single_message().content;
    assert!(fields(&content, "List-Unsubscribe").is_empty());
    assert_eq!(without_added(&content), BOOKS);
    let journal = settled(&mut gate);
    assert_eq!(told(&journal, ANNA), "allow OK_OPT_IN delivered");
    assert_eq!(told(&journal, BOB), "block OBJ_TOPIC delivered");
    assert_eq!(told(&journal, CARL), "block CONSENT_NONE delivered");
    assert!(journal.iter().all(|row| row["mode"] == "monitor"));
}

#[test]
fn service_mail_reaches_everybody_as_it_was_written() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    three_people(&gate);
    import(&gate, &[objection(ANNA, &["*"])]);
    let marked = [b"X-Consentry-Id: 1\r\n", ORDER].concat();
    assert!(send(&gate, &[ANNA, BOB, CARL], &marked).starts_with("250"));
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA},{BOB},{CARL}")]);
    let content = upstream.single_message().content;
    let received_end = content.windows(7).position(|window| window == b"\r\nFrom:").unwrap() + 2;
    assert!(content.starts_with(b"Received: "));
    assert_eq!(&content[received_end..], ORDER);
    let journal = settled(&mut gate);
    assert!(journal.iter().all(|row| row["reason"] == "SVC_OK" && row["basis"] == "service"), "{journal:#?}");
    assert_eq!(journal.len(), 3);
}

#[test]
fn the_sender_is_told_nothing_where_the_policy_says_so() {
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).policy_value("notify_sender", "\"none\"").start();
    three_people(&gate);
    assert!(send(&gate, &[ANNA, BOB, CARL], BOOKS).contains("(2 recipients withheld; ref "));
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA}")]);
}

#[test]
fn a_recipient_with_notify_never_is_not_reported() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    three_people(&gate);
    let (anna, bob, carl) = (format!("RCPT TO:<{ANNA}>"), format!("RCPT TO:<{BOB}>"), format!("RCPT TO:<{CARL}>"));
    let mut client = gate.client();
    let mail = format!("MAIL FROM:<{SENDER}>");
    let never = |line: &str| format!("{line} NOTIFY=NEVER");
    transaction(&mut client, &mail, &[&anna, &never(&bob), &carl], BOOKS);
    let first = notices(&upstream);
    assert_eq!(first.len(), 1);
    assert!(first[0].contains(CARL) && !first[0].contains(BOB), "{}", first[0]);
    transaction(&mut client, &mail, &[&anna, &never(&bob), &never(&carl)], BOOKS);
    assert_eq!(notices(&upstream).len(), 1);
}

#[test]
fn a_null_sender_makes_no_service_mail_and_gets_no_notice() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    three_people(&gate);
    let mut client = gate.client();
    assert!(client.send("", &[ANNA, BOB], BOOKS).contains("(1 recipient withheld; ref "));
    assert!(client.send("", &[CARL], BOOKS).starts_with("550 5.7.1"));
    client.quit();
    assert_delivered(&upstream, &[&format!(">{ANNA}")]);
    assert!(settled(&mut gate).iter().all(|row| row["class"] == "promotional"));
}

#[test]
fn a_report_with_a_null_sender_is_service_mail() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address).policy_value("unknown_class", "\"promotional\"").start();
    let vacation = b"From: carl@exemple.fr\r\nAuto-Submitted: auto-replied\r\nSubject: away\r\n\r\nuntil Monday\r\n";
    let mut client = gate.client();
    assert!(client.send("", &[ANNA], vacation).starts_with("250"));
    client.quit();
    assert_eq!(told(&settled(&mut gate), ANNA), "allow SVC_SYSTEM delivered");
}

#[test]
fn the_same_recipient_twice_is_one_copy_and_one_line_in_the_notice() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    three_people(&gate);
    let reply = send(&gate, &[ANNA, BOB, "anna@X.example", "\"bob\"@y.example", ANNA], BOOKS);
    assert!(reply.contains("(1 recipient withheld; ref "), "{reply}");
    assert_delivered(&upstream, &[&format!("{SENDER}>{ANNA}"), &format!(">{SENDER}")]);
    assert_eq!(notices(&upstream)[0].matches("Final-Recipient:").count(), 1, "{}", notices(&upstream)[0]);
    assert!(send(&gate, &[ANNA, ANNA], ORDER).starts_with("250"));
}

#[test]
fn an_objection_reaches_every_spelling_of_an_address() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    import(&gate, &[opt_in("joe+news@x.example", "offers/books"), objection("joe@x.example", &["*"])]);
    for spelling in ["joe@x.example", "joe@X.EXAMPLE", "\"joe\"@x.example", "joe+news@x.example", "\"j\\oe\"@x.example"]
    {
        let reply = send(&gate, &[spelling], BOOKS);
        assert!(reply.starts_with("550 5.7.1") && reply.contains("(OBJ_GLOBAL)"), "{spelling}: {reply}");
    }
}

#[test]
fn an_address_that_hides_its_recipient_gets_service_mail_only() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    let verp = "joe%x.example@relay.example";
    assert!(send(&gate, &[verp], ORDER).starts_with("250"));
    assert!(send(&gate, &[verp], BOOKS).contains("(ADDR_MALFORMED)"));
}
