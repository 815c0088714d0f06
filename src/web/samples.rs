//! What the pages are shown with when they are checked: every template, in every state it can be in.

use fluent_bundle::FluentValue;
use minijinja::{Value, context};

/// A template and a context for it. Every page has at least one.
pub fn pages() -> Vec<(&'static str, Value)> {
    let mut pages = link_pages();
    pages.extend(me_pages());
    pages
}

/// What is said in code, with what it is told.
pub fn said() -> Vec<(&'static str, Vec<(&'static str, FluentValue<'static>)>)> {
    vec![
        ("back-mail-subject", vec![("sender", "Librairie Exemple".into())]),
        (
            "back-mail-text",
            vec![("sender", "Librairie Exemple".into()), ("link", "https://exemple.fr/u/back/x".into())],
        ),
        ("code-subject", vec![]),
        ("code-text", vec![("code", "123456".into()), ("page", "https://preferences.exemple.fr/u/me".into())]),
    ]
}

fn link_pages() -> Vec<(&'static str, Value)> {
    let topics = ["Livres", "Musique"];
    let sender = "Librairie Exemple";
    vec![
        ("ask.html", context! { sender, topics, again => () }),
        ("ask.html", context! { sender, topics => [""; 0], again => context! { day => "2026-05-15", second => 0 } }),
        ("done.html", context! { sender, topics, masked => "a…@exemple.fr", wrong_address => false }),
        ("done.html", context! { sender, topics => [""; 0], masked => (), wrong_address => true }),
        ("back.html", context! { step => "ask", sender, topics, day => "2026-05-15", masked => "a…@exemple.fr" }),
        ("back.html", context! { step => "done", sender, topics => [""; 0], day => "2026-05-15", masked => "a…@x.fr" }),
        ("no_link.html", context! {}),
        ("unavailable.html", context! {}),
    ]
}

fn me_pages() -> Vec<(&'static str, Value)> {
    let boxed = |label: &str, left: bool| context! { value => "[\"c\",\"x\"]", label, left };
    let offer = |left: bool| {
        let topics = vec![boxed("Livres", left), boxed("Musique", false)];
        context! { sender => "Librairie Exemple", topics, everything => boxed("", left) }
    };
    let left = |topics: &[&str]| context! { sender => "Librairie Exemple", topics };
    let mut pages = vec![
        ("me_left.html", context! { left => vec![left(&["Livres"]), left(&[])] }),
        ("me_code.html", context! { problem => (), request => "x", attempts_left => 0 }),
        ("me_code.html", context! { problem => "wrong-code", request => "x", attempts_left => 4 }),
        ("me_address.html", context! { problem => (), address => "" }),
    ];
    for problem in ["no-address", "too-often", "not-sent", "code-is-over"] {
        pages.push(("me_address.html", context! { problem, address => "anna@exemple" }));
    }
    for problem in [Value::from(()), Value::from("nothing-chosen")] {
        let offers = vec![offer(false), offer(true)];
        pages.push(("me_choice.html", context! { problem, request => "x", code => "123456", offers }));
    }
    pages
}
