//! `[form.…]`: how people are asked.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::document::{Item, Table};
use super::sender_file::{is_language, read_https};
use super::values::{Name, is_host, is_loopback};
use crate::policy::form::{Form, FormKind, Trace};
use crate::policy::rules::Topic;

/// A form's name stands in addresses, in versions of wordings and in the source of events.
const LONGEST_ID: usize = 60;

/// `topic_names` and `controller_names` include those that were refused: their fault is told once, where it is.
pub(super) fn read_forms(
    root: &mut Table<'_>,
    topics: &BTreeMap<String, Topic>,
    topic_names: &[String],
    controller_names: &[String],
) -> BTreeMap<String, Form> {
    let known = Known { topics, topic_names, controller_names };
    let mut forms = BTreeMap::new();
    for (id, item) in root.named("form") {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(letters) {
            item.refuse_key::<()>(&format!(
                "a form's name stands in its address; write letters, digits, - and _, {LONGEST_ID} at most"
            ));
        }
        forms.extend(item.table(|table| read_form(id, table, &known)).map(|form| (id.to_owned(), form)));
    }
    forms
}

struct Known<'a> {
    topics: &'a BTreeMap<String, Topic>,
    topic_names: &'a [String],
    controller_names: &'a [String],
}

fn read_form(id: &str, table: &mut Table<'_>, known: &Known<'_>) -> Option<Form> {
    let controller = match table.item("controller") {
        Some(item) => item.one_of("controller", known.controller_names.iter().map(String::as_str)),
        None => table.refuse("`controller` is missing; write the name of a [controller.…] table"),
    };
    let kind = table.word("kind", FormKind::Boxes, &[]);
    let listed = table.item("topics");
    let partners = table.section("partners", read_partners);
    let text = table.section("text", read_text);
    let trace = table.word("trace", Trace::None, &[]);
    let double_opt_in = read_double_opt_in(table, kind);
    let origins = table.item("origins").map_or_else(|| Some(Vec::new()), |item| item.each(read_origin));
    let return_url = table.item("return_url").map_or(Some(None), |item| read_https(&item).map(Some));
    let controller = controller?;
    let topics = match &listed {
        Some(item) => read_topics(item, &controller, kind, known)?,
        None => own_topics(&controller, kind, known),
    };
    if topics.is_empty() && listed.is_none() {
        return table.refuse("nothing can be agreed to here; write topics = [\"offers\"]");
    }
    if (kind == FormKind::PartnerBox) == partners.is_empty() {
        return table.refuse(match kind {
            FormKind::PartnerBox => "names no partner; write partners = { acme = \"Acme Ltd\" }",
            _ => "partners are asked for apart from one's own mail; set kind = \"partner_box\", or leave partners out",
        });
    }
    Some(Form {
        id: id.to_owned(),
        controller,
        kind,
        topics,
        partners,
        text,
        trace,
        double_opt_in: double_opt_in?,
        origins: origins?,
        return_url: return_url?,
    })
}

/// A refusal counts as it was said: to wait for a confirmation of it would be to ignore it meanwhile.
fn read_double_opt_in(table: &mut Table<'_>, kind: FormKind) -> Option<bool> {
    let gives_consent = kind != FormKind::RefusalBox;
    let Some(item) = table.item("double_opt_in") else { return Some(gives_consent) };
    let wanted: bool = item.read()?;
    if wanted && !gives_consent {
        return item.refuse("a box to refuse gives no consent that could be confirmed; leave the key out");
    }
    Some(wanted)
}

/// Those that mail is about by the controller's leave; a partner's own and a partner box' want a consent of their own.
fn own_topics(controller: &str, kind: FormKind, known: &Known<'_>) -> Vec<String> {
    let own_consent = kind == FormKind::PartnerBox;
    let own = known.topics.values().filter(|topic| topic.controller == controller && topic.own_consent == own_consent);
    own.map(|topic| topic.path.clone()).collect()
}

fn read_topics(item: &Item<'_>, controller: &str, kind: FormKind, known: &Known<'_>) -> Option<Vec<String>> {
    let mut seen: Vec<String> = Vec::new();
    let topics = item.each(|element| {
        let path = element.one_of("topic", known.topic_names.iter().map(String::as_str))?;
        if seen.contains(&path) {
            return element.refuse(&format!("{path} stands there twice; ask once"));
        }
        seen.push(path.clone());
        let Some(topic) = known.topics.get(&path) else { return Some(path) };
        if topic.controller != controller && kind != FormKind::PartnerBox {
            return element
                .refuse(&format!("{path} is a topic of {}; a form asks for one controller", topic.controller));
        }
        if kind == FormKind::PartnerBox && topic.controller == controller && !topic.own_consent {
            return element.refuse(&format!(
                "{path} is mail of {controller} itself; partners have a topic of their own, with own_consent = true"
            ));
        }
        Some(path)
    })?;
    if topics.is_empty() {
        return item.refuse("is empty; write the topics people may agree to, [\"offers\"]");
    }
    Some(topics)
}

fn read_partners(table: &mut Table<'_>) -> BTreeMap<String, String> {
    let read = |(id, item): (&str, Item<'_>)| {
        if id.is_empty() || id.len() > LONGEST_ID || id.contains([',', ' ']) || id.chars().any(char::is_control) {
            return item.refuse_key("is no id; write partners = { acme = \"Acme Ltd\" }");
        }
        item.read::<Name>().map(|Name(name)| (id.to_owned(), name))
    };
    table.entries().into_iter().filter_map(read).collect()
}

fn read_text(table: &mut Table<'_>) -> BTreeMap<String, String> {
    let read = |(language, item): (&str, Item<'_>)| {
        if !is_language(language) {
            return item.refuse_key("is no language; write text = { fr = \"…\", en = \"…\" }");
        }
        item.read::<Name>().map(|Name(text)| (language.to_owned(), text))
    };
    table.entries().into_iter().filter_map(read).collect()
}

/// As a browser writes it (RFC 6454 section 6.1): scheme, host, and the port where it is not the usual one.
fn read_origin(item: &Item<'_>) -> Option<String> {
    let cure = "write a web site without a path, like \"https://exemple.fr\"";
    let DeValue::String(_) = item.value() else { return item.refuse_type(&cure["write ".len()..]) };
    let Name(written) = item.read()?;
    let origin = written.to_ascii_lowercase();
    let secure = origin.strip_prefix("https://");
    let Some(host) = secure.or_else(|| origin.strip_prefix("http://")) else {
        return item.refuse(&format!("{written:?} is no web site; {cure}"));
    };
    let (name, port) = host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let right = is_host(name) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !right || (secure.is_none() && !is_loopback(name)) || matches!((secure, port), (Some(_), Some("443"))) {
        return item.refuse(&format!("{written:?} is no web site as browsers name it; {cure}"));
    }
    Some(origin)
}

#[cfg(test)]
mod tests {
    use crate::config::parse_policy;
    use crate::policy::form::{Form, FormKind, Trace};
    use crate::policy::rules::Policy;

    const PARTS: &str = r#"
        [controller.c]
        name = "C"
        domains = ["c.example"]
        languages = ["fr", "en"]
        privacy_url = "https://c.example/privacy"
        contact = "privacy@c.example"
        [controller.d]
        name = "D"
        domains = ["d.example"]
        privacy_url = "https://d.example/privacy"
        contact = "privacy@d.example"
        [topic.offers]
        controller = "c"
        [topic.letters]
        controller = "c"
        own_consent = true
        [topic.trips]
        controller = "d"
    "#;

    fn read(forms: &str) -> Result<Policy, String> {
        parse_policy("policy.toml", &format!("{PARTS}\n{forms}"), &[]).map_err(|errors| errors.to_string())
    }

    fn form(keys: &str) -> Result<Form, String> {
        read(&format!("[form.f]\ncontroller = \"c\"\n{keys}")).map(|policy| policy.forms["f"].clone())
    }

    #[test]
    fn a_form_says_little_and_means_the_safe_thing() {
        let plain = form("").unwrap();
        assert_eq!((plain.kind, plain.trace, plain.double_opt_in), (FormKind::Boxes, Trace::None, true));
        assert_eq!(plain.topics, ["offers"], "what wants a consent of its own is asked for by name");
        assert!(!form("kind = \"refusal_box\"").unwrap().double_opt_in);
        let partners = form("kind = \"partner_box\"\npartners = { d = \"D Ltd\" }").unwrap();
        assert_eq!((partners.topics, partners.partners["d"].as_str()), (vec!["letters".to_owned()], "D Ltd"));
        let origins = form("origins = [\"https://Exemple.FR\", \"http://127.0.0.1:8000\"]").unwrap().origins;
        assert_eq!(origins, ["https://exemple.fr", "http://127.0.0.1:8000"]);
    }

    #[test]
    fn what_a_form_cannot_mean_is_refused_with_its_place_and_cure() {
        let table = [
            ("topics = []", "is empty"),
            ("topics = [\"offer\"]", "did you mean \"offers\"?"),
            ("topics = [\"offers\", \"offers\"]", "twice"),
            ("topics = [\"trips\"]", "a topic of d"),
            ("kind = \"partner_box\"", "names no partner"),
            ("kind = \"partner_box\"\npartners = { d = \"D\" }\ntopics = [\"offers\"]", "own_consent = true"),
            ("partners = { d = \"D\" }", "set kind = \"partner_box\""),
            ("kind = \"refusal_box\"\ndouble_opt_in = true", "no consent that could be confirmed"),
            ("kind = \"preticked\"", "\"boxes\""),
            ("origins = [\"https://exemple.fr/news\"]", "no web site"),
            ("origins = [\"http://exemple.fr\"]", "no web site"),
            ("origins = [\"https://exemple.fr:443\"]", "no web site"),
            ("origins = [\"*\"]", "no web site"),
            ("text = { french = \"Oui\" }", "is no language"),
            ("return_url = \"javascript:alert(1)\"", "no https address"),
            ("trace = \"all\"", "\"hash\""),
        ];
        for (keys, expected) in table {
            let told = form(keys).unwrap_err();
            assert!(told.contains(expected) && told.contains("policy.toml"), "{keys}: {told}");
        }
        assert!(read("[form.\"a b\"]\ncontroller = \"c\"").unwrap_err().contains("its address"));
        assert!(read("[form.f]\n").unwrap_err().contains("`controller` is missing"));
    }

    #[test]
    fn a_controller_without_a_form_has_one_and_of_several_the_one_called_like_it() {
        let policy = read("").unwrap();
        let own = policy.default_form("c").unwrap();
        assert_eq!((own.id.as_str(), &own.topics[..]), ("c", &["offers".to_owned()][..]));
        assert_eq!(policy.form("c", "c").as_deref(), Some(&*own));
        assert_eq!((policy.default_form("nobody"), policy.form("d", "c")), (None, None));
        let several = read("[form.a]\ncontroller = \"c\"\n[form.c]\ncontroller = \"c\"\n[form.d]\ncontroller = \"d\"");
        let several = several.unwrap();
        assert_eq!(several.default_form("c").unwrap().id, "c");
        assert_eq!(several.form("c", "a").unwrap().id, "a");
        assert_eq!(several.form("d", "a"), None, "a form speaks for its controller only");
    }
}
