//! Forgetting a person: what names them is dropped, what proves what was said stays, and the ledger goes on holding.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::asking;
use super::error::StoreError;
use super::events::{self, Suppress};
use super::hand_on;
use super::handovers;
use super::ledger::{Chain, acts};
use super::moment::moment;
use super::sending;
use super::unclear_mail;
use crate::consent::event::EventType;
use crate::consent::ledger::Digest;
use crate::consent::ledger::dropped::{Dropped, Part};
use crate::consent::ledger::entry::{MessagePrivate, PersonPart, commitment};
use crate::consent::state::ContactState;
use crate::consent::token::{ERASED, HashKeys};
use crate::smtp::address::{EmailAddress, Width};

/// Whom one controller is to forget.
#[derive(Clone, Copy, Debug)]
pub struct Erase<'a> {
    pub contact: i64,
    pub person: &'a EmailAddress,
    pub controller: &'a str,
    /// The event that asks for it.
    pub event: i64,
}

/// What an erasure would take from one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasable {
    pub controller: String,
    pub events: i64,
    pub decisions: i64,
    /// The newest objection to its mail, which outlives the rest as a hash.
    pub objected_at: Option<Timestamp>,
}

/// An erasure that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The event that asked for it, and the act that records it.
    pub event: i64,
    pub act: i64,
    pub controller: String,
    pub pseudonym: String,
    pub objection_kept: bool,
    /// No controller has anything left.
    pub contact_gone: bool,
    pub dropped: Dropped,
}

/// Drops what names the person from everything that one controller has of them, and records which rows lost what.
/// Expects to be inside a transaction, behind the `erase` that asks for it.
pub fn carry_out(
    db: &Connection,
    chain: &mut Chain<'_>,
    erase: &Erase<'_>,
    now: Timestamp,
) -> Result<Dropped, StoreError> {
    let mut dropped = Dropped::default();
    let suppressed = keep_objection(db, chain, erase, now)?;
    drop_personal_parts(db, erase, &mut dropped)?;
    forget_state(db, erase)?;
    handovers::forget(db, erase.contact, erase.controller)?;
    asking::forget(db, erase.contact, erase.controller)?;
    sending::forget(db, erase.person, Some(erase.controller))?;
    hand_on::forget(db, &chain.keys.hash, erase.person, erase.controller)?;
    unclear_mail::forget(db, &erase.person.consent_key())?;
    let (key, pseudonym) = (erase.person.consent_key(), chain.keys.hash.pseudonym(&erase.person.consent_key()));
    let gone = nothing_left(db, erase.contact)?;
    if gone {
        let mut forget = db.prepare_cached(
            "UPDATE contact SET consent_key = ?2 || ':' || id, objection_key = ?2, address = ?2 WHERE id = ?1",
        )?;
        forget.execute(params![erase.contact, pseudonym])?;
    }
    Journal { db, key: &key, pseudonym: &pseudonym }.forget(erase.controller, gone, &mut dropped)?;
    let contact = gone.then_some(erase.contact);
    let body = json!({
        "event": erase.event, "controller": erase.controller, "pseudonym": pseudonym, "contact": contact,
        "objection_kept": suppressed, "dropped": dropped,
    });
    acts::record(db, chain, acts::ERASURE, &body, now)?;
    Ok(dropped)
}

/// What each controller has of a person. Where all that is there is mail in nobody's name, the first of `controllers`
/// stands for it.
pub fn erasable(db: &Connection, address: &EmailAddress, controllers: &[&str]) -> Result<Vec<Erasable>, StoreError> {
    let key = address.consent_key();
    let mut found: BTreeMap<String, Erasable> = BTreeMap::new();
    let mut events = db.prepare_cached(
        "SELECT controller, count (*), max (iif (type IN ('refuse', 'withdraw', 'object', 'complaint')
                 AND coalesce (json_extract (proof, '$.channel'), 'email') IN ('email', '*'), event.at, NULL))
         FROM event JOIN contact ON contact.id = event.contact
         WHERE contact.consent_key = ?1 AND personal IS NOT NULL GROUP BY controller",
    )?;
    let mut events = events.query([&key])?;
    while let Some(row) = events.next()? {
        let one = of(&mut found, row.get(0)?);
        one.events = row.get(1)?;
        one.objected_at = row.get::<_, Option<i64>>(2)?.map(moment).transpose()?;
    }
    let mut decisions = db.prepare_cached(
        "SELECT m.controller, count (*) FROM decision AS d JOIN message AS m ON m.id = d.message
         WHERE d.recipient_key = ?1 GROUP BY m.controller ORDER BY m.controller IS NULL",
    )?;
    let mut decisions = decisions.query([&key])?;
    while let Some(row) = decisions.next()? {
        match (row.get::<_, Option<String>>(0)?, controllers.first()) {
            (Some(controller), _) => of(&mut found, controller).decisions = row.get(1)?,
            (None, Some(first)) if found.is_empty() => of(&mut found, (*first).to_owned()).decisions = row.get(1)?,
            (None, _) => {}
        }
    }
    Ok(found.into_values().collect())
}

fn of(found: &mut BTreeMap<String, Erasable>, controller: String) -> &mut Erasable {
    let new = Erasable { controller: controller.clone(), events: 0, decisions: 0, objected_at: None };
    found.entry(controller).or_insert(new)
}

/// The erasure that an event asked for.
pub fn by_event(db: &Connection, event: i64) -> Result<Option<Erasure>, StoreError> {
    let mut row = db.prepare_cached(
        "SELECT id, body FROM act WHERE kind = ?1 AND json_extract (body, '$.event') = ?2 ORDER BY id DESC LIMIT 1",
    )?;
    let found = row.query_row(params![acts::ERASURE, event], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    let Some((act, body)) = found.optional()? else { return Ok(None) };
    let body: serde_json::Value = serde_json::from_str(&body)?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Ok(Some(Erasure {
        event,
        act,
        controller: text("controller"),
        pseudonym: text("pseudonym"),
        objection_kept: body["objection_kept"] == true,
        contact_gone: !body["contact"].is_null(),
        dropped: serde_json::from_value(body["dropped"].clone())?,
    }))
}

/// The row of a person of whom nothing is known any more, or nothing was: for the events of an erasure to belong to.
pub fn forgotten_contact(db: &Connection, keys: &HashKeys, consent_key: &str) -> Result<i64, StoreError> {
    let mut known = db.prepare_cached("SELECT id FROM contact WHERE objection_key = ?1 ORDER BY id LIMIT 1")?;
    for pseudonym in keys.all_pseudonyms(consent_key) {
        if let Some(id) = known.query_row([&pseudonym], |row| row.get(0)).optional()? {
            return Ok(id);
        }
    }
    let pseudonym = keys.pseudonym(consent_key);
    db.prepare_cached("INSERT INTO contact (consent_key, objection_key, address) VALUES (?1 || ':0', ?1, ?1)")?
        .execute([&pseudonym])?;
    Ok(db.last_insert_rowid())
}

/// Whether what stands for an address is a pseudonym.
pub fn is_pseudonym(stored: &str) -> bool {
    stored.starts_with(ERASED)
}

/// An objection to this controller outlives the person's data as a keyed hash, and counts for everything.
fn keep_objection(
    db: &Connection,
    chain: &mut Chain<'_>,
    erase: &Erase<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut said = db.prepare_cached(
        "SELECT type, at, proof FROM event WHERE contact = ?1 AND controller = ?2 AND personal IS NOT NULL",
    )?;
    let mut said = said.query(params![erase.contact, erase.controller])?;
    let mut newest: Option<i64> = None;
    while let Some(row) = said.next()? {
        let objects = EventType::parse(&row.get::<_, String>(0)?).is_some_and(EventType::is_objection);
        if objects && is_about_mail(row.get::<_, Option<String>>(2)?.as_deref())? {
            newest = newest.max(Some(row.get(1)?));
        }
    }
    let Some(at) = newest else { return Ok(false) };
    let objection = Suppress {
        controller: erase.controller.to_owned(),
        hash: chain.keys.hash.contact_hash(erase.controller, &erase.person.objection_key(Width::WIDEST)),
        topics: Vec::new(),
        at: moment(at)?,
        mechanism: "erasure".into(),
    };
    events::suppress(db, chain, &objection, now)?;
    Ok(true)
}

/// What was said about another channel alone is no objection to mail; what cannot be told counts as one.
fn is_about_mail(proof: Option<&str>) -> Result<bool, StoreError> {
    let Some(proof) = proof else { return Ok(true) };
    let proof: serde_json::Value = serde_json::from_str(proof)?;
    Ok(matches!(proof["channel"].as_str(), None | Some("email" | "*")))
}

fn drop_personal_parts(db: &Connection, erase: &Erase<'_>, dropped: &mut Dropped) -> Result<(), StoreError> {
    let mut rows = db.prepare_cached(
        "SELECT seq, personal, personal_salt FROM event
         WHERE contact = ?1 AND controller = ?2 AND personal IS NOT NULL ORDER BY seq",
    )?;
    let parts = rows.query_map(params![erase.contact, erase.controller], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
    let mut drop_part = db.prepare_cached(
        "UPDATE event SET personal = NULL, personal_salt = NULL, personal_digest = ?2 WHERE seq = ?1",
    )?;
    for (seq, personal, salt) in parts {
        drop_part.execute(params![seq, commitment(&salt, &personal)])?;
        dropped.add(Part::EventPersonal, seq);
    }
    Ok(())
}

/// Takes the controller's events out of every folded state: what was said to it may have named partners.
fn forget_state(db: &Connection, erase: &Erase<'_>) -> Result<(), StoreError> {
    let mut rows = db.prepare_cached("SELECT controller, facts FROM state WHERE contact = ?1")?;
    let states = rows.query_map([erase.contact], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let states: Vec<_> = states.collect::<Result<_, _>>()?;
    for (controller, facts) in states {
        let mut state: ContactState = serde_json::from_str(&facts)?;
        state.events.retain(|recorded| recorded.event.controller != erase.controller);
        if state.events.is_empty() {
            db.prepare_cached("DELETE FROM state WHERE contact = ?1 AND controller = ?2")?
                .execute(params![erase.contact, controller])?;
        } else {
            db.prepare_cached("UPDATE state SET facts = ?3 WHERE contact = ?1 AND controller = ?2")?
                .execute(params![erase.contact, controller, serde_json::to_string(&state)?])?;
        }
    }
    Ok(())
}

fn nothing_left(db: &Connection, contact: i64) -> Result<bool, StoreError> {
    let mut left =
        db.prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM event WHERE contact = ?1 AND personal IS NOT NULL)")?;
    Ok(left.query_row([contact], |row| row.get(0))?)
}

/// What the journal says about one person.
struct Journal<'a> {
    db: &'a Connection,
    key: &'a str,
    pseudonym: &'a str,
}

/// A decision about the person, with the digest that takes the place of whom it is about.
struct Decision {
    id: i64,
    message: i64,
    /// The first one about this recipient, which outcomes refer to.
    first: i64,
    digest: Digest,
}

impl Journal<'_> {
    /// `everything`: also what was decided in nobody's name, since no controller has anything left.
    fn forget(&self, controller: &str, everything: bool, dropped: &mut Dropped) -> Result<(), StoreError> {
        let mut rows = self.db.prepare_cached(
            "SELECT d.id, d.message, coalesce (d.revises, d.id), d.recipient, d.reply, d.person_salt
             FROM decision AS d JOIN message AS m ON m.id = d.message
             WHERE d.recipient_key = ?1 AND (m.controller = ?2 OR (?3 AND m.controller IS NULL)) ORDER BY d.id",
        )?;
        let found = rows.query_map(params![self.key, controller, everything], |row| self.decision(row))?;
        let found: Vec<Decision> = found.collect::<Result<_, _>>()?;
        for decision in &found {
            self.forget_recipient(decision.id, &decision.digest)?;
            dropped.add(Part::DecisionPerson, decision.id);
            self.forget_replies("decision = ?2", decision.message, Some(decision.first), dropped)?;
        }
        for decision in &found {
            if self.is_of_nobody(decision.message)? {
                self.forget_message(decision.message, dropped)?;
            }
        }
        Ok(())
    }

    fn decision(&self, row: &Row<'_>) -> rusqlite::Result<Decision> {
        let (recipient, reply): (String, Option<String>) = (row.get(3)?, row.get(4)?);
        let person = PersonPart { recipient: &recipient, recipient_key: self.key, reply: reply.as_deref() };
        let digest = commitment(&row.get::<_, Vec<u8>>(5)?, &person.to_json());
        Ok(Decision { id: row.get(0)?, message: row.get(1)?, first: row.get(2)?, digest })
    }

    fn forget_recipient(&self, decision: i64, digest: &[u8; 32]) -> Result<(), StoreError> {
        self.db
            .prepare_cached(
                "UPDATE decision SET recipient = ?2, recipient_key = ?2, reply = NULL, person_salt = NULL,
                     person_digest = ?3
                 WHERE id = ?1",
            )?
            .execute(params![decision, self.pseudonym, digest])?;
        Ok(())
    }

    fn forget_replies(
        &self,
        which: &str,
        message: i64,
        decision: Option<i64>,
        dropped: &mut Dropped,
    ) -> Result<(), StoreError> {
        let mut rows = self.db.prepare_cached(&format!(
            "SELECT id, text, text_salt FROM outcome WHERE message = ?1 AND {which} AND text IS NOT NULL"
        ))?;
        let texts = rows.query_map(params![message, decision], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let texts: Vec<(i64, String, Vec<u8>)> = texts.collect::<Result<_, _>>()?;
        for (id, text, salt) in texts {
            self.db
                .prepare_cached("UPDATE outcome SET text = NULL, text_salt = NULL, text_digest = ?2 WHERE id = ?1")?
                .execute(params![id, commitment(&salt, &text)])?;
            dropped.add(Part::OutcomeText, id);
        }
        Ok(())
    }

    /// Whether everybody the message went to is forgotten.
    fn is_of_nobody(&self, message: i64) -> Result<bool, StoreError> {
        let mut named = self.db.prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM decision WHERE message = ?1 AND person_salt IS NOT NULL)
                 AND EXISTS (SELECT 1 FROM message WHERE id = ?1 AND private_salt IS NOT NULL)",
        )?;
        Ok(named.query_row([message], |row| row.get(0))?)
    }

    /// Header fields, return path and Message-ID may each name the recipient.
    fn forget_message(&self, message: i64, dropped: &mut Dropped) -> Result<(), StoreError> {
        let mut row = self.db.prepare_cached(
            "SELECT credential, client, envelope_from, sender_key, message_id, class_evidence, facts, private_salt
             FROM message WHERE id = ?1",
        )?;
        let digest = row.query_row([message], |row| {
            let text = |column| row.get::<_, String>(column);
            let maybe = |column| row.get::<_, Option<String>>(column);
            let (credential, message_id) = (maybe(0)?, maybe(4)?);
            let private = MessagePrivate {
                credential: credential.as_deref(),
                client: &text(1)?,
                envelope_from: &text(2)?,
                sender_key: &text(3)?,
                message_id: message_id.as_deref(),
                class_evidence: &text(5)?,
                facts: &text(6)?,
            };
            Ok(commitment(&row.get::<_, Vec<u8>>(7)?, &private.to_json()))
        })?;
        self.db
            .prepare_cached(
                "UPDATE message SET credential = NULL, client = NULL, envelope_from = NULL, sender_key = NULL,
                     message_id = NULL, class_evidence = NULL, facts = NULL, private_salt = NULL, private_digest = ?2
                 WHERE id = ?1",
            )?
            .execute(params![message, digest])?;
        dropped.add(Part::MessagePrivate, message);
        self.forget_replies("?2 IS NULL", message, None, dropped)
    }
}
