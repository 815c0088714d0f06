//! Who logs in: the user name read out of an AUTH exchange that is passed through.
//!
//! The exchange belongs to the client and upstream (R84). The gate only reads
//! the name, which `[credential]` tables and rules refer to, and keeps nothing
//! else: passwords are never stored.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Watches the client's lines of one exchange.
pub struct Exchange {
    mechanism: String,
    user: Option<String>,
    /// LOGIN: what was said last, and is the name once the password follows it.
    candidate: Option<String>,
}

impl Exchange {
    pub fn new(mechanism: &str) -> Exchange {
        Exchange { mechanism: mechanism.to_ascii_uppercase(), user: None, candidate: None }
    }

    /// The name, once the client has said it; empty when it cannot be read.
    pub fn into_user(self) -> String {
        self.user.unwrap_or_default()
    }

    /// Takes one response of the client. False: it is not base64 (R86).
    pub fn response(&mut self, line: &str) -> bool {
        let text = if line == "=" { "" } else { line };
        let Ok(bytes) = STANDARD.decode(text) else {
            return false;
        };
        if self.user.is_none() {
            let said = clean(self.name_in(&bytes));
            self.user = if self.mechanism == "LOGIN" { self.candidate.take() } else { said.clone() };
            // Once there is a name, the rest is the password.
            self.candidate = said.filter(|_| self.user.is_none());
        }
        true
    }

    fn name_in(&self, response: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(response);
        Some(match self.mechanism.as_str() {
            // authzid NUL authcid NUL password (RFC 4616)
            "PLAIN" => text.split('\0').nth(1)?.to_owned(),
            // Name, then password. An empty initial response (`AUTH LOGIN =`) is neither.
            "LOGIN" => text.into_owned(),
            // user SP digest (RFC 2195)
            "CRAM-MD5" => text.rsplit_once(' ')?.0.to_owned(),
            "XOAUTH2" => text.split('\x01').next()?.strip_prefix("user=")?.to_owned(),
            // n,a=user,^A… (RFC 7628)
            "OAUTHBEARER" => saslname(text.split('\x01').next()?, "a=")?,
            // n,,n=user,r=nonce (RFC 5802)
            scram if scram.starts_with("SCRAM-") => saslname(&text, "n=")?,
            _ => return None,
        })
    }
}

/// Whether two user names mean one account. Mail servers ignore case in them, so a name that differs only there is no
/// other user.
pub fn same_user(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// The attribute of that key, with the two characters that RFC 5802 escapes.
fn saslname(text: &str, key: &str) -> Option<String> {
    let name = text.split(',').find_map(|attribute| attribute.strip_prefix(key))?;
    Some(name.replace("=2C", ",").replace("=3D", "="))
}

/// A name fit for the journal. One that is no UTF-8 is one nobody can compare.
fn clean(name: Option<String>) -> Option<String> {
    let clean: String = name?.chars().filter(|c| !c.is_control()).take(320).collect();
    (!clean.is_empty() && !clean.contains(char::REPLACEMENT_CHARACTER)).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_of(mechanism: &str, responses: &[&[u8]]) -> String {
        let mut exchange = Exchange::new(mechanism);
        for response in responses {
            assert!(exchange.response(&STANDARD.encode(response)));
        }
        exchange.into_user()
    }

    #[test]
    fn the_user_name_is_read_from_every_mechanism_that_says_it() {
        let table: [(&str, &[&[u8]], &str); 11] = [
            ("PLAIN", &[b"\0shop@exemple.fr\0secret"], "shop@exemple.fr"),
            ("plain", &[b"admin\0shop\0secret"], "shop"),
            ("LOGIN", &[b"shop", b"secret"], "shop"),
            ("LOGIN", &[b"", b"shop", b"secret"], "shop"),
            ("LOGIN", &[b"", b"", b"shop", b"secret"], "shop"),
            ("CRAM-MD5", &[b"shop b913a602c7eda7a495b4e6e7334d3890"], "shop"),
            ("SCRAM-SHA-256", &[b"n,,n=shop,r=rOprNGfwEbeRWgbNEkqO", b"c=biws,r=x,p=y"], "shop"),
            ("SCRAM-SHA-1", &[b"", b"n,,n=sh=2Cop=3D,r=rOprNG", b"c=biws,r=x,p=y"], "sh,op="),
            ("PLAIN", &[b"\0shop\0caf\xe9"], "shop"),
            ("XOAUTH2", &[b"user=shop@exemple.fr\x01auth=Bearer token\x01\x01"], "shop@exemple.fr"),
            ("OAUTHBEARER", &[b"n,a=shop@exemple.fr,\x01host=x\x01auth=Bearer t\x01\x01"], "shop@exemple.fr"),
        ];
        for (mechanism, responses, expected) in table {
            assert_eq!(user_of(mechanism, responses), expected, "{mechanism}");
        }
    }

    #[test]
    fn a_password_is_never_taken_for_the_name() {
        assert_eq!(user_of("LOGIN", &[b"", b"secret"]), "");
        assert_eq!(user_of("LOGIN", &[b"shop", b""]), "shop");
    }

    #[test]
    fn a_name_that_cannot_be_read_is_none() {
        let table: [(&str, &[&[u8]]); 4] = [
            ("DIGEST-MD5", &[b"username=\"shop\",realm=\"x\""]),
            ("OAUTHBEARER", &[b"n,,\x01auth=Bearer t\x01\x01"]),
            ("PLAIN", &[b"\0caf\xe9\0secret"]),
            ("PLAIN", &[b"secret"]),
        ];
        for (mechanism, responses) in table {
            assert_eq!(user_of(mechanism, responses), "", "{mechanism}");
        }
    }

    #[test]
    fn a_line_that_is_not_base64_is_reported() {
        assert!(!Exchange::new("PLAIN").response("no base64!"));
    }

    #[test]
    fn a_name_carries_no_control_bytes() {
        assert_eq!(user_of("PLAIN", &[b"\0shop\r\nX: y\0secret"]), "shopX: y");
    }
}
