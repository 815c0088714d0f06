//! Places under a cap: taken, lost to another, given back, remembered.

use jiff::SignedDuration;

use super::*;
use crate::policy::decide::DELETION_NOTICE;
use crate::store::Place as Taken;

const ANNA: &str = "anna@x.example";
const BOB: &str = "bob@y.example";

/// A message to these people, decided when the store was as `seen`, each place one of `room`.
fn to(reference: &str, people: &[&str], seen: i64, room: Option<u32>) -> MessageRecord {
    let verdicts = people.iter().map(|person| verdict(person, Decision::Allow, Reason::OkOptIn)).collect();
    let place = |person: &&str| Taken { recipient: address(person), promotional: true, room };
    let places = Places { seen, taken: people.iter().map(place).collect(), ..Places::default() };
    MessageRecord { at: Timestamp::now(), places, ..message(reference, verdicts) }
}

fn attempt(mut message: MessageRecord, attempt: u8) -> MessageRecord {
    message.places.attempt = Some([attempt; 32]);
    message
}

fn outcome(reference: &str, recipient: Option<&str>, result: OutcomeResult) -> Outcome {
    let recipient = recipient.map(address);
    Outcome { reference: reference.into(), recipient, result, code: None, text: None, at: Timestamp::now(), took_us: 1 }
}

/// How many earlier messages a decision about this person sees now, and the number of the last change.
fn known(reader: &mut Reader, person: &str) -> (usize, i64) {
    let (known, _) = reader.consult("c", &[address(person)]).unwrap();
    (known[0].sent.len(), known[0].sent_seq)
}

#[tokio::test]
async fn who_comes_second_to_the_last_place_is_told_and_leaves_nothing_behind() {
    let place = Place::new();
    let store = place.open();
    let mut reader = store.reader().unwrap();
    store.record_message(to("r1", &[ANNA], 0, Some(1))).await.unwrap();
    assert_eq!(store.record_message(to("r2", &[BOB, ANNA], 0, Some(1))).await, Err(StoreError::PlaceTaken));
    assert!(reader.story("r2").unwrap().is_none());
    assert_eq!((known(&mut reader, ANNA), known(&mut reader, BOB)), ((1, 1), (0, 1)), "not even Bob's place");
    store.record_message(to("r2", &[BOB], 0, Some(1))).await.unwrap();
    assert_eq!(store.health().gaps(), 0);
}

#[tokio::test]
async fn places_are_lost_only_when_there_is_no_room_left() {
    let place = Place::new();
    let store = place.open();
    let taken = [
        store.record_message(to("r1", &[ANNA], 0, Some(2))),
        store.record_message(to("r2", &[ANNA], 0, Some(2))),
        store.record_message(to("r3", &[ANNA], 0, Some(2))),
        store.record_message(to("r4", &[ANNA], 0, None)),
    ];
    let mut results = Vec::new();
    for one in taken {
        results.push(one.await);
    }
    assert_eq!(results, [Ok(()), Ok(()), Err(StoreError::PlaceTaken), Ok(())], "who has no cap takes part in none");
    assert_eq!(known(&mut store.reader().unwrap(), ANNA).0, 3);
    let elsewhere = MessageRecord { controller: Some("d".into()), ..to("r5", &[ANNA], 0, Some(1)) };
    assert_eq!(store.record_message(elsewhere).await, Ok(()), "another controller's window is its own");
}

#[tokio::test]
async fn what_certainly_did_not_go_gives_its_place_back_and_nothing_else_does() {
    let table = [
        (OutcomeResult::Refused, 0),
        (OutcomeResult::Deferred, 0),
        (OutcomeResult::Withheld, 0),
        (OutcomeResult::Discarded, 0),
        (OutcomeResult::Delivered, 1),
        (OutcomeResult::AlreadyDelivered, 1),
        (OutcomeResult::Unknown, 1),
    ];
    for (result, left) in table {
        for recipient in [Some(ANNA), None] {
            let place = Place::new();
            let store = place.open();
            let mut reader = store.reader().unwrap();
            store.record_message(to("r1", &[ANNA], 0, Some(1))).await.unwrap();
            store.record_message(to("r2", &[BOB], 0, Some(1))).await.unwrap();
            store.settle_outcome(outcome("r1", recipient, result)).await.unwrap();
            assert_eq!(known(&mut reader, ANNA).0, left, "{result} {recipient:?}");
            assert_eq!(known(&mut reader, BOB).0, 1, "{result} {recipient:?}: of another message");
            let seen = known(&mut reader, ANNA).1;
            let next = store.record_message(to("r3", &[ANNA], seen, Some(1))).await;
            assert_eq!(next, Ok(()), "what was seen is no surprise");
        }
    }
}

#[tokio::test]
async fn a_row_that_nobody_waited_for_holds_no_place() {
    let place = Place::new();
    let store = place.open();
    store.record_message_later(to("r1", &[ANNA, BOB], 0, Some(1)));
    store.release_places("r1".into());
    store.release_places("never written".into());
    store.record_message(to("r2", &[ANNA], 0, Some(1))).await.unwrap();
    assert_eq!(known(&mut store.reader().unwrap(), BOB).0, 0);
    assert_eq!(store.health().gaps(), 0);
}

#[tokio::test]
async fn a_retry_takes_no_second_place_until_its_client_knows_how_the_first_attempt_went() {
    let place = Place::new();
    let store = place.open();
    let mut reader = store.reader().unwrap();
    store.record_message(attempt(to("r1", &[ANNA], 0, Some(1)), 7)).await.unwrap();
    store.record_message(attempt(to("r2", &[ANNA], 0, Some(1)), 7)).await.unwrap();
    assert_eq!(known(&mut reader, ANNA).0, 1);
    let mut seen = reader.consult("c", &[address(ANNA)]).unwrap().0.remove(0);
    seen.forget_attempt(&[7; 32]);
    assert!(seen.sent.is_empty(), "it is its own");

    store.settle_outcome(outcome("r2", Some(ANNA), OutcomeResult::Refused)).await.unwrap();
    assert_eq!(known(&mut reader, ANNA).0, 1, "the first attempt may have gone");

    store.delivery_release([7; 32]).await.unwrap();
    let mut seen = reader.consult("c", &[address(ANNA)]).unwrap().0.remove(0);
    seen.forget_attempt(&[7; 32]);
    assert_eq!(seen.sent.len(), 1, "the same bytes are now another message");
    let again = attempt(to("r3", &[ANNA], seen.sent_seq, Some(1)), 7);
    store.record_message(again).await.unwrap();
    assert_eq!(known(&mut reader, ANNA).0, 2);
}

#[tokio::test]
async fn nobody_tries_again_after_days() {
    let place = Place::new();
    let store = place.open();
    let mut old = attempt(to("r1", &[ANNA], 0, Some(1)), 7);
    old.at = Timestamp::now() - SignedDuration::from_hours(5 * 24);
    store.record_message(old).await.unwrap();
    let (known, _) = store.reader().unwrap().consult("c", &[address(ANNA)]).unwrap();
    assert_eq!(known[0].sent[0].attempt, None);
}

#[tokio::test]
async fn what_a_decision_saw_is_told_again_whatever_was_given_back_since() {
    let place = Place::new();
    let store = place.open();
    let mut reader = store.reader().unwrap();
    let mut then = Vec::new();
    let mut remember = |reader: &mut Reader| {
        let (known, event_seq) = reader.consult("c", &[address(ANNA)]).unwrap();
        then.push((Seen { event_seq, sent_seq: known[0].sent_seq }, known[0].sent.clone()));
    };
    remember(&mut reader);
    store.record_message(attempt(to("r1", &[ANNA], 0, Some(3)), 1)).await.unwrap();
    remember(&mut reader);
    store.record_message(attempt(to("r2", &[ANNA], 1, Some(2)), 2)).await.unwrap();
    remember(&mut reader);
    store.settle_outcome(outcome("r1", Some(ANNA), OutcomeResult::Refused)).await.unwrap();
    remember(&mut reader);
    store.delivery_release([2; 32]).await.unwrap();
    remember(&mut reader);
    store.settle_outcome(outcome("r2", Some(ANNA), OutcomeResult::Refused)).await.unwrap();
    remember(&mut reader);

    let lengths: Vec<usize> = then.iter().map(|(_, sent)| sent.len()).collect();
    assert_eq!(lengths, [0, 1, 2, 1, 1, 0]);
    for (seen, sent) in then {
        let again = reader.consult_as_of("c", &address(ANNA), seen, Timestamp::now()).unwrap();
        assert_eq!(again.sent, sent, "{seen:?}");
    }
}

#[tokio::test]
async fn advertising_matters_as_long_as_a_window_reaches_and_a_notice_of_deletion_for_good() {
    let place = Place::new();
    let store = place.open();
    let mut reader = store.reader().unwrap();
    let long_ago = Timestamp::now() - SignedDuration::from_hours(33 * 24);
    let notice = |reference: &str, promotional| {
        let mut message = to(reference, &[ANNA], 0, None);
        message.at = long_ago;
        message.places.kinds = vec![DELETION_NOTICE.into()];
        message.places.taken[0].promotional = promotional;
        message
    };
    store.record_message(MessageRecord { at: long_ago, ..to("r1", &[ANNA], 0, None) }).await.unwrap();
    assert_eq!(known(&mut reader, ANNA).0, 0);
    store.record_message(notice("r2", false)).await.unwrap();
    assert_eq!(known(&mut reader, ANNA).0, 1);
    assert!(store.purge_journal(Timestamp::now()).await.unwrap() > 2);
    assert_eq!(known(&mut reader, ANNA).0, 1, "a purge of the journal forgets no notice");
    assert_eq!(store.record_message(to("r3", &[ANNA], 0, Some(1))).await, Ok(()), "a notice is under no cap");
    let mut second = notice("r4", false);
    second.places.taken[0].room = Some(1);
    assert_eq!(store.record_message(second).await, Err(StoreError::PlaceTaken));
}

#[tokio::test]
async fn who_is_erased_is_forgotten_by_that_controller() {
    let place = Place::new();
    let store = place.open();
    let mut reader = store.reader().unwrap();
    store.record_message(to("r1", &[ANNA, BOB], 0, None)).await.unwrap();
    store.record_message(MessageRecord { controller: Some("d".into()), ..to("r2", &[ANNA], 0, None) }).await.unwrap();
    let erase = r#"{"address": "anna@x.example", "controller": "c", "type": "erase"}"#;
    store.record_event(event(erase)).await.unwrap();
    assert_eq!((known(&mut reader, ANNA).0, known(&mut reader, BOB).0), (0, 1));
    assert_eq!(reader.consult("d", &[address(ANNA)]).unwrap().0[0].sent.len(), 1);
}
