//! Sales taken back: a purchase that was cancelled or paid back later makes nobody a customer (R34).

use std::collections::BTreeMap;

use super::record::Record;
use super::rules::Policy;
use crate::consent::event::{EventType, RecordedEvent};

/// What took each sale back that was, by the number of the sale. A reversal takes back one: the latest before it of the
/// same order; where no order is named, the latest that may have been meant.
pub fn taken_back<'a>(record: &Record<'a>) -> BTreeMap<i64, &'a RecordedEvent> {
    let happened =
        |recorded: &&RecordedEvent| recorded.event.kind == EventType::Purchase && record.has_happened(recorded);
    let purchases: Vec<&RecordedEvent> = record.events().filter(happened).collect();
    let mut taken_back: BTreeMap<i64, &RecordedEvent> = BTreeMap::new();
    for reversal in purchases.iter().filter(|recorded| is_reversal(record.policy, recorded)) {
        let open = |sale: &&&RecordedEvent| {
            matches!(sale.event.state.as_deref(), Some("paid" | "quote"))
                && sale.event.controller == reversal.event.controller
                && sale.at <= reversal.at
                && !taken_back.contains_key(&sale.seq)
        };
        let named =
            purchases.iter().filter(open).rfind(|sale| order(reversal).is_some() && order(sale) == order(reversal));
        let meant = || purchases.iter().filter(open).rfind(|sale| may_be_meant(reversal, sale));
        if let Some(sale) = named.or_else(meant) {
            taken_back.insert(sale.seq, reversal);
        }
    }
    taken_back
}

fn is_reversal(policy: &Policy, recorded: &RecordedEvent) -> bool {
    match recorded.event.state.as_deref() {
        Some("cancelled") => true,
        Some("refunded") => !policy.knobs.refunded_counts,
        _ => false,
    }
}

/// Not the sale of another order, nor of other goods.
fn may_be_meant(reversal: &RecordedEvent, sale: &RecordedEvent) -> bool {
    let families = |recorded: &RecordedEvent| recorded.event.families.clone().unwrap_or_default();
    let (back, sold) = (families(reversal), families(sale));
    let shares = back.is_empty() || sold.is_empty() || back.iter().any(|family| sold.contains(family));
    shares && (order(reversal).is_none() || order(sale).is_none())
}

/// The shop's number of an order, as `evidence` holds it.
fn order(recorded: &RecordedEvent) -> Option<String> {
    let order = recorded.event.evidence.as_ref()?.get("order")?;
    Some(order.as_str().map_or_else(|| order.to_string(), str::to_owned))
}
