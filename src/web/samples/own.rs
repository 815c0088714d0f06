//! Choices, data and rights.

use minijinja::{Value, context};

const SENDER: &str = "Librairie Exemple";

/// What every page of one person's is told.
fn guest(is_proven: bool) -> Value {
    let hidden = if is_proven { vec![["request", "x"], ["code", "123456"], ["controller", "shop"]] } else { vec![] };
    let masked = is_proven.then_some("a…@exemple.fr");
    let link = (!is_proven).then_some("token");
    context! { link, sender => SENDER, hidden, is_proven, masked }
}

pub fn pages() -> Vec<(&'static str, Value)> {
    let mut pages = choices();
    pages.extend(saved());
    pages.extend(doors());
    pages.extend(data());
    pages
}

fn choices() -> Vec<(&'static str, Value)> {
    let limit = |value: &str, chosen: bool| context! { value, label => "1", chosen };
    let limits = vec![limit("none", true), limit("1/week", false)];
    let topic = |label: &str, ground: Option<&str>, includes: Vec<&str>| {
        let shown = "offers/books 1.1.0 none";
        context! { path => "offers/books", label, on => true, shown, limits => limits.clone(), includes, ground }
    };
    let grounds = ["customer", "professional", "generic", "non_commercial"];
    let mut topics = vec![topic("Livres", None, vec!["Romans"]), topic("Musique", None, vec![])];
    topics.extend(grounds.map(|ground| topic("Musique", Some(ground), vec![])));
    let channels = ["sms", "phone", "post", "push"].map(|value| context! { value, on => value == "sms" }).to_vec();
    let page = |problem: Option<&str>, left: bool, is_proven: bool| {
        let shown = context! {
            problem, left, topics => topics.clone(), count => topics.len(), limits => limits.clone(),
            shown_limit => "none", pause => "", pause_first => "2026-05-16", pause_last => "2027-05-15",
            channels => channels.clone(), shown_channels => "sms", question => "?", info => vec!["x"],
            privacy => "x", privacy_url => "https://exemple.fr/",
        };
        ("preferences.html", context! { ..shown, ..guest(is_proven) })
    };
    vec![page(None, false, false), page(Some("pause"), true, true)]
}

fn saved() -> Vec<(&'static str, Value)> {
    let page = |unchanged: bool, is_proven: bool| {
        let labels = if unchanged { vec![] } else { vec!["Livres"] };
        let told = context! {
            unchanged, on => labels, off => labels, off_with_another => labels, overtaken => labels, unproven => labels,
            not_yet => labels, wishes_changed => !unchanged, wishes_overtaken => !unchanged,
        };
        ("preferences_saved.html", context! { ..told, ..guest(is_proven) })
    };
    vec![page(true, false), page(false, true)]
}

/// What may go wrong where an address or a code is asked for.
const PROBLEMS: [&str; 6] = ["no-address", "too-often", "not-sent", "code-is-over", "pause", "same-address"];

fn doors() -> Vec<(&'static str, Value)> {
    let nothing = Value::from(());
    let problems = std::iter::once(nothing.clone()).chain(PROBLEMS.map(Value::from));
    let mut pages: Vec<(&'static str, Value)> = Vec::new();
    for problem in problems {
        pages.push(("own_address.html", context! { problem, address => "anna@exemple" }));
        pages.push(("rights.html", context! { problem, address => "", sender => SENDER }));
        pages.push(("own_problem.html", context! { problem, ..guest(false) }));
    }
    let code = |problem: Value, masked: Value| context! { problem, request => "x", attempts_left => 4, masked };
    pages.push(("own_code.html", code(nothing.clone(), nothing.clone())));
    pages.push(("own_code.html", code(Value::from("wrong-code"), Value::from("a…@exemple.fr"))));
    let controllers = vec![("shop", SENDER), ("club", "Club")];
    pages.push(("own_senders.html", context! { request => "x", code => "123456", controllers }));
    pages.push(("own_broken.html", context! {}));
    pages.push(("no_controller.html", context! {}));
    pages
}

fn data() -> Vec<(&'static str, Value)> {
    let nothing = Value::from(());
    let problem = |problem: Value| ("own_data.html", context! { problem, ..guest(true) });
    let moving = |problem: Value, topics: Vec<(&str, &str, bool)>| {
        let page = context! { new_request => "y", problem, attempts_left => 4, topics, question => "?", info => ["x"] };
        ("own_move.html", context! { ..page, ..guest(true) })
    };
    let mut pages = vec![
        problem(nothing.clone()),
        problem(Value::from("no-address")),
        moving(nothing, vec![]),
        moving(Value::from("wrong-code"), vec![("offers", "Offres", true)]),
        ("own_erase.html", guest(true)),
    ];
    pages.extend(["off", "erased", "moved"].map(|done| ("own_done.html", context! { done, ..guest(true) })));
    pages
}
