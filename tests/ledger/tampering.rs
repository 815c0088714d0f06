//! Each way to change a store's file, and what verification says to it.

use consentry::consent::ledger::checkpoint::Checkpoint;
use consentry::store::{Answer, What};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::store::*;

/// What is evidence, or derived from it. `checkpoint` is a cache of what is kept elsewhere: a changed one is found, a
/// missing one is not missed.
const TABLES: [&str; 15] = [
    "event",
    "message",
    "decision",
    "outcome",
    "act",
    "ledger",
    "ledger_head",
    "contact",
    "state",
    "suppression",
    "policy",
    "text",
    "message_topic",
    "topic_named",
    "checkpoint",
];

fn columns(db: &Connection, table: &str) -> Vec<String> {
    let mut columns = db.prepare(&format!("SELECT name FROM pragma_table_info ('{table}')")).unwrap();
    columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The same value but for a little.
fn changed(value: &Value, declared: &str) -> Value {
    match value {
        Value::Integer(number) => Value::Integer(number + 1000),
        Value::Text(text) => Value::Text(format!("{text} ")),
        Value::Blob(bytes) => Value::Blob(bytes.iter().map(|byte| byte ^ 1).collect()),
        _ if declared == "BLOB" => Value::Blob(vec![0; 32]),
        _ if declared == "INTEGER" => Value::Integer(1),
        _ => Value::Text("x".into()),
    }
}

/// The rows of a table, by what addresses one of them whatever its key is.
fn rows(db: &Connection, table: &str) -> Vec<String> {
    let keys = format!("SELECT name FROM pragma_table_info ('{table}') WHERE pk > 0 ORDER BY pk");
    let mut keys = db.prepare(&keys).unwrap();
    let keys: Vec<String> = keys.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let quoted: Vec<String> = keys.iter().map(|key| format!("'{key} = ' || quote ({key})")).collect();
    let all = format!("SELECT {} FROM {table} ORDER BY {}", quoted.join(" || ' AND ' || "), keys.join(", "));
    let mut all = db.prepare(&all).unwrap();
    all.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn no_column_of_any_row_can_be_changed() {
    let (place, _) = filled().await;
    place.holds();
    let db = Connection::open(place.path()).unwrap();
    for table in TABLES {
        for row in rows(&db, table) {
            for column in columns(&db, table) {
                if (table, column.as_str()) == ("ledger_head", "id") {
                    continue; // SQLite itself refuses another number
                }
                let value: Value =
                    db.query_row(&format!("SELECT {column} FROM {table} WHERE {row}"), [], |row| row.get(0)).unwrap();
                let declared = format!("SELECT type FROM pragma_table_info ('{table}') WHERE name = '{column}'");
                let declared: String = db.query_row(&declared, [], |row| row.get(0)).unwrap();
                let copy = place.copy();
                let update = format!("UPDATE {table} SET {column} = ?1 WHERE {row}");
                copy.stranger().execute(&update, [changed(&value, &declared)]).unwrap();
                let Answer::Broken(fault) = copy.verify() else {
                    panic!("{table}.{column} of {row} was changed unnoticed")
                };
                named(&db, table, &row, &column, &fault);
            }
        }
    }
}

/// A row with an entry of its own is named by that entry, unless it was the number of either that was changed.
fn named(db: &Connection, table: &str, row: &str, column: &str, fault: &consentry::store::Fault) {
    let has_entry = matches!(table, "event" | "outcome" | "act" | "message");
    if !has_entry || matches!(column, "seq" | "id") {
        return;
    }
    let entry: i64 = db.query_row(&format!("SELECT ledger FROM {table} WHERE {row}"), [], |row| row.get(0)).unwrap();
    // What an act excuses or says of other tables is compared where the act stands.
    assert_eq!((fault.entry, fault.table), (Some(entry), table), "{column} of {row}: {fault}");
}

#[tokio::test]
async fn no_row_can_be_removed() {
    let (place, _) = filled().await;
    let db = Connection::open(place.path()).unwrap();
    for table in TABLES.into_iter().filter(|table| *table != "checkpoint") {
        for row in rows(&db, table) {
            let copy = place.copy();
            copy.tamper(&format!("DELETE FROM {table} WHERE {row}"));
            let Answer::Broken(fault) = copy.verify() else { panic!("{row} of {table} was removed unnoticed") };
            if matches!(table, "event" | "outcome" | "act") {
                assert_eq!((fault.table, fault.what), (table, What::Removed), "{row}: {fault}");
            }
        }
    }
}

#[tokio::test]
async fn no_row_can_be_added() {
    let (place, _) = filled().await;
    for (table, copy_of) in [
        (
            "event",
            "contact, controller, type, at, recorded_at, NULL, ledger, proof, proof_salt, NULL, personal, personal_salt, NULL FROM event",
        ),
        ("outcome", "message, decision, result, code, at, took_us, ledger, text, text_salt, NULL FROM outcome"),
        ("act", "at, kind, body, ledger FROM act"),
    ] {
        let copy = place.copy();
        let number = if table == "event" { "seq" } else { "id" };
        copy.tamper(&format!("INSERT INTO {table} SELECT 900, {copy_of} ORDER BY {number} LIMIT 1"));
        let fault = copy.broken();
        assert_eq!((fault.table, fault.row, fault.what), (table, Some(900), What::Inserted), "{fault}");
    }
    let copy = place.copy();
    copy.tamper(
        "INSERT INTO ledger SELECT max (seq) + 1, entry, row, leaf, mac FROM ledger;
         INSERT INTO suppression SELECT 'd', hash, topics, at, mechanism, act FROM suppression",
    );
    assert_eq!(copy.broken().table, "ledger");
    let copy = place.copy();
    copy.tamper("INSERT INTO suppression SELECT 'd', hash, topics, at, mechanism, act FROM suppression");
    assert_eq!(copy.broken().table, "suppression");
}

#[tokio::test]
async fn two_rows_that_changed_places_are_found_at_the_first() {
    let (place, _) = filled().await;
    for (table, number) in [("event", "seq"), ("outcome", "id"), ("message", "id"), ("decision", "id"), ("act", "id")] {
        let copy = place.copy();
        copy.tamper(&format!(
            "UPDATE {table} SET {number} = -1 WHERE {number} = 1; UPDATE {table} SET {number} = 1 WHERE {number} = 2;
             UPDATE {table} SET {number} = 2 WHERE {number} = -1"
        ));
        let fault = copy.broken();
        let place = if table == "decision" { "message" } else { table };
        assert_eq!((fault.table, fault.row), (place, Some(1)), "{fault}");
        if table != "decision" {
            assert_eq!(fault.what, What::OutOfOrder, "{table}: {fault}");
        }
    }
    let copy = place.copy();
    copy.tamper("UPDATE ledger SET seq = -1 WHERE seq = 3; UPDATE ledger SET seq = 3 WHERE seq = 5; UPDATE ledger SET seq = 5 WHERE seq = -1");
    let fault = copy.broken();
    assert_eq!((fault.entry, fault.what), (Some(3), What::OutOfOrder), "{fault}");
}

#[tokio::test]
async fn of_several_changes_the_first_is_named() {
    let (place, _) = filled().await;
    let entry = place.number("SELECT ledger FROM event WHERE seq = 2");
    place.tamper("UPDATE act SET body = '{}' WHERE id = (SELECT max (id) FROM act); UPDATE event SET at = 1 WHERE seq > 1; DELETE FROM outcome");
    let fault = place.broken();
    assert_eq!((fault.entry, fault.table, fault.row), (Some(entry), "event", Some(2)), "{fault}");
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_missed() {
    let (place, signed) = filled().await;
    let (entries, last) = (place.number("SELECT max (seq) FROM ledger"), place.number("SELECT max (seq) FROM event"));
    place.tamper(&format!(
        "DELETE FROM event WHERE seq = {last}; DELETE FROM ledger WHERE seq = {entries}; DELETE FROM checkpoint"
    ));
    let fault = place.broken();
    assert_eq!((fault.entry, fault.what), (Some(entries), What::Truncated), "{fault}");

    // The head set back to what it was after the entry before: without the key it cannot be sealed.
    place.tamper(&format!(
        "UPDATE ledger_head SET seq = {0}, mac = (SELECT mac FROM ledger WHERE seq = {0})",
        entries - 1
    ));
    assert_eq!(place.broken().table, "ledger_head");
    assert!(matches!(place.verify_with(vec![signed]), Answer::Broken(_)));
}

#[tokio::test]
async fn an_older_copy_of_the_whole_store_is_found_with_a_checkpoint_from_after_it() {
    let place = Place::new();
    let store = place.open();
    fill(&store).await;
    let older = place.copy();
    store.record_event(event("bob@y.example", "c", r#""type":"object""#)).await.unwrap();
    let signed = checkpoint(&store).await;
    assert!(matches!(place.verify_with(vec![signed.clone()]), Answer::Holds(_)));
    let verified = older.holds();
    let Answer::Broken(fault) = older.verify_with(vec![signed]) else { panic!("the older copy passes") };
    assert_eq!((fault.entry, fault.what), (Some(verified.entries + 1), What::Truncated), "{fault}");
}

#[tokio::test]
async fn a_ledger_made_anew_with_the_key_is_not_the_one_that_was_signed() {
    let (_, signed) = filled().await;
    // Salts are random: the same acts make another tree.
    let (other, _) = filled().await;
    let Answer::Broken(fault) = other.verify_with(vec![signed]) else { panic!("another ledger passes") };
    assert_eq!((fault.table, fault.what), ("ledger", What::Changed), "{fault}");
}

#[tokio::test]
async fn a_checkpoint_is_only_signed_over_a_chain_that_holds() {
    let (place, _) = filled().await;
    let store = place.open();
    store.record_event(event("dora@y.example", "c", r#""type":"object""#)).await.unwrap();
    store.shutdown();
    place.tamper("UPDATE ledger SET leaf = zeroblob (32) WHERE seq = (SELECT max (seq) FROM ledger)");
    let refused = place.reader().sign_checkpoint(&signing_keys(), ORIGIN, moment("2026-05-17T00:00:00Z"));
    assert!(refused.unwrap_err().to_string().contains("does not follow"));
}

#[tokio::test]
async fn a_checkpoint_goes_on_from_the_one_before_and_comes_to_the_same() {
    let (place, first) = filled().await;
    let store = place.open();
    store.record_event(event("dora@y.example", "c", r#""type":"object""#)).await.unwrap();
    let second = checkpoint(&store).await;
    let verified = place.holds();
    assert_eq!((verified.checkpoints_kept, second.size), (2, first.size + 1));
    // Without those in the store it reads everything, and comes to the same root.
    place.tamper("DELETE FROM checkpoint");
    let anew: Checkpoint = checkpoint(&place.open()).await;
    assert_eq!(anew.root, second.root);
    // What the next one would go on from is not believed when it was changed.
    place.tamper("UPDATE checkpoint SET frontier = zeroblob (length (frontier))");
    assert_eq!(checkpoint(&place.open()).await.root, second.root);
}

#[tokio::test]
async fn a_gate_does_not_write_on_a_head_that_was_not_sealed_with_its_key() {
    let (place, _) = filled().await;
    place.tamper("UPDATE ledger_head SET seq = seq - 1");
    let refused = consentry::store::Store::open(&place.path(), hash_keys()).err().unwrap();
    assert!(refused.to_string().contains("ledger verify"), "{refused}");
    place.tamper("DELETE FROM ledger_head");
    assert!(consentry::store::Store::open(&place.path(), hash_keys()).is_err());
}

#[tokio::test]
async fn forgetting_without_an_erasure_is_found() {
    let (place, _) = filled().await;
    // With the right digest in the part's place, as an erasure leaves it.
    let db = place.stranger();
    let (salt, part): (Vec<u8>, String) = db
        .query_row("SELECT personal_salt, personal FROM event WHERE seq = 3", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let digest = consentry::consent::ledger::entry::commitment(&salt, &part);
    db.execute("UPDATE event SET personal = NULL, personal_salt = NULL, personal_digest = ?1 WHERE seq = 3", [digest])
        .unwrap();
    let fault = place.broken();
    assert_eq!((fault.table, fault.row, fault.what), ("event", Some(3), What::Removed), "{fault}");
}

#[tokio::test]
async fn the_ledger_holds_after_erasures_and_purges_and_what_they_left_cannot_be_changed() {
    let (place, _) = filled().await;
    let store = place.open();
    let erase = |controller| event("anna@x.example", controller, r#""type":"erase""#);
    store.record_event(erase("c")).await.unwrap();
    place.holds();
    store.record_event(erase("d")).await.unwrap();
    store.record_event(event("bob@y.example", "c", r#""type":"erase""#)).await.unwrap();
    store.record_event(event("nobody@y.example", "c", r#""type":"erase""#)).await.unwrap();
    let later = MessageAt("2026-06-01T00:00:00Z");
    store.record_message(later.of("r3")).await.unwrap();
    assert_eq!(store.purge_journal(moment("2026-05-20T00:00:00Z")).await, Ok(2));
    checkpoint(&store).await;
    store.shutdown();
    let kinds = place.holds().kinds;
    assert_eq!((kinds["message"], kinds["revision"], kinds["outcome"]), (3, 1, 2), "entries outlive their rows");
    for sql in [
        "UPDATE contact SET address = 'anna@x.example' WHERE id = 1",
        "UPDATE contact SET address = 'erased:00', objection_key = 'erased:00', consent_key = 'erased:00:1' WHERE id = 1",
        "UPDATE event SET personal_digest = zeroblob (32) WHERE seq = 1",
        "UPDATE event SET proof = NULL, proof_salt = NULL WHERE seq = 1",
        "UPDATE event SET proof = replace (proof, 'offers', 'books') WHERE seq = 1",
        "DELETE FROM suppression WHERE mechanism = 'erasure'",
        "UPDATE act SET body = replace (body, '[[1,', '[[0,') WHERE kind = 'erasure'",
        "DELETE FROM message",
        "INSERT INTO state (controller, contact, facts) SELECT 'c', 1, facts FROM state",
        "INSERT INTO state (controller, contact, facts) VALUES ('c', 1, '{}')",
    ] {
        let copy = place.copy();
        let touched = copy.stranger().execute(sql, []).unwrap();
        assert!(touched > 0 || sql.contains("FROM state"), "{sql}");
        assert!(touched == 0 || matches!(copy.verify(), Answer::Broken(_)), "{sql} went unnoticed");
    }
}

#[tokio::test]
async fn a_mark_past_its_retention_may_go_and_no_other() {
    let (place, _) = filled().await;
    let store = place.open();
    assert_eq!(store.purge_suppressions(moment("2026-03-01T00:00:00Z")).await, Ok(1));
    place.holds();
    let hash = hash_keys().contact_hash("c", "carl@z.example");
    let again = consentry::store::Suppress {
        controller: "c".into(),
        hash,
        topics: Vec::new(),
        at: moment("2026-04-01T00:00:00Z"),
        mechanism: "one_click".into(),
    };
    store.suppress(again).await.unwrap();
    store.shutdown();
    place.holds();
    place.tamper("DELETE FROM suppression");
    assert_eq!((place.broken().table, place.broken().what), ("suppression", What::Removed));
}

struct MessageAt(&'static str);

impl MessageAt {
    fn of(&self, reference: &str) -> consentry::store::MessageRecord {
        use consentry::policy::verdict::{Decision, Reason};
        let verdicts = vec![verdict("erna@y.example", Decision::Allow, Reason::OkOptIn)];
        consentry::store::MessageRecord { at: moment(self.0), ..message(reference, verdicts) }
    }
}

#[tokio::test]
async fn an_erased_recipient_keeps_the_pseudonym_that_was_given() {
    let (place, _) = filled().await;
    let store = place.open();
    store.record_event(event("anna@x.example", "c", r#""type":"erase""#)).await.unwrap();
    store.shutdown();
    place.holds();
    place.tamper(
        "UPDATE decision SET recipient = 'erased:00', recipient_key = 'erased:00' WHERE recipient LIKE 'erased:%'",
    );
    assert_eq!(place.broken().table, "decision");
}

#[tokio::test]
async fn an_entry_is_proved_to_a_stranger_with_the_checkpoint_alone() {
    use consentry::consent::ledger::{entry, hex, merkle, sha256};
    let (place, signed) = filled().await;
    let mut reader = place.reader();
    for seq in 1..=i64::try_from(signed.size).unwrap() {
        let entry = reader.ledger_entry(seq).unwrap().unwrap();
        let proof = reader.inclusion_proof(seq, signed.size).unwrap().unwrap();
        let place = u64::try_from(seq - 1).unwrap();
        assert_eq!(merkle::root_of(entry::leaf(&entry.canonical), place, signed.size, &proof), Some(signed.root));
        for opening in &entry.openings {
            let salt = opening.salt.as_deref().unwrap();
            let salt: Vec<u8> =
                (0..salt.len() / 2).map(|at| u8::from_str_radix(&salt[at * 2..at * 2 + 2], 16).unwrap()).collect();
            let part = opening.part.as_deref().unwrap();
            assert_eq!(hex(&sha256(&[&salt, part.as_bytes()])), opening.digest);
            let within = entry.canonical.contains(&opening.digest)
                || entry
                    .openings
                    .iter()
                    .any(|other| other.part.as_deref().is_some_and(|part| part.contains(&opening.digest)));
            assert!(within, "{} of entry {seq}", opening.name);
        }
    }
    assert_eq!(reader.inclusion_proof(1, signed.size + 1), Ok(None));
    assert_eq!(reader.inclusion_proof(0, signed.size), Ok(None));
}
