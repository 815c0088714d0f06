//! Which fields the signatures of a message speak for (RFC 6376, RFC 8617).

use super::head::{Field, MessageHead};
use crate::smtp::address::domain_key;

/// Whether a DKIM or ARC signature names a list-unsubscribe field in its `h=`.
///
/// Also when the field is absent: over-signing (RFC 6376 section 5.4.2) makes an addition break the signature.
pub fn signature_covers_list_fields(head: &MessageHead, wire: &[u8]) -> bool {
    signature_covers(head, wire, |name| name == "list-unsubscribe" || name == "list-unsubscribe-post")
}

/// Whether there is a DKIM signature for this domain or one above or below it (relaxed alignment, RFC 7489 section
/// 3.1.1) that looks whole. Nobody looks up its key.
pub fn has_aligned_signature(head: &MessageHead, wire: &[u8], domain: &str) -> bool {
    let below = |one: &str, other: &str| one.strip_suffix(other).is_some_and(|front| front.ends_with('.'));
    head.fields(wire).filter(|field| field.is("DKIM-Signature")).any(|field| {
        let tags = field.unfolded();
        let tag = |name: &str| tag(&tags, name).unwrap_or_default();
        let signs_for = domain_key(tag("d"));
        let is_whole = tag("v") == "1" && ["s", "bh", "b"].iter().all(|name| !tag(name).is_empty());
        let is_aligned = signs_for == domain || below(&signs_for, domain) || below(domain, &signs_for);
        is_whole && is_aligned && signs_for.contains('.') && signed_names(&tags).iter().any(|name| name == "from")
    })
}

/// The value of the first tag of this name (RFC 6376 section 3.2).
fn tag<'a>(tags: &'a str, wanted: &str) -> Option<&'a str> {
    let pairs = tags.split(';').filter_map(|tag| tag.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Whether a signature names a field that is wanted, by lower-case name.
pub fn signature_covers(head: &MessageHead, wire: &[u8], wanted: impl Fn(&str) -> bool) -> bool {
    head.fields(wire).filter(is_signature).any(|field| signed_names(&field.unfolded()).iter().any(|name| wanted(name)))
}

/// Whether a signature speaks for the body, which every one does (RFC 6376 section 3.7; RFC 4870 before it).
pub fn is_signed(head: &MessageHead, wire: &[u8]) -> bool {
    head.fields(wire).any(|field| is_signature(&field) || field.is("ARC-Seal") || field.is("DomainKey-Signature"))
}

fn is_signature(field: &Field<'_>) -> bool {
    field.is("DKIM-Signature") || field.is("ARC-Message-Signature")
}

/// Lower-case names in every `h=` of a tag list (RFC 6376 section 3.2); blanks may stand anywhere around a name.
fn signed_names(tags: &str) -> Vec<String> {
    let lists = tags.split(';').filter_map(|tag| tag.split_once('=')).filter(|(name, _)| name.trim() == "h");
    lists.flat_map(|(_, names)| names.split(':')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::head::HeadLimits;

    #[test]
    fn a_list_field_named_in_h_is_covered_whether_it_is_there_or_not() {
        let table = [
            ("DKIM-Signature: v=1; h=from:to:list-unsubscribe; b=x", true),
            ("DKIM-Signature: v=1; h=From:To:\r\n List-Unsubscribe-Post; b=x", true),
            ("dkim-signature : v=1; h = from : LIST-UNSUBSCRIBE\r\n\t: to; b=x", true),
            ("ARC-Message-Signature: i=1; h=list-unsubscribe; b=x", true),
            ("DKIM-Signature: v=1; h=from:to; b=x\r\nDKIM-Signature: h=list-unsubscribe", true),
            ("DKIM-Signature: v=1; h=from:to; b=list-unsubscribe", false),
            ("DKIM-Signature: v=1; bh=list-unsubscribe; h=from", false),
            ("DKIM-Signature: v=1; h=list-unsubscribes; b=x", false),
            ("X-DKIM-Signature: v=1; h=list-unsubscribe; b=x", false),
            ("List-Unsubscribe: <https://x.example>", false),
        ];
        for (header, expected) in table {
            let wire = format!("{header}\r\n\r\n").into_bytes();
            let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
            assert_eq!(signature_covers_list_fields(&head, &wire), expected, "{header}");
        }
    }

    #[test]
    fn a_signature_counts_as_the_authors_when_it_is_whole_and_aligned() {
        let whole = "DKIM-Signature: v=1; a=rsa-sha256; d=exemple.fr; s=k; h=from:to; bh=x; b=y";
        let table = [
            (whole.to_owned(), true),
            (whole.replace("d=exemple.fr", "d = News.Exemple.FR "), true),
            (whole.replace("exemple.fr", "mail.news.exemple.fr"), true),
            (whole.replace("exemple.fr", "other.exemple.fr"), false),
            (whole.replace("exemple.fr", "xnews.exemple.fr"), false),
            (whole.replace("exemple.fr", "fr"), false),
            (whole.replace("exemple.fr", "mailer.example"), false),
            (whole.replace("d=exemple.fr", "x=1"), false),
            (whole.replace("b=y", "b="), false),
            (whole.replace("bh=x", "bh= "), false),
            (whole.replace("from:to", "to"), false),
            (whole.replace("v=1", "v=2"), false),
            (whole.replace("DKIM-", "ARC-Message-"), false),
        ];
        for (header, expected) in table {
            let wire = format!("{header}\r\n\r\n").into_bytes();
            let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
            assert_eq!(has_aligned_signature(&head, &wire, "news.exemple.fr"), expected, "{header}");
        }
    }
}
