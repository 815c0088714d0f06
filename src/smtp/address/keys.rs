//! Look-up keys: which spellings are one mailbox.
//!
//! Every wider key is a function of the narrower one, so what consent joins an objection joins too.

use std::borrow::Cow;

use caseless::Caseless;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

use super::{EmailAddress, address_literal, is_dot_string};

/// How far an objection reaches beyond the address it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Width {
    /// `user+tag@` is `user@`.
    pub subaddress: bool,
    /// Spellings that a known provider delivers into one mailbox are one.
    pub provider_alias: bool,
}

impl Width {
    pub const NARROWEST: Width = Width { subaddress: false, provider_alias: false };
    pub const WIDEST: Width = Width { subaddress: true, provider_alias: true };
}

/// A provider whose mailboxes answer to more than one spelling.
struct Provider {
    /// The first one stands for all.
    domains: &'static [&'static str],
    /// Characters of the local part that do not matter there.
    ignored: &'static [char],
}

/// Only what the providers themselves document.
const PROVIDERS: [Provider; 3] = [
    Provider { domains: &["gmail.com", "googlemail.com"], ignored: &['.'] },
    Provider { domains: &["icloud.com", "me.com", "mac.com"], ignored: &[] },
    Provider { domains: &["proton.me", "protonmail.com", "pm.me", "protonmail.ch"], ignored: &['.', '-', '_'] },
];

/// The domain in lower case, as A-labels (UTS 46), without a trailing dot; address literals in one spelling.
pub fn domain_key(domain: &str) -> String {
    address_literal(domain).or_else(|| a_labels(domain)).unwrap_or_else(|| consent_fold(domain.trim_end_matches('.')))
}

/// `None` when the name has no A-label form.
pub(super) fn a_labels(domain: &str) -> Option<String> {
    match Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore) {
        Ok(name) => Some(without_root(name.into_owned())),
        // A broken `xn--` label is still a name that can be written and compared.
        Err(_) if domain.is_ascii() => Some(without_root(domain.to_ascii_lowercase())),
        Err(_) => None,
    }
}

fn without_root(mut name: String) -> String {
    if name.ends_with('.') {
        name.pop();
    }
    name
}

pub(super) fn consent_key(address: &EmailAddress) -> String {
    join(&consent_fold(&unquoted(address.local_part())), &address.domain_key())
}

pub(super) fn objection_key(address: &EmailAddress, width: Width) -> String {
    let mut local = objection_fold(&consent_fold(&unquoted(address.local_part())));
    let mut domain = address.domain_key();
    if width.provider_alias
        && let Some(provider) = PROVIDERS.iter().find(|provider| provider.domains.contains(&domain.as_str()))
    {
        local = without_ignored(&local, provider.ignored);
        domain = provider.domains[0].to_owned();
    }
    if width.subaddress {
        local.truncate(base_length(&local));
    }
    join(&local, &domain)
}

/// Takes the ignored characters out of the base, so that this and cutting the tag commute. A base made of nothing
/// else stays: it would be nobody's.
fn without_ignored(local: &str, ignored: &[char]) -> String {
    let (base, tag) = local.split_at(base_length(local));
    let bare = base.replace(ignored, "");
    format!("{}{tag}", if bare.is_empty() || bare.starts_with('+') { base } else { &bare })
}

/// What stands before the `+tag`; a local part that begins with `+` is all base.
fn base_length(local: &str) -> usize {
    local.find('+').filter(|&at| at > 0).unwrap_or(local.len())
}

/// Without quotes and escapes; folding comes after, so that no escape hides a letter.
fn unquoted(local: &str) -> Cow<'_, str> {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(local);
    };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    Cow::Owned(text)
}

/// NFC and lower case. Normalised again at the end: a lower-case letter may compose where its capital did not.
fn consent_fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// NFKC with full case folding and without invisible characters (Unicode's NFKC_Casefold).
fn objection_fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let visible = text.chars().filter(|&character| !is_ignorable(character));
    visible.nfd().default_case_fold().nfkd().default_case_fold().nfkc().collect()
}

/// `Default_Ignorable_Code_Point`.
fn is_ignorable(character: char) -> bool {
    matches!(character, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// One spelling per mailbox: quoted only where the local part needs it.
fn join(local: &str, domain: &str) -> String {
    let local = if is_dot_string(local) { local.to_owned() } else { quoted(local) };
    if domain.is_empty() { local } else { format!("{local}@{domain}") }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
    out
}
