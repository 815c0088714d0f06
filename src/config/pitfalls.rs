//! Combinations of a policy that are allowed and do something else than they seem to say.

use crate::policy::rules::{B2bMode, BodyOptout, Class, Controller, ControllerKind, Mode, Policy, Rule, Topic};

const DAYS_OF_A_YEAR: u32 = 365;

/// A sentence each, with what would be meant.
pub(super) fn pitfalls(policy: &Policy) -> Vec<String> {
    let mut told: Vec<String> = switches(policy).into_iter().map(str::to_owned).collect();
    told.extend(policy.controllers.values().filter_map(|controller| without_topic(policy, controller)));
    told.extend(policy.topics.values().filter_map(families_of_own_consent));
    told.extend(lone_families(policy));
    told.extend(policy.family_groups.iter().filter(|(_, families)| families.len() < 2).map(|(name, _)| {
        format!("family_group.{name} holds no two families, so it says that nothing is alike; name them together")
    }));
    told.extend(policy.rules.iter().flat_map(|rule| of_rule(policy, rule)));
    told
}

fn switches(policy: &Policy) -> Vec<&'static str> {
    let knobs = &policy.knobs;
    let kind = |controller: &Controller| controller.kind == ControllerKind::Company;
    let shortened = u32::from(knobs.expiry_margin_days) >= DAYS_OF_A_YEAR * u32::from(knobs.retention_years);
    let known = [
        (
            policy.mode == Mode::Monitor,
            "mode is monitor: everything is forwarded, and what would have been withheld is only recorded",
        ),
        (
            policy.unknown_class == Class::Service,
            "unknown_class is service: advertising that no rule knows reaches everybody",
        ),
        (
            policy.class_conflict == Class::Service,
            "class_conflict is service: advertising whose marks contradict each other reaches everybody",
        ),
        (policy.controllers.is_empty(), "the policy has no controller: all promotional mail is withheld"),
        (
            shortened,
            "expiry_margin_days takes all of retention_years away: no consent outlives the day it was given; write less",
        ),
        (
            knobs.non_commercial && policy.controllers.values().all(kind),
            "non_commercial is on, and no controller is a charity or an association: it opens nothing; set its kind",
        ),
        (
            knobs.free_account_counts_as_sale,
            "free_account_counts_as_sale is on: the CNIL asks for a purchase; have the reason for it at hand",
        ),
        (
            knobs.quote_counts_as_sale,
            "quote_counts_as_sale is on: who asked for a price is written to as a customer; the CNIL asks for a purchase",
        ),
        (!knobs.human_click, "human_click is off: link scanners keep consents alive that nobody remembers giving"),
        (
            knobs.body_optout == BodyOptout::Warn,
            "body_optout is warn: advertising without a way out in its body goes, which the law forbids",
        ),
    ];
    known.into_iter().filter(|(holds, _)| *holds).map(|(_, sentence)| sentence).collect()
}

fn without_topic(policy: &Policy, controller: &Controller) -> Option<String> {
    let has_one = policy.topics.values().any(|topic| topic.controller == controller.id);
    (!has_one).then(|| format!("controller {} has no topic: nobody can consent to anything it sends", controller.id))
}

fn families_of_own_consent(topic: &Topic) -> Option<String> {
    let told = || {
        format!(
            "topic {} names families and wants a consent of its own: customers do not get it whatever they bought",
            topic.path
        )
    };
    (topic.own_consent && !topic.families.is_empty()).then(told)
}

/// Where the policy says what is alike, what it leaves out is like nothing else.
fn lone_families(policy: &Policy) -> Vec<String> {
    let grouped = |family: &&String| policy.family_groups.values().any(|group| group.contains(family));
    let by_topic = policy.topics.values().flat_map(|topic| &topic.families);
    let mut named: Vec<&String> = by_topic.chain(policy.rules.iter().flat_map(|rule| &rule.families)).collect();
    named.sort();
    named.dedup();
    named.retain(|family| !policy.family_groups.is_empty() && !grouped(family));
    let told = |family: &String| {
        format!("family {family} stands in no family_group: of the customers only those who bought {family} get it")
    };
    named.into_iter().map(told).collect()
}

fn of_rule(policy: &Policy, rule: &Rule) -> Vec<String> {
    let is_kind = |kind: &str| rule.kinds.iter().any(|known| known == kind);
    let mut told = Vec::new();
    let controllers = rule.topics.iter().filter_map(|path| policy.topics.get(path)).map(|topic| &topic.controller);
    let company = |id: &String| policy.controllers.get(id).is_some_and(|c| c.kind == ControllerKind::Company);
    if is_kind("non_commercial") && !policy.knobs.non_commercial {
        told.push(format!(
            "rule {} tells of non-commercial mail, and non_commercial is off: it needs consent",
            rule.id
        ));
    } else if is_kind("non_commercial") && rule.controller.iter().chain(controllers).any(company) {
        told.push(format!("rule {} tells of non-commercial mail of a company: it needs consent", rule.id));
    }
    if !rule.functions.is_empty() && policy.knobs.b2b_mode == B2bMode::StrictConsent {
        told.push(format!("rule {} names functions, and b2b_mode is strict_consent: they open nothing", rule.id));
    }
    for topic in rule.topics.iter().filter_map(|path| policy.topics.get(path)) {
        let above = topic.path.rsplit_once('/').filter(|(above, _)| policy.topics.contains_key(*above));
        if let (Some((above, _)), false, true) = (above, topic.own_consent, is_kind("editorial")) {
            told.push(format!(
                "rule {} tells of an editorial letter, and who agreed to {above} gets it; own_consent = true of topic {} asks for a consent to it",
                rule.id, topic.path
            ));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_policy;

    const PARTS: &str = r#"
        [controller.c]
        name = "C"
        domains = ["c.example"]
        privacy_url = "https://c.example/privacy"
        contact = "privacy@c.example"
        [topic.offers]
        controller = "c"
        [topic."offers/books"]
        controller = "c"
        families = ["book"]
    "#;

    fn told(knobs: &str, parts: &str) -> Vec<String> {
        let policy = parse_policy("policy.toml", &format!("{knobs}\n{PARTS}\n{parts}"), &[]);
        pitfalls(&policy.unwrap_or_else(|errors| panic!("{errors}")))
    }

    fn rule(says: &str) -> String {
        format!("[[rule]]\nid = \"r\"\nwhen.from_domain = \"c.example\"\n{says}")
    }

    #[test]
    fn a_policy_that_does_what_it_says_has_no_pitfall() {
        assert_eq!(told("", ""), Vec::<String>::new());
        assert_eq!(told("", "[family_group]\nculture = [\"book\", \"dvd\"]"), Vec::<String>::new());
        assert_eq!(told("", &rule("functions = [\"it\"]\ntopics = [\"offers\"]")), Vec::<String>::new());
    }

    #[test]
    fn each_pitfall_is_told_with_its_place() {
        let own = "[topic.partners]\ncontroller = \"c\"\nown_consent = true\nfamilies = [\"dvd\"]";
        let appeal = rule("kind = \"non_commercial\"\ntopics = [\"offers\"]");
        let table = [
            ("retention_years = 1\nexpiry_margin_days = 365", String::new(), "expiry_margin_days"),
            ("non_commercial = true", String::new(), "no controller is a charity"),
            ("free_account_counts_as_sale = true", String::new(), "free_account_counts_as_sale"),
            ("quote_counts_as_sale = true", String::new(), "quote_counts_as_sale"),
            ("human_click = false", String::new(), "human_click"),
            ("body_optout = \"warn\"", String::new(), "body_optout"),
            ("", own.to_owned(), "topic partners"),
            ("", "[family_group]\nhome = [\"oven\", \"mixer\"]".to_owned(), "family book stands in no family_group"),
            ("", "[family_group]\nculture = [\"book\"]".to_owned(), "family_group.culture"),
            ("", appeal.clone(), "non_commercial is off"),
            ("b2b_mode = \"strict_consent\"", rule("functions = [\"it\"]"), "strict_consent"),
            ("", rule("kind = \"editorial\"\ntopics = [\"offers/books\"]"), "who agreed to offers gets it"),
        ];
        for (knobs, parts, expected) in table {
            let found = told(knobs, &parts);
            assert!(found.len() == 1 && found[0].contains(expected), "{knobs} {parts}: {found:#?}");
        }
        let charity = told("non_commercial = true", &appeal.replace("[[rule]]", "[controller.g]\nname = \"G\"\nkind = \"charity\"\ndomains = [\"g.example\"]\nprivacy_url = \"https://g.example/p\"\ncontact = \"g@g.example\"\n[topic.appeals]\ncontroller = \"g\"\n[[rule]]"));
        assert!(charity.len() == 1 && charity[0].contains("non-commercial mail of a company"), "{charity:#?}");
    }
}
