//! The files of the pages: ours, compiled in, and those of an operator's directory.

use std::fs;
use std::path::Path;

use super::Problem;
use super::press::Press;
use crate::web::locale::{SHIPPED, Words, keys_of, line_of};

pub const SHIPPED_STYLE: &str = include_str!("../../../templates/style.css");

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../templates/", $name)))),*]
    };
}

/// What includes or extends another stands behind it.
pub const SHIPPED_TEMPLATES: &[(&str, &str)] = &shipped![
    "base.html",
    "contacts.html",
    "wording_info.html",
    "ask.html",
    "back.html",
    "confirm.html",
    "confirm_over.html",
    "confirmed.html",
    "done.html",
    "me_address.html",
    "me_choice.html",
    "me_code.html",
    "me_left.html",
    "no_link.html",
    "subscribe.html",
    "subscribed.html",
    "no_controller.html",
    "own_address.html",
    "own_address_form.html",
    "own_broken.html",
    "own_code.html",
    "own_data.html",
    "own_done.html",
    "own_erase.html",
    "own_hidden.html",
    "own_move.html",
    "own_problem.html",
    "own_problem_line.html",
    "own_return.html",
    "own_senders.html",
    "preferences.html",
    "preferences_saved.html",
    "rights.html",
    "unavailable.html",
];

/// What an operator's file may take; more is no page.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Everything in the directory over ours, and what is wrong with it.
pub fn read(directory: &Path) -> (Press, Vec<Problem>) {
    let name = directory.display().to_string();
    let mut problems = Vec::new();
    let languages = files(&directory.join("locales"), "ftl", true, &mut problems);
    let (words, faults) = Words::read(&languages);
    problems.extend(faults);
    let mut style = None;
    for (path, text) in files(directory, "css", false, &mut problems) {
        if path != format!("{name}/style.css") {
            problems.push(Problem::at(&path, 1, "no page uses it; call it style.css"));
        } else if let Some(at) = text.find("</") {
            problems.push(Problem::at(&path, line_of(&text, at), "`</` would end the style; leave it out"));
        } else {
            style = Some(text.replace("\r\n", "\n")); // as browsers read it before they take its hash
        }
    }
    let templates = files(directory, "html", false, &mut problems);
    let mut press = Press::of_directory(name, words, style);
    problems.extend(strays(&templates, &languages));
    for (path, text) in templates {
        let file = path.rsplit('/').next().unwrap_or(&path).to_owned();
        problems.extend(press.put(&file, text).err());
    }
    (press, problems)
}

/// Path and text of the files that end so.
fn files(directory: &Path, ending: &str, may_be_missing: bool, problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    let unreadable = |path: &Path, error| {
        Problem::at(&path.display().to_string(), 1, format!("cannot be read: {error}; let the gate's user read it"))
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if may_be_missing && error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            problems.push(unreadable(directory, error));
            return Vec::new();
        }
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == ending));
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let small = fs::metadata(&path).map(|metadata| metadata.len() <= LARGEST_FILE);
        match small.and_then(|small| if small { fs::read_to_string(&path) } else { Err(too_large()) }) {
            Ok(text) => files.push((path.display().to_string(), text)),
            Err(error) => problems.push(unreadable(&path, error)),
        }
    }
    files
}

fn too_large() -> std::io::Error {
    std::io::Error::other("it is larger than 1 MiB")
}

/// What nothing would ever use: a page or a message called by a wrong name.
fn strays(templates: &[(String, String)], languages: &[(String, String)]) -> Vec<Problem> {
    let file = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let ours = |name: &str| SHIPPED_TEMPLATES.iter().any(|(shipped, _)| *shipped == name);
    let named = |what: &str| templates.iter().any(|(_, text)| text.contains(&format!("\"{what}\"")));
    let mut problems = Vec::new();
    for (path, _) in templates {
        let name = file(path);
        if !ours(&name) && !named(&name) {
            problems.push(Problem::at(path, 1, "no page of ours has this name, and none of yours includes it"));
        }
    }
    let known: Vec<_> = SHIPPED.iter().map(|(_, text)| keys_of(text)).collect();
    for (path, text) in languages {
        for key in keys_of(text).into_iter().filter(|key| !known.iter().any(|keys| keys.contains(key)) && !named(key)) {
            let line = text.lines().position(|line| line.starts_with(&key)).map_or(1, |at| at + 1);
            problems.push(Problem::at(path, line, format!("no page says {key}; see locales/en.ftl for what they say")));
        }
    }
    problems
}
