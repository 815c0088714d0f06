//! The languages this program speaks to people in.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    #[default]
    English,
    French,
}

/// A tag of no language we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownLanguage;

impl Language {
    pub const ALL: [Language; 2] = [Language::English, Language::French];

    /// The first of these tags we have a text in.
    pub fn first_of<'a>(tags: impl IntoIterator<Item = &'a String>) -> Language {
        tags.into_iter().find_map(|tag| Language::from_tag(tag)).unwrap_or_default()
    }

    /// The primary language of a tag (RFC 5646): `fr-CA` is French.
    pub fn from_tag(tag: &str) -> Option<Language> {
        let primary = tag.trim().split('-').next()?.to_ascii_lowercase();
        Language::ALL.into_iter().find(|language| language.tag() == primary)
    }

    pub fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::French => "fr",
        }
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(tag: &str) -> Result<Language, UnknownLanguage> {
        Language::from_tag(tag).ok_or(UnknownLanguage)
    }
}

impl fmt::Display for UnknownLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = Language::ALL.map(Language::tag);
        write!(f, "no language this program speaks; write one of {}", tags.join(", "))
    }
}

impl std::error::Error for UnknownLanguage {}
