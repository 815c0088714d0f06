//! What the pages are shown with when they are checked: every template, in every state it can be in.

mod own;

use fluent_bundle::FluentValue;
use minijinja::{Value, context};

/// A template and a context for it. Every page has at least one.
pub fn pages() -> Vec<(&'static str, Value)> {
    let mut pages = link_pages();
    pages.extend(me_pages());
    pages.extend(sign_up_pages());
    pages.extend(own::pages());
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
        ("subscribe-text-boxes", question()),
        ("subscribe-text-yes-no", question()),
        ("subscribe-text-refusal-box", question()),
        ("subscribe-text-partner-box", question()),
        ("subscribe-partners", question()),
        ("subscribe-yes", vec![]),
        ("subscribe-no", vec![]),
        ("subscribe-info-who", question()),
        ("subscribe-info-purpose", question()),
        ("subscribe-info-partners", question()),
        ("subscribe-info-similar", question()),
        ("subscribe-info-stop", question()),
        ("subscribe-info-privacy", question()),
        ("question-subject", question()),
        ("question-asked", question()),
        ("question-told", question()),
        ("question-repeated", question()),
        ("question-otherwise", question()),
        ("code-subject", vec![]),
        ("code-text", vec![("code", "123456".into()), ("page", "https://preferences.exemple.fr/u/me".into())]),
        ("own-code-subject", vec![]),
        ("own-code-text", vec![("code", "123456".into()), ("page", "https://preferences.exemple.fr/p/me".into())]),
        ("rights-reply", vec![("sender", "Librairie Exemple".into()), ("page", "https://x.example/rights/c".into())]),
        ("own-question", vec![("sender", "Librairie Exemple".into())]),
        ("own-move-question", vec![("sender", "Librairie Exemple".into())]),
        ("own-info-who", vec![("sender", "Librairie Exemple".into())]),
        ("own-info-stop", vec![("sender", "Librairie Exemple".into())]),
        ("own-info-privacy", vec![("sender", "Librairie Exemple".into())]),
        ("own-limit-none", vec![]),
        ("own-limit-day", vec![("count", 1.into())]),
        ("own-limit-week", vec![("count", 1.into())]),
        ("own-limit-month", vec![("count", 2.into())]),
    ]
}

fn link_pages() -> Vec<(&'static str, Value)> {
    let topics = ["Livres", "Musique"];
    let sender = "Librairie Exemple";
    vec![
        ("ask.html", context! { sender, topics, again => () }),
        ("ask.html", context! { sender, topics => [""; 0], again => context! { day => "2026-05-15", second => 0 } }),
        (
            "done.html",
            context! { sender, topics, masked => "a…@exemple.fr", wrong_address => false, preferences => "/p/x" },
        ),
        ("done.html", context! { sender, topics => [""; 0], masked => (), wrong_address => true, preferences => () }),
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

fn question() -> Vec<(&'static str, FluentValue<'static>)> {
    vec![
        ("sender", "Librairie Exemple".into()),
        ("contact", "contact@exemple.fr".into()),
        ("names", "Acme SAS".into()),
        ("topics", "- Livres".into()),
        ("until", "2026-05-22".into()),
        ("link", "https://preferences.exemple.fr/confirm/x".into()),
    ]
}

fn sign_up_pages() -> Vec<(&'static str, Value)> {
    let sender = "Librairie Exemple";
    let item = |label: &str| context! { path => "offers/books", label };
    let wording = context! {
        version => "form-x-1", language => "fr", question => "Je souhaite recevoir :", info => ["Qui", "Pourquoi"],
        items => vec![item("Livres"), item("Musique")], answers => ["Oui", "Non"], partners => "Acme",
        privacy => "Vos données", privacy_url => "https://exemple.fr/confidentialite",
    };
    let mut pages = Vec::new();
    for kind in ["boxes", "yes_no", "refusal_box", "partner_box"] {
        let form = context! {
            sender, kind, wording, problem => (), address => "", ticked => ["offers/books"], answered => ["offers/books=yes"],
            refused => false, stamp => "1.x",
        };
        pages.push(("subscribe.html", form));
    }
    let problems = [
        "no-address",
        "open",
        "foreign",
        "too-fast",
        "stale",
        "changed",
        "too-often",
        "elsewhere",
        "unreadable",
        "not-recorded",
    ];
    for problem in problems {
        let form = context! {
            sender, kind => "boxes", wording, problem, address => "anna@exemple", ticked => [""; 0],
            answered => [""; 0], refused => true, stamp => "1.x",
        };
        pages.push(("subscribe.html", form));
    }
    for outcome in ["mail", "mail-later", "recorded", "blank"] {
        pages.push(("subscribed.html", context! { sender, outcome, return_url => "https://exemple.fr/" }));
    }
    let topics = ["Livres", "Musique"];
    pages.push(("confirm.html", context! { sender, topics, wording => (), problem => () }));
    for problem in ["unreadable", "changed", "nothing-ticked"] {
        pages.push(("confirm.html", context! { sender, topics, wording, problem }));
    }
    pages.push(("confirmed.html", context! { sender, topics }));
    for why in ["unknown", "late", "withdrawn"] {
        pages.push(("confirm_over.html", context! { sender, why, again => "/subscribe/x" }));
    }
    pages
}
