//! Reading: a connection per thread, one method per question, one read transaction per answer.

use std::collections::{BTreeSet, HashSet};
use std::mem;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::asking::{self, Asking};
use super::corrections;
use super::deliveries::{self, Delivery};
use super::erasure::{self, Erasable, Erasure};
use super::error::StoreError;
use super::events;
use super::hand_on::{self, HandOn};
use super::handovers::{self, Handover};
use super::identity::{self, Known as ById};
use super::journal::Seen;
use super::journal_query::{self, Count, DecisionRow, Filter, MessageRow, Position, SentMail, Story};
use super::ledger::LedgerKeys;
use super::ledger::checkpoints::{self, NewCheckpoint};
use super::ledger::places::{self, Subject};
use super::ledger::proofs::{self, LedgerEntry};
use super::ledger::verify::{self, Answer, Trust};
use super::link;
use super::moment::{micros, moment};
use super::policies::{self, KeptPolicy};
use super::retention::{self, Known};
use super::schema::{self, Place};
use super::sending;
use super::texts::{self, KeptText};
use super::unclear_mail::{self, UnclearRow};
use crate::consent::event::{ConsentEvent, RecordedEvent};
use crate::consent::ledger::Digest;
use crate::consent::ledger::checkpoint::SigningKeys;
use crate::consent::state::{Consulted, ContactState, Suppression};
use crate::consent::token::HashKeys;
use crate::smtp::address::{EmailAddress, Width};

/// A read-only connection. Never waits: what cannot be answered at once is [`StoreError::Busy`].
pub struct Reader {
    db: Connection,
    place: Place,
    keys: Arc<LedgerKeys>,
    /// Versions whose text is there, and stays there.
    texts_stored: HashSet<String>,
}

/// Somebody of whom something is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub id: i64,
    /// As it was first written.
    pub address: EmailAddress,
}

impl Reader {
    /// For a command that only reads: a store that is not there is an error, not an empty one.
    pub fn open(path: &Path, hash_keys: HashKeys) -> Result<Reader, StoreError> {
        Reader::open_shared(path, Arc::new(LedgerKeys::new(hash_keys)))
    }

    pub(super) fn open_shared(path: &Path, keys: Arc<LedgerKeys>) -> Result<Reader, StoreError> {
        let (db, place) = schema::open_reader(path)?;
        Ok(Reader { db, place, keys, texts_stored: HashSet::new() })
    }

    /// What is known of each recipient for one controller, all as of one moment, and the highest event number of it.
    pub fn consult(
        &mut self,
        controller: &str,
        recipients: &[EmailAddress],
    ) -> Result<(Vec<Consulted>, i64), StoreError> {
        let keys = self.keys.clone();
        let mut texts = mem::take(&mut self.texts_stored);
        let snapshot = self.read()?;
        let newest =
            snapshot.prepare_cached("SELECT coalesce (max (seq), 0) FROM event")?.query_row([], |r| r.get(0))?;
        let (now, sent_seq) = (Timestamp::now(), sending::newest(&snapshot)?);
        let mut known: Vec<Consulted> = recipients
            .iter()
            .map(|recipient| consult_one(&snapshot, &keys.hash, controller, recipient, None))
            .collect::<Result<_, _>>()?;
        for (one, recipient) in known.iter_mut().zip(recipients) {
            one.missing_texts = missing_texts(&snapshot, one, &mut texts, None)?;
            one.sent = sending::to(&snapshot, controller, &recipient.consent_key(), now, sent_seq)?;
            one.sent_seq = sent_seq;
        }
        drop(snapshot);
        self.texts_stored = texts;
        Ok((known, newest))
    }

    /// What was known of one recipient at that moment, to a decision that could see this far.
    pub fn consult_as_of(
        &mut self,
        controller: &str,
        recipient: &EmailAddress,
        seen: Seen,
        at: Timestamp,
    ) -> Result<Consulted, StoreError> {
        let keys = self.keys.clone();
        let snapshot = self.read()?;
        let mut known = consult_one(&snapshot, &keys.hash, controller, recipient, Some(at))?;
        let then = |state: ContactState| Some(state.as_of(seen.event_seq)).filter(|state| !state.events.is_empty());
        known.exact = known.exact.and_then(then);
        known.relatives = known.relatives.into_iter().filter_map(then).collect();
        known.missing_texts = missing_texts(&snapshot, &known, &mut HashSet::new(), Some(at))?;
        known.sent = sending::to(&snapshot, controller, &recipient.consent_key(), at, seen.sent_seq)?;
        known.sent_seq = seen.sent_seq;
        Ok(known)
    }

    /// What went to this address since then, the newest first.
    pub fn mail_sent_to(&mut self, address: &EmailAddress, since: Timestamp) -> Result<Vec<SentMail>, StoreError> {
        journal_query::sent_to(&*self.read()?, &address.consent_key(), since)
    }

    /// Unsubscribes whose turn it is to be passed on to a mailer.
    pub fn hand_on_due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<HandOn>, StoreError> {
        hand_on::due(&*self.read()?, now, limit)
    }

    /// Those that were passed on, or are on their way, the newest first; of one message where it is named.
    pub fn handed_on(&mut self, reference: Option<&str>, limit: usize) -> Result<Vec<HandOn>, StoreError> {
        hand_on::list(&*self.read()?, reference, limit)
    }

    /// Mail to the gate that waits for a person to look at it, the oldest first.
    pub fn unclear_mail(&mut self) -> Result<Vec<UnclearRow>, StoreError> {
        unclear_mail::list(&*self.read()?)
    }

    /// One of them, with its message.
    pub fn unclear_message(&mut self, id: i64) -> Result<Option<(UnclearRow, Vec<u8>)>, StoreError> {
        unclear_mail::show(&*self.read()?, id)
    }

    /// How far a decision could have seen at a moment.
    pub fn seen_at(&mut self, at: Timestamp) -> Result<Seen, StoreError> {
        let snapshot = self.read()?;
        let newest = "SELECT coalesce (max (seq), 0) FROM event WHERE recorded_at <= ?1";
        let event_seq = snapshot.query_row(newest, [micros(at)], |row| row.get(0))?;
        Ok(Seen { event_seq, sent_seq: sending::newest_at(&snapshot, at)? })
    }

    /// The copies of a message that a retry has to know of.
    pub fn deliveries(&mut self, key: &[u8; 32]) -> Result<Vec<Delivery>, StoreError> {
        deliveries::of_message(&*self.read()?, key)
    }

    pub fn contact(&mut self, address: &EmailAddress) -> Result<Option<Contact>, StoreError> {
        let snapshot = self.read()?;
        let mut rows = snapshot.prepare_cached("SELECT id, address FROM contact WHERE consent_key = ?1")?;
        known_contact(rows.query_row([address.consent_key()], contact_columns).optional()?)
    }

    /// Nobody, once the person was forgotten.
    pub fn contact_by_id(&mut self, id: i64) -> Result<Option<Contact>, StoreError> {
        let snapshot = self.read()?;
        let mut rows = snapshot.prepare_cached("SELECT id, address FROM contact WHERE id = ?1")?;
        known_contact(rows.query_row([id], contact_columns).optional()?)
    }

    /// Everyone whose objection would count for this address too, without the address itself.
    pub fn relatives(&mut self, address: &EmailAddress) -> Result<Vec<Contact>, StoreError> {
        let snapshot = self.read()?;
        let mut rows = snapshot.prepare_cached(
            "SELECT id, address FROM contact WHERE objection_key = ?1 AND consent_key <> ?2 ORDER BY id",
        )?;
        let keys = params![address.objection_key(Width::WIDEST), address.consent_key()];
        let found = rows.query_map(keys, contact_columns)?.collect::<Result<Vec<_>, _>>()?;
        found.into_iter().map(contact).collect()
    }

    /// The folded state for every controller that has one, by controller.
    pub fn states(&mut self, contact: i64) -> Result<Vec<(String, ContactState)>, StoreError> {
        let snapshot = self.read()?;
        let mut rows =
            snapshot.prepare_cached("SELECT controller, facts FROM state WHERE contact = ?1 ORDER BY controller")?;
        let columns = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let found = rows.query_map([contact], columns)?.collect::<Result<Vec<_>, _>>()?;
        found.into_iter().map(|(controller, facts)| Ok((controller, serde_json::from_str(&facts)?))).collect()
    }

    /// A contact's events, as they were recorded; without those that were erased.
    pub fn history(&mut self, contact: i64) -> Result<Vec<RecordedEvent>, StoreError> {
        let snapshot = self.read()?;
        let mut rows = snapshot.prepare_cached(
            "SELECT seq, recorded_at, proof, personal FROM event
             WHERE contact = ?1 AND proof IS NOT NULL AND personal IS NOT NULL ORDER BY seq",
        )?;
        let found = rows.query_map([contact], event_columns)?.collect::<Result<Vec<_>, _>>()?;
        found.into_iter().map(event).collect()
    }

    /// Events of everybody behind the one with this number, as they were recorded; without those that were
    /// erased.
    pub fn events_after(&mut self, seq: i64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let snapshot = self.read()?;
        let mut rows = snapshot.prepare_cached(
            "SELECT seq, recorded_at, proof, personal FROM event
             WHERE seq > ?1 AND proof IS NOT NULL AND personal IS NOT NULL ORDER BY seq LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = rows.query_map([seq, limit], event_columns)?.collect::<Result<Vec<_>, _>>()?;
        found.into_iter().map(event).collect()
    }

    /// Contacts that a controller knows, behind the one with this number.
    pub fn contacts_of(&mut self, controller: &str, after: i64, limit: usize) -> Result<Vec<Contact>, StoreError> {
        let snapshot = self.read()?;
        let mut rows = snapshot.prepare_cached(
            "SELECT c.id, c.address FROM contact AS c
             WHERE c.id > ?1 AND EXISTS (SELECT 1 FROM state WHERE contact = c.id AND controller = ?2)
             ORDER BY c.id LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found =
            rows.query_map(params![after, controller, limit], contact_columns)?.collect::<Result<Vec<_>, _>>()?;
        found.into_iter().map(contact).collect()
    }

    /// Addresses that are said to be wrong or bounced for good, each with the controller that has it.
    pub fn said_against(&mut self) -> Result<Vec<(EmailAddress, String)>, StoreError> {
        corrections::candidates(&*self.read()?)
    }

    /// The last service mail to an address on behalf of a controller, if there was any since.
    pub fn last_service_mail(
        &mut self,
        address: &EmailAddress,
        controller: &str,
        since: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        corrections::last_service_mail(&*self.read()?, &address.consent_key(), controller, since)
    }

    /// Who is to be asked to confirm a request by `now`.
    pub fn asking_due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<Asking>, StoreError> {
        asking::due(&*self.read()?, now, limit)
    }

    /// How often somebody was asked to confirm this request; none: never.
    pub fn asking(&mut self, request: i64) -> Result<Option<Asking>, StoreError> {
        asking::of_request(&*self.read()?, request)
    }

    /// Every list that was handed to others, the oldest first.
    pub fn handovers(&mut self) -> Result<Vec<Handover>, StoreError> {
        handovers::list(&*self.read()?)
    }

    /// Those of them that a contact stood on.
    pub fn handovers_of(&mut self, contact: i64) -> Result<Vec<Handover>, StoreError> {
        handovers::of_contact(&*self.read()?, contact)
    }

    /// One event by its number; none, once it was erased.
    pub fn event(&mut self, seq: i64) -> Result<Option<RecordedEvent>, StoreError> {
        let snapshot = self.read()?;
        let mut rows = snapshot.prepare_cached(
            "SELECT seq, recorded_at, proof, personal FROM event
             WHERE seq = ?1 AND proof IS NOT NULL AND personal IS NOT NULL",
        )?;
        rows.query_row([seq], event_columns).optional()?.map(event).transpose()
    }

    /// The event that has this one's id and says something else, so that this one cannot be recorded.
    pub fn clash(&mut self, event: &ConsentEvent) -> Result<Option<i64>, StoreError> {
        let keys = self.keys.clone();
        Ok(match identity::look_up(&*self.read()?, &keys.hash, event, Timestamp::now())? {
            ById::Other { seq } => Some(seq),
            ById::Same { .. } | ById::No { .. } => None,
        })
    }

    /// Whether an objection of this address is kept as a hash for a controller.
    pub fn suppression(&mut self, controller: &str, address: &EmailAddress) -> Result<Option<Suppression>, StoreError> {
        let keys = self.keys.clone();
        suppressed(&*self.read()?, &keys.hash, controller, &address.objection_key(Width::WIDEST), None)
    }

    /// A page of decisions, the newest first, behind `after`.
    pub fn decisions(
        &mut self,
        filter: &Filter,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(MessageRow, DecisionRow)>, StoreError> {
        let keys = self.keys.clone();
        journal_query::page(&*self.read()?, &keys.hash, filter, after, limit)
    }

    /// Decisions recorded after the one with this number, the oldest first.
    pub fn decisions_since(
        &mut self,
        filter: &Filter,
        id: i64,
        limit: usize,
    ) -> Result<Vec<(MessageRow, DecisionRow)>, StoreError> {
        let keys = self.keys.clone();
        journal_query::since(&*self.read()?, &keys.hash, filter, id, limit)
    }

    /// The number of the newest decision; 0 in an empty journal.
    pub fn newest_decision(&mut self) -> Result<i64, StoreError> {
        let snapshot = self.read()?;
        Ok(snapshot.query_row("SELECT coalesce (max (id), 0) FROM decision", [], |row| row.get(0))?)
    }

    /// Changes whenever somebody else has committed: cheap to ask, so `follow` needs no query for nothing.
    pub fn data_version(&mut self) -> Result<i64, StoreError> {
        self.place.check()?;
        Ok(self.db.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Everything about one message.
    pub fn story(&mut self, reference: &str) -> Result<Option<Story>, StoreError> {
        let keys = self.keys.clone();
        journal_query::story(&*self.read()?, &keys.hash, reference)
    }

    /// Decisions counted by class, decision and reason.
    pub fn counts(&mut self, filter: &Filter) -> Result<Vec<Count>, StoreError> {
        let keys = self.keys.clone();
        journal_query::counts(&*self.read()?, &keys.hash, filter)
    }

    /// Every wording that is stored, the oldest first.
    pub fn texts(&mut self) -> Result<Vec<KeptText>, StoreError> {
        texts::list(&*self.read()?)
    }

    /// A version of a wording in all its languages.
    pub fn text(&mut self, version: &str) -> Result<Vec<KeptText>, StoreError> {
        texts::of_version(&*self.read()?, version)
    }

    /// Controller and topic of all that any stored event names.
    pub fn topics_named(&mut self) -> Result<Vec<(String, String)>, StoreError> {
        events::topics_named(&*self.read()?)
    }

    /// How many pages of [`Reader::known_after`] there are to come, in people.
    pub fn known_count(&mut self) -> Result<u64, StoreError> {
        retention::known_count(&*self.read()?)
    }

    /// A page of everybody at every controller that knows something of them, behind `after`.
    pub fn known_after(&mut self, after: Option<&(i64, String)>, limit: usize) -> Result<Vec<Known>, StoreError> {
        retention::known_after(&*self.read()?, after, limit)
    }

    /// Events of people forgotten whose proof nothing has relied on since; a page of their numbers behind `after`.
    pub fn proofs_unused_since(
        &mut self,
        horizon: Timestamp,
        after: i64,
        limit: usize,
    ) -> Result<Vec<i64>, StoreError> {
        let keys = self.keys.clone();
        retention::proofs_unused_since(&*self.read()?, &keys.hash, horizon, after, limit)
    }

    /// Marks of objections that are older.
    pub fn suppressions_before(&mut self, horizon: Timestamp) -> Result<i64, StoreError> {
        retention::suppressions_before(&*self.read()?, horizon)
    }

    /// Messages in the journal that are older.
    pub fn messages_before(&mut self, horizon: Timestamp) -> Result<i64, StoreError> {
        retention::messages_before(&*self.read()?, horizon)
    }

    /// Since when our unsubscribe address has been failing.
    pub fn link_failing_since(&mut self) -> Result<Option<Timestamp>, StoreError> {
        link::failing_since(&*self.read()?)
    }

    /// Every policy that was ever in force, the newest first.
    pub fn policies(&mut self) -> Result<Vec<KeptPolicy>, StoreError> {
        policies::list(&*self.read()?)
    }

    pub fn policy(&mut self, hash: &str) -> Result<Option<KeptPolicy>, StoreError> {
        policies::get(&*self.read()?, hash)
    }

    /// Holds the whole store, as it is at one moment, to its ledger; `progress` hears how much of how much was looked at.
    pub fn verify_ledger(&mut self, trust: &Trust, progress: &mut dyn FnMut(u64, u64)) -> Result<Answer, StoreError> {
        let keys = self.keys.clone();
        verify::verify(&*self.read()?, &keys, trust, progress)
    }

    /// Signs the ledger as it is; nothing is kept of it yet.
    pub fn sign_checkpoint(
        &mut self,
        signing: &SigningKeys,
        origin: &str,
        now: Timestamp,
    ) -> Result<NewCheckpoint, StoreError> {
        let keys = self.keys.clone();
        checkpoints::sign(&*self.read()?, &keys, signing, origin, now)
    }

    /// Over how many entries the last checkpoint was that is kept here.
    pub fn last_checkpoint(&mut self) -> Result<Option<u64>, StoreError> {
        let snapshot = self.read()?;
        Ok(snapshot.query_row("SELECT max (size) FROM checkpoint", [], |row| row.get(0))?)
    }

    /// An entry of the ledger and what it commits to; none, once its row was dropped.
    pub fn ledger_entry(&mut self, seq: i64) -> Result<Option<LedgerEntry>, StoreError> {
        proofs::entry(&*self.read()?, seq)
    }

    /// Where in the ledger the rows stand that a proof is about.
    pub fn ledger_places(&mut self, subject: Subject<'_>) -> Result<Vec<i64>, StoreError> {
        places::of(&*self.read()?, subject)
    }

    /// The hashes that lead from an entry to the root of a checkpoint over `size` entries, the nearest first.
    pub fn inclusion_proof(&mut self, seq: i64, size: u64) -> Result<Option<Vec<Digest>>, StoreError> {
        proofs::inclusion(&*self.read()?, seq, size)
    }

    /// What each controller has of a person; see [`Erasable`].
    pub fn erasable(&mut self, address: &EmailAddress, controllers: &[&str]) -> Result<Vec<Erasable>, StoreError> {
        erasure::erasable(&*self.read()?, address, controllers)
    }

    /// The erasure that the event of this number asked for.
    pub fn erasure(&mut self, event: i64) -> Result<Option<Erasure>, StoreError> {
        erasure::by_event(&*self.read()?, event)
    }

    fn read(&mut self) -> Result<Transaction<'_>, StoreError> {
        self.place.check()?;
        Ok(self.db.transaction()?)
    }
}

/// Everybody who shares a widest objection key, with what one controller was told.
pub(super) const RELATED: &str = "SELECT contact.id, contact.consent_key, state.facts
     FROM contact LEFT JOIN state ON state.controller = ?1 AND state.contact = contact.id
     WHERE contact.objection_key = ?2";

/// What one contact told each controller.
pub(super) const KNOWN_TO_ANYBODY: &str = "SELECT facts FROM state WHERE contact = ?1 ORDER BY controller";

fn consult_one(
    snapshot: &Connection,
    keys: &HashKeys,
    controller: &str,
    recipient: &EmailAddress,
    until: Option<Timestamp>,
) -> Result<Consulted, StoreError> {
    let (narrow, wide) = (recipient.consent_key(), recipient.objection_key(Width::WIDEST));
    let mut found =
        Consulted { suppressed: suppressed(snapshot, keys, controller, &wide, until)?, ..Consulted::default() };
    let mut rows = snapshot.prepare_cached(RELATED)?;
    let mut rows = rows.query(params![controller, wide])?;
    while let Some(row) = rows.next()? {
        if row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)? == narrow {
            found.contact_id = row.get(0)?;
            found.exact = known_to_anybody(snapshot, found.contact_id)?;
        } else if let Some(facts) = row.get_ref(2)?.as_str_or_null().map_err(rusqlite::Error::from)? {
            found.relatives.push(serde_json::from_str(facts)?);
        }
    }
    Ok(found)
}

/// The versions that this person's events name and nobody has stored.
fn missing_texts(
    snapshot: &Connection,
    known: &Consulted,
    stored: &mut HashSet<String>,
    until: Option<Timestamp>,
) -> Result<BTreeSet<String>, StoreError> {
    known.exact.as_ref().map_or(Ok(BTreeSet::new()), |state| texts::missing(snapshot, state, stored, until))
}

/// What one contact told any controller: a consent given to a partner that names us is withdrawn at the partner, and a
/// consent that was only ever given to somebody else is a reason of its own.
fn known_to_anybody(snapshot: &Connection, contact: i64) -> Result<Option<ContactState>, StoreError> {
    let mut rows = snapshot.prepare_cached(KNOWN_TO_ANYBODY)?;
    let mut rows = rows.query([contact])?;
    let mut known: Option<ContactState> = None;
    while let Some(row) = rows.next()? {
        let state: ContactState = serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
        match &mut known {
            Some(known) => state.events.into_iter().for_each(|recorded| known.add(recorded)),
            None => known = Some(state),
        }
    }
    Ok(known)
}

/// Any of the keys that were ever in use may have made the hash.
fn suppressed(
    snapshot: &Connection,
    keys: &HashKeys,
    controller: &str,
    wide: &str,
    until: Option<Timestamp>,
) -> Result<Option<Suppression>, StoreError> {
    let mut rows = snapshot
        .prepare_cached("SELECT at, topics FROM suppression WHERE controller = ?1 AND hash = ?2 AND at <= ?3")?;
    let until = until.map_or(i64::MAX, micros);
    let mut found: Option<Suppression> = None;
    for hash in keys.all_hashes(controller, wide) {
        let mut rows = rows.query(params![controller, hash, until])?;
        while let Some(row) = rows.next()? {
            let next =
                Suppression { at: moment(row.get(0)?)?, topics: serde_json::from_str(&row.get::<_, String>(1)?)? };
            found = Some(found.take().map_or(next.clone(), |known| both(known, next)));
        }
    }
    Ok(found)
}

/// Two objections read as one: the later moment, the wider scope.
fn both(one: Suppression, other: Suppression) -> Suppression {
    let at = one.at.max(other.at);
    if one.topics.is_empty() || other.topics.is_empty() {
        return Suppression { at, topics: Vec::new() };
    }
    let mut topics = [one.topics, other.topics].concat();
    topics.sort();
    topics.dedup();
    Suppression { at, topics }
}

fn contact_columns(row: &Row<'_>) -> rusqlite::Result<(i64, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn contact((id, stored): (i64, String)) -> Result<Contact, StoreError> {
    Ok(Contact { id, address: events::address(&stored)? })
}

fn known_contact(found: Option<(i64, String)>) -> Result<Option<Contact>, StoreError> {
    found.filter(|(_, stored)| !erasure::is_pseudonym(stored)).map(contact).transpose()
}

type EventColumns = (i64, i64, String, String);

fn event_columns(row: &Row<'_>) -> rusqlite::Result<EventColumns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn event((seq, recorded_at, proof, personal): EventColumns) -> Result<RecordedEvent, StoreError> {
    let event = ConsentEvent::from_parts(&proof, &personal)?;
    Ok(RecordedEvent::new(seq, event, moment(recorded_at)?))
}
