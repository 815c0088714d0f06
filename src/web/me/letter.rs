//! The mail that carries a code, in the language of the page it was asked for on.

use crate::message::own::Letter;
use crate::smtp::address::EmailAddress;
use crate::web::locale::Locale;

/// `page` is where the code is to be entered. The code stands in the text only: the subject is kept in the journal.
pub fn letter(to: EmailAddress, code: &str, page: &str, locale: &Locale) -> Letter {
    let text = locale.say("code-text", &[("code", code.to_owned().into()), ("page", page.to_owned().into())]);
    Letter { to, language: locale.tag(), subject: locale.say("code-subject", &[]), text: format!("{text}\n") }
}
