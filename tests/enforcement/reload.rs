//! Another policy while mail is flowing, and decisions told again later.

use std::fs;

use serde_json::Value;

use crate::shop::*;
use crate::support::gate::POLICY;
use crate::support::{Gate, Upstream};

fn rewrite(gate: &Gate, policy: &str) {
    fs::write(gate.directory().join("policy.toml"), policy).unwrap();
}

#[test]
fn a_reload_leaves_a_message_in_progress_its_policy() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    client.envelope(SENDER, &[CARL]);
    rewrite(&gate, &POLICY.replace("mode = \"enforce\"", "mode = \"monitor\""));
    let said = gate.run_command(&["reload"]);
    assert!(said.contains("sha256:"), "{said}");
    client.write(&crate::support::client::stuffed(BOOKS));
    client.write(b".\r\n");
    assert!(client.reply().contains("(CONSENT_NONE)"));
    assert!(client.send(SENDER, &[CARL], BOOKS).starts_with("250"), "the next one in the same session has the new");
    client.quit();
    let journal = settled(&mut gate);
    let mut modes: Vec<&str> = journal.iter().filter_map(|row| row["mode"].as_str()).collect();
    modes.sort_unstable();
    assert_eq!(modes, ["enforce", "monitor"]);
    assert_ne!(journal[0]["policy"], journal[1]["policy"]);
}

#[test]
fn a_hangup_reloads_too() {
    let upstream = Upstream::start();
    let gate = Gate::in_front_of(upstream.address);
    rewrite(&gate, &POLICY.replace("mode = \"enforce\"", "mode = \"monitor\""));
    gate.signal("HUP");
    gate.wait_for_log("the new policy", |lines| {
        lines.iter().any(|line| line.contains("policy in force") && line.contains("monitor"))
    });
    assert!(send(&gate, &[CARL], BOOKS).starts_with("250"));
}

#[test]
fn a_policy_that_keeps_data_too_long_changes_nothing() {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    let mut client = gate.client();
    assert!(client.send(SENDER, &[CARL], BOOKS).starts_with("550"));
    rewrite(&gate, &POLICY.replace("mode = \"enforce\"", "retention_years = 5\nmode = \"enforce\""));
    let place = format!("policy.toml:{}:", POLICY.lines().position(|line| line.starts_with("mode")).unwrap() + 1);
    for command in ["reload", "check"] {
        let output = gate.command(&[command]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        let told = said.lines().find(|line| line.contains(&place)).unwrap_or_else(|| panic!("{place} in {said}"));
        assert!(told.contains("retention_years") && told.contains('5') && told.contains('3'), "{told}");
    }
    gate.signal("HUP");
    gate.wait_for_log("the refusal", |lines| {
        lines.iter().filter(|line| line.contains("reload refused") && line.contains("retention_years")).count() == 2
    });
    assert!(client.send(SENDER, &[CARL], BOOKS).starts_with("550"), "the session is undisturbed");
    client.quit();
    let journal = settled(&mut gate);
    assert_eq!(journal.len(), 2);
    assert_eq!(journal[0]["policy"], journal[1]["policy"]);
}

#[test]
fn a_renamed_topic_needs_its_old_name() {
    let print = "[topic.\"offers/books\"]\naliases = [\"offers/paper\"]";
    let named = POLICY.replace("[topic.\"offers/books\"]", print);
    let upstream = Upstream::start();
    let gate = Gate::builder(upstream.address).policy(&named).start();
    import(&gate, &[opt_in(ANNA, "offers/paper")]);
    rewrite(&gate, &named.replace("[\"offers/paper\"]", "[]"));
    let said = gate.command(&["reload"]).output().unwrap();
    let told = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{told}");
    assert!(told.contains("offers/paper"), "the reload names the topic nobody knows any more: {told}");
    assert!(send(&gate, &[ANNA], BOOKS).contains("(CONSENT_TOPIC)"));
    rewrite(&gate, &named);
    let said = gate.run_command(&["reload"]);
    assert!(!said.contains("offers/paper"), "{said}");
    assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
}

/// What `explain --ref` says of each recipient: address, decision, reason, and why.
fn explained(gate: &Gate, reference: &str) -> Vec<[Value; 4]> {
    let output = gate.command(&["explain", "--ref", reference, "--json"]).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let recipients = told["recipients"].as_array().unwrap();
    recipients.iter().map(|one| ["address", "decision", "reason", "because"].map(|key| one[key].clone())).collect()
}

#[test]
fn every_recorded_decision_can_be_told_again() {
    let upstream = Upstream::start();
    let mut gate = Gate::builder(upstream.address)
        .settings(
            "[listener.pinned]\nlisten = [\"127.0.0.1:0\"]\nupstream = \"relay\"\n\
             class = \"promotional\"\ncontroller = \"shop\"\ntopics = [\"offers/books\"]\n",
        )
        .start();
    three_people(&gate);
    send(&gate, &[ANNA, BOB, CARL], BOOKS);
    send(&gate, &[CARL], BOOKS);
    send(&gate, &[ANNA, BOB], ORDER);
    let mut client = crate::support::Client::ready(gate.listener("pinned"));
    client.command(&format!("MAIL FROM:<{SENDER}>"), "250");
    client.command(&format!("RCPT TO:<{BOB}>"), "550");
    client.quit();
    // What happens afterwards does not change what was decided then.
    import(&gate, &[objection(ANNA, &["*"]), opt_in(CARL, "offers/books")]);
    rewrite(&gate, &POLICY.replace("mode = \"enforce\"", "mode = \"monitor\""));
    gate.run_command(&["reload"]);
    let journal = settled(&mut gate);
    assert_eq!(journal.len(), 7);
    for row in &journal {
        let again = explained(&gate, row["ref"].as_str().unwrap());
        let expected = ["recipient", "decision", "reason", "because"].map(|key| row[key].clone());
        assert!(again.contains(&expected), "recorded {expected:?}, told again {again:?}");
    }
}
