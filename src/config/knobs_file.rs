//! The knobs of the consent rules.

use std::cmp::Ordering;

use jiff::Span;

use super::document::{Item, Table};
use super::values::{Name, Retention, Switched};
use crate::policy::rules::{B2bMode, BodyOptout, Class, FreqAction, GenericMode, Knobs, MixedAction, Scope};

const MAX_YEARS: u64 = 3;

pub(super) fn read_knobs(root: &mut Table<'_>) -> Knobs {
    let default = Knobs::default();
    let sources: Option<Vec<Name>> = root.get("doi_sources");
    Knobs {
        doi_sources: sources.map_or(default.doi_sources, |names| names.into_iter().map(|Name(name)| name).collect()),
        doi_window: root.or("doi_window", default.doi_window),
        doi_reminder: root.or("doi_reminder", Switched(default.doi_reminder)).0,
        retention_years: root
            .item("retention_years")
            .and_then(|item| read_years(&item))
            .unwrap_or(default.retention_years),
        expiry_margin_days: root.number("expiry_margin_days", default.expiry_margin_days, 0..=365),
        objection_subaddress: root.or("objection_subaddress", default.objection_subaddress),
        objection_provider_alias: root.or("objection_provider_alias", default.objection_provider_alias),
        complaint_scope: root.word("complaint_scope", Scope::Everything, &[]),
        unsubscribe_scope: root.word("unsubscribe_scope", Scope::Topic, &[]),
        unsubscribe_notice: root.or("unsubscribe_notice", default.unsubscribe_notice),
        review_request_class: root.word("review_request_class", Class::Service, &[]),
        mixed_action: root.word("mixed_action", MixedAction::Promotional, &[]),
        b2b_mode: root.word("b2b_mode", B2bMode::InformAndRelevance, &[]),
        generic_mode: root.word("generic_mode", GenericMode::Allow, &[]),
        free_account_counts_as_sale: root.or("free_account_counts_as_sale", default.free_account_counts_as_sale),
        non_commercial: root.or("non_commercial", default.non_commercial),
        freq_action: root.word("freq_action", FreqAction::Block, &[]),
        body_optout: root.word("body_optout", BodyOptout::Require, &[]),
        human_click: root.or("human_click", default.human_click),
        cart_requires_same_family: root.or("cart_requires_same_family", default.cart_requires_same_family),
        quote_counts_as_sale: root.or("quote_counts_as_sale", default.quote_counts_as_sale),
        refunded_counts: root.or("refunded_counts", default.refunded_counts),
        endpoint_grace: root.or("endpoint_grace", default.endpoint_grace),
        evidence_retention: root.or("evidence_retention", Retention(default.evidence_retention)).0,
        suppression_retention: root
            .item("suppression_retention")
            .and_then(|item| read_suppression_retention(&item))
            .unwrap_or(default.suppression_retention),
        retention_notice: root.or("retention_notice", default.retention_notice),
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

/// The mark of an objection outlives everything else: three years at the least, in whichever years they fall.
fn read_suppression_retention(item: &Item<'_>) -> Option<Option<Span>> {
    const THREE_YEARS: i64 = 3;
    let Retention(span) = item.read()?;
    let before_a_leap_day = jiff::civil::date(2024, 1, 1);
    let least = (Span::new().years(THREE_YEARS), before_a_leap_day);
    if span.as_ref().is_some_and(|span| span.compare(least).is_ok_and(Ordering::is_lt)) {
        return item.refuse(
            "is less than the 3 years an objection is kept at least; write \"unlimited\" or \"3 years\" or more",
        );
    }
    Some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_consent_rules() {
        let knobs = Knobs::default();
        assert_eq!(knobs.retention_years, 3);
        assert_eq!(knobs.doi_window.fieldwise(), Span::new().days(7).fieldwise());
        assert!(knobs.objection_subaddress && knobs.objection_provider_alias);
        assert_eq!((knobs.complaint_scope, knobs.unsubscribe_scope), (Scope::Everything, Scope::Topic));
        assert_eq!((knobs.b2b_mode, knobs.generic_mode), (B2bMode::InformAndRelevance, GenericMode::Allow));
        assert_eq!((knobs.freq_action, knobs.body_optout), (FreqAction::Block, BodyOptout::Require));
        assert!(knobs.human_click && knobs.cart_requires_same_family);
        assert!(!knobs.free_account_counts_as_sale && !knobs.quote_counts_as_sale && !knobs.refunded_counts);
        assert!(!knobs.non_commercial);
        assert_eq!(knobs.endpoint_grace.fieldwise(), Span::new().hours(24).fieldwise());
        assert_eq!(knobs.evidence_retention.map(Span::fieldwise), Some(Span::new().years(5).fieldwise()));
        assert!(knobs.suppression_retention.is_none());
        assert_eq!(knobs.retention_notice.fieldwise(), Span::new().days(30).fieldwise());
    }
}
