//! The customer exception: advertising for what is like what somebody bought, without consent (R27 to R37).

use super::because::{Because, Fact, Sentence};
use super::decide::{Outcome, Question};
use super::life::{Lifetime, is_contact};
use super::opt_in::opt_in_only;
use super::period;
use super::record::Record;
use super::reversal;
use super::rules::Policy;
use super::verdict::{Basis, Finding, Reason};
use crate::consent::event::{EventType, RecordedEvent};

/// Ways in which the person gave the address to the seller.
const GIVEN_BY_THE_PERSON: [&str; 5] = ["sale", "account", "direct_form", "in_store", "phone"];

/// The conditions on one purchase, in the order in which they are asked: the later, the closer to a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    State,
    Controller,
    Direct,
    Informed,
    RefusalOffered,
}

/// One purchase that makes nobody a customer.
struct Failure {
    condition: Condition,
    reason: Reason,
    because: Because,
    events: Vec<i64>,
}

/// A purchase that opens the exception, and how the address had been given.
#[derive(Clone, Copy)]
struct Sale<'a> {
    bought: &'a RecordedEvent,
    collected: &'a RecordedEvent,
}

/// Somebody who bought, as long as the relation has lasted without a gap: what lies before a gap should be gone.
pub struct Customer<'a> {
    sales: Vec<Sale<'a>>,
    pub life: Lifetime,
}

pub fn customer(question: &Question<'_>) -> Outcome {
    let record = question.record;
    let sales = match sales(record) {
        Ok(sales) => sales,
        Err(Some(failure)) => return Outcome::Fails(failure.reason, failure.because, failure.events),
        Err(None) => return Outcome::NotApplicable,
    };
    let Some(customer) = Customer::of(record, &sales) else { return Outcome::NotApplicable };
    let relied_on = match customer.sells(question) {
        Ok(relied_on) => relied_on,
        Err((reason, fact)) => return Outcome::Fails(reason, fact.into(), vec![customer.latest().bought.seq]),
    };
    if let Some(fact) = opt_in_only(question, customer.latest().bought) {
        return Outcome::Fails(Reason::CustKind, fact.into(), vec![customer.latest().bought.seq]);
    }
    if !customer.life.reaches(record.policy, record.now) {
        let fact = record.fact(Sentence::RelationEnded, customer.latest().bought).until(customer.life.last_day);
        return Outcome::Fails(Reason::CustExpired, fact.into(), customer.events(&[customer.latest()]));
    }
    let because = Because(relied_on.iter().map(|sale| sale.told(record)).collect());
    Outcome::Passes(Finding {
        events: customer.events(&relied_on),
        last_day: Some(customer.life.last_day),
        ..Finding::allow(Reason::OkCustomer, Basis::Customer, because)
    })
}

/// The purchases that open the exception, the oldest first; else the failure that came closest, if anything was bought.
fn sales<'a>(record: &Record<'a>) -> Result<Vec<Sale<'a>>, Option<Failure>> {
    let (mut sales, mut closest): (Vec<Sale<'a>>, Option<Failure>) = (Vec::new(), None);
    let taken_back = reversal::taken_back(record);
    for bought in record.events().filter(|recorded| is_purchase(record, recorded)) {
        match examine(record, bought, taken_back.get(&bought.seq).copied()) {
            Ok(sale) => sales.push(sale),
            Err(failure) if closest.as_ref().is_none_or(|known| failure.condition >= known.condition) => {
                closest = Some(failure);
            }
            Err(_) => {}
        }
    }
    if sales.is_empty() { Err(closest) } else { Ok(sales) }
}

/// A free account of ours is one where the policy says so; what was opened elsewhere is nothing to us.
fn is_purchase(record: &Record<'_>, recorded: &RecordedEvent) -> bool {
    let event = &recorded.event;
    let counts = match event.kind {
        EventType::Purchase => true,
        EventType::Collected => {
            record.policy.knobs.free_account_counts_as_sale
                && event.provenance.as_deref() == Some("account")
                && event.controller == record.controller
        }
        _ => false,
    };
    counts && record.has_happened(recorded)
}

/// `reversal`: what took this purchase back, if anything did.
fn examine<'a>(
    record: &Record<'a>,
    bought: &'a RecordedEvent,
    reversal: Option<&RecordedEvent>,
) -> Result<Sale<'a>, Failure> {
    let event = &bought.event;
    let fails =
        |condition, reason, fact: Fact, events| Err(Failure { condition, reason, because: fact.into(), events });
    let of_bought = |condition, reason, fact| fails(condition, reason, fact, vec![bought.seq]);
    if !is_sale(record.policy, bought) {
        let fact = record.fact(Sentence::NoSale, bought).word(event.state.as_deref().unwrap_or("?"));
        return of_bought(Condition::State, Reason::CustState, fact);
    }
    if let Some(reversal) = reversal {
        let fact = record.fact(Sentence::NoSale, reversal).word(reversal.event.state.as_deref().unwrap_or("?"));
        return fails(Condition::State, Reason::CustState, fact, vec![bought.seq, reversal.seq]);
    }
    if event.controller != record.controller {
        let fact = record.fact(Sentence::BoughtElsewhere, bought).word(&event.controller);
        return of_bought(Condition::Controller, Reason::CustController, fact);
    }
    // An act is judged by the latest collection that is not later than it.
    let Some(collected) = record.collections().filter(|collected| collected.at <= bought.at).last() else {
        let fact = record.fact(Sentence::AddressCameLater, bought);
        return of_bought(Condition::Direct, Reason::CustNotDirect, fact);
    };
    let of_both = |condition, reason, fact| fails(condition, reason, fact, vec![collected.seq, bought.seq]);
    let provenance = collected.event.provenance.as_deref();
    if !provenance.is_some_and(|provenance| GIVEN_BY_THE_PERSON.contains(&provenance)) {
        let fact = match provenance {
            Some(provenance) => record.fact(Sentence::AddressNotGiven, collected).word(provenance),
            None => record.fact(Sentence::AddressFromSomewhere, collected),
        };
        return of_both(Condition::Direct, Reason::CustNotDirect, fact);
    }
    let Some(informed_at) = collected.event.informed_at else {
        let fact = record.fact(Sentence::ToldNothing, collected);
        return of_both(Condition::Informed, Reason::CustNotInformed, fact);
    };
    if informed_at > collected.at {
        let fact = record.fact(Sentence::ToldLater, collected).until(period::day(record.policy, informed_at));
        return of_both(Condition::Informed, Reason::CustNotInformed, fact);
    }
    if collected.event.refusal_offered != Some(true) {
        let fact = record.fact(Sentence::NoRefusalOffered, collected);
        return of_both(Condition::RefusalOffered, Reason::CustNoRefusalOffered, fact);
    }
    Ok(Sale { bought, collected })
}

fn is_sale(policy: &Policy, bought: &RecordedEvent) -> bool {
    match bought.event.state.as_deref() {
        Some("paid") => true,
        Some("quote") => policy.knobs.quote_counts_as_sale,
        Some("refunded") => policy.knobs.refunded_counts,
        Some(_) => false,
        None => bought.event.kind == EventType::Collected,
    }
}

impl<'a> Customer<'a> {
    pub fn find(record: &Record<'a>) -> Option<Customer<'a>> {
        sales(record).ok().and_then(|sales| Customer::of(record, &sales))
    }

    /// Purchases and contacts in their order: what comes in time prolongs the relation, and after a gap only a purchase
    /// begins another one. The end of a contract counts whenever it is, for until then the relation runs.
    fn of(record: &Record<'a>, sales: &[Sale<'a>]) -> Option<Customer<'a>> {
        let policy = record.policy;
        let mut found: Option<Customer<'a>> = None;
        for recorded in record.own().filter(|recorded| record.has_happened(recorded)) {
            let sale = sales.iter().find(|sale| sale.bought.seq == recorded.seq);
            found = match (found.take(), sale) {
                (Some(known), Some(sale)) if known.life.reaches(policy, recorded.at) => {
                    let life = ends_of(record, sales, sale)
                        .fold(known.life.prolonged(policy, recorded), |life, end| life.prolonged(policy, end));
                    let mut sales = known.sales;
                    sales.push(*sale);
                    Some(Customer { sales, life })
                }
                (_, Some(sale)) => {
                    let begun = Lifetime::beginning(policy, recorded.at);
                    let life = ends_of(record, sales, sale).fold(begun, |life, end| life.prolonged(policy, end));
                    Some(Customer { sales: vec![*sale], life })
                }
                (Some(known), None) if is_contact(policy, recorded) => {
                    Some(Customer { life: known.life.with(policy, recorded), ..known })
                }
                (known, None) => known,
            };
        }
        found
    }

    /// The purchases that cover every family the message promotes.
    fn sells(&self, question: &Question<'_>) -> Result<Vec<Sale<'a>>, (Reason, Fact)> {
        let (record, classification) = (question.record, question.classification);
        let told = |sentence| record.fact(sentence, self.latest().bought);
        if classification.families.is_empty() {
            return Err((Reason::CustFamilyUnknown, told(Sentence::MessageNamesNoFamily)));
        }
        if self.sales.iter().all(|sale| sale.families().is_empty()) {
            return Err((Reason::CustFamilyUnknown, told(Sentence::PurchaseNamesNoFamily)));
        }
        let same_only = record.policy.knobs.cart_requires_same_family && classification.is_kind("cart_reminder");
        let mut relied_on: Vec<Sale<'a>> = Vec::new();
        for family in &classification.families {
            let covers = |sale: &&Sale<'a>| {
                sale.families()
                    .iter()
                    .any(|bought| bought == family || !same_only && share_a_group(record.policy, bought, family))
            };
            let Some(sale) = self.sales.iter().rev().find(covers) else {
                return Err((Reason::CustFamily, told(Sentence::BoughtNothingLike).word(family)));
            };
            if !relied_on.iter().any(|known| known.bought.seq == sale.bought.seq) {
                relied_on.push(*sale);
            }
        }
        Ok(relied_on)
    }

    fn latest(&self) -> Sale<'a> {
        *self.sales.last().expect("a relation begins with a purchase")
    }

    fn events(&self, relied_on: &[Sale<'a>]) -> Vec<i64> {
        let sales = relied_on.iter().flat_map(|sale| [sale.collected.seq, sale.bought.seq]);
        sales.chain(self.life.renewed_by).collect()
    }

    /// All that was bought, and everything like it.
    pub fn families(&self, policy: &Policy) -> Vec<String> {
        let bought = self.sales.iter().flat_map(|sale| sale.families());
        let like = |family: &'a String| {
            let groups = policy.family_groups.values().filter(move |group| group.contains(family));
            std::iter::once(family.clone()).chain(groups.flatten().cloned())
        };
        let mut families: Vec<String> = bought.flat_map(like).collect();
        families.sort();
        families.dedup();
        families
    }

    pub fn relied_on(&self) -> Vec<i64> {
        self.events(&self.sales)
    }
}

/// When contracts and warranties of this purchase end: those that end after it, and belong to no later purchase.
fn ends_of<'r, 'a>(
    record: &'r Record<'a>,
    sales: &'r [Sale<'a>],
    sale: &'r Sale<'a>,
) -> impl Iterator<Item = &'a RecordedEvent> + 'r {
    let owner = move |end: &RecordedEvent| {
        let known_by = end.happened_by();
        let latest = sales.iter().rev().find(|sale| sale.bought.at <= known_by);
        latest.or_else(|| sales.iter().find(|sale| sale.bought.at <= end.at)).map(|sale| sale.bought.seq)
    };
    let is_end = |recorded: &&RecordedEvent| recorded.event.kind == EventType::RelationEnd;
    record.own().filter(is_end).filter(move |end| owner(end) == Some(sale.bought.seq))
}

fn share_a_group(policy: &Policy, one: &String, other: &String) -> bool {
    policy.family_groups.values().any(|group| group.contains(one) && group.contains(other))
}

impl<'a> Sale<'a> {
    fn families(&self) -> &'a [String] {
        self.bought.event.families.as_deref().unwrap_or_default()
    }

    fn told(&self, record: &Record<'_>) -> Fact {
        let opened = self.bought.event.kind == EventType::Collected;
        let sentence = if opened { Sentence::OpenedAnAccount } else { Sentence::Bought };
        record.fact(sentence, self.bought).word(self.families().join(", "))
    }
}
