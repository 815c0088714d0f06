//! The fields that let a recipient leave: List-Unsubscribe (RFC 2369), one-click (RFC 8058), List-Id (RFC 2919).

use std::fmt::Write as _;
use std::ops::Range;

use super::edit::InsertedField;
use super::encoded_word;
use super::head::MessageHead;

/// RFC 5322 section 2.1.1, without the CRLF.
const LONGEST_LINE: usize = 998;

/// The longest one-click URI that fits a line (R54): what encloses it stands beside it.
pub const LONGEST_URI: usize = LONGEST_LINE - "List-Unsubscribe: <>".len();

/// What the list fields of one copy say.
#[derive(Clone, Copy, Debug)]
pub struct ListFields<'a> {
    /// The https URI of this recipient, from the configured address and a sealed token.
    pub one_click: &'a str,
    /// Mailbox that takes unsubscribe mail.
    pub mailto: Option<&'a str>,
    /// `None` where the message brings a List-Id: one of a mailer's is never taken away or doubled.
    pub list_id: Option<&'a str>,
    pub list_label: &'a str,
}

/// Our fields, each on one line: a fold inside `< >` made a signer further on fail (R54).
pub fn list_fields(fields: &ListFields<'_>) -> Vec<InsertedField> {
    let mut value = format!("<{}>", fields.one_click);
    if let Some(mailbox) = fields.mailto {
        let token = fields.one_click.rsplit('/').next().unwrap_or_default();
        let both = format!("{value}, <{}>", mailto_uri(mailbox, &format!("unsubscribe {token}")));
        if "List-Unsubscribe: ".len() + both.len() <= LONGEST_LINE {
            value = both;
        }
    }
    let mut inserted = vec![
        InsertedField::new("List-Unsubscribe", &value),
        InsertedField::new("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ];
    inserted.extend(fields.list_id.map(|id| list_id_field(id, fields.list_label)));
    inserted
}

fn list_id_field(id: &str, label: &str) -> InsertedField {
    let id: String =
        id.chars().filter(|character| character.is_ascii_graphic() && !"<>".contains(*character)).collect();
    // Angle brackets in a label would be read as the identifier.
    let label = label.replace(['<', '>'], " ");
    let label = encoded_word::encode(label.trim());
    let is_atoms = |byte: u8| byte.is_ascii_alphanumeric() || b" -_=?!/+'".contains(&byte);
    let phrase = match label.as_str() {
        "" => None,
        phrase if phrase.bytes().all(is_atoms) => Some(label),
        phrase => Some(format!("\"{}\"", phrase.replace(['"', '\\'], " "))),
    };
    InsertedField::folded("List-Id", &[phrase.unwrap_or_default(), format!("<{id}>")])
}

/// `mailto:` with everything outside RFC 3986's unreserved characters percent-encoded (RFC 6068).
pub fn mailto_uri(mailbox: &str, subject: &str) -> String {
    format!("mailto:{}?subject={}", percent_encoded(mailbox, b"@"), percent_encoded(subject, b""))
}

fn percent_encoded(text: &str, also_plain: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also_plain.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // writing to a String does not fail
        }
    }
    encoded
}

/// Spans of every List-Unsubscribe and List-Unsubscribe-Post, for `existing_list_headers = "replace"`.
pub fn existing_list_fields(head: &MessageHead, wire: &[u8]) -> Vec<Range<usize>> {
    head.spans(wire, |name| name == "list-unsubscribe" || name == "list-unsubscribe-post")
}

/// The mailer's own one-click URI (RFC 8058 section 3.1): the first web address of its List-Unsubscribe, where it says
/// that a POST to it unsubscribes. A mailto, or a page that has to be looked at, is none.
pub fn mailers_one_click(head: &MessageHead, wire: &[u8]) -> Option<String> {
    let field = |name: &str| head.fields(wire).find(|field| field.is(name)).map(|field| field.unfolded());
    let is_one_click = |value: String| value.trim().eq_ignore_ascii_case("List-Unsubscribe=One-Click");
    field("List-Unsubscribe-Post").filter(|value| is_one_click(value.clone()))?;
    let value = field("List-Unsubscribe")?;
    let enclosed = value.split('<').skip(1).filter_map(|rest| rest.split_once('>'));
    let mut uris = enclosed.map(|(uri, _)| uri.split_whitespace().collect::<String>());
    uris.find(|uri| {
        let scheme = uri.split("://").next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
    })
}

/// Spans of every field that only the gate writes; they go from every message that comes in.
pub fn gate_fields(head: &MessageHead, wire: &[u8]) -> Vec<Range<usize>> {
    head.spans(wire, is_gate_field)
}

/// Whether only the gate writes a field of this lower-case name.
pub fn is_gate_field(name: &str) -> bool {
    name.starts_with("x-consentry-")
}

pub fn has_list_id(head: &MessageHead, wire: &[u8]) -> bool {
    head.fields(wire).any(|field| field.is("List-Id"))
}

/// Whether the message's own fields let a recipient leave with one click: what `keep` logs (R55).
pub fn is_one_click_capable(head: &MessageHead, wire: &[u8]) -> bool {
    let has_https = |value: String| value.to_ascii_lowercase().contains("<https://");
    let is_one_click = |value: String| value.eq_ignore_ascii_case("List-Unsubscribe=One-Click");
    head.fields(wire).any(|field| field.is("List-Unsubscribe") && has_https(field.unfolded()))
        && head.fields(wire).any(|field| field.is("List-Unsubscribe-Post") && is_one_click(field.unfolded()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::head::HeadLimits;

    const PLAIN: ListFields<'static> = ListFields {
        one_click: "https://p.example/u/Tok-_9",
        mailto: None,
        list_id: Some("offers.books.c.example"),
        list_label: "Our books",
    };

    fn lines(fields: &ListFields<'_>) -> Vec<String> {
        list_fields(fields).iter().map(InsertedField::to_wire).collect()
    }

    #[test]
    fn the_fields_are_what_rfc_8058_and_2919_ask_for() {
        assert_eq!(
            lines(&PLAIN),
            [
                "List-Unsubscribe: <https://p.example/u/Tok-_9>\r\n",
                "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
                "List-Id: Our books <offers.books.c.example>\r\n",
            ]
        );
        assert_eq!(lines(&ListFields { list_id: None, ..PLAIN }).len(), 2);
    }

    #[test]
    fn a_mailbox_is_a_second_way_out_on_the_same_line() {
        let fields = ListFields { mailto: Some("dés inscription&x@c.example"), ..PLAIN };
        assert_eq!(
            lines(&fields)[0],
            "List-Unsubscribe: <https://p.example/u/Tok-_9>, \
             <mailto:d%C3%A9s%20inscription%26x@c.example?subject=unsubscribe%20Tok-_9>\r\n"
        );
    }

    #[test]
    fn a_line_too_long_for_two_ways_keeps_the_one_click_uri() {
        let start = "https://p.example/u/";
        for token in [600, LONGEST_URI - start.len()] {
            let uri = format!("{start}{}", "t".repeat(token));
            let fields = ListFields { one_click: &uri, mailto: Some("out@c.example"), ..PLAIN };
            assert_eq!(lines(&fields)[0], format!("List-Unsubscribe: <{uri}>\r\n"));
            assert!(lines(&fields)[0].len() <= LONGEST_LINE + "\r\n".len());
        }
    }

    #[test]
    fn a_label_is_a_phrase_whatever_it_holds() {
        let table = [
            ("", "List-Id: <i.c.example>\r\n"),
            ("Livres & \"BD\"", "List-Id: \"Livres &  BD \" <i.c.example>\r\n"),
            ("Évasion", "List-Id: =?utf-8?B?w4l2YXNpb24=?= <i.c.example>\r\n"),
            ("x <evil> y", "List-Id: x  evil  y <i.c.example>\r\n"),
            ("x\r\nBcc: y", "List-Id: =?utf-8?B?eCAgQmNjOiB5?= <i.c.example>\r\n"),
        ];
        for (label, expected) in table {
            let fields = ListFields { list_id: Some("i.c.example"), list_label: label, ..PLAIN };
            assert_eq!(lines(&fields)[2], expected, "{label}");
        }
    }

    #[test]
    fn a_mailers_link_is_one_that_a_post_unsubscribes_by() {
        const POST: &str = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
        let table = [
            (format!("List-Unsubscribe: <https://m.example/u?a=1>\r\n{POST}"), Some("https://m.example/u?a=1")),
            (
                format!("List-Unsubscribe: <mailto:out@m.example>,\r\n <HTTPS://m.example/\r\n u>\r\n{POST}"),
                Some("HTTPS://m.example/u"),
            ),
            (format!("List-Unsubscribe: <mailto:out@m.example>\r\n{POST}"), None),
            ("List-Unsubscribe: <https://m.example/u>\r\n".to_owned(), None),
            ("List-Unsubscribe: <https://m.example/u>\r\nList-Unsubscribe-Post: yes\r\n".to_owned(), None),
            (POST.to_owned(), None),
        ];
        for (header, expected) in table {
            let wire = format!("Subject: x\r\n{header}\r\n").into_bytes();
            let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
            assert_eq!(mailers_one_click(&head, &wire).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn disguised_list_fields_are_found_and_lookalikes_are_not() {
        let found = [
            "List-Unsubscribe: <x>",
            "List-Unsubscribe : <x>",
            "LIST-unsubscribe\t:\r\n <x>",
            "List-Unsubscribe\r\n : <x>",
            ".List-Unsubscribe: <x>",
            "List-Unsubscribe-Post: x",
            "odd line\r\nList-Unsubscribe: <x>",
        ];
        for header in found {
            let wire = format!("Subject: x\r\n{header}\r\nTo: a\r\n\r\nbody\r\n").into_bytes();
            let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
            assert_eq!(existing_list_fields(&head, &wire).len(), 1, "{header}");
        }
        let lookalikes =
            ["X: List-Unsubscribe: <x>", "List-Unsubscribe-Not: x", " List-Unsubscribe: x", "List Unsubscribe: x"];
        for header in lookalikes {
            let wire = format!("Subject: x\r\n{header}\r\n\r\nList-Unsubscribe: <x>\r\n").into_bytes();
            let head = MessageHead::locate(&wire, &HeadLimits::default()).unwrap();
            assert!(existing_list_fields(&head, &wire).is_empty(), "{header}");
        }
    }

    #[test]
    fn the_gates_own_fields_are_found_in_any_case() {
        let wire = b"X-Consentry-Class: service\r\nx-CONSENTRY-Topics : a\r\nX-Consent: b\r\n\r\n";
        let head = MessageHead::locate(wire, &HeadLimits::default()).unwrap();
        assert_eq!(gate_fields(&head, wire), [0..28, 28..52]);
    }
}
