//! Enhanced status codes (RFC 3463): what happened, in three numbers.

use std::fmt;

/// `5.1.1`: class, subject, detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnhancedStatus {
    pub class: u8,
    pub subject: u16,
    pub detail: u16,
}

impl EnhancedStatus {
    pub const fn new(class: u8, subject: u16, detail: u16) -> EnhancedStatus {
        EnhancedStatus { class, subject, detail }
    }

    /// Reads the code that stands first in the text; a comment or words may follow.
    pub fn parse(text: &str) -> Option<EnhancedStatus> {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut numbers = text[..end].split('.');
        let class = numbers.next()?;
        let subject = number(numbers.next()?)?;
        let detail = number(numbers.next()?)?;
        let class = match class {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        numbers.next().is_none().then_some(EnhancedStatus { class, subject, detail })
    }

    /// The first code anywhere in the text, as in `smtp; 550-5.1.1 no such user`.
    pub fn find(text: &str) -> Option<EnhancedStatus> {
        let starts = |c: char| !c.is_ascii_digit() && c != '.';
        text.split(starts).find_map(EnhancedStatus::parse)
    }

    pub fn is_permanent(self) -> bool {
        self.class == 5
    }

    pub fn is_transient(self) -> bool {
        self.class == 4
    }
}

/// One to three digits (RFC 3463 section 2).
fn number(digits: &str) -> Option<u16> {
    ((1..=3).contains(&digits.len())).then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_numbers_and_nothing_else() {
        let table = [
            ("5.1.1", Some("5.1.1")),
            (" 5.1.10 (bad mailbox)", Some("5.1.10")),
            ("4.4.7", Some("4.4.7")),
            ("2.0.0", Some("2.0.0")),
            ("3.1.1", None),
            ("5.1", None),
            ("5.1.1.1", None),
            ("5.1.1234", None),
            ("5..1", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(EnhancedStatus::parse(text).map(|status| status.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_status_is_found_behind_the_reply_code() {
        let table = [
            ("smtp; 550 5.1.1 <a@b.example>: unknown", Some("5.1.1")),
            ("smtp;550-5.2.1 disabled", Some("5.2.1")),
            ("host 192.0.2.1 said: 550 No such user", None),
            ("x-unix; nothing", None),
        ];
        for (text, expected) in table {
            assert_eq!(EnhancedStatus::find(text).map(|status| status.to_string()).as_deref(), expected, "{text}");
        }
    }
}
