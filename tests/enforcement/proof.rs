//! The regulator's file: what it holds, that a stranger can check it, and that it tells nothing of anybody else.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Output;

use consentry::consent::ledger::checkpoint::{PublicKey, SigningKeys};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::shop::*;
use crate::support::{Gate, Upstream};

/// A gate that sent one newsletter to three people and has ended; the newsletter's reference.
fn after_a_newsletter() -> (Gate, String) {
    let upstream = Upstream::start();
    let mut gate = Gate::in_front_of(upstream.address);
    three_people(&gate);
    send(&gate, &[ANNA, BOB, CARL], BOOKS);
    let journal = settled(&mut gate);
    let reference = about(&journal, ANNA)["ref"].as_str().unwrap().to_owned();
    (gate, reference)
}

fn run(gate: &Gate, arguments: &[&str]) -> Output {
    gate.command(arguments).output().unwrap()
}

#[track_caller]
fn proof(gate: &Gate, arguments: &[&str]) -> PathBuf {
    let file = gate.directory().join("proof.zip");
    let out = ["--out", file.to_str().unwrap()];
    let output = run(gate, &[arguments, &out].concat());
    assert!(output.status.success(), "{output:?}");
    file
}

fn public_key(gate: &Gate) -> String {
    gate.run_command(&["ledger", "public-key"]).trim().to_owned()
}

/// As somebody who has neither settings nor store.
fn check(gate: &Gate, file: &Path, key: &str) -> (Option<i32>, String) {
    let file = file.to_str().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_consentry"))
        .args(["--config", "/nonexistent/consentry.toml", "ledger", "verify", "--bundle", file, "--public-key", key])
        .current_dir(gate.directory())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn files(archive: &Path) -> Vec<(String, String)> {
    let mut archive = ZipArchive::new(File::open(archive).unwrap()).unwrap();
    (0..archive.len())
        .map(|place| {
            let mut file = archive.by_index(place).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (file.name().to_owned(), text)
        })
        .collect()
}

#[test]
fn a_stranger_checks_a_decision_with_the_public_key_alone() {
    let (gate, reference) = after_a_newsletter();
    let file = proof(&gate, &["journal", "proof", &reference, "--to", BOB]);
    let (status, said) = check(&gate, &file, &public_key(&gate));
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("1 decisions, 1 events, ") && said.contains("1 policies"), "{said}");
    let files = files(&file);
    let page = &files.iter().find(|(name, _)| name == "proof.html").unwrap().1;
    assert!(page.contains("objected to offers/books on 1 February 2026"), "{page}");
    assert!(page.contains("s’est opposé à offers/books le 1er février 2026"), "{page}");
    assert!(files.iter().any(|(name, text)| name.starts_with("policy/") && text.contains("Librairie Exemple")));
}

#[test]
fn the_proof_of_one_decision_names_nobody_else() {
    let (gate, reference) = after_a_newsletter();
    let asked = run(&gate, &["journal", "proof", &reference, "--out", "proof.zip"]);
    assert_eq!(asked.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("3 recipients; say which with --to"), "{asked:?}");
    let file = proof(&gate, &["journal", "proof", &reference, "--to", ANNA]);
    for (name, text) in files(&file) {
        assert!(!text.contains(BOB) && !text.contains(CARL), "{name}");
    }
    let wordings: Vec<String> = files(&file).into_iter().map(|(name, _)| name).collect();
    assert!(wordings.iter().any(|name| name.starts_with("wording/newsletter-4")), "{wordings:?}");
}

#[test]
fn a_file_that_was_changed_or_signed_by_somebody_else_proves_nothing() {
    let (gate, reference) = after_a_newsletter();
    let file = proof(&gate, &["journal", "proof", &reference, "--to", ANNA]);
    let somebody = SigningKeys::new(vec![[12; 32]]).unwrap().public()[0];
    let other = PublicKey { name: "consentry/gate.example.net".into(), key: somebody };
    let (status, said) = check(&gate, &file, &other.to_string());
    assert_eq!(status, Some(1), "{said}");
    let forged = gate.directory().join("forged.zip");
    let mut archive = ZipWriter::new(File::create(&forged).unwrap());
    for (name, text) in files(&file) {
        archive.start_file(&name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.replace("unticked_box_ticked", "oral_delegated").as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    let (status, said) = check(&gate, &forged, &public_key(&gate));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("`proof` of entry "), "{said}");
}

#[test]
fn what_was_recorded_of_a_person_is_proven_with_its_wordings() {
    let (gate, _) = after_a_newsletter();
    let file = proof(&gate, &["contact", "proof", BOB]);
    let (status, said) = check(&gate, &file, &public_key(&gate));
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("0 decisions, 2 events, "), "{said}");
    let again = run(&gate, &["contact", "proof", BOB, "--out", file.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(2), "a file that is there is left alone: {again:?}");
    assert_eq!(run(&gate, &["contact", "proof", "nobody@x.example"]).status.code(), Some(1));
}
