//! Domains at which anybody can have a mailbox. Whatever such an address is called, a person reads it (R45).

use std::sync::LazyLock;

/// One entry a line, in the order of their bytes; where it is from stands at its top.
const LIST: &str = include_str!("free_mail_domains.txt");

static DOMAINS: LazyLock<Vec<&str>> = LazyLock::new(|| LIST.lines().filter(|line| !line.starts_with('#')).collect());

/// `domain` is a key: lower case, A-labels, no trailing dot.
pub fn is_free_mail(domain: &str) -> bool {
    DOMAINS.binary_search(&domain).is_ok() || is_under_any_ending(domain)
}

/// `yahoo.*` is yahoo.fr, yahoo.co.uk and yahoo.com.br, not yahoo.example.org.
fn is_under_any_ending(domain: &str) -> bool {
    let Some((name, ending)) = domain.split_once('.') else { return false };
    let country = ending.strip_prefix("co.").or_else(|| ending.strip_prefix("com.")).unwrap_or(ending);
    let entry = || name.bytes().chain(*b".*");
    !country.contains('.') && DOMAINS.binary_search_by(|known| known.bytes().cmp(entry())).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::address::domain_key;

    #[test]
    fn providers_of_mailboxes_are_known_and_firms_are_not() {
        let free = [
            "gmail.com",
            "googlemail.com",
            "orange.fr",
            "wanadoo.fr",
            "free.fr",
            "sfr.fr",
            "neuf.fr",
            "bbox.fr",
            "laposte.net",
            "club-internet.fr",
            "numericable.fr",
            "hotmail.fr",
            "hotmail.co.uk",
            "live.fr",
            "outlook.fr",
            "outlook.com",
            "yahoo.fr",
            "yahoo.com.br",
            "yahoo.co.uk",
            "aol.com",
            "gmx.fr",
            "gmx.net",
            "icloud.com",
            "me.com",
            "msn.com",
            "proton.me",
            "protonmail.com",
            "web.de",
            "t-online.de",
            "mail.ru",
            "mailo.com",
            "skynet.be",
            "bluewin.ch",
            "libero.it",
        ];
        let firms = [
            "firm.example",
            "exemple.fr",
            "orange.com",
            "yahoo.example.org",
            "yahoo",
            "notgmail.com",
            "gmail.com.example.org",
            "gmail",
            "mail.gmail.com",
            "",
            "*",
            "aol.*.fr",
            "microsoft.com",
            "contoso.onmicrosoft.com",
        ];
        for domain in free {
            assert!(is_free_mail(domain), "{domain}");
        }
        for domain in firms {
            assert!(!is_free_mail(domain), "{domain}");
        }
    }

    #[test]
    fn the_list_is_in_order_and_each_entry_is_the_key_of_a_domain() {
        assert!(DOMAINS.is_sorted() && DOMAINS.len() > 2000);
        for entry in DOMAINS.iter() {
            let domain = entry.strip_suffix(".*").map_or((*entry).to_owned(), |name| format!("{name}.fr"));
            assert!(domain.contains('.') && domain_key(&domain) == domain, "{entry}");
        }
    }
}
