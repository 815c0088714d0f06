//! The tables, as a list of steps that only grows, and how a connection is opened on them.

use std::fs::{self, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::StoreError;

/// How long a write waits for another process; a read does not wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

const ASK_EVERY: Duration = Duration::from_millis(2);

/// The smallest file SQLite writes; less was cut off.
const SMALLEST_PAGE: u64 = 512;

/// Append only: `user_version` counts the steps that were applied. Moments are microseconds since 1970, UTC.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE contact (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        consent_key TEXT NOT NULL UNIQUE,
        objection_key TEXT NOT NULL,
        address TEXT NOT NULL
    ) STRICT;
    CREATE INDEX contact_by_objection ON contact (objection_key);

    CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        contact INTEGER NOT NULL REFERENCES contact (id),
        controller TEXT NOT NULL,
        type TEXT NOT NULL,
        at INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL,
        -- Keyed hash of the caller's own id.
        external BLOB,
        ledger INTEGER NOT NULL,
        -- What was said, and who said it: either with its salt, or, once dropped, the digest the ledger holds of it.
        proof TEXT,
        proof_salt BLOB,
        proof_digest BLOB,
        personal TEXT,
        personal_salt BLOB,
        personal_digest BLOB
    ) STRICT;
    CREATE INDEX event_by_contact ON event (contact);
    -- Of people forgotten: what retention looks through.
    CREATE INDEX event_of_nobody ON event (seq) WHERE personal IS NULL AND proof IS NOT NULL;
    CREATE UNIQUE INDEX event_by_external ON event (controller, external) WHERE external IS NOT NULL;
    CREATE TRIGGER event_only_loses_parts BEFORE UPDATE ON event
        WHEN (NEW.seq, NEW.contact, NEW.controller, NEW.type, NEW.at, NEW.recorded_at, NEW.external, NEW.ledger)
            IS NOT (OLD.seq, OLD.contact, OLD.controller, OLD.type, OLD.at, OLD.recorded_at, OLD.external, OLD.ledger)
        OR NOT ((NEW.proof, NEW.proof_salt, NEW.proof_digest) IS (OLD.proof, OLD.proof_salt, OLD.proof_digest)
            OR (OLD.proof IS NOT NULL AND NEW.proof IS NULL AND NEW.proof_salt IS NULL
                AND length (NEW.proof_digest) IS 32))
        OR NOT ((NEW.personal, NEW.personal_salt, NEW.personal_digest)
                IS (OLD.personal, OLD.personal_salt, OLD.personal_digest)
            OR (OLD.personal IS NOT NULL AND NEW.personal IS NULL AND NEW.personal_salt IS NULL
                AND length (NEW.personal_digest) IS 32))
        BEGIN SELECT RAISE (ABORT, 'events are append-only: only erasure and retention drop a part'); END;
    CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
        BEGIN SELECT RAISE (ABORT, 'events are append-only: only erasure and retention drop a part'); END;

    CREATE TABLE ledger (
        seq INTEGER PRIMARY KEY,
        entry TEXT NOT NULL,
        row INTEGER NOT NULL,
        leaf BLOB NOT NULL,
        mac BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER ledger_is_never_updated BEFORE UPDATE ON ledger
        BEGIN SELECT RAISE (ABORT, 'the ledger is append-only'); END;
    CREATE TRIGGER ledger_is_never_deleted BEFORE DELETE ON ledger
        BEGIN SELECT RAISE (ABORT, 'the ledger is append-only'); END;

    CREATE TABLE ledger_head (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        seq INTEGER NOT NULL,
        mac BLOB NOT NULL,
        seal BLOB NOT NULL
    ) STRICT;

    CREATE TABLE act (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        ledger INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX act_by_kind ON act (kind, at);
    CREATE TRIGGER act_is_never_updated BEFORE UPDATE ON act
        BEGIN SELECT RAISE (ABORT, 'acts are append-only'); END;
    CREATE TRIGGER act_is_never_deleted BEFORE DELETE ON act
        BEGIN SELECT RAISE (ABORT, 'acts are append-only'); END;

    CREATE TABLE checkpoint (
        size INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        frontier BLOB NOT NULL,
        note TEXT NOT NULL
    ) STRICT;

    CREATE TABLE state (
        controller TEXT NOT NULL,
        contact INTEGER NOT NULL REFERENCES contact (id),
        facts TEXT NOT NULL,
        PRIMARY KEY (contact, controller)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE suppression (
        controller TEXT NOT NULL,
        hash BLOB NOT NULL,
        topics TEXT NOT NULL,
        at INTEGER NOT NULL,
        mechanism TEXT NOT NULL,
        -- The act that says so.
        act INTEGER NOT NULL REFERENCES act (id),
        PRIMARY KEY (controller, hash, topics)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        reference TEXT NOT NULL UNIQUE,
        at INTEGER NOT NULL,
        session TEXT NOT NULL,
        listener TEXT NOT NULL,
        size INTEGER NOT NULL,
        class TEXT NOT NULL,
        class_rule TEXT NOT NULL,
        controller TEXT,
        topics TEXT NOT NULL,
        families TEXT NOT NULL,
        policy TEXT NOT NULL,
        mode TEXT NOT NULL,
        notes TEXT NOT NULL,
        event_seq INTEGER NOT NULL,
        -- What its decisions could see of earlier mail, and by what a retry of it is known.
        sent_seq INTEGER NOT NULL,
        attempt BLOB,
        upstream TEXT NOT NULL,
        ledger INTEGER NOT NULL,
        -- What may name a person; nothing of it, and the digest, once everybody it went to is erased.
        credential TEXT,
        client TEXT,
        envelope_from TEXT,
        sender_key TEXT,
        message_id TEXT,
        class_evidence TEXT,
        facts TEXT,
        private_salt BLOB,
        private_digest BLOB
    ) STRICT;
    CREATE TRIGGER message_only_loses_what_names_a_person BEFORE UPDATE ON message
        WHEN (NEW.id, NEW.reference, NEW.at, NEW.session, NEW.listener, NEW.size, NEW.class, NEW.class_rule,
                NEW.controller, NEW.topics, NEW.families, NEW.policy, NEW.mode, NEW.notes, NEW.event_seq, NEW.sent_seq,
                NEW.attempt, NEW.upstream, NEW.ledger)
            IS NOT (OLD.id, OLD.reference, OLD.at, OLD.session, OLD.listener, OLD.size, OLD.class, OLD.class_rule,
                OLD.controller, OLD.topics, OLD.families, OLD.policy, OLD.mode, OLD.notes, OLD.event_seq, OLD.sent_seq,
                OLD.attempt, OLD.upstream, OLD.ledger)
        OR OLD.private_salt IS NULL OR length (NEW.private_digest) IS NOT 32
        OR (NEW.credential, NEW.client, NEW.envelope_from, NEW.sender_key, NEW.message_id, NEW.class_evidence,
                NEW.facts, NEW.private_salt)
            IS NOT (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
        BEGIN SELECT RAISE (ABORT, 'the journal is append-only: only erasure drops what names a person'); END;
    CREATE INDEX message_by_time ON message (at);
    CREATE INDEX message_by_controller ON message (controller, at);
    CREATE INDEX message_by_sender ON message (sender_key, at);

    CREATE TABLE message_topic (
        message INTEGER NOT NULL REFERENCES message (id),
        topic TEXT NOT NULL,
        PRIMARY KEY (message, topic)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX message_by_topic ON message_topic (topic, message);

    CREATE TABLE decision (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        message INTEGER NOT NULL REFERENCES message (id),
        at INTEGER NOT NULL,
        recipient TEXT NOT NULL,
        recipient_key TEXT NOT NULL,
        decision TEXT NOT NULL,
        reason TEXT NOT NULL,
        basis TEXT,
        secondary TEXT NOT NULL,
        because TEXT NOT NULL,
        events TEXT NOT NULL,
        last_day TEXT,
        flags TEXT NOT NULL,
        reply TEXT,
        -- In a newer verdict: what it could see, the first one about this recipient, and its own place in the ledger.
        event_seq INTEGER,
        sent_seq INTEGER,
        revises INTEGER REFERENCES decision (id),
        ledger INTEGER,
        salt BLOB NOT NULL,
        -- Of recipient and reply.
        person_salt BLOB,
        person_digest BLOB
    ) STRICT;
    CREATE INDEX decision_by_message ON decision (message);
    CREATE INDEX decision_by_reason ON decision (reason, at);
    CREATE INDEX decision_by_recipient ON decision (recipient_key, at);
    CREATE INDEX decision_by_revised ON decision (revises) WHERE revises IS NOT NULL;
    CREATE TRIGGER decision_only_loses_whom_it_is_about BEFORE UPDATE ON decision
        WHEN (NEW.id, NEW.message, NEW.at, NEW.decision, NEW.reason, NEW.basis, NEW.secondary, NEW.because, NEW.events,
                NEW.last_day, NEW.flags, NEW.event_seq, NEW.sent_seq, NEW.revises, NEW.ledger, NEW.salt)
            IS NOT (OLD.id, OLD.message, OLD.at, OLD.decision, OLD.reason, OLD.basis, OLD.secondary, OLD.because,
                OLD.events, OLD.last_day, OLD.flags, OLD.event_seq, OLD.sent_seq, OLD.revises, OLD.ledger, OLD.salt)
        OR OLD.person_salt IS NULL OR NEW.person_salt IS NOT NULL OR length (NEW.person_digest) IS NOT 32
        OR NEW.reply IS NOT NULL OR NEW.recipient NOT GLOB 'erased:*' OR NEW.recipient_key IS NOT NEW.recipient
        BEGIN SELECT RAISE (ABORT, 'the journal is append-only: only erasure drops what names a person'); END;

    CREATE TABLE outcome (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        message INTEGER NOT NULL REFERENCES message (id),
        -- The first decision about the recipient; none: every copy that was allowed.
        decision INTEGER REFERENCES decision (id),
        result TEXT NOT NULL,
        code INTEGER,
        at INTEGER NOT NULL,
        took_us INTEGER NOT NULL,
        ledger INTEGER NOT NULL,
        -- A reply may repeat the address.
        text TEXT,
        text_salt BLOB,
        text_digest BLOB
    ) STRICT;
    CREATE INDEX outcome_by_message ON outcome (message);
    CREATE TRIGGER outcome_only_loses_its_text BEFORE UPDATE ON outcome
        WHEN (NEW.id, NEW.message, NEW.decision, NEW.result, NEW.code, NEW.at, NEW.took_us, NEW.ledger)
            IS NOT (OLD.id, OLD.message, OLD.decision, OLD.result, OLD.code, OLD.at, OLD.took_us, OLD.ledger)
        OR OLD.text IS NULL OR NEW.text IS NOT NULL OR NEW.text_salt IS NOT NULL OR length (NEW.text_digest) IS NOT 32
        BEGIN SELECT RAISE (ABORT, 'the journal is append-only: only erasure drops what names a person'); END;

    CREATE TABLE delivery (
        key BLOB NOT NULL,
        recipient BLOB NOT NULL,
        done INTEGER NOT NULL,
        reply TEXT,
        at INTEGER NOT NULL,
        PRIMARY KEY (key, recipient)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX delivery_by_time ON delivery (at);

    -- `id`, `released` and `confirmed` are numbers of one sequence, see sending.rs.
    CREATE TABLE sending (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        recipient_key TEXT NOT NULL,
        controller TEXT NOT NULL,
        matters_until INTEGER NOT NULL,
        at INTEGER NOT NULL,
        reference TEXT NOT NULL,
        promotional INTEGER NOT NULL,
        topics TEXT NOT NULL,
        kinds TEXT NOT NULL,
        attempt BLOB,
        released INTEGER,
        confirmed INTEGER
    ) STRICT;
    CREATE INDEX sending_by_recipient ON sending (recipient_key, controller, matters_until);
    CREATE INDEX sending_by_end ON sending (matters_until);
    CREATE INDEX sending_by_attempt ON sending (attempt) WHERE attempt IS NOT NULL;

    CREATE TABLE policy (
        hash TEXT NOT NULL PRIMARY KEY,
        mode TEXT NOT NULL,
        sources TEXT NOT NULL,
        first_in_force INTEGER NOT NULL,
        last_in_force INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE text (
        version TEXT NOT NULL,
        language TEXT NOT NULL,
        body TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        added_at INTEGER NOT NULL,
        PRIMARY KEY (version, language)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER text_is_never_updated BEFORE UPDATE ON text
        BEGIN SELECT RAISE (ABORT, 'a text that was shown stays as it is'); END;
    CREATE TRIGGER text_is_never_deleted BEFORE DELETE ON text
        BEGIN SELECT RAISE (ABORT, 'a text that was shown stays as it is'); END;

    -- One row while our unsubscribe address is failing.
    CREATE TABLE link_failing (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        since INTEGER NOT NULL
    ) STRICT;

    -- A mailer's own unsubscribe address that ours replaced, by whom the copy was for and the second of our link.
    CREATE TABLE mailer_link (
        controller TEXT NOT NULL,
        hash BLOB NOT NULL,
        issued INTEGER NOT NULL,
        reference TEXT NOT NULL,
        url TEXT NOT NULL,
        PRIMARY KEY (controller, hash, issued, reference)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX mailer_link_by_message ON mailer_link (reference);
    -- An unsubscribe that is passed on to one; `next_at` is NULL once it is over.
    CREATE TABLE hand_on (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        controller TEXT NOT NULL,
        hash BLOB NOT NULL,
        reference TEXT NOT NULL UNIQUE,
        url TEXT NOT NULL,
        queued_at INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        tried_at INTEGER,
        next_at INTEGER,
        done INTEGER NOT NULL,
        result TEXT
    ) STRICT;
    CREATE INDEX hand_on_by_turn ON hand_on (next_at) WHERE next_at IS NOT NULL;

    -- Mail to the gate that a person has to look at.
    CREATE TABLE unclear_mail (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        why TEXT NOT NULL,
        -- Whom it may be about, as far as that is known.
        controller TEXT,
        address TEXT,
        -- Of its bytes: the same message, sent again, is kept once.
        digest BLOB NOT NULL UNIQUE,
        message BLOB NOT NULL
    ) STRICT;
    CREATE INDEX unclear_mail_by_time ON unclear_mail (at);
    -- Everybody who is named in one, by consent key: it goes when any of them is erased.
    CREATE TABLE unclear_mail_person (
        mail INTEGER NOT NULL REFERENCES unclear_mail (id) ON DELETE CASCADE,
        consent_key TEXT NOT NULL,
        PRIMARY KEY (consent_key, mail)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX unclear_mail_person_by_mail ON unclear_mail_person (mail);

    CREATE TABLE handed_over (
        contact INTEGER NOT NULL REFERENCES contact (id),
        act INTEGER NOT NULL REFERENCES act (id),
        PRIMARY KEY (contact, act)
    ) STRICT, WITHOUT ROWID;

    -- Who was asked by mail to confirm a request: how often, and when the next mail is due.
    CREATE TABLE asking (
        request INTEGER PRIMARY KEY REFERENCES event (seq),
        contact INTEGER NOT NULL REFERENCES contact (id),
        controller TEXT NOT NULL,
        language TEXT NOT NULL,
        sent INTEGER NOT NULL,
        due INTEGER
    ) STRICT;
    CREATE INDEX asking_by_due ON asking (due) WHERE due IS NOT NULL;
    CREATE INDEX asking_by_contact ON asking (contact, controller);

    CREATE TABLE topic_named (
        controller TEXT NOT NULL,
        topic TEXT NOT NULL,
        PRIMARY KEY (controller, topic)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE import (
        digest TEXT NOT NULL PRIMARY KEY,
        lines_done INTEGER NOT NULL,
        events_added INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        finished_at INTEGER
    ) STRICT;
"];

/// Where the store's file is, and which file it was when it was opened.
#[derive(Clone, Debug)]
pub struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    fn of(path: &Path) -> Result<Place, StoreError> {
        let found = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
        Ok(Place { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }

    /// A deleted file goes on answering through an open descriptor, with whatever it last held; so look before asking.
    pub fn check(&self) -> Result<(), StoreError> {
        let same = |found: &Metadata| (found.dev(), found.ino()) == (self.device, self.inode);
        match fs::metadata(&self.path) {
            Ok(found) if !same(&found) => Err(StoreError::Replaced),
            Ok(found) if found.len() < SMALLEST_PAGE => Err(StoreError::Corrupt("the file was cut off".into())),
            Ok(_) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(StoreError::Replaced),
            Err(e) => Err(unreadable(&self.path, &e)),
        }
    }
}

/// Opens for writing and brings the schema up to date; a missing file is made, readable by its owner only.
pub fn open_writer(path: &Path) -> Result<(Connection, Place), StoreError> {
    // SQLite gives the files beside it the same permissions.
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|e| unreadable(path, &e))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    db.busy_handler(Some(ask_again))?;
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unreadable(format!("no write-ahead log on this file system (journal mode {mode})")));
    }
    // FULL: a committed row survives power loss (R76). Readers go on meanwhile.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // What is erased is not left in freed pages. It answers with the new value.
    db.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    db.set_prepared_statement_cache_capacity(64);
    migrate(&mut db)?;
    Ok((db, Place::of(path)?))
}

/// Opens for reading: never makes a file, never waits.
pub fn open_reader(path: &Path) -> Result<(Connection, Place), StoreError> {
    let place = Place::of(path)?;
    place.check()?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::ZERO)?;
    db.set_prepared_statement_cache_capacity(64);
    let found: usize = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found.cmp(&MIGRATIONS.len()) {
        std::cmp::Ordering::Equal => Ok((db, place)),
        std::cmp::Ordering::Greater => Err(StoreError::NewerThanThisProgram { found, known: MIGRATIONS.len() }),
        std::cmp::Ordering::Less => {
            Err(StoreError::Unreadable("its schema is old; a writing command updates it".into()))
        }
    }
}

/// Carries over what the write-ahead log holds and empties it, unless somebody reads just now; whether it did.
pub fn clear_log(db: &Connection) -> Result<bool, StoreError> {
    db.busy_timeout(Duration::ZERO)?;
    let cleared = db.query_row("PRAGMA wal_checkpoint (TRUNCATE)", [], |row| row.get::<_, i64>(0));
    db.busy_handler(Some(ask_again))?;
    match cleared {
        Ok(busy) => Ok(busy == 0),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Asks for the lock evenly often. SQLite's own handler sleeps up to 100 ms, and would miss the pauses in which a bulk
/// import lets others write.
fn ask_again(tries: i32) -> bool {
    let waited = ASK_EVERY.saturating_mul(tries.unsigned_abs());
    if waited >= BUSY_TIMEOUT {
        return false;
    }
    std::thread::sleep(ASK_EVERY);
    true
}

fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let steps = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let applied: usize = steps.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let newer = StoreError::NewerThanThisProgram { found: applied, known: MIGRATIONS.len() };
    for step in MIGRATIONS.get(applied..).ok_or(newer)? {
        steps.execute_batch(step)?;
    }
    if applied < MIGRATIONS.len() {
        steps.pragma_update(None, "user_version", MIGRATIONS.len())?;
    }
    Ok(steps.commit()?)
}

fn unreadable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unreadable(format!("{}: {error}", path.display()))
}
