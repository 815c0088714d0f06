//! The knobs of the consent rules: those that are carried out, and those whose basis comes with a later release.

use super::document::{Item, Sole, Table};
use super::values::Name;
use crate::policy::rules::{Class, Knobs, MixedAction, Scope};

const MAX_YEARS: u64 = 3;

pub(super) fn read_knobs(root: &mut Table<'_>) -> Knobs {
    let default = Knobs::default();
    let sources: Option<Vec<Name>> = root.get("doi_sources");
    Knobs {
        doi_sources: sources.map_or(default.doi_sources, |names| names.into_iter().map(|Name(name)| name).collect()),
        doi_window: root.or("doi_window", default.doi_window),
        retention_years: root
            .item("retention_years")
            .and_then(|item| read_years(&item))
            .unwrap_or(default.retention_years),
        expiry_margin_days: root.number("expiry_margin_days", default.expiry_margin_days, 0..=365),
        objection_subaddress: root.or("objection_subaddress", default.objection_subaddress),
        objection_provider_alias: root.or("objection_provider_alias", default.objection_provider_alias),
        complaint_scope: root.word("complaint_scope", Scope::Everything, &[]),
        unsubscribe_scope: root.word("unsubscribe_scope", Scope::Topic, &[]),
        review_request_class: root.word("review_request_class", Class::Service, &[]),
        mixed_action: root.word("mixed_action", MixedAction::Promotional, &[]),
    }
}

/// A hard rule: nobody keeps consent longer than three years without a sign of life.
fn read_years(item: &Item<'_>) -> Option<u8> {
    match item.value().as_integer().and_then(|digits| i64::from_str_radix(digits.as_str(), digits.radix()).ok()) {
        Some(years) if years > MAX_YEARS as i64 => item.refuse(&format!(
            "{years} is more than the {MAX_YEARS} years allowed; write a number from 1 to {MAX_YEARS}"
        )),
        _ => item.number(1..=MAX_YEARS).and_then(|years| years.try_into().ok()),
    }
}

/// Knobs that so far have one value: their default may be written out, anything else would be taken and ignored.
pub(super) fn refuse_later_knobs(root: &mut Table<'_>) {
    use Sole::{Flag, Text};
    let knobs = [
        ("endpoint_grace", Text("24 hours"), "watching the unsubscribe address"),
        ("b2b_mode", Text("inform_and_relevance"), "the basis for professionals"),
        ("generic_mode", Text("allow"), "the basis for generic addresses"),
        ("free_account_counts_as_sale", Flag(false), "the customer exception"),
        ("non_commercial", Flag(false), "the basis for non-commercial mail"),
        ("freq_action", Text("block"), "a frequency cap"),
        ("body_optout", Text("require"), "looking for a way out in the body"),
        ("human_click", Flag(true), "telling clicks of people from those of machines"),
        ("cart_requires_same_family", Flag(true), "the customer exception"),
        ("quote_counts_as_sale", Flag(false), "the customer exception"),
        ("refunded_counts", Flag(false), "the customer exception"),
        ("evidence_retention", Text("5 years"), "purging evidence"),
        ("suppression_retention", Text("unlimited"), "purging suppressions"),
    ];
    for (key, sole, feature) in knobs {
        root.only(key, sole, feature);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Span;

    use super::*;

    #[test]
    fn defaults_are_those_of_the_consent_rules() {
        let knobs = Knobs::default();
        assert_eq!(knobs.retention_years, 3);
        assert_eq!(knobs.doi_window.fieldwise(), Span::new().days(7).fieldwise());
        assert!(knobs.objection_subaddress && knobs.objection_provider_alias);
        assert_eq!((knobs.complaint_scope, knobs.unsubscribe_scope), (Scope::Everything, Scope::Topic));
    }
}
