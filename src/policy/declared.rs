//! What a mailer says of its message in `X-Consentry-*` fields.

use super::matching::{Reading, line};
use super::rules::Class;

/// The statement of a mailer that may be believed. Empty for every other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    pub class: Option<Class>,
    pub topics: Option<Vec<String>>,
    pub families: Option<Vec<String>>,
    pub functions: Option<Vec<String>>,
    pub kinds: Option<Vec<String>>,
    pub evidence: Vec<String>,
}

impl Declared {
    pub fn read(reading: &Reading<'_>) -> Declared {
        let shown = ["x-consentry-class", "x-consentry-kind"];
        let lines = shown.iter().flat_map(|name| reading.values(name).iter().map(|value| line(name, value)));
        Declared {
            class: class(reading.values("x-consentry-class")),
            topics: list(reading.values("x-consentry-topics")),
            families: list(reading.values("x-consentry-families")),
            functions: list(reading.values("x-consentry-functions")),
            kinds: list(reading.values("x-consentry-kind")),
            evidence: lines.collect(),
        }
    }
}

/// Said twice, the stricter counts; a word we do not know says nothing.
fn class(values: &[&str]) -> Option<Class> {
    let is = |value: &&str, class: Class| value.trim().eq_ignore_ascii_case(class.as_str());
    if values.iter().any(|value| is(value, Class::Promotional)) {
        return Some(Class::Promotional);
    }
    let service = !values.is_empty() && values.iter().all(|value| is(value, Class::Service));
    service.then_some(Class::Service)
}

fn list(values: &[&str]) -> Option<Vec<String>> {
    let words = values.iter().flat_map(|value| split(value)).collect::<Vec<_>>();
    (!words.is_empty()).then_some(words)
}

/// Several values of one field: comma and space.
pub fn split(value: &str) -> impl Iterator<Item = String> {
    value.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned)
}
