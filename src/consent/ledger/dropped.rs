//! Which rows lost what: the list an act keeps, without which a gap in the record is a breach.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a row may lose: a part of it, or the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    #[serde(rename = "event.personal")]
    EventPersonal,
    #[serde(rename = "event.proof")]
    EventProof,
    #[serde(rename = "message.private")]
    MessagePrivate,
    #[serde(rename = "decision.person")]
    DecisionPerson,
    #[serde(rename = "outcome.text")]
    OutcomeText,
    #[serde(rename = "message")]
    Message,
    #[serde(rename = "decision")]
    Decision,
    #[serde(rename = "outcome")]
    Outcome,
    /// The mark of an objection, by the number of the act that says it.
    #[serde(rename = "suppression")]
    Suppression,
}

/// Row numbers, as ranges from the first to the last that touch no other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rows(BTreeMap<i64, i64>);

impl Rows {
    fn add(&mut self, mut first: i64, mut last: i64) {
        while let Some((&from, &to)) = self.0.range(..=last.saturating_add(1)).next_back()
            && to >= first.saturating_sub(1)
        {
            self.0.remove(&from);
            (first, last) = (first.min(from), last.max(to));
        }
        self.0.insert(first, last);
    }

    fn contains(&self, row: i64) -> bool {
        self.0.range(..=row).next_back().is_some_and(|(_, last)| *last >= row)
    }
}

/// Which rows lost which part. In JSON `{"decision.person": [[4, 7], [9, 9]]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Part, Vec<(i64, i64)>>", into = "BTreeMap<Part, Vec<(i64, i64)>>")]
pub struct Dropped(BTreeMap<Part, Rows>);

impl Dropped {
    pub fn add(&mut self, part: Part, row: i64) {
        self.0.entry(part).or_default().add(row, row);
    }

    pub fn contains(&self, part: Part, row: i64) -> bool {
        self.0.get(&part).is_some_and(|rows| rows.contains(row))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rows lost this part.
    pub fn count(&self, part: Part) -> i64 {
        self.ranges(part).map(|(first, last)| last - first + 1).sum()
    }

    /// From the first to the last of each stretch.
    pub fn ranges(&self, part: Part) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.0.get(&part).into_iter().flat_map(|rows| rows.0.iter().map(|(first, last)| (*first, *last)))
    }

    pub fn extend(&mut self, other: &Dropped) {
        for (part, rows) in &other.0 {
            rows.0.iter().for_each(|(first, last)| self.0.entry(*part).or_default().add(*first, *last));
        }
    }
}

impl From<BTreeMap<Part, Vec<(i64, i64)>>> for Dropped {
    fn from(listed: BTreeMap<Part, Vec<(i64, i64)>>) -> Dropped {
        let mut dropped = Dropped::default();
        for (part, ranges) in listed {
            let orderly = ranges.into_iter().filter(|(first, last)| first <= last);
            orderly.for_each(|(first, last)| dropped.0.entry(part).or_default().add(first, last));
        }
        dropped
    }
}

impl From<Dropped> for BTreeMap<Part, Vec<(i64, i64)>> {
    fn from(dropped: Dropped) -> Self {
        dropped.0.into_iter().map(|(part, rows)| (part, rows.0.into_iter().collect())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_that_touch_are_one_stretch() {
        let mut dropped = Dropped::default();
        [7, 4, 5, 6, 9].into_iter().for_each(|row| dropped.add(Part::DecisionPerson, row));
        let json = serde_json::to_string(&dropped).unwrap();
        assert_eq!(json, r#"{"decision.person":[[4,7],[9,9]]}"#);
        assert_eq!(serde_json::from_str::<Dropped>(&json).unwrap(), dropped);
        assert_eq!(dropped.count(Part::DecisionPerson), 5);
        assert!(serde_json::from_str::<Dropped>(r#"{"head":[[1,2]]}"#).is_err());
    }

    proptest! {
        #[test]
        fn exactly_what_was_added_is_contained(rows in prop::collection::vec(1i64..40, 0..30), more in prop::collection::vec(1i64..40, 0..9)) {
            let (mut dropped, mut other) = (Dropped::default(), Dropped::default());
            rows.iter().for_each(|row| dropped.add(Part::Message, *row));
            more.iter().for_each(|row| other.add(Part::Message, *row));
            dropped.extend(&other);
            let known: BTreeSet<i64> = rows.into_iter().chain(more).collect();
            for row in 0..42 {
                prop_assert_eq!(dropped.contains(Part::Message, row), known.contains(&row));
            }
            prop_assert_eq!(dropped.count(Part::Message), known.len() as i64);
            prop_assert!(!dropped.contains(Part::Outcome, 1));
        }
    }
}
