//! The store fails under a running gate: advertising waits, service mail does as the policy says, and when the fault is
//! over nobody has to restart anything.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::faulty::FaultyUpstream;
use crate::mail::{ANNA, CARL, SENDER, agree, newsletter, order};
use crate::support::{Gate, GateBuilder};

struct Shop {
    upstream: FaultyUpstream,
    gate: Gate,
    sent: usize,
}

impl Shop {
    fn open(set: impl FnOnce(GateBuilder) -> GateBuilder) -> Shop {
        let upstream = FaultyUpstream::start();
        let builder = set(Gate::builder(upstream.address));
        agree(builder.directory(), &[ANNA]);
        let mut shop = Shop { upstream, gate: builder.start(), sent: 0 };
        shop.is_well();
        shop
    }

    fn store(&self) -> PathBuf {
        self.gate.directory().join("consentry.db")
    }

    /// The final reply, which is true to what upstream has.
    fn send(&mut self, to: &str, message: fn(&str) -> Vec<u8>) -> String {
        self.sent += 1;
        let id = format!("s{}", self.sent);
        let reply = self.gate.client().send(SENDER, &[to], &message(&id));
        assert_eq!(self.upstream.seen().copies_of(&id), usize::from(reply.starts_with("250")), "{reply}");
        reply
    }

    #[track_caller]
    fn is_well(&mut self) {
        let reply = self.send(ANNA, newsletter);
        assert!(reply.starts_with("250 2.0.0 Ok: queued"), "{reply}");
        let reply = self.send(CARL, newsletter);
        assert!(reply.starts_with("550 5.7.1 "), "{reply}");
        let reply = self.send(CARL, order);
        assert!(reply.starts_with("250 2.0.0 Ok: queued"), "{reply}");
    }

    /// Advertising waits, whoever it is for, with a reference to look it up by.
    #[track_caller]
    fn holds_advertising(&mut self) {
        for to in [ANNA, CARL] {
            let reply = self.send(to, newsletter);
            assert!(reply.starts_with("451 4.3.") && reply.contains("; ref 01"), "{to}: {reply}");
        }
    }

    #[track_caller]
    fn passes_service(&mut self) {
        let reply = self.send(CARL, order);
        assert!(reply.starts_with("250 2.0.0 Ok: queued"), "{reply}");
    }

    #[track_caller]
    fn holds_service(&mut self) {
        let reply = self.send(CARL, order);
        assert!(reply.starts_with("451 4.3.") && reply.contains("; ref 01"), "{reply}");
    }
}

fn as_it_is(builder: GateBuilder) -> GateBuilder {
    builder
}

fn deferring(builder: GateBuilder) -> GateBuilder {
    builder.policy_value("service_without_store", "\"defer\"")
}

/// Does it to the store while the gate runs, looks, undoes it, looks again.
fn through_a_fault<T>(inflict: impl Fn(&Path) -> T, relieve: impl Fn(&Path, T)) {
    let mut shop = Shop::open(as_it_is);
    let fault = inflict(&shop.store());
    shop.holds_advertising();
    shop.passes_service();
    relieve(&shop.store(), fault);
    shop.is_well();

    let mut shop = Shop::open(deferring);
    let fault = inflict(&shop.store());
    shop.holds_advertising();
    shop.holds_service();
    relieve(&shop.store(), fault);
    shop.is_well();
}

fn aside(store: &Path) -> PathBuf {
    store.with_extension("aside")
}

#[test]
fn a_store_that_another_process_writes_to_holds_what_must_be_recorded() {
    through_a_lock("BEGIN IMMEDIATE");
}

#[test]
fn a_store_that_another_process_has_to_itself_holds_what_must_be_recorded() {
    through_a_lock("BEGIN EXCLUSIVE");
}

fn through_a_lock(how: &str) {
    let lock = |store: &Path| {
        let holder = Connection::open(store).unwrap();
        holder.execute_batch(how).unwrap();
        holder
    };
    through_a_fault(lock, |_, holder| drop(holder));
}

#[test]
fn a_store_that_is_gone_or_another_gives_no_answer_until_it_is_back() {
    let back = |store: &Path, ()| fs::rename(aside(store), store).unwrap();
    through_a_fault(|store| fs::rename(store, aside(store)).unwrap(), back);
    let replaced_by = |put: fn(&Path)| {
        move |store: &Path| {
            fs::rename(store, aside(store)).unwrap();
            put(store);
        }
    };
    through_a_fault(replaced_by(|store| fs::write(store, "x".repeat(100_000)).unwrap()), back);
    through_a_fault(replaced_by(|store| fs::write(store, "").unwrap()), back);
    through_a_fault(replaced_by(|store| fs::create_dir(store).unwrap()), |store, ()| {
        fs::remove_dir(store).unwrap();
        back(store, ());
    });
}

#[test]
fn a_store_cut_off_gives_no_answer_until_it_is_whole() {
    through_a_fault(
        |store| {
            let whole = fs::read(store).unwrap();
            fs::OpenOptions::new().write(true).open(store).unwrap().set_len(0).unwrap();
            whole
        },
        |store, whole| {
            fs::OpenOptions::new().write(true).open(store).unwrap().write_all(&whole).unwrap();
        },
    );
}

/// What SQLite still holds in memory it may go on answering from, and rightly; what it reads anew is no database. Either
/// way nobody gets what he did not agree to.
#[test]
fn a_store_overwritten_in_place_lets_nothing_through_that_it_did_not_allow() {
    let mut shop = Shop::open(as_it_is);
    let whole = fs::read(shop.store()).unwrap();
    let overwrite = |bytes: &[u8]| {
        fs::OpenOptions::new().write(true).open(shop.store()).unwrap().write_all(bytes).unwrap();
    };
    overwrite(&vec![0xA5; whole.len()]);
    for _ in 0..5 {
        let gate = &shop.gate;
        let reply = gate.client().send(SENDER, &[CARL], &newsletter("never"));
        assert!(reply.starts_with("451 4.3.") || reply.starts_with("550 5.7.1 "), "{reply}");
    }
    assert_eq!(shop.upstream.seen().copies_of("never"), 0);
    let whole = whole.clone();
    fs::OpenOptions::new().write(true).open(shop.store()).unwrap().write_all(&whole).unwrap();
    shop.is_well();
}

/// A file system of its own for a directory; gone with this value. None where that is not allowed.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(directory: &Path, size: &str) -> Option<SmallDisk> {
        fs::create_dir_all(directory).unwrap();
        let options = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(directory).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("no file system can be mounted here: a full disk is not tried");
        }
        mounted.then(|| SmallDisk(directory.to_owned()))
    }

    /// Takes all the room that is left, to the last byte.
    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        for piece in [4096, 1] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_under_the_store_holds_what_must_be_recorded() {
    for (set, defers) in [(as_it_is as fn(GateBuilder) -> GateBuilder, false), (deferring, true)] {
        let mut mounted = None;
        let mut shop = Shop::open(|builder| {
            mounted = SmallDisk::mount(builder.directory(), "2m");
            set(builder)
        });
        let Some(disk) = mounted else { return };
        let filler = disk.fill();
        // What is left of a page that is there already still takes a row or two.
        let is_held = (0..50).any(|_| shop.send(ANNA, newsletter).starts_with("451 4.3."));
        assert!(is_held, "the disk was never full");
        shop.holds_advertising();
        if defers {
            shop.holds_service()
        } else {
            shop.passes_service()
        }
        fs::remove_file(filler).unwrap();
        shop.is_well();
    }
}

#[test]
fn a_full_spool_is_told_at_the_end_and_the_session_goes_on() {
    let upstream = FaultyUpstream::start();
    let builder = Gate::builder(upstream.address);
    let Some(_disk) = SmallDisk::mount(&builder.directory().join("spool"), "512k") else { return };
    let gate = builder.settings("[spool]\ndirectory = \"spool\"\n").start();
    let mut client = gate.client();
    let large = [order("large"), b"0123456789\r\n".repeat(100_000)].concat();
    for _ in 0..2 {
        let reply = client.send(SENDER, &[ANNA], &large);
        assert!(reply.starts_with("452 4.3.1 "), "{reply}");
        let reply = client.send(SENDER, &[ANNA], &order("small"));
        assert!(reply.starts_with("250"), "{reply}");
    }
    let fitting = [order("fitting"), b"0123456789\r\n".repeat(50_000)].concat();
    let reply = client.send(SENDER, &[ANNA], &fitting);
    assert!(reply.starts_with("250"), "{reply}");
    let seen = upstream.seen();
    assert_eq!((seen.copies_of("large"), seen.copies_of("small"), seen.copies_of("fitting")), (0, 2, 1));
}

#[test]
fn a_store_that_cannot_be_used_keeps_the_gate_from_starting() {
    let upstream = FaultyUpstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    gate.stop();
    let store = gate.directory().join("consentry.db");
    Connection::open(&store).unwrap().pragma_update(None, "user_version", 99).unwrap();
    refuses_to_start(&gate, "the store has schema 99");
    fs::write(&store, "x".repeat(100_000)).unwrap();
    refuses_to_start(&gate, "the store is damaged");
    fs::remove_file(&store).unwrap();
    fs::create_dir(&store).unwrap();
    refuses_to_start(&gate, "the store cannot be opened");
}

#[track_caller]
fn refuses_to_start(gate: &Gate, why: &str) {
    let output = gate.command(&["serve"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(why), "{said}");
}
