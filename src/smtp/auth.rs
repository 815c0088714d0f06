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
    responses: usize,
    user: Option<String>,
}

impl Exchange {
    pub fn new(mechanism: &str) -> Exchange {
        Exchange { mechanism: mechanism.to_ascii_uppercase(), responses: 0, user: None }
    }

    /// The name, once the client has said it; empty for mechanisms that never do.
    pub fn into_user(self) -> String {
        self.user.unwrap_or_default()
    }

    /// Takes one response of the client. False: it is not base64 (R86).
    pub fn response(&mut self, line: &str) -> bool {
        let text = if line == "=" { "" } else { line };
        let Ok(bytes) = STANDARD.decode(text) else {
            return false;
        };
        let said = self.name_in(&bytes);
        self.responses += 1;
        self.user = self.user.take().or(said);
        true
    }

    fn name_in(&self, response: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(response);
        let name = match self.mechanism.as_str() {
            // authzid NUL authcid NUL password (RFC 4616)
            "PLAIN" => text.split('\0').nth(1)?,
            "LOGIN" if self.responses == 0 => &text,
            // user SP digest (RFC 2195)
            "CRAM-MD5" => text.rsplit_once(' ')?.0,
            "XOAUTH2" | "OAUTHBEARER" => oauth_user(&text)?,
            // n,,n=user,r=nonce (RFC 5802)
            scram if scram.starts_with("SCRAM-") && self.responses == 0 => {
                text.split(',').find_map(|attribute| attribute.strip_prefix("n="))?
            }
            _ => return None,
        };
        let clean: String = name.chars().filter(|c| !c.is_control()).take(320).collect();
        (!clean.is_empty()).then_some(clean)
    }
}

/// `user=…^A` (XOAUTH2) or `n,a=user,^A…` (RFC 7628).
fn oauth_user(text: &str) -> Option<&str> {
    let head = text.split('\x01').next()?;
    head.strip_prefix("user=").or_else(|| head.split(',').find_map(|part| part.strip_prefix("a=")))
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
        let table: [(&str, &[&[u8]], &str); 7] = [
            ("PLAIN", &[b"\0shop@exemple.fr\0secret"], "shop@exemple.fr"),
            ("plain", &[b"admin\0shop\0secret"], "shop"),
            ("LOGIN", &[b"shop", b"secret"], "shop"),
            ("CRAM-MD5", &[b"shop b913a602c7eda7a495b4e6e7334d3890"], "shop"),
            ("SCRAM-SHA-256", &[b"n,,n=shop,r=rOprNGfwEbeRWgbNEkqO", b"c=biws,r=x,p=y"], "shop"),
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
