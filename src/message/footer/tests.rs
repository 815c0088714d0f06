use super::*;

const LINK: &str = "https://p.example/u/abc";

fn own(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
    texts.iter().map(|(language, text)| ((*language).to_owned(), (*text).to_owned())).collect()
}

fn languages(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

#[test]
fn the_wording_is_the_controllers_in_the_language_of_the_message() {
    let german = own(&[("de", "Abmelden: {link}"), ("pt-BR", "Sair: {link}"), ("fr", "Partir : {link}")]);
    let table = [
        (&german, Some("de-AT"), &["fr"][..], "Abmelden: https"),
        (&german, Some("pt"), &["fr"], "Sair: https"),
        (&german, Some("FR"), &["de"], "Partir : https"),
        (&german, Some("it"), &["de"], "Abmelden: https"),
        (&german, Some("en"), &["de"], "To receive no more of these messages from C: https"),
        (&german, None, &["fr", "en"], "Partir : https"),
        (&own(&[]), None, &["fr", "en"], "Pour ne plus recevoir ces messages de C : https"),
        (&own(&[]), Some("it"), &["it"], "To receive no more of these messages from C: https"),
    ];
    for (own, message, tags, expected) in table {
        let lines = wording(own, message, &languages(tags)).in_text("C", LINK, false);
        assert!(lines.join(" ").starts_with(expected), "{message:?} {tags:?}: {lines:?}");
    }
}

#[test]
fn the_same_wording_is_plain_text_and_html() {
    let wording = wording(&own(&[("en", "{name}: no <more>?\n\"Bye\" & {link}.")]), None, &languages(&["en"]));
    assert_eq!(
        wording.in_text("Tom & Co", LINK, false),
        ["Tom & Co: no <more>?", "\"Bye\" & https://p.example/u/abc."]
    );
    let html = wording.in_html("Tom & <Co>", LINK).join("\n");
    assert_eq!(
        html,
        "<p lang=\"en\"> Tom &amp; &lt;Co&gt;: no &lt;more&gt;? <br> &quot;Bye&quot;\n\
         &amp; <a href=\"https://p.example/u/abc\">Unsubscribe</a>. </p>"
    );
}

#[test]
fn a_language_we_have_no_word_for_shows_where_the_link_leads() {
    let html = wording(&own(&[("de", "Abmelden: {link}")]), Some("de"), &[]).in_html("C", LINK).join(" ");
    assert!(html.contains(">p.example</a>"), "{html}");
}

#[test]
fn no_line_is_long_but_for_the_link() {
    let long = format!("{} {{link}} {}", "word ".repeat(40), "語".repeat(300));
    let wording = wording(&own(&[("en", &long)]), None, &languages(&["en"]));
    let link = format!("https://p.example/u/{}", "t".repeat(300));
    for line in wording.in_text("C", &link, false).iter().chain(&wording.in_html("C", &link)) {
        assert!(line.chars().count() <= WRAP_AT || line.contains(&link), "{line}");
        assert!(!line.ends_with(' '), "{line:?}");
    }
}

#[test]
fn in_a_flowed_text_no_line_is_taken_for_a_quote() {
    let wording = wording(&own(&[("en", "> {link}\nFrom us")]), None, &languages(&["en"]));
    assert_eq!(wording.in_text("C", LINK, true), [" > https://p.example/u/abc", " From us"]);
    assert_eq!(wording.in_text("C", LINK, false)[1], "From us");
}

#[test]
fn a_text_without_its_link_is_no_wording() {
    let table = [
        ("Leave: {link}", Ok(())),
        ("{name}: {link}\nBye", Ok(())),
        ("Leave", Err(WordingError::NoLink)),
        ("{link} {link}", Err(WordingError::TwoLinks)),
        ("{link} {lien}", Err(WordingError::UnknownPlace)),
        ("{link}\r\n", Err(WordingError::Control)),
        (&format!("{{link}}{}", "x".repeat(1000)), Err(WordingError::TooLong)),
    ];
    for (text, expected) in table {
        assert_eq!(check(text), expected, "{text:.40}");
    }
}
