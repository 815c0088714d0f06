//! The mail that carries a code, in the language of the page it was asked for on.

use super::codes::Errand;
use super::locale::Locale;
use crate::message::own::Letter;
use crate::smtp::address::EmailAddress;

/// `page` is where the code is to be entered. The code stands in the text only: the subject is kept in the journal. What
/// it is for is said, so that nobody is talked into passing on a code that does more than they think.
pub fn letter(to: EmailAddress, code: &str, (page, errand): (&str, Errand), locale: &Locale) -> Letter {
    let about = [("code", code.to_owned().into()), ("page", page.to_owned().into())];
    let (subject, text) = match errand {
        Errand::Leave => (locale.say("code-subject", &[]), locale.say("code-text", &about)),
        Errand::Own => (locale.say("own-code-subject", &[]), locale.say("own-code-text", &about)),
    };
    Letter { to, language: locale.tag(), subject, text: format!("{text}\n") }
}
