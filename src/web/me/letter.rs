//! The mail that carries a code, in the language of the page it was asked for on.

use crate::message::language::Language;
use crate::message::own::Letter;
use crate::smtp::address::EmailAddress;

/// `page` is where the code is to be entered. The code stands in the text only: the subject is kept in the journal.
pub fn letter(to: EmailAddress, code: &str, page: &str, language: Language) -> Letter {
    let (subject, text) = match language {
        Language::French => ("Votre code de désabonnement", french(code, page)),
        Language::English => ("Your unsubscribe code", english(code, page)),
    };
    Letter { to, language, subject: subject.to_owned(), text }
}

fn french(code: &str, page: &str) -> String {
    format!(
        "Bonjour,\n\n\
         votre code de désabonnement :\n\n    {code}\n\n\
         Saisissez-le dans les 15 minutes sur la page où vous l’avez demandé :\n{page}\n\n\
         Vous n’avez rien demandé ? Alors vous n’avez rien à faire : sans ce code, rien\n\
         ne change. Ne le communiquez à personne.\n"
    )
}

fn english(code: &str, page: &str) -> String {
    format!(
        "Hello,\n\n\
         your unsubscribe code:\n\n    {code}\n\n\
         Enter it within 15 minutes on the page where you asked for it:\n{page}\n\n\
         You did not ask for anything? Then there is nothing to do: without this code\n\
         nothing changes. Do not pass it on to anybody.\n"
    )
}
