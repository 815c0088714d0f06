//! A message the gate itself writes to a person: one text in one language.

use jiff::Zoned;

use super::edit::InsertedField;
use super::encoded_word;
use super::notice::encoding::{dot_stuffed, quoted_printable};
use super::trace::date;
use crate::smtp::address::EmailAddress;

/// What characters end an unquoted phrase (RFC 5322 section 3.2.3).
const SPECIALS: &str = "()<>[]:;@\\,.\"";

/// What one message says, and to whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    pub to: EmailAddress,
    /// What the text is written in (RFC 5646).
    pub language: String,
    /// Kept in the journal with the other fields classification reads: no secret belongs here.
    pub subject: String,
    /// Lines end with `\n`.
    pub text: String,
}

/// Everything that stands around it.
#[derive(Clone, Copy)]
pub struct Letterhead<'a> {
    pub from: &'a EmailAddress,
    /// May be empty.
    pub from_name: &'a str,
    pub date: &'a Zoned,
    /// Without angle brackets.
    pub message_id: &'a str,
}

/// A text may hold a secret and an address is personal: neither is shown.
impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("language", &self.language).finish_non_exhaustive()
    }
}

impl Letter {
    /// The message in wire form, without the final dot line. `Auto-Submitted` keeps other machines from answering
    /// (RFC 3834 section 5).
    pub fn to_wire(&self, head: &Letterhead<'_>) -> Vec<u8> {
        let body = self.text.lines().map(|line| format!("{line}\r\n")).collect::<String>();
        let fields = [
            InsertedField::folded("From", &[phrase(head.from_name), format!("<{}>", head.from)]),
            InsertedField::new("To", &format!("<{}>", self.to)),
            InsertedField::folded("Subject", &words(&encoded_word::encode(&self.subject))),
            InsertedField::new("Date", &date(head.date)),
            InsertedField::new("Message-ID", &format!("<{}>", head.message_id)),
            InsertedField::new("Auto-Submitted", "auto-generated"),
            InsertedField::new("MIME-Version", "1.0"),
            InsertedField::new("Content-Type", "text/plain; charset=utf-8"),
            InsertedField::new("Content-Language", &self.language),
            InsertedField::new("Content-Transfer-Encoding", "quoted-printable"),
        ];
        let mut message: Vec<u8> = fields.iter().flat_map(|field| field.to_wire().into_bytes()).collect();
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(&quoted_printable(body.as_bytes()));
        dot_stuffed(&message)
    }
}

/// A display name as it may stand before an address.
fn phrase(name: &str) -> String {
    if !name.is_ascii() || !name.contains(|character| SPECIALS.contains(character)) {
        return encoded_word::encode(name);
    }
    let quoted = |character| match character {
        '"' | '\\' => format!("\\{character}"),
        other => other.to_string(),
    };
    format!("\"{}\"", name.chars().map(quoted).collect::<String>())
}

/// Encoded words are folded between each other, and so is plain text.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    fn wire(letter: &Letter, from_name: &str) -> Vec<u8> {
        let date = "2026-05-15T10:00:00+02:00[Europe/Paris]".parse().unwrap();
        let from = address("no-reply@exemple.fr");
        letter.to_wire(&Letterhead { from: &from, from_name, date: &date, message_id: "1@gate.example" })
    }

    fn letter(subject: &str, text: &str) -> Letter {
        Letter { to: address("anna@x.example"), language: "fr".to_owned(), subject: subject.into(), text: text.into() }
    }

    #[test]
    fn another_parser_reads_what_was_written() {
        let text = "Voilà votre code :\n\n    123456\n\n.une ligne qui commence par un point\nfin = fin\n";
        let subject = "Votre code pour ne plus recevoir de publicité de la Librairie Exemple à Évreux";
        let wire = wire(&letter(subject, text), "Librairie « Exemple »");
        assert!(wire.is_ascii() && wire.split(|byte| *byte == b'\n').all(|line| line.len() <= 78));
        let unstuffed = String::from_utf8(wire).unwrap().replace("\r\n..", "\r\n.");
        let read = MessageParser::default().parse(unstuffed.as_bytes()).unwrap();
        assert_eq!(read.subject(), Some(subject));
        assert_eq!(read.body_text(0).unwrap().replace("\r\n", "\n"), text);
        let from = read.from().unwrap().first().unwrap();
        assert_eq!((from.name(), from.address()), (Some("Librairie « Exemple »"), Some("no-reply@exemple.fr")));
        assert_eq!(read.message_id(), Some("1@gate.example"));
        assert_eq!(read.date().unwrap().to_rfc3339(), "2026-05-15T10:00:00+02:00");
        let auto = read.header("Auto-Submitted").and_then(|value| value.as_text());
        assert_eq!(auto, Some("auto-generated"));
    }

    #[test]
    fn a_name_can_break_out_of_nothing() {
        for name in ["Shop, \"the\" <best>", "a\r\nBcc: eve@x.example", "(", "", "Dupont & fils"] {
            let wire = String::from_utf8(wire(&letter("s", "t"), name)).unwrap();
            let read = MessageParser::default().parse(wire.as_bytes()).unwrap();
            assert_eq!(read.from().unwrap().as_list().unwrap().len(), 1, "{name}");
            assert_eq!(read.from().unwrap().first().unwrap().address(), Some("no-reply@exemple.fr"), "{name}");
            assert!(read.header("Bcc").is_none(), "{name}");
            assert_eq!(wire.matches("\r\n\r\n").count(), 1, "{name}");
        }
    }

    #[test]
    fn debugging_shows_neither_text_nor_address() {
        let shown = format!("{:?}", letter("s", "code 123456"));
        assert!(!shown.contains("123456") && !shown.contains("anna"), "{shown}");
    }
}
