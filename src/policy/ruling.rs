//! What the rules say of one reading of a message.

use super::declared::split;
use super::matching::Reading;
use super::rules::{Class, Policy, Rule};

/// The rules that match, in their order.
///
/// Of the policy's own rules the first match wins. Where none of them gives a class each rule pack is asked, and
/// in each again the first match wins: two packs that know two programs and disagree are contradicting evidence.
pub struct Ruling<'a> {
    matches: Vec<Match<'a>>,
    /// Whether it is possible that no rule with a class matched.
    open: bool,
    contradiction: bool,
}

struct Match<'a> {
    rule: &'a Rule,
    /// It matches whichever instance of a repeated field counts.
    certain: bool,
}

impl<'a> Ruling<'a> {
    pub fn find(policy: &'a Policy, reading: &Reading<'_>) -> Ruling<'a> {
        let own = policy.sources.first().map(|source| source.name.as_str());
        let mut ruling = Ruling { matches: Vec::new(), open: true, contradiction: false };
        let mut pack_classes: Vec<Class> = Vec::new();
        for rules in policy.rules.chunk_by(|one, next| one.source == next.source) {
            let is_own = rules.first().map(|rule| rule.source.as_str()) == own;
            let settled = ruling.walk(rules, reading);
            match settled {
                Some(_) if is_own => break,
                Some(class) if !pack_classes.contains(&class) => pack_classes.push(class),
                _ => {}
            }
        }
        ruling.contradiction = pack_classes.len() > 1;
        ruling
    }

    /// Goes through one file until a rule settles the class for certain.
    fn walk(&mut self, rules: &'a [Rule], reading: &Reading<'_>) -> Option<Class> {
        for rule in rules {
            let truth = reading.truth(&rule.condition);
            if !truth.possible {
                continue;
            }
            self.matches.push(Match { rule, certain: truth.certain });
            if let (true, Some(class)) = (truth.certain, rule.class) {
                self.open = false;
                return Some(class);
            }
        }
        None
    }

    /// The class they give: the strictest of those possible, none when it is possible that none is given.
    pub fn class(&self, on_contradiction: Class) -> Option<Class> {
        let given = |class: Class| self.matches.iter().any(|found| found.rule.class == Some(class));
        if self.contradiction {
            Some(on_contradiction)
        } else if given(Class::Promotional) {
            Some(Class::Promotional)
        } else {
            (!self.open && given(Class::Service)).then_some(Class::Service)
        }
    }

    pub fn contradicts_itself(&self) -> bool {
        self.contradiction
    }

    /// The rule that decides the class.
    fn deciding(&self) -> Option<&Match<'a>> {
        let promotional = |found: &&Match<'_>| found.rule.class == Some(Class::Promotional);
        let classed = |found: &&Match<'_>| found.rule.class.is_some();
        self.matches.iter().find(promotional).or_else(|| self.matches.iter().find(classed))
    }

    pub fn id(&self) -> &'a str {
        self.deciding().map_or("unknown_class", |found| found.rule.id.as_str())
    }

    pub fn evidence(&self, reading: &Reading<'_>) -> Vec<String> {
        let classed = self.matches.iter().filter(|found| found.rule.class.is_some());
        let mut lines: Vec<String> = classed.flat_map(|found| reading.evidence(&found.rule.condition)).collect();
        lines.dedup();
        lines
    }

    /// What the first match that speaks of it says; of matches that are only possible, all.
    fn first<T>(&self, says: impl Fn(&'a Rule) -> Vec<T>) -> Vec<T> {
        let mut said = Vec::new();
        for found in &self.matches {
            let more = says(found.rule);
            let settled = found.certain && !more.is_empty();
            said.extend(more);
            if settled {
                break;
            }
        }
        said
    }

    pub fn topics(&self, reading: &Reading<'_>) -> Vec<String> {
        self.first(|rule| {
            let named = rule.topics_header.iter().flat_map(|topics| {
                let words = reading.values(&topics.header).iter().flat_map(|value| split(value));
                words.map(|word| topics.map.get(&word).cloned().unwrap_or(word)).collect::<Vec<_>>()
            });
            rule.topics.iter().cloned().chain(named).collect()
        })
    }

    pub fn names(&self, of: fn(&Rule) -> &[String]) -> Vec<String> {
        self.first(|rule| of(rule).to_vec())
    }

    /// The controller a rule names; two that may both be meant are none.
    pub fn controller(&self) -> Option<String> {
        let mut named = self.first(|rule| rule.controller.clone().into_iter().collect());
        named.dedup();
        if named.len() == 1 { named.pop() } else { None }
    }
}
