use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, channel};

use rusqlite::Connection;

use super::*;
use crate::store::writer::Writer;

const EVENT: &str = r#"{"address":"anna@x.example","controller":"c","type":"object"}"#;

#[test]
fn a_new_store_is_its_owners_and_opens_again() {
    let place = Place::new();
    place.open().shutdown();
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
    place.open().shutdown();
    assert!(Reader::open(&place.path(), keys(&[7])).is_ok());
}

#[test]
fn a_reading_command_makes_no_store() {
    let place = Place::new();
    assert!(matches!(Reader::open(&place.path(), keys(&[7])), Err(StoreError::Unreadable(_))));
    assert!(!place.path().exists());
}

#[test]
fn a_store_of_a_newer_program_is_left_alone() {
    let place = Place::new();
    place.open().shutdown();
    Connection::open(place.path()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let known = 1;
    let newer = StoreError::NewerThanThisProgram { found: 99, known };
    assert_eq!(Store::open(&place.path(), keys(&[7])).err(), Some(newer.clone()));
    assert_eq!(Reader::open(&place.path(), keys(&[7])).err(), Some(newer));
}

#[test]
fn what_is_no_store_is_told_apart_from_an_empty_one() {
    let place = Place::new();
    fs::write(place.path(), "x".repeat(10_000)).unwrap();
    assert!(matches!(Store::open(&place.path(), keys(&[7])).err(), Some(StoreError::Corrupt(_))));
    let nowhere = place.directory.path().join("none/consentry.db");
    assert!(matches!(Store::open(&nowhere, keys(&[7])).err(), Some(StoreError::Unreadable(_))));
}

#[tokio::test]
async fn a_deleted_store_is_noticed_though_its_descriptor_still_answers() {
    let place = Place::new();
    let store = place.open();
    let mut reader = store.reader().unwrap();
    fs::remove_file(place.path()).unwrap();
    assert_eq!(reader.consult("c", &[address("anna@x.example")]), Err(StoreError::Replaced));
    assert_eq!(store.record_event(event(EVENT)).await, Err(StoreError::Replaced));
    assert_eq!(store.record_message(message("r1", Vec::new())).await, Err(StoreError::Replaced));

    let other = Place::new();
    other.open().shutdown();
    fs::rename(other.path(), place.path()).unwrap();
    assert_eq!(reader.consult("c", &[address("anna@x.example")]), Err(StoreError::Replaced));
}

#[tokio::test]
async fn a_store_cut_off_while_open_gives_no_answer() {
    let place = Place::new();
    let store = place.open();
    store.record_event(event(EVENT)).await.unwrap();
    let mut reader = store.reader().unwrap();
    fs::OpenOptions::new().write(true).open(place.path()).unwrap().set_len(0).unwrap();
    assert!(matches!(reader.consult("c", &[address("anna@x.example")]), Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn while_another_process_holds_the_lock_reads_go_on_and_writes_are_busy() {
    let place = Place::new();
    let store = place.open();
    store.record_event(event(EVENT)).await.unwrap();
    let holder = Connection::open(place.path()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();

    assert_eq!(store.record_event(event(EVENT)).await, Err(StoreError::Busy));
    let (known, _) = store.reader().unwrap().consult("c", &[address("anna@x.example")]).unwrap();
    assert!(known[0].exact.is_some());

    holder.execute_batch("ROLLBACK").unwrap();
    assert!(store.record_event(event(EVENT)).await.is_ok(), "the writer survives");
}

#[tokio::test]
async fn a_full_device_fails_every_waiter_and_the_writer_survives() {
    let place = Place::new();
    let (db, file) = schema::open_writer(&place.path()).unwrap();
    let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    let (jobs, waiting) = channel();
    let health = Arc::new(Health::default());
    let ledger_keys = Arc::new(LedgerKeys::new(keys(&[7])));
    let writer = Writer { db, place: file, keys: ledger_keys, jobs: waiting, health: health.clone(), erased: false };

    let mut answers = Vec::new();
    for number in 0..20 {
        let mut large = message(&format!("r{number}"), Vec::new());
        large.notes = vec!["x".repeat(50_000)];
        let (answer, written) = oneshot::channel();
        jobs.send(Job::Write { change: Change::Message(Box::new(large)), answer: Some(answer) }).unwrap();
        answers.push(written);
    }
    jobs.send(Job::Stop).unwrap();
    thread::spawn(move || writer.run()).join().unwrap();
    for answer in answers {
        assert_eq!(answer.await.unwrap(), Err(StoreError::Full));
    }
    assert_eq!((health.written(), health.failed()), (0, 20));
    assert_eq!(Reader::open(&place.path(), keys(&[7])).unwrap().newest_decision(), Ok(0));
}

#[tokio::test]
async fn a_change_that_fails_takes_no_other_with_it() {
    let place = Place::new();
    let store = place.open();
    let one = || message("same", Vec::new());
    let (first, second, other) = tokio::join!(
        store.record_message(one()),
        store.record_message(one()),
        store.record_message(message("other", Vec::new()))
    );
    assert_eq!((first, other), (Ok(()), Ok(())));
    assert!(matches!(second, Err(StoreError::Failed(_))));
}

#[tokio::test]
async fn many_at_once_share_their_commits() {
    let place = Place::new();
    let store = place.open();
    let holder = Connection::open(place.path()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..100 {
        let store = store.clone();
        waiting.spawn(async move { store.record_message(message(&format!("r{number}"), Vec::new())).await });
    }
    tokio::task::yield_now().await;
    holder.execute_batch("ROLLBACK").unwrap();
    for written in waiting.join_all().await {
        assert_eq!(written, Ok(()));
    }
    assert_eq!(store.health().written(), 100);
    assert!(store.health().groups() < 10, "{} commits", store.health().groups());
}

/// A store whose writer takes nothing, as while another process holds the lock.
fn stuck() -> (Store, Receiver<Job>) {
    let (jobs, waiting) = sync_channel(LONGEST_QUEUE);
    let inner = Inner {
        path: PathBuf::new(),
        keys: Arc::new(LedgerKeys::new(keys(&[7]))),
        jobs,
        health: Arc::default(),
        writer: Mutex::new(None),
    };
    (Store { inner: Arc::new(inner) }, waiting)
}

#[tokio::test]
async fn what_waits_for_a_stuck_writer_is_bounded_and_the_rest_counted() {
    let (store, waiting) = stuck();
    for _ in 0..LONGEST_QUEUE + 3 {
        store.record_message_later(message("r1", Vec::new()));
    }
    assert_eq!(store.health().gaps(), 3);
    assert_eq!(store.record_event(event(EVENT)).await, Err(StoreError::Busy));
    assert_eq!(waiting.try_iter().count(), LONGEST_QUEUE);
    store.record_message_later(message("r2", Vec::new()));
    assert_eq!((store.health().gaps(), waiting.try_iter().count()), (3, 1), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_waited_for_only_so_long_and_may_be_written_all_the_same() {
    let (store, waiting) = stuck();
    let start = tokio::time::Instant::now();
    assert_eq!(store.record_event(event(EVENT)).await, Err(StoreError::Busy));
    assert_eq!(start.elapsed().as_secs(), PATIENCE.as_secs());
    assert_eq!(waiting.try_iter().count(), 1);
}

#[test]
fn what_nobody_waits_for_is_written_before_the_end() {
    let place = Place::new();
    let store = place.open();
    for number in 0..50 {
        store.record_message_later(message(&format!("r{number}"), vec![]));
    }
    store.shutdown();
    let reader = Connection::open(place.path()).unwrap();
    let count: i64 = reader.query_row("SELECT count (*) FROM message", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 50);
}

#[tokio::test]
async fn after_the_end_a_change_is_refused_and_a_lost_row_counted() {
    let place = Place::new();
    let store = place.open();
    let left = store.clone();
    store.shutdown();
    assert_eq!(left.record_event(event(EVENT)).await, Err(StoreError::Gone));
    left.record_message_later(message("r1", Vec::new()));
    assert_eq!(left.health().gaps(), 1);
}

#[tokio::test]
async fn the_ledger_remembers_copies_until_the_client_knows() {
    let place = Place::new();
    let store = place.open();
    let mut reader = store.reader().unwrap();
    let (key, anna, bob, carl) = ([1; 32], [1; 16], [2; 16], [3; 16]);
    for who in [anna, bob, carl] {
        store.delivery_intent(key, who).await.unwrap();
    }
    store.delivery_done(key, anna, "250 2.0.0 queued as 7").await.unwrap();
    store.delivery_intent(key, anna).await.unwrap();
    store.delivery_forget(key, carl).await.unwrap();
    let done = Delivery { recipient: anna, done: true, reply: Some("250 2.0.0 queued as 7".into()) };
    let open = Delivery { recipient: bob, done: false, reply: None };
    assert_eq!(reader.deliveries(&key).unwrap(), [done, open]);
    assert_eq!(reader.deliveries(&[2; 32]).unwrap(), []);

    store.delivery_release(key).await.unwrap();
    assert_eq!(reader.deliveries(&key).unwrap(), []);
}

#[tokio::test]
async fn a_copy_is_forgotten_after_five_days() {
    let place = Place::new();
    let store = place.open();
    store.delivery_intent([1; 32], [1; 16]).await.unwrap();
    let (db, _) = schema::open_writer(&place.path()).unwrap();
    let days = |count: i64| Timestamp::now() + jiff::SignedDuration::from_hours(24 * count);
    assert_eq!(deliveries::purge(&db, days(4), 10), Ok(0));
    assert_eq!(deliveries::purge(&db, days(6), 10), Ok(1));
}
