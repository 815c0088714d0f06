//! From which page a form was sent in, as the browser says it. A page elsewhere may show a form only where the policy
//! names its web site.

use axum::http::header::{HeaderMap, HeaderName, ORIGIN};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where a form was filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// On our own page, or nobody says where: the stamp has to show that it was.
    Ours,
    /// On a web site that may show the form.
    Listed(String),
    Foreign,
}

/// Our pages ask for no referrer, so that browsers say `Origin: null` of them: then `Sec-Fetch-Site` tells. Neither of
/// it can be set by another page; what is no browser can say anything, and is held to the limits like everybody.
pub fn page(headers: &HeaderMap, origins: &[String], base_url: &str) -> Page {
    let said = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    let origin = said(ORIGIN);
    if let Some(listed) = origin.iter().find(|origin| origins.contains(origin)) {
        return Page::Listed(listed.clone());
    }
    match (said(SEC_FETCH_SITE).as_deref(), origin.as_deref()) {
        (Some("same-origin" | "none"), _) | (None, None | Some("null")) => Page::Ours,
        (None, Some(origin)) if origin == origin_of(base_url) => Page::Ours,
        _ => Page::Foreign,
    }
}

fn origin_of(base_url: &str) -> String {
    let (scheme, behind) = base_url.split_once("://").unwrap_or(("https", base_url));
    let host = behind.split('/').next().unwrap_or_default();
    format!("{scheme}://{host}").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_page_and_listed_web_sites_send_a_form_in() {
        let origins = ["https://exemple.fr".to_owned()];
        let table = [
            (None, None, Page::Ours),
            (Some("null"), None, Page::Ours),
            (Some("null"), Some("same-origin"), Page::Ours),
            (Some("https://consent.exemple.fr"), None, Page::Ours),
            (Some("https://consent.exemple.fr"), Some("same-origin"), Page::Ours),
            (Some("https://exemple.fr"), Some("same-site"), Page::Listed("https://exemple.fr".into())),
            (Some("https://Exemple.fr"), None, Page::Listed("https://exemple.fr".into())),
            (Some("null"), Some("cross-site"), Page::Foreign),
            (None, Some("cross-site"), Page::Foreign),
            (Some("https://evil.example"), Some("cross-site"), Page::Foreign),
            (Some("https://evil.example"), None, Page::Foreign),
            (Some("http://exemple.fr"), None, Page::Foreign),
            (Some("https://exemple.fr.evil.example"), Some("cross-site"), Page::Foreign),
            (Some("https://other.exemple.fr"), Some("same-site"), Page::Foreign),
        ];
        for (origin, site, expected) in table {
            let mut headers = HeaderMap::new();
            origin.iter().for_each(|origin| _ = headers.insert(ORIGIN, origin.parse().unwrap()));
            site.iter().for_each(|site| _ = headers.insert(SEC_FETCH_SITE, site.parse().unwrap()));
            assert_eq!(page(&headers, &origins, "https://consent.exemple.fr/p"), expected, "{origin:?} {site:?}");
        }
    }
}
