//! A TOML file read key by key: every fault is noted with its place and reading goes on, so that all of them are told at once.
//!
//! Whoever reads a table asks for the keys it knows; what nobody asked for is unknown.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrors};
use super::values::{FilePath, FromItem, Name};
use crate::policy::word::Word;

/// What a file may refer to beyond itself: the reader asks, whoever may touch the machine answers.
pub trait Outside {
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// Where a path written in the file leads.
    fn resolve(&self, path: &str) -> PathBuf;
    /// Where the secret of that path is to be read: `LoadCredential=` may have put it elsewhere.
    fn secret_path(&self, path: &str) -> PathBuf;
    /// What is in the file of a secret; the error says what is wrong, and what would be right.
    fn secret(&self, path: &Path) -> Result<Vec<u8>, String>;
    /// Whether the file can be read; the error says why not.
    fn readable(&self, path: &Path) -> Result<(), String>;
    /// What the machine calls itself.
    fn hostname(&self) -> String;
}

/// One file while it is read.
pub struct Document<'a> {
    file: &'a str,
    text: &'a str,
    outside: Option<&'a dyn Outside>,
    /// What is read where a table was left out.
    empty: DeTable<'a>,
    faults: RefCell<Vec<(usize, String)>>,
}

impl<'a> Document<'a> {
    /// Reads `text` with `convert`. The value counts only when there are no errors.
    pub fn read<T>(
        file: &'a str,
        text: &'a str,
        outside: Option<&'a dyn Outside>,
        convert: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> (Option<T>, ConfigErrors) {
        let document = Document { file, text, outside, empty: DeTable::new(), faults: RefCell::default() };
        let (root, syntax) = DeTable::parse_recoverable(text);
        if !syntax.is_empty() {
            for error in &syntax {
                document.fault(error.span().map_or(0, |span| span.start), format!("not TOML: {}", error.message()));
            }
            return (None, document.errors());
        }
        let mut table = Table::new(&document, String::new(), root.get_ref(), 0);
        let value = convert(&mut table);
        table.refuse_unknown();
        (value, document.errors())
    }

    fn fault(&self, at: usize, message: String) {
        self.faults.borrow_mut().push((at, message));
    }

    fn errors(&self) -> ConfigErrors {
        let mut faults = self.faults.take();
        faults.sort();
        faults.dedup();
        let located = |(at, message)| {
            let (line, column) = self.place(at);
            ConfigError { file: self.file.to_owned(), line, column, message }
        };
        ConfigErrors(faults.into_iter().map(located).collect())
    }

    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// A table while it is read.
pub struct Table<'d> {
    document: &'d Document<'d>,
    path: String,
    entries: &'d DeTable<'d>,
    at: usize,
    asked: Vec<&'static str>,
    /// The keys are names of the operator's choosing.
    free: bool,
}

impl<'d> Table<'d> {
    fn new(document: &'d Document<'d>, path: String, entries: &'d DeTable<'d>, at: usize) -> Table<'d> {
        Table { document, path, entries, at, asked: Vec::new(), free: false }
    }

    /// What stands under `key`, if anything does.
    pub fn item(&mut self, key: &'static str) -> Option<Item<'d>> {
        self.asked.push(key);
        self.entries.get_key_value(key).map(|(name, value)| self.entry(name, value))
    }

    /// The value under `key`: `None` when it is not set, and when it is wrong (then it was noted).
    pub fn get<T: FromItem>(&mut self, key: &'static str) -> Option<T> {
        self.item(key).and_then(|item| T::from_item(&item))
    }

    /// The value under `key`, or what it is when not set.
    pub fn or<T: FromItem>(&mut self, key: &'static str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    /// The value under a key that has to be there; `cure` says what to write.
    pub fn need<T: FromItem>(&mut self, key: &'static str, cure: &str) -> Option<T> {
        match self.item(key) {
            Some(item) => T::from_item(&item),
            None => self.refuse(&format!("`{key}` is missing; {cure}")),
        }
    }

    /// A whole number within bounds.
    pub fn number<N: TryFrom<u64>>(&mut self, key: &'static str, default: N, allowed: RangeInclusive<u64>) -> N {
        self.item(key).and_then(|item| item.number(allowed)).and_then(|n| n.try_into().ok()).unwrap_or(default)
    }

    /// One of the words of `W`. `later` are words that a later release will know, with what they stand for.
    pub fn word<W: Word>(&mut self, key: &'static str, default: W, later: &[(&str, &str)]) -> W {
        self.item(key).and_then(|item| item.word(later)).unwrap_or(default)
    }

    /// A key of which so far only one value is carried out: any other is refused rather than ignored.
    pub fn only(&mut self, key: &'static str, sole: Sole<'_>, feature: &str) {
        let Some(item) = self.item(key) else { return };
        let as_is = match sole {
            Sole::Flag(flag) => bool::from_item(&item).map(|value| value == flag),
            Sole::Text(text) => String::from_item(&item).map(|value| value == text),
        };
        if as_is == Some(false) {
            item.refuse_later::<()>(feature, &sole.to_string());
        }
    }

    /// All entries of a table whose keys are names of the operator's choosing.
    pub fn entries(&mut self) -> Vec<(&'d str, Item<'d>)> {
        self.free = true;
        self.entries.iter().map(|(name, value)| (name.get_ref().as_ref(), self.entry(name, value))).collect()
    }

    /// The table under `key`, which may be left out when nothing in it has to be set.
    pub fn section<T>(&mut self, key: &'static str, convert: impl FnOnce(&mut Table<'d>) -> T) -> T {
        let item = self.item(key);
        let entries = match item.as_ref().map(Item::value) {
            Some(DeValue::Table(entries)) => entries,
            _ => &self.document.empty,
        };
        if let Some(item) = item.as_ref().filter(|item| !item.value().is_table()) {
            item.refuse_type::<()>("a table");
        }
        let at = item.map_or(self.at, |item| item.key_at.min(item.at));
        let mut table = Table::new(self.document, join(&self.path, key), entries, at);
        let value = convert(&mut table);
        table.refuse_unknown();
        value
    }

    /// The tables under `key`, by name.
    pub fn named(&mut self, key: &'static str) -> Vec<(&'d str, Item<'d>)> {
        let tables = self.item(key).and_then(|item| item.children());
        tables.unwrap_or_default()
    }

    /// The keys of the table under `key`, whether or not what stands under them is right.
    pub fn names(&self, key: &str) -> Vec<&'d str> {
        let table = self.entries.get(key).and_then(|value| value.get_ref().as_table());
        table.into_iter().flat_map(|table| table.keys()).map(|name| name.get_ref().as_ref()).collect()
    }

    /// Whether anything stands under `key`.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Notes what is wrong with the table as a whole.
    pub fn refuse<T>(&self, message: &str) -> Option<T> {
        let path = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        self.document.fault(self.at, format!("{path}{message}"));
        None
    }

    fn entry(&self, name: &'d Spanned<Cow<'d, str>>, value: &'d Spanned<DeValue<'d>>) -> Item<'d> {
        let path = join(&self.path, name.get_ref());
        Item {
            document: self.document,
            path,
            key_at: name.span().start,
            at: value.span().start,
            value: value.get_ref(),
        }
    }

    fn refuse_unknown(&self) {
        let known = |name: &Spanned<Cow<'_, str>>| self.free || self.asked.contains(&name.get_ref().as_ref());
        for name in self.entries.keys().filter(|name| !known(name)) {
            let path = join(&self.path, name.get_ref());
            let cure = match nearest(name.get_ref(), self.asked.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            self.document.fault(name.span().start, format!("{path}: unknown key; {cure}"));
        }
    }
}

/// The one value a key may have so far.
#[derive(Clone, Copy)]
pub enum Sole<'a> {
    Flag(bool),
    Text(&'a str),
}

impl std::fmt::Display for Sole<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Sole::Flag(flag) => write!(formatter, "{flag}"),
            Sole::Text(text) => write!(formatter, "{text:?}"),
        }
    }
}

/// A value while it is read.
#[derive(Clone)]
pub struct Item<'d> {
    document: &'d Document<'d>,
    path: String,
    key_at: usize,
    at: usize,
    value: &'d DeValue<'d>,
}

impl<'d> Item<'d> {
    pub fn value(&self) -> &'d DeValue<'d> {
        self.value
    }

    /// The value as a `T`.
    pub fn read<T: FromItem>(&self) -> Option<T> {
        T::from_item(self)
    }

    /// Notes that the value is wrong: what is wrong; and what would be right.
    pub fn refuse<T>(&self, message: &str) -> Option<T> {
        self.document.fault(self.at, format!("{}: {message}", self.path));
        None
    }

    /// Notes that the key should not stand here.
    pub fn refuse_key<T>(&self, message: &str) -> Option<T> {
        self.document.fault(self.key_at, format!("{}: {message}", self.path));
        None
    }

    /// Notes a value of another type.
    pub fn refuse_type<T>(&self, wanted: &str) -> Option<T> {
        self.refuse(&format!("is {} {}; write {wanted}", article(self.value.type_str()), self.value.type_str()))
    }

    /// Notes a value whose feature is not there yet.
    pub fn refuse_later<T>(&self, feature: &str, instead: &str) -> Option<T> {
        let why = "comes with a later release and this one would not carry it out";
        self.refuse(&format!("{feature} {why}; write {instead} or leave the key out"))
    }

    /// The table that stands here, read with `convert`.
    pub fn table<T>(&self, convert: impl FnOnce(&mut Table<'d>) -> Option<T>) -> Option<T> {
        let DeValue::Table(entries) = self.value else { return self.refuse_type("a table") };
        let mut table = Table::new(self.document, self.path.clone(), entries, self.key_at.min(self.at));
        let value = convert(&mut table);
        table.refuse_unknown();
        value
    }

    /// The entries of a table whose keys are names.
    pub fn children(&self) -> Option<Vec<(&'d str, Item<'d>)>> {
        let DeValue::Table(entries) = self.value else { return self.refuse_type("a table") };
        Some(Table::new(self.document, self.path.clone(), entries, self.at).entries())
    }

    /// The elements of a list.
    pub fn elements(&self) -> Option<Vec<Item<'d>>> {
        let DeValue::Array(elements) = self.value else { return self.refuse_type("a list: [ … ]") };
        let element = |element: &'d Spanned<DeValue<'d>>| {
            let at = element.span().start;
            Item { key_at: at, at, value: element.get_ref(), ..self.clone() }
        };
        Some(elements.iter().map(element).collect())
    }

    /// The elements of a list, each read with `convert`; all are read before one of them makes the list fail.
    pub fn each<T>(&self, mut convert: impl FnMut(&Item<'d>) -> Option<T>) -> Option<Vec<T>> {
        let elements: Vec<_> = self.elements()?.iter().map(&mut convert).collect();
        elements.into_iter().collect()
    }

    /// A whole number within bounds.
    pub fn number(&self, allowed: RangeInclusive<u64>) -> Option<u64> {
        let cure = format!("write a number from {} to {}", allowed.start(), allowed.end());
        let DeValue::Integer(digits) = self.value else { return self.refuse_type(&cure["write ".len()..]) };
        let number = i128::from_str_radix(digits.as_str(), digits.radix()).ok();
        let inside = number.and_then(|number| u64::try_from(number).ok()).filter(|number| allowed.contains(number));
        if inside.is_none() {
            return self.refuse(&format!("{digits} is outside what is allowed; {cure}"));
        }
        inside
    }

    /// One of the words of `W`; `later` are words a later release will know, with what they stand for.
    pub fn word<W: Word>(&self, later: &[(&str, &str)]) -> Option<W> {
        let words: Vec<_> = W::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
        let Some(text) = self.value.as_str() else { return self.refuse_type(&words.join(" or ")) };
        if let Some((_, feature)) = later.iter().find(|(word, _)| *word == text) {
            return self.refuse_later(feature, &words.join(" or "));
        }
        W::from_word(text).or_else(|| {
            let guess = nearest(text, W::WORDS.iter().map(|(word, _)| *word));
            let guess = guess.map_or(String::new(), |word| format!(" (did you mean {word:?}?)"));
            self.refuse(&format!("{text:?} is not known here; write {}{guess}", words.join(" or ")))
        })
    }

    /// A name that has to be one of `known`.
    pub fn one_of<'k>(&self, what: &str, known: impl Iterator<Item = &'k str> + Clone) -> Option<String> {
        let name = String::from_item(self)?;
        if known.clone().any(|candidate| candidate == name) {
            return Some(name);
        }
        let cure = match nearest(&name, known.clone()) {
            Some(candidate) => format!("did you mean {candidate:?}?"),
            None if known.clone().next().is_none() => format!("there is no {what} at all, add it"),
            None => format!("there are: {}", known.collect::<Vec<_>>().join(", ")),
        };
        self.refuse(&format!("no {what} is called {name:?}; {cure}"))
    }

    /// The secret in the file that is named here, and where it was read.
    pub fn secret(&self) -> Option<(PathBuf, String)> {
        let (path, bytes) = self.secret_bytes()?;
        match String::from_utf8(bytes) {
            Ok(text) => Some((path, text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(_) => self.refuse(&format!("{} is no text; name a file with the secret in it", path.display())),
        }
    }

    /// The same for a secret that need not be text.
    pub fn secret_bytes(&self) -> Option<(PathBuf, Vec<u8>)> {
        let (Name(path), outside) = (self.read()?, self.outside()?);
        let path = outside.secret_path(&path);
        match outside.secret(&path) {
            Ok(bytes) => Some((path, bytes)),
            Err(message) => self.refuse(&message),
        }
    }

    /// The path named here, of a file that can be read.
    pub fn readable_file(&self) -> Option<PathBuf> {
        let FilePath(path) = self.read()?;
        match self.outside()?.readable(&path) {
            Ok(()) => Some(path),
            Err(message) => self.refuse(&message),
        }
    }

    pub fn outside(&self) -> Option<&'d dyn Outside> {
        self.document.outside
    }
}

fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'i']) { "an" } else { "a" }
}

/// The candidate that `name` was probably meant to be.
fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let scored = known.map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    scored.filter(|(score, _)| *score >= 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}
