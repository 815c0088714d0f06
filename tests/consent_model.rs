//! `docs/consent-model.md` holds: its policy is laid down, its events are imported one after the other, and each of its
//! commands says what the page shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An installation in a folder of its own.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap() };
        let directory = place.directory.path().to_str().unwrap().to_owned();
        place.run(&["init", "--domain", "quais.example", "--upstream", "127.0.0.1:25", "--dir", &directory]);
        let wording = place.write("caisse-1.txt", "Voulez-vous recevoir notre lettre ?\n");
        place.run(&["contact", "text", "add", "caisse-1", &wording, "--language", "fr"]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// What the command says; exit status 1 is an answer too.
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
        command.current_dir(self.directory.path()).arg("--config").arg(self.path("consentry.toml"));
        let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&stdout).into_owned();
        assert!(matches!(status.code(), Some(0 | 1)), "{arguments:?}: {said}{}", String::from_utf8_lossy(&stderr));
        said
    }
}

/// The fenced blocks of a page: what stands behind the fence, and the text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

#[test]
fn every_verdict_of_the_page_is_what_the_program_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/consent-model.md");
    let (page, place) = (fs::read_to_string(page).unwrap(), Place::new());
    let (mut said, mut commands, mut verdicts) = (String::new(), 0, 0);
    for (kind, text) in blocks(&page) {
        match kind {
            "toml policy" => _ = place.write("policy.toml", text),
            "json" => {
                let events = place.write("events.ndjson", text);
                let told = place.run(&["contact", "import", &events, "--json"]);
                assert!(told.contains("\"bad\":0"), "{told}");
            }
            "eml" => _ = place.write("lettre.eml", text),
            "sh" => {
                let words: Vec<&str> = text.split_whitespace().skip(1).collect();
                said = place.run(&words);
                commands += 1;
            }
            "text" => {
                assert!(said.contains(text), "the page shows\n{text}\nand the program says\n{said}");
                verdicts += 1;
            }
            other => panic!("```{other} is checked by nobody"),
        }
    }
    assert!(commands >= 9 && verdicts >= commands, "{commands} commands, {verdicts} verdicts");
}
