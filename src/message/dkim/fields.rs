//! Which header fields a signature covers, and what of them is hashed: `relaxed` (RFC 6376 section 3.4.2).

use crate::message::head::{Field, MessageHead};
use crate::smtp::address::domain_key;

/// Whether a field that is added later breaks the signature (RFC 6376 sections 5.4.2 and 8.15).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Those that are there are signed. Another one may come.
    Open,
    /// Where one is there, no second one may come.
    NoSecond,
    /// None may come, be one there or not: nobody on the way adds it, and readers act on it.
    NoOther,
}

/// RFC 6376 section 5.4.1, RFC 8058 section 4 and `Feedback-ID`, which counts at mailbox providers only when signed. Not
/// what is changed on the way: `Received`, `Return-Path`. Relays add a missing `Date`, `Message-ID`, `To` or MIME field,
/// so those are not guarded while they are missing.
const SIGNED: &[(&str, Guard)] = &[
    ("from", Guard::NoOther),
    ("sender", Guard::NoSecond),
    ("reply-to", Guard::NoOther),
    ("subject", Guard::NoOther),
    ("date", Guard::NoSecond),
    ("message-id", Guard::NoSecond),
    ("to", Guard::NoSecond),
    ("cc", Guard::NoOther),
    ("mime-version", Guard::NoSecond),
    ("content-type", Guard::NoSecond),
    ("content-transfer-encoding", Guard::NoSecond),
    ("content-language", Guard::Open),
    ("in-reply-to", Guard::Open),
    ("references", Guard::Open),
    ("auto-submitted", Guard::Open),
    ("list-id", Guard::NoSecond),
    ("list-unsubscribe", Guard::NoSecond),
    ("list-unsubscribe-post", Guard::NoSecond),
    ("list-help", Guard::Open),
    ("list-subscribe", Guard::Open),
    ("list-post", Guard::Open),
    ("list-owner", Guard::Open),
    ("list-archive", Guard::Open),
    ("feedback-id", Guard::Open),
    ("resent-from", Guard::Open),
    ("resent-to", Guard::Open),
    ("resent-cc", Guard::Open),
    ("resent-date", Guard::Open),
    ("resent-message-id", Guard::Open),
];

/// The fields of one header section that a signature covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedFields {
    /// As they stand in `h=`: a name once for each instance, and once more where another one would break the signature.
    pub(super) names: Vec<&'static str>,
    /// What is hashed of them.
    pub(super) canonical: Vec<u8>,
}

impl SignedFields {
    /// `wire` holds the header section as it leaves, and may hold more.
    ///
    /// `None`: readers differ on which fields it has, or on who wrote it (RFC 6376 section 3.8).
    pub fn of(head: &MessageHead, wire: &[u8]) -> Option<SignedFields> {
        let fields: Vec<Field<'_>> = head.fields(wire).collect();
        author_field(head, wire)?;
        let mut names = Vec::new();
        for (name, guard) in SIGNED {
            if fields.iter().any(|field| field.is(name) && field.is_obsolete()) {
                continue; // one verifier would find it, the next one would not
            }
            let there = fields.iter().filter(|field| field.is(name)).count();
            let more = match guard {
                Guard::Open => 0,
                Guard::NoSecond => usize::from(there > 0),
                Guard::NoOther => 1,
            };
            names.extend(std::iter::repeat_n(*name, there + more));
        }
        let canonical = canonical_fields(&fields, &names);
        Some(SignedFields { names, canonical })
    }
}

/// The one domain all authors of a message have; `None` where there are several, or readers may differ about them.
pub fn author_domain(head: &MessageHead, wire: &[u8]) -> Option<String> {
    let addresses = author_field(head, wire)?.addresses();
    let domain = |address: &String| address.rsplit_once('@').map(|(_, domain)| domain_key(domain));
    let mut domains = addresses.iter().map(domain);
    let first = domains.next()??;
    domains.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

fn author_field<'a>(head: &'a MessageHead, wire: &'a [u8]) -> Option<Field<'a>> {
    let mut authors = head.fields(wire).filter(|field| field.is("From"));
    let author = authors.next().filter(|field| !field.is_obsolete())?;
    (authors.next().is_none() && !head.anomalies().is_malformed()).then_some(author)
}

/// What is hashed for an `h=` with these names: each name stands for the last instance that no earlier one stood for,
/// or for nothing (RFC 6376 section 5.4.2).
pub(super) fn canonical_fields(fields: &[Field<'_>], names: &[&str]) -> Vec<u8> {
    let mut canonical = Vec::new();
    let mut taken = vec![false; fields.len()];
    for name in names {
        let last = fields.iter().enumerate().rev().find(|(n, field)| !taken[*n] && field.is(name));
        if let Some((n, field)) = last {
            taken[n] = true;
            canonical.extend_from_slice(name.as_bytes());
            canonical.push(b':');
            relax(field.raw_value(), &mut canonical);
            canonical.extend_from_slice(b"\r\n");
        }
    }
    canonical
}

/// On one line, without stuffed dots, white space reduced to one blank and none at either end.
fn relax(raw: &[u8], out: &mut Vec<u8>) {
    let mut words = 0;
    for (index, line) in raw.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let line = if index > 0 { line.strip_prefix(b".").unwrap_or(line) } else { line };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        for word in line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()) {
            if words > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
            words += 1;
        }
    }
}
