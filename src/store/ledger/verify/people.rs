//! The third pass: contacts and the folded state, which are nothing but what the events come to.

use rusqlite::{Connection, Row, params};

use super::{Fault, What, Work};
use crate::store::erasure::is_pseudonym;
use crate::store::error::StoreError;
use crate::store::fold::{self, Person};
use crate::store::ledger::rows::{Cursor, Recorded};

#[derive(Clone, Debug)]
pub struct ContactRow {
    pub id: i64,
    pub consent_key: String,
    pub objection_key: String,
    pub address: String,
}

impl Recorded for ContactRow {
    const SELECT: &'static str = "SELECT id, consent_key, objection_key, address FROM contact";
    const NUMBER: &'static str = "id";

    fn read(row: &Row<'_>) -> rusqlite::Result<ContactRow> {
        Ok(ContactRow { id: row.get(0)?, consent_key: row.get(1)?, objection_key: row.get(2)?, address: row.get(3)? })
    }

    fn row(&self) -> i64 {
        self.id
    }
}

/// How many contacts there are; the first one that is not what its events say.
pub fn hold(db: &Connection, work: &mut Work<'_, '_>) -> Result<Result<i64, Fault>, StoreError> {
    let (mut contacts, mut count, mut states) = (Cursor::<ContactRow>::new(), 0, 0);
    while contacts.peek(db)?.is_some() {
        let Some(contact) = contacts.pass() else { break };
        work.step();
        count += 1;
        if let Some(fault) = hold_contact(db, &contact, &mut states)? {
            return Ok(Err(fault));
        }
    }
    let found: i64 = db.query_row("SELECT count (*) FROM state", [], |row| row.get(0))?;
    let why = "it holds the state of nobody; `consentry ledger rebuild` makes it anew";
    Ok(if found == states { Ok(count) } else { Err(Fault::new("state", None, What::Inserted, why)) })
}

fn hold_contact(db: &Connection, contact: &ContactRow, states: &mut i64) -> Result<Option<Fault>, StoreError> {
    let wrong = |what, why: &str| Ok(Some(Fault::new("contact", contact.id, what, why)));
    let person = fold::person(db, contact.id)?;
    if is_pseudonym(&contact.address) {
        let (address, key) = (&contact.address, &contact.consent_key);
        let fits = contact.objection_key == *address
            && key.strip_prefix(address.as_str()).is_some_and(|rest| rest.starts_with(':'));
        return match person {
            Some(_) => wrong(What::Changed, "a pseudonym stands here, though events name the person"),
            None if !fits => wrong(What::Changed, "its pseudonyms are not one"),
            None => no_states(db, contact.id),
        };
    }
    let Some(person) = person else {
        return wrong(What::Changed, "it names a person, though no event does");
    };
    if !person.is_at(&contact.address, &contact.consent_key, &contact.objection_key) {
        return wrong(What::Changed, "its address or what it is found by is not what its events say");
    }
    hold_states(db, contact, &person, states)
}

fn no_states(db: &Connection, contact: i64) -> Result<Option<Fault>, StoreError> {
    let left = db.prepare_cached("SELECT 1 FROM state WHERE contact = ?1")?.exists([contact])?;
    let why = "there is a state of an erased person; `consentry ledger rebuild` removes it";
    Ok(left.then(|| Fault::new("state", contact, What::Inserted, why)))
}

fn hold_states(
    db: &Connection,
    contact: &ContactRow,
    person: &Person,
    states: &mut i64,
) -> Result<Option<Fault>, StoreError> {
    let folded = fold::states(person, &contact.address)?;
    let mut found = db.prepare_cached("SELECT controller, facts FROM state WHERE contact = ?1 ORDER BY controller")?;
    let found = found.query_map(params![contact.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let found: Vec<(String, String)> = found.collect::<Result<_, _>>()?;
    *states += i64::try_from(found.len()).unwrap_or(i64::MAX);
    let same = found.iter().eq(folded.iter());
    let why =
        "the folded state of this contact is not what its events come to; `consentry ledger rebuild` folds it anew";
    Ok((!same).then(|| Fault::new("state", contact.id, What::Changed, why)))
}
