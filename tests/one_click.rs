//! From the newsletter to the no that holds: what the big providers do with what the gate signs, done with curl.

mod support;

#[path = "enforcement/shop.rs"]
#[allow(dead_code)]
mod shop;

use std::process::Command;

use shop::*;
use support::dkim::{RSA, Verifiers, put_key};
use support::peers::program;
use support::{Gate, Upstream};

const KEY: &str = "[dkim.\"exemple.fr\"]\nselector = \"rsa\"\nkey_file = \"rsa.pem\"\n";
const RECORDS: &[(&str, &[u8])] = &[("rsa._domainkey.exemple.fr", RSA)];

/// A gate that signs, and whose pages are where the links say.
fn gate(upstream: &Upstream) -> Gate {
    let builder = Gate::builder(upstream.address).settings(KEY);
    put_key(builder.directory(), "rsa.pem", RSA);
    let gate = builder.start();
    import(&gate, &[opt_in(ANNA, "offers"), opt_in(BOB, "offers")]);
    gate
}

/// The address in the header, led to where the pages of this test are.
fn link(gate: &Gate, content: &[u8]) -> String {
    let fields = fields(content, "List-Unsubscribe");
    assert_eq!(fields.len(), 1);
    let uri = fields[0].split('>').next().unwrap().trim_start_matches('<');
    uri.replace("http://127.0.0.1:8080", &format!("http://{}", gate.listener("web.public")))
}

/// Status and body of what curl hears.
fn curl(arguments: &[&str]) -> Option<(String, String)> {
    let mut command = Command::new(program("curl")?);
    let heard =
        command.args(["--silent", "--show-error", "--write-out", "\n%{http_code} %{num_redirects}"]).args(arguments);
    let heard = String::from_utf8(heard.output().unwrap().stdout).unwrap();
    let (page, status) = heard.rsplit_once('\n').unwrap();
    Some((status.to_owned(), page.to_owned()))
}

#[test]
fn a_signed_newsletter_is_left_with_one_click_and_only_the_advertising_stops() {
    let Some(verifiers) = Verifiers::with(RECORDS) else { return };
    let ways: [&[&str]; 6] = [
        &["--data", "List-Unsubscribe=One-Click"],
        &["--form", "List-Unsubscribe=One-Click"],
        &["--http1.0", "--data", "List-Unsubscribe=One-Click"],
        &["--header", "Transfer-Encoding: chunked", "--data", "List-Unsubscribe=One-Click"],
        &["--header", "Expect: 100-continue", "--user-agent", "", "--data", "List-Unsubscribe=One-Click"],
        &["--location", "--header", "Accept:", "--data-urlencode", "List-Unsubscribe=One-Click"],
    ];
    for way in ways {
        let upstream = Upstream::start();
        let gate = gate(&upstream);
        assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"));
        let newsletter = upstream.single_message().content;
        verifiers.assert(&newsletter, &["rsa pass"]);
        assert_eq!(fields(&newsletter, "List-Unsubscribe-Post"), ["List-Unsubscribe=One-Click"]);
        let link = link(&gate, &newsletter);

        // What looks at links before anybody reads changes nothing.
        for look in [&["--head", &link][..], &[&link], &["--get", "--data", "List-Unsubscribe=One-Click", &link]] {
            let Some((status, _)) = curl(look) else { return };
            assert_eq!(status, "200 0", "{look:?}");
        }
        assert!(send(&gate, &[ANNA], BOOKS).starts_with("250"), "a look is no click");

        let click = [way, &[&link]].concat();
        let Some(first) = curl(&click) else { return };
        assert_eq!(first.0, "200 0", "{way:?}: {}", first.1);
        assert_eq!(curl(&click).unwrap(), first, "said again, answered alike: {way:?}");

        let reply = send(&gate, &[ANNA], BOOKS);
        assert!(reply.starts_with("550 5.7.1") && reply.contains("OBJ_"), "{way:?}: {reply}");
        assert!(send(&gate, &[ANNA], ORDER).starts_with("250"), "the order is no advertising");
        assert!(send(&gate, &[BOB], BOOKS).starts_with("250"), "nobody else has left");
        let history = gate.run_command(&["contact", "history", ANNA, "--json"]);
        let clicks = history.lines().filter(|line| line.contains("\"one_click\"")).count();
        assert_eq!(clicks, 1, "{history}");
    }
}
