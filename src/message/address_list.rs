//! The addresses in an address field (RFC 5322 section 3.4), display names left out.

/// Every address of the value, as written, quotes and all.
///
/// Tolerant on purpose: for the identity check each address a mail reader might show has to count.
pub fn addresses(value: &str) -> Vec<String> {
    let mut reader = Reader::default();
    for character in value.chars() {
        reader.read(character);
    }
    let unclosed = reader.quoted || reader.comment_depth > 0 || reader.in_angle;
    if reader.quoted {
        (reader.outside, reader.angle) = (String::new(), None);
    }
    reader.end_item();
    if unclosed {
        // Readers differ on what an open quote, comment or angle swallows, so nothing is swallowed.
        reader.found.extend(in_angles(value));
    }
    reader.found
}

#[derive(Default)]
struct Reader {
    found: Vec<String>,
    outside: String,
    angle: Option<String>,
    in_angle: bool,
    quoted: bool,
    escaped: bool,
    comment_depth: usize,
}

impl Reader {
    fn read(&mut self, character: char) {
        if self.escaped || (character == '\\' && (self.quoted || self.comment_depth > 0)) {
            self.escaped = !self.escaped;
            self.keep(character);
        } else if self.quoted {
            self.quoted = character != '"';
            self.keep(character);
        } else if self.comment_depth > 0 {
            match character {
                '(' => self.comment_depth += 1,
                ')' => self.comment_depth -= 1,
                _ => {}
            }
        } else {
            self.read_unquoted(character);
        }
    }

    fn read_unquoted(&mut self, character: char) {
        match character {
            '(' => self.comment_depth = 1,
            '<' => {
                if self.angle.is_some() {
                    self.end_item(); // two pairs without a comma: both count
                }
                (self.angle, self.in_angle) = (Some(String::new()), true);
            }
            '>' => self.in_angle = false,
            ',' | ';' if !self.in_angle => self.end_item(),
            ':' if !self.in_angle => self.outside.clear(), // a group's name ended here
            blank if blank.is_whitespace() && self.in_angle => {}
            _ => {
                self.quoted = character == '"';
                self.keep(character);
            }
        }
    }

    fn keep(&mut self, character: char) {
        match &mut self.angle {
            _ if self.comment_depth > 0 => {}
            Some(angle) if self.in_angle => angle.push(character),
            Some(_) => {}
            None => self.outside.push(character),
        }
    }

    fn end_item(&mut self) {
        let outside = std::mem::take(&mut self.outside);
        self.in_angle = false;
        let address = match self.angle.take() {
            Some(angle) => without_route(&angle).to_owned(),
            None => bare_address(outside.trim()),
        };
        if address.contains('@') {
            self.found.push(address);
        }
    }
}

/// `a@b.example`, also with the blanks around `@` and `.` that RFC 5322 section 4.4 still allows.
fn bare_address(text: &str) -> String {
    let is_whole = |word: &&str| word.find('@').is_some_and(|at| at > 0 && at + 1 < word.len());
    if text.starts_with('"') {
        return text.to_owned();
    }
    match text.split_whitespace().find(is_whole) {
        Some(word) => word.to_owned(),
        None => text.split_whitespace().collect(),
    }
}

/// Without the `@a,@b:` of a source route.
fn without_route(address: &str) -> &str {
    match address.strip_prefix('@').and_then(|route| route.split_once(':')) {
        Some((_, mailbox)) => mailbox,
        None => address,
    }
}

fn in_angles(value: &str) -> impl Iterator<Item = String> {
    let inside = value.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or(rest));
    inside.map(|text| without_route(text.trim()).to_owned()).filter(|text| text.contains('@'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_address_counts_and_no_display_name_does() {
        let table: [(&str, &[&str]); 16] = [
            ("anna@x.example", &["anna@x.example"]),
            ("Anna <anna@x.example>", &["anna@x.example"]),
            ("\"Shop, c@d.example\" <a@x.example>, <b@x.example>", &["a@x.example", "b@x.example"]),
            ("Shop (via <c@d.example>) <a@x.example>", &["a@x.example"]),
            ("a@x.example (Anna \\) c@d.example)", &["a@x.example"]),
            ("Friends: a@x.example, B <b@x.example>; c@x.example", &["a@x.example", "b@x.example", "c@x.example"]),
            ("<@r.example,@s.example:a@x.example>", &["a@x.example"]),
            ("\"john doe\"@x.example", &["\"john doe\"@x.example"]),
            ("< \"a b\"@x.example >", &["\"a b\"@x.example"]),
            ("anna @ x . example", &["anna@x.example"]),
            ("info@shop.example <a@x.example>", &["a@x.example"]),
            ("<a@x.example> <b@x.example>", &["a@x.example", "b@x.example"]),
            ("\"open <a@x.example>", &["a@x.example"]),
            ("(open <a@x.example>", &["a@x.example"]),
            ("Ünï <ü@bücher.example>", &["ü@bücher.example"]),
            ("undisclosed-recipients:;", &[]),
        ];
        for (value, expected) in table {
            assert_eq!(addresses(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_and_only_addresses_come_out(text in "[a-z@<>(),;:\"\\\\ é.]{0,60}") {
            prop_assert!(addresses(&text).iter().all(|address| address.contains('@')));
        }
    }
}
