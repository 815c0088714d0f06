//! Contacts brought in from elsewhere: by the maps that ship, refused line by line, each with its reason.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap() };
        let directory = place.directory.path().to_str().unwrap().to_owned();
        place.run(&["init", "--domain", "exemple.fr", "--upstream", "127.0.0.1:25", "--dir", &directory], 0);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// What the command says, after checking its exit status.
    #[track_caller]
    fn run(&self, arguments: &[&str], status: i32) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
        command.env("USER", "claire").arg("--config").arg(self.path("consentry.toml"));
        let Output { status: ended, stdout, stderr } = command.args(arguments).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(ended.code(), Some(status), "{arguments:?}: {said}");
        said
    }

    #[track_caller]
    fn import(&self, file: &str, further: &[&str]) -> Value {
        let told = self.run(&[&["--json", "contact", "import", file], further].concat(), 0);
        serde_json::from_str(&told).unwrap()
    }

    /// Type, channel and moment of each event of an address.
    fn events(&self, address: &str) -> Vec<String> {
        let told = self.run(&["--json", "contact", "history", address], 0);
        let shown = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap();
            let word = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", word("type"), word("channel"), word("at"))
        };
        told.lines().map(shown).collect()
    }

    fn reason(&self, address: &str) -> String {
        let told = self.run(&["--json", "contact", "show", address], 0);
        let told: Value = serde_json::from_str(&told).unwrap();
        told["controllers"][0]["topics"][0]["reason"].as_str().unwrap().to_owned()
    }
}

const SET: [&str; 2] = ["--set", "controller=main"];
const FORM: [&str; 8] = [
    "--set",
    "topics=offers",
    "--set",
    "mechanism=unticked_box_ticked",
    "--set",
    "text_version=n-4",
    "--set",
    "actor=person",
];

const SUBSCRIBED: &str = "\
\"Email Address\",\"First Name\",\"Last Name\",MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES,TAGS
anna@x.example,Anna,A,2,\"2025-03-04 09:10:11\",192.0.2.4,\"2025-03-04 09:12:00\",192.0.2.4,,,,,,,,\"2025-03-04 09:12:00\",1,e1,,\"\"\"VIP\"\",\"\"Blog\"\"\"
bob@x.example,Bob,B,2,,,\"2024-01-02 03:04:05\",,,,,,,,,\"2024-01-02 03:04:05\",2,e2,,
";

#[test]
fn subscribers_of_mailchimp_are_permitted_only_as_far_as_the_form_is_known() {
    let place = Place::new();
    let file = place.write("subscribed.csv", SUBSCRIBED);
    let map = ["--map", "mailchimp-subscribed"];

    let told = place.import(&file, &[&map[..], &SET].concat());
    assert_eq!((&told["added"], &told["unproven"]["topics"]), (&2.into(), &1.into()), "{told}");
    assert_eq!(place.events("anna@x.example"), ["collected email 2025-03-04T09:10:11Z"]);
    assert_eq!(place.events("bob@x.example"), ["collected email 2024-01-02T03:04:05Z"]);
    assert_eq!(place.reason("anna@x.example"), "PROV_UNKNOWN");

    let place = Place::new();
    let file = place.write("subscribed.csv", SUBSCRIBED);
    let wording = place.write("n-4.txt", "Yes, write to me about your offers.\n");
    place.run(&["contact", "text", "add", "n-4", &wording, "--language", "en"], 0);
    let told = place.import(&file, &[&map[..], &SET, &FORM].concat());
    assert_eq!(told["unproven"], serde_json::json!({}));
    assert_eq!(place.events("anna@x.example"), ["opt_in email 2025-03-04T09:10:11Z"]);
    assert_eq!(place.reason("anna@x.example"), "OK_OPT_IN");
    assert_eq!(place.reason("bob@x.example"), "PROV_UNKNOWN");
    let history = place.run(&["--json", "contact", "history", "anna@x.example"], 0);
    assert!(history.contains("\"optin_ip\":\"192.0.2.4\""), "{history}");

    assert_eq!(told["awaited_texts"], serde_json::json!([]));
    let other = SUBSCRIBED.replace("anna@", "fanny@").replace("e1", "e9");
    let other = place.write("other.csv", &other);
    let form = FORM.map(|one| if one == "text_version=n-4" { "text_version=n-5" } else { one });
    let told = place.import(&other, &[&map[..], &SET, &form].concat());
    assert_eq!(told["awaited_texts"], serde_json::json!(["n-5"]));
    assert_eq!(place.reason("fanny@x.example"), "CONSENT_NOT_INFORMED");

    // Next month's export holds the same people again.
    let again = place.write(
        "subscribed-2.csv",
        &format!("{SUBSCRIBED}carl@x.example,,,1,,,\"2026-01-01 00:00:00\",,,,,,,,,,3,e3,,\n"),
    );
    let told = place.import(&again, &[&map[..], &SET, &FORM].concat());
    assert_eq!((&told["added"], &told["known"]), (&1.into(), &2.into()), "{told}");
}

#[test]
fn whoever_left_mailchimp_is_withheld_and_whoever_bounced_is_known_to() {
    let place = Place::new();
    let unsubscribed = place.write(
        "unsubscribed.csv",
        "Email Address,First Name,MEMBER_RATING,OPTIN_TIME,UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_CAMPAIGN_ID,UNSUB_REASON,UNSUB_REASON_OTHER,LEID,EUID\n\
         anna@x.example,Anna,2,2025-03-04 09:10:11,2025-07-01 10:00:00,July,c7,no longer interested,,1,e1\n",
    );
    place.import(&unsubscribed, &[&["--map", "mailchimp-unsubscribed"], &SET[..]].concat());
    assert_eq!(place.events("anna@x.example"), ["object email 2025-07-01T10:00:00Z"]);
    assert_eq!(place.reason("anna@x.example"), "OBJ_GLOBAL");

    let cleaned = place.write(
        "cleaned.csv",
        "Email Address,OPTIN_TIME,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,CLEAN_CAMPAIGN_ID,LEID,EUID\n\
         bob@x.example,,2025-08-01 10:00:00,August,c8,2,e2\n",
    );
    place.import(&cleaned, &[&["--map", "mailchimp-cleaned"], &SET[..]].concat());
    assert_eq!(place.events("bob@x.example"), ["bounce email 2025-08-01T10:00:00Z"]);
}

#[test]
fn an_export_of_brevo_is_read_in_the_zone_of_the_policy_and_every_objection_in_it_counts() {
    let place = Place::new();
    let header = "EMAIL;LASTNAME;FIRSTNAME;SMS;EMAIL_BLACKLISTED;SMS_BLACKLISTED;DOUBLE_OPT-IN;OPT_IN;ADDED_TIME;MODIFIED_TIME\n";
    let rows = "\
        anna@x.example;A;Anna;33600000001;No;No;Yes;Yes;12-04-2025 09:30:00;13-04-2025 10:00:00\n\
        bob@x.example;B;Bob;33600000002;Yes;Yes;1;Yes;12-04-2025 09:30:00;13-07-2025 10:00:00\n\
        carl@x.example;C;Carl;;No;;2;Yes;12-04-2025 09:30;\n\
        dora@x.example;D;Dora;;No;No;;;12-04-2025;\n\
        ;E;Emil;33600000005;No;Yes;;;12-04-2025;\n";
    let file = place.write("brevo.csv", &format!("{header}{rows}"));
    let dated = ["--set", "topics=offers", "--set", "text_version=n-4", "--set", "actor=person"];
    let told = place.import(&file, &[&["--map", "brevo"], &SET[..], &dated].concat());
    assert_eq!(told["unproven"], serde_json::json!({"mechanism": 1}), "{told}");
    assert_eq!(told["lines_without_event"], 1);
    assert_eq!(place.events("anna@x.example"), ["opt_in_confirmed email 2025-04-12T07:30:00Z"]);
    assert_eq!(
        place.events("bob@x.example"),
        [
            "object email 2025-07-13T08:00:00Z",
            "object sms 2025-07-13T08:00:00Z",
            "opt_in_confirmed email 2025-04-12T07:30:00Z",
        ]
    );
    assert_eq!(place.reason("bob@x.example"), "OBJ_GLOBAL");
    assert_eq!(place.events("carl@x.example"), ["collected email 2025-04-12T07:30:00Z"]);
    assert_eq!(place.events("dora@x.example"), ["collected email 2025-04-11T22:00:00Z"]);

    let import = |name: &str, text: &str, status| {
        let file = place.write(name, text);
        place.run(&["contact", "import", &file, "--map", "brevo", "--set", "controller=main"], status)
    };
    let without = "EMAIL;OPT_IN\nanna@x.example;Yes\n";
    assert!(import("without.csv", without, 2).contains("the file has no column `EMAIL_BLACKLISTED`"));
    let unknown = format!("{header}anna@x.example;A;Anna;;perhaps;No;No;No;12-04-2025;\n");
    assert!(import("unknown.csv", &unknown, 1).contains("line 2: column `EMAIL_BLACKLISTED`: \"perhaps\""));
}

#[test]
fn a_map_of_ones_own_goes_by_its_file_and_its_faults_are_named() {
    let place = Place::new();
    let map = place.write(
        "shop.toml",
        "dates = \"%d.%m.%Y\"\n[every]\naddress = { column = \"Mail\" }\ncontroller = \"main\"\n\
         [[event]]\ntype = \"object\"\nat = { column = \"Left\" }\n",
    );
    let file = place.write("shop.csv", "Mail,Left\nanna@x.example,03.02.2026\n");
    place.import(&file, &["--map", &map]);
    assert_eq!(place.events("anna@x.example"), ["object email 2026-02-02T23:00:00Z"]);
    let broken = place.write("broken.toml", "time_zone = \"Mars\"\n");
    let refused = |map: &[&str], why: &str| {
        let said = place.run(&[&["contact", "import", &file], map].concat(), 2);
        assert!(said.contains(why), "{said}");
    };
    refused(&["--map", &broken], "broken.toml: time_zone: no zone `Mars`");
    refused(&["--map", "hubspot"], "one of brevo, mailchimp-cleaned, mailchimp-subscribed, mailchimp-unsubscribed");
    refused(&["--map", &map, "--map", "Mail=address"], "leave out --map COLUMN=FIELD");
    refused(&["--map", &map, "--format", "ndjson"], "--map is for --format csv");
}

/// A line, the field it is refused for, and what the refusal says.
const BAD: [(&str, &str, &str); 12] = [
    (r#""type":"object","colour":"red""#, "colour", "an event of type object has address, controller, type, at,"),
    (r#""type":"objekt""#, "type", "write one of collected, profile, opt_in,"),
    (r#""type":"object","controller":"shop""#, "controller", "the policy has no controller `shop`; it has main"),
    (r#""type":"object","topics":["music"]"#, "topics", "the policy has no topic `music`; it has offers"),
    (r#""type":"object","at":"2026-02-30T10:00:00+01:00""#, "at", "is not right here; write a time with its offset"),
    (r#""type":"object","at":"2026-02-03T10:00:00""#, "at", "is not right here; write a time with its offset"),
    (r#""type":"object","at":"2026-02-03T10:00:00+25:00""#, "at", "is not right here; write a time with its offset"),
    (r#""type":"object","at":"2026-02-03T10:00:00+01:00[Europe/Pariss]""#, "at", "is not right here; write a time"),
    (r#""type":"object","channel":"fax""#, "channel", "write one of email, sms, phone, push, post, *"),
    (r#""type":"object","address":"anna@@x.example""#, "address", "not a valid address"),
    (r#""type":"purchase","state":"paid","topics":["offers"]"#, "topics", "it belongs to"),
    (r#""type":"pause""#, "until", "missing; write a time with its offset"),
];

fn line(further: &str) -> String {
    let mut line = format!("{{{further}");
    for (name, value) in [("address", "anna@x.example"), ("controller", "main")] {
        if !further.contains(&format!("\"{name}\"")) {
            line += &format!(",\"{name}\":\"{value}\"");
        }
    }
    line + "}"
}

#[test]
fn a_bad_line_is_named_with_its_field_and_what_is_allowed_and_nothing_of_its_file_is_stored() {
    let place = Place::new();
    for (further, field, allowed) in BAD {
        let good = line("\"type\":\"object\"").replace("anna@", "good@");
        let file = place.write("bad.ndjson", &format!("{good}\n{}\n", line(further)));
        let told = place.run(&["--json", "contact", "import", &file], 1);
        let told: Value = serde_json::from_str(&told).unwrap();
        let bad = &told["bad_lines"][0];
        assert_eq!((&bad["line"], &bad["field"]), (&2.into(), &field.into()), "{told}");
        assert!(bad["error"].as_str().unwrap().contains(allowed), "{bad}");
        assert_eq!(told["added"], 0);
        assert!(!place.path("consentry.db").exists() && !place.path("bad.refused.ndjson").exists());
    }
}

#[test]
fn what_is_refused_lies_beside_the_file_with_its_reason_and_may_come_again_corrected() {
    let place = Place::new();
    let lines: Vec<String> = BAD.iter().map(|(further, ..)| line(further)).collect();
    let good = line("\"type\":\"object\"").replace("anna@", "good@");
    let file = place.write("mixed.ndjson", &format!("{}\nnonsense\n{good}\n", lines.join("\n")));
    let told = place.import(&file, &["--keep-going"]);
    assert_eq!((&told["added"], &told["bad"]), (&1.into(), &(BAD.len() + 1).into()), "{told}");
    assert_eq!(told["refused_file"], place.path("mixed.refused.ndjson").to_str().unwrap());
    let refused = place.read("mixed.refused.ndjson");
    let told: Vec<Value> = refused.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), BAD.len() + 1);
    for (index, (line, (_, field, _))) in told.iter().zip(BAD).enumerate() {
        assert_eq!(line["refused_line"], index + 1);
        assert!(line["refused_because"].as_str().unwrap().contains(field), "{line}");
    }
    assert_eq!(told[BAD.len()]["text"], "nonsense");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(place.path("mixed.refused.ndjson")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let corrected = refused.lines().nth(1).unwrap().replace("objekt", "object");
    let corrected = place.write("corrected.ndjson", &corrected);
    assert_eq!(place.import(&corrected, &[])["added"], 1);
}

#[test]
fn refused_rows_keep_their_columns() {
    let place = Place::new();
    let file = place.write(
        "people.csv",
        "Mail;type;topics\nanna@x.example;object;\nbob@@y.example;object;\ncarl@z.example;withdraw;music\ndora@z.example;object\n",
    );
    let elsewhere = place.path("left.csv");
    let set = ["--map", "Mail=address", "--set", "controller=main", "--keep-going"];
    let told = place.import(&file, &[&set[..], &["--refused", elsewhere.to_str().unwrap()]].concat());
    assert_eq!((&told["added"], &told["bad"]), (&1.into(), &3.into()), "{told}");
    let refused = place.read("left.csv");
    let lines: Vec<&str> = refused.lines().collect();
    assert_eq!(lines[0], "refused_line;refused_because;Mail;type;topics");
    assert!(lines[1].starts_with("3;") && lines[1].ends_with(";bob@@y.example;object;"), "{}", lines[1]);
    assert!(
        lines[3].contains("2 cells, but 3 columns") && lines[3].ends_with(";dora@z.example;object"),
        "{}",
        lines[3]
    );

    let corrected = format!("{}\n{}\n", lines[0], lines[1].replace("bob@@y", "bob@y"));
    let corrected = place.write("corrected.csv", &corrected);
    assert_eq!(place.import(&corrected, &set[..4])["added"], 1);
    assert_eq!(place.reason("bob@y.example"), "OBJ_GLOBAL");
    place.run(&[&["contact", "import", &file], &set[..], &["--refused", &file]].concat(), 2);
    assert!(Path::new(&file).exists() && place.read("people.csv").starts_with("Mail"));
}

/// Of a program that writes its own number of the contact beside whatever it says of it.
fn numbered(id: &str, address: &str, at: &str, further: &str) -> String {
    format!(r#"{{"address":"{address}","controller":"main","at":"{at}","id":"{id}",{further}}}"#) + "\n"
}

const YES: &str = r#""type":"opt_in","topics":["offers"],"actor":"person","source":"web:shop","mechanism":"unticked_box_ticked","text_version":"n-4""#;
const NO: &str = r#""type":"object","topics":["offers"],"actor":"person""#;

#[test]
fn an_objection_counts_though_its_id_stands_for_a_consent() {
    let place = Place::new();
    let wording = place.write("n-4.txt", "Oui, je veux recevoir les offres.");
    place.run(&["contact", "text", "add", "n-4", &wording, "--language", "fr"], 0);
    let yes = place.write("yes.ndjson", &numbered("4711", "anna@x.example", "2026-01-10T10:00:00Z", YES));
    place.import(&yes, &[]);
    assert_eq!(place.reason("anna@x.example"), "OK_OPT_IN");
    let said = numbered("4711", "anna@x.example", "2026-02-10T10:00:00Z", NO);
    let no = place.write("no.ndjson", &said);
    assert_eq!(place.import(&no, &[])["added"], 1);
    assert_eq!(place.reason("anna@x.example"), "OBJ_TOPIC");

    let again = place.write("again.ndjson", &format!("\n{said}"));
    let told = place.import(&again, &[]);
    assert_eq!((&told["added"], &told["known"]), (&0.into(), &1.into()), "said once, recorded once: {told}");

    let both = [("2026-03-10T10:00:00Z", YES, "5"), ("2026-04-10T10:00:00Z", NO, "4711")];
    let both: Vec<String> = both.iter().map(|(at, what, id)| numbered(id, "anna@x.example", at, what)).collect();
    assert_eq!(place.import(&place.write("both.ndjson", &both.concat()), &[])["added"], 2);
    assert_eq!(place.reason("anna@x.example"), "OBJ_TOPIC", "the same no, said again after a yes");
}

#[test]
fn an_id_that_stands_for_something_else_is_a_bad_line() {
    let place = Place::new();
    let at = "2026-01-10T10:00:00Z";
    let first = numbered("4711", "anna@x.example", at, YES);
    place.import(&place.write("first.ndjson", &first), &[]);
    for (said, why) in [
        (numbered("4711", "bob@x.example", at, YES), "another person"),
        (numbered("4711", "anna@x.example", "2026-01-11T10:00:00Z", YES), "another moment"),
        (numbered("4711", "anna@x.example", at, &YES.replace("\"offers\"", "\"*\"")), "other topics"),
        (numbered("4711", "anna@x.example", at, r#""type":"purchase","state":"paid""#), "another type"),
    ] {
        let fresh = numbered("9", "carl@x.example", at, NO);
        let file = place.write("next.ndjson", &format!("{fresh}{said}"));
        let told: Value = serde_json::from_str(&place.run(&["--json", "contact", "import", &file], 1)).unwrap();
        let bad = &told["bad_lines"][0];
        assert_eq!((&bad["line"], &bad["field"]), (&2.into(), &"id".into()), "{why}: {told}");
        assert!(bad["error"].as_str().unwrap().contains("event 1 is recorded under this `id`"), "{why}: {bad}");
        assert_eq!(told["added"], 0, "{why}: nothing of the file is stored");
    }
    let by_hand = ["contact", "record", "bob@x.example", "--type", "purchase", "--field", "state=paid"];
    let told = place.run(&[&by_hand[..], &["--field", "id=4711"]].concat(), 2);
    assert!(told.contains("give what is new an `id` of its own"), "{told}");
    assert_eq!(place.events("anna@x.example").len(), 1);
}

#[test]
fn an_id_that_a_file_uses_for_two_things_is_named_and_the_rest_is_written() {
    let place = Place::new();
    let at = "2026-01-10T10:00:00Z";
    let lines = [("7", "anna@x.example"), ("7", "bob@x.example"), ("8", "carl@x.example")];
    let lines: Vec<String> = lines.iter().map(|(id, who)| numbered(id, who, at, YES)).collect();
    let file = place.write("twice.ndjson", &lines.concat());
    let told: Value = serde_json::from_str(&place.run(&["--json", "contact", "import", &file], 1)).unwrap();
    assert_eq!(
        (&told["added"], &told["bad"], &told["bad_lines"][0]["line"]),
        (&2.into(), &1.into(), &2.into()),
        "{told}"
    );
    assert_eq!(told["good"][0]["events"], 2, "{told}");
    let kept = place.import(&file, &["--keep-going"]);
    assert_eq!(kept["finished_before"], true);
}

#[test]
fn an_opt_in_comes_in_once_its_proof_is_said() {
    let place = Place::new();
    let file = place.write("subscribed.csv", SUBSCRIBED);
    let map = ["--map", "mailchimp-subscribed"];
    place.import(&file, &[&map[..], &SET].concat());
    let told = place.import(&file, &[&map[..], &SET, &FORM].concat());
    assert_eq!((&told["added"], &told["known"]), (&1.into(), &1.into()), "{told}");
    assert_eq!(place.events("anna@x.example").len(), 2);
}
