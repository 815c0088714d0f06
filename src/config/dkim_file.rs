//! `[dkim.…]`: the keys that sign what leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{Item, Table};
use super::settings::{DkimDomain, DkimKey};
use super::values::is_host;
use crate::message::dkim::SigningKey;
use crate::smtp::address::domain_key;

pub(super) fn read_dkim(root: &mut Table<'_>) -> BTreeMap<String, DkimDomain> {
    let mut domains = BTreeMap::new();
    for (name, item) in root.named("dkim") {
        let domain = domain_key(name);
        if !is_host(&domain) {
            item.refuse_key::<()>("is no domain; write [dkim.\"exemple.fr\"], the domain of the From address");
        } else if domains.contains_key(&domain) {
            item.refuse_key::<()>("is there already, written otherwise; put its other keys into `also`");
        }
        let read = read_domain(&domain, &item);
        domains.extend(read.map(|read| (domain, read)));
    }
    domains
}

fn read_domain(domain: &str, item: &Item<'_>) -> Option<DkimDomain> {
    item.table(|table| {
        let subdomains = table.or("subdomains", false);
        let first = read_key(table);
        let also = table.item("also").map_or(Some(Vec::new()), |item| item.each(|one| one.table(read_key)));
        let keys: Vec<DkimKey> = first.into_iter().chain(also?).collect();
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|other| other.selector.eq_ignore_ascii_case(&key.selector)) {
                let selector = &key.selector;
                table.refuse::<()>(&format!("two keys have the selector {selector:?}; a selector names one key"));
            }
        }
        Some(DkimDomain { domain: domain.to_owned(), subdomains, keys })
    })
}

fn read_key(table: &mut Table<'_>) -> Option<DkimKey> {
    let selector = match table.item("selector") {
        None => table.refuse("`selector` is missing; write selector = \"gate\", as in gate._domainkey"),
        Some(item) => match item.read::<String>()? {
            text if is_host(&text) => Some(text),
            text => item.refuse(&format!("{text:?} is no selector; write letters, digits and hyphens, like \"gate\"")),
        },
    };
    let Some(item) = table.item("key_file") else {
        return table.refuse("`key_file` is missing; `consentry dkim keygen` makes one");
    };
    let (file, bytes) = item.secret_bytes()?;
    match SigningKey::read(&bytes) {
        Ok(key) => Some(DkimKey { selector: selector?, file, key: Arc::new(key) }),
        Err(error) => item.refuse(&format!("{}: {error}", file.display())),
    }
}
