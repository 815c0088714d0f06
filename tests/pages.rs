//! The public pages in a real browser: every page, both languages, wide and narrow, with scripts off and on, by mouse
//! and by keyboard. `target/pages` keeps a picture of each.

mod support;

use consentry::consent::stamp::stamp;
use consentry::consent::token::SealingKeys;
use jiff::{SignedDuration, Timestamp};
use mail_parser::MessageParser;
use serde_json::json;
use support::browser::{Browser, Driver, View, has_axe};
use support::{Gate, Message, Upstream};

const ANNA: &str = "anna@x.example";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const NARROW: u32 = 320;
const WIDE: u32 = 1280;

const LOOKS: [View; 5] = [
    View { language: "fr", width: NARROW, scripts: true, dark: false },
    View { language: "fr", width: WIDE, scripts: true, dark: false },
    View { language: "en", width: NARROW, scripts: true, dark: false },
    View { language: "en", width: WIDE, scripts: true, dark: false },
    View { language: "en", width: NARROW, scripts: true, dark: true },
];
const WITHOUT_SCRIPTS: View = View { language: "en", width: NARROW, scripts: false, dark: false };

fn opt_in(address: &str) -> String {
    json!({
        "address": address, "controller": "shop", "type": "opt_in", "at": "2026-01-10T12:00:00+01:00",
        "topics": ["offers"], "mechanism": "unticked_box_ticked", "source": "sign-up form", "text_version": "n4",
        "actor": "person",
    })
    .to_string()
}

/// Who looks at the pages this way: one person each, since a no stays a no.
fn reader(view: &View) -> String {
    format!("{}-{}-{}@x.example", view.language, view.width, if view.dark { "dark" } else { "light" })
}

/// A gate, what comes out of it, and people who get its newsletter.
struct Stage {
    gate: Gate,
    upstream: Upstream,
}

impl Stage {
    fn set() -> Stage {
        let upstream = Upstream::start();
        let gate = Gate::in_front_of(upstream.address);
        let people: Vec<String> = LOOKS.iter().map(reader).chain([ANNA.to_owned()]).collect();
        let events: Vec<String> = people.iter().map(|person| opt_in(person)).collect();
        gate.import(&events.iter().map(String::as_str).collect::<Vec<_>>());
        Stage { gate, upstream }
    }

    /// The address of a page.
    fn page(&self, path: &str) -> String {
        format!("http://{}{path}", self.gate.listener("web.public"))
    }

    /// The code in the last mail.
    fn code(&self) -> String {
        let content = self.upstream.record().accepted().last().unwrap().content.clone();
        let text = String::from_utf8(content).unwrap();
        text.lines().map(str::trim).find(|line| line.len() == 6 && line.parse::<u32>().is_ok()).unwrap().to_owned()
    }

    /// The path of the link in the mail that asks this person to confirm.
    fn question(&self, to: &str) -> String {
        let asked = |message: &&&Message| message.to.iter().any(|recipient| recipient.contains(to));
        let record = self.upstream.wait_for("the question", |record| record.accepted().iter().any(|one| asked(&one)));
        let accepted = record.accepted();
        let mail = accepted.iter().find(asked).unwrap();
        let read = MessageParser::default().parse(&mail.content).unwrap();
        let text = read.body_text(0).unwrap().into_owned();
        let link = text.split_whitespace().find_map(|word| word.strip_prefix("http://127.0.0.1:8080"));
        link.unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    /// The path of the link in a newsletter to this person.
    fn link(&self, to: &str) -> String {
        let mut client = self.gate.client();
        let newsletter = b"From: news@exemple.fr\r\nSubject: What is new\r\nX-Kind: newsletter\r\n\r\nThree novels.\r\nhttps://exemple.fr/desinscription/1\r\n";
        let reply = client.send("bounces@exemple.fr", &[to], newsletter);
        assert!(reply.starts_with("250"), "{reply}");
        client.quit();
        let record = self.upstream.record();
        let content = String::from_utf8(record.accepted().last().unwrap().content.clone()).unwrap();
        let link = content.split("List-Unsubscribe: <").nth(1).and_then(|rest| rest.split('>').next()).unwrap();
        format!("/u/{}", link.rsplit('/').next().unwrap())
    }
}

/// Nothing a page may ever have, whoever looks at it.
fn look_at(browser: &Browser<'_>, name: &str) {
    let View { language, width, .. } = browser.view;
    let shown = format!("{name} in {language} at {width} px");
    browser.keep_picture(name);
    assert_eq!(browser.violations(), Vec::<String>::new(), "{shown}");
    assert!(!browser.scrolls_sideways(), "{shown} scrolls sideways");
    assert_eq!(browser.cookies(), 0, "{shown} sets a cookie");
    let declared = browser.evaluate("return document.documentElement.lang;");
    assert_eq!(declared, language, "{shown} says another language");
    let scripts = browser.evaluate("return document.querySelectorAll('script, [onclick], [onsubmit]').length;");
    assert_eq!(scripts, 0, "{shown} has a script");
    let elsewhere = browser.evaluate(
        "return performance.getEntriesByType('resource').map(one => one.name).filter(url => !url.startsWith(location.origin));",
    );
    assert_eq!(elsewhere, json!([]), "{shown} loads something from elsewhere");
}

/// Goes through pages, one after the other, in every look.
fn in_every_look(stage: &Stage, walk: impl Fn(&Stage, &Browser<'_>)) {
    let Some(driver) = Driver::start() else { return };
    if !has_axe() {
        return;
    }
    for view in LOOKS {
        walk(stage, &driver.open(view));
    }
}

#[test]
fn a_page_with_barriers_is_told_from_one_without() {
    let Some(driver) = Driver::start() else { return };
    if !has_axe() {
        return;
    }
    let browser = driver.open(LOOKS[0]);
    browser.visit("data:text/html,<p style='width:900px;color:%23aaa'>No title, no language, no contrast");
    let found = browser.violations().join("\n");
    for barrier in ["color-contrast", "document-title", "html-has-lang"] {
        assert!(found.contains(barrier), "{barrier} in {found}");
    }
    assert!(browser.scrolls_sideways());
}

#[test]
fn leaving_through_the_link_has_no_barriers() {
    in_every_look(&Stage::set(), |stage, browser| {
        browser.visit(&stage.page("/u/no-link-of-ours"));
        look_at(browser, "no-link");
        browser.visit(&stage.page(&stage.link(&reader(&browser.view))));
        look_at(browser, "leave");
        browser.click("button");
        browser.wait_for("main:not(:has([value='topics']))");
        look_at(browser, "left");
    });
}

#[test]
fn choosing_what_to_receive_has_no_barriers() {
    in_every_look(&Stage::set(), |stage, browser| {
        let link = stage.link(&reader(&browser.view)).replace("/u/", "/p/");
        browser.visit(&stage.page(&link));
        look_at(browser, "preferences");
        browser.click("[name='on']");
        browser.click("button.first");
        browser.wait_for("main:not(:has(select))");
        look_at(browser, "preferences-saved");
        browser.visit(&stage.page(&link));
        browser.click("[value='off']");
        browser.wait_for("main:not(:has(select))");
        look_at(browser, "preferences-off");
    });
}

#[test]
fn the_page_of_rights_and_what_lies_behind_the_code_have_no_barriers() {
    in_every_look(&Stage::set(), |stage, browser| {
        browser.visit(&stage.page("/rights/shop"));
        look_at(browser, "rights");
        browser.enter("address", &reader(&browser.view));
        browser.click("button.first");
        browser.wait_for("[name='code']");
        look_at(browser, "rights-code");
        browser.enter("code", &stage.code());
        browser.click("button.first");
        browser.wait_for("[value='erase']");
        look_at(browser, "rights-data");
        browser.click("[value='erase']");
        browser.wait_for("[value='erase-now']");
        look_at(browser, "rights-erase");
        browser.click("[value='data']");
        browser.wait_for("[name='address']");
        browser.enter("address", &format!("new-{}", reader(&browser.view)));
        browser.click("[value='move']");
        browser.wait_for("[name='new-code']");
        look_at(browser, "rights-move");
    });
}

#[test]
fn a_person_without_scripts_and_without_a_mouse_leaves() {
    let stage = Stage::set();
    let Some(driver) = Driver::start() else { return };
    let browser = driver.open(WITHOUT_SCRIPTS);
    browser.visit(&stage.page(&stage.link(ANNA)));
    browser.keep_picture("leave");
    browser.type_keys(TAB);
    browser.type_keys(ENTER);
    browser.wait_for("main:not(:has([value='topics']))");
    assert!(browser.text().contains("Book offers"), "{}", browser.text());
    let history = stage.gate.run_command(&["contact", "history", ANNA, "--json"]);
    assert!(history.contains("\"object\""), "{history}");
}

#[test]
fn signing_up_and_confirming_has_no_barriers() {
    in_every_look(&Stage::set(), |stage, browser| {
        let newcomer = format!("new-{}", reader(&browser.view));
        browser.visit(&stage.page("/subscribe/shop"));
        look_at(browser, "subscribe");
        // A person takes longer than this test.
        let keys = SealingKeys::new(vec![[7; 32]]).unwrap();
        let stamp = stamp(&keys, "shop", Timestamp::now() - SignedDuration::from_mins(1));
        browser.evaluate(&format!("document.querySelector('[name=stamp]').value = '{stamp}';"));
        browser.enter("address", &newcomer);
        browser.click("[name='topic']");
        browser.click("button.first");
        browser.wait_for("main:not(:has([name='address']))");
        look_at(browser, "subscribed");
        browser.visit(&stage.page(&stage.question(&newcomer)));
        look_at(browser, "confirm");
        browser.click("button.first");
        browser.wait_for("main:not(:has([name='confirm']))");
        look_at(browser, "confirmed");
    });
}

#[test]
fn saying_which_address_one_reads_has_no_barriers() {
    in_every_look(&Stage::set(), |stage, browser| {
        browser.visit(&stage.page("/u/me"));
        look_at(browser, "me");
        browser.enter("address", "no address");
        browser.click("button.first");
        browser.wait_for("#problem");
        look_at(browser, "me-problem");
        browser.enter("address", &reader(&browser.view));
        browser.click("button.first");
        browser.wait_for("[name='code']");
        look_at(browser, "me-code");
        browser.enter("code", &stage.code());
        browser.click("button.first");
        browser.wait_for("[name='leave']");
        look_at(browser, "me-choice");
        browser.click("[name='leave']");
        browser.click("button.first");
        browser.wait_for("main:not(:has([name='leave']))");
        look_at(browser, "me-left");
    });
}

#[test]
fn a_person_without_scripts_chooses_and_sees_what_is_kept() {
    let stage = Stage::set();
    let Some(driver) = Driver::start() else { return };
    let browser = driver.open(WITHOUT_SCRIPTS);
    browser.visit(&stage.page(&stage.link(ANNA).replace("/u/", "/p/")));
    browser.keep_picture("preferences");
    browser.click("[name='on'][value='offers/books']");
    browser.click("button.first");
    browser.wait_for("main:not(:has(select))");
    browser.keep_picture("preferences-saved");
    assert!(browser.text().contains("Book offers"), "{}", browser.text());
    let history = stage.gate.run_command(&["contact", "history", ANNA, "--json"]);
    assert!(history.contains("\"preference_centre\""), "{history}");
}
