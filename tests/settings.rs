//! Settings and policy files: wrong ones are refused with the place and the cure, shipped ones pass.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use consentry::config::{load, load_policy, parse_policy, warnings};
use consentry::policy::rules::Class;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

const SETTINGS: &str = r#"policy = "policy.toml"
hostname = "gate.example"
[store]
url = "sqlite:consentry.db"
[keys]
token_key_file = "token.key"
ledger_key_file = "ledger.key"
[upstream.relay]
address = ["127.0.0.1:25"]
tls = "off"
[listener.submission]
listen = ["127.0.0.1:2525"]
upstream = "relay"
[web.public]
listen = "127.0.0.1:8080"
base_url = "http://127.0.0.1:8080"
"#;

const POLICY: &str = r#"mode = "enforce"
[controller.c]
name = "C Books"
domains = ["c.example"]
privacy_url = "https://c.example/privacy"
contact = "privacy@c.example"
[controller.d]
name = "D Home"
domains = ["d.example"]
privacy_url = "https://d.example/privacy"
contact = "privacy@d.example"
[topic.offers]
controller = "c"
[topic."d/offers"]
controller = "d"
[[rule]]
id = "campaign"
when.header."X-Campaign-Id" = { present = true }
class = "promotional"
"#;

/// A directory with settings, policy and keys.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new(settings: &str, policy: &str) -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap() };
        place.write("consentry.toml", settings);
        place.write("policy.toml", policy);
        for (name, fill) in [("token.key", "AQ"), ("ledger.key", "Ag"), ("signing.key", "Aw")] {
            place.write(name, &format!("{fill}{}=\n", "A".repeat(41)));
            place.chmod(name, 0o600);
        }
        place.write("dkim.pem", include_str!("keys/ed25519.pem"));
        place.chmod("dkim.pem", 0o600);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// All errors, a line each, without the directory.
    fn errors(&self) -> Vec<String> {
        let errors = load(&self.path("consentry.toml")).expect_err("refused").to_string();
        let prefix = format!("{}/", self.directory.path().display());
        errors.replace(&prefix, "").lines().map(str::to_owned).collect()
    }

    fn consentry(&self, arguments: &[&str]) -> Output {
        let config = self.path("consentry.toml");
        consentry(&[&["--config", config.to_str().unwrap()], arguments].concat())
    }
}

fn consentry(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_consentry")).args(arguments).env_remove("NO_COLOR").output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// `text` with one line or part of it written otherwise.
fn with(text: &str, before: &str, after: &str) -> String {
    assert!(text.contains(before), "{before:?} is not in the file");
    text.replacen(before, after, 1)
}

#[test]
fn a_user_is_held_to_its_ceiling_under_every_spelling_and_a_nameless_one_to_all() {
    const CREDENTIALS: &str = r#"trust_headers = true
[credential."shop@c.example"]
may_send = ["service"]
trust_headers = false
[credential."ÉLODIE"]
trust_headers = true
"#;
    let (service, both) = (vec![Class::Service], vec![Class::Service, Class::Promotional]);
    let table = [
        (None, &both, true),
        (Some("shop@c.example"), &service, false),
        (Some("Shop@C.EXAMPLE"), &service, false),
        (Some("élodie"), &both, true),
        (Some("somebody@c.example"), &both, true),
        (Some(""), &service, false),
    ];
    let settings = with(SETTINGS, "[web.public]", &format!("{CREDENTIALS}[web.public]"));
    let (settings, _) = load(&Place::new(&settings, POLICY).path("consentry.toml")).unwrap();
    for (user, may_send, trust_headers) in table {
        let origin = settings.origin(&settings.listeners["submission"], user, [127, 0, 0, 1].into());
        assert_eq!((&origin.may_send, origin.trust_headers), (may_send, trust_headers), "{user:?}");
        assert_eq!(origin.credential.as_deref(), user.filter(|user| !user.is_empty()), "the name as it was said");
    }

    let (settings, _) = load(&Place::new(SETTINGS, POLICY).path("consentry.toml")).unwrap();
    let origin = settings.origin(&settings.listeners["submission"], Some(""), [127, 0, 0, 1].into());
    assert_eq!(origin.may_send, both, "without credentials a name makes no difference");
}

#[test]
fn a_link_that_would_not_fit_a_line_of_mail_is_refused_beforehand() {
    let long = with(SETTINGS, "http://127.0.0.1:8080", &format!("https://p.example/{}", "x".repeat(300)));
    let controller = with(POLICY, "[controller.d]", &format!("[controller.{}]", "d".repeat(201)));
    let errors = Place::new(&long, &controller).errors().join("\n");
    assert!(errors.contains("base_url: is too long") && errors.contains("unsubscribe link"), "{errors}");
}

#[test]
fn wrong_settings_are_refused_with_the_place_and_the_cure() {
    // What is written otherwise, how, where the error is, what it says, what it says would be right.
    let table = [
        ("hostname", "hostnam", "2:1", "unknown key", "did you mean `hostname`?"),
        ("sqlite:consentry.db\"", "sqlite:a\"\nurll = \"b\"", "5:1", "unknown key", "did you mean `url`?"),
        ("\"gate.example\"", "7", "2:12", "is an integer", "write a string in quotes"),
        ("\"gate.example\"", "\"gate example\"", "2:12", "no host name", "gate.example.net"),
        ("hostname = \"gate.example\"", "hostname = ", "2:12", "not TOML", ""),
        ("\"gate.example\"", "\"${NO_SUCH_VARIABLE}\"", "2:12", "NO_SUCH_VARIABLE is not set", "set it"),
        ("sqlite:", "postgres://user@host/", "4:7", "later release", "sqlite:/var/lib"),
        ("sqlite:", "mysql:", "4:7", "is no store", "sqlite:/var/lib"),
        ("\"token.key\"", "\"nowhere.key\"", "6:18", "cannot be read", "name a file with the secret"),
        ("\"token.key\"", "\"ledger.key\"", "5:1", "both keys", "give each its own"),
        (
            "[upstream.relay]",
            "[ledger]\ncheckpoint_every = \"1h\"\ncheckpoint_directory = \"heads\"\n[upstream.relay]",
            "8:1",
            "nothing signs",
            "add signing_key_file",
        ),
        (
            "ledger_key_file = \"ledger.key\"\n",
            "ledger_key_file = \"ledger.key\"\nsigning_key_file = \"signing.key\"\n[ledger]\ncheckpoint_every = \"1h\"\n",
            "9:1",
            "nothing says where",
            "add checkpoint_directory or",
        ),
        (
            "[upstream.relay]",
            "[ledger]\ncheckpoint_directory = \"heads\"\ncheckpoint_command = [\"keep\"]\n[upstream.relay]",
            "8:1",
            "checkpoint_directory or to checkpoint_command",
            "leave one",
        ),
        (
            "[upstream.relay]",
            "[ledger]\ncheckpoint_command = []\n[upstream.relay]",
            "9:22",
            "names no program",
            "write [",
        ),
        (
            "ledger_key_file = \"ledger.key\"\n",
            "ledger_key_file = \"ledger.key\"\nsigning_key_file = \"ledger.key\"\n",
            "5:1",
            "one file",
            "give each its own",
        ),
        ("ledger_key_file = \"ledger.key\"\n", "", "5:1", "`ledger_key_file` is missing", "consentry init"),
        ("127.0.0.1:25\"", "127.0.0.1\"", "9:12", "names no port", "smtp.example.net:587"),
        ("127.0.0.1:25\"", "192.0.2.1:25\"", "10:7", "mail would go to 192.0.2.1 in clear", "insecure = true"),
        ("\"off\"", "\"of\"", "10:7", "not known here", "did you mean \"off\"?"),
        ("\"off\"", "\"off\"\nusername = \"gate\"", "11:1", "has no password", "add password_file"),
        ("\"off\"", "\"off\"\nupstream_signs = \"yes\"", "11:18", "is a string", "true or false"),
        ("\"off\"", "\"off\"\nca_file = \"policy.toml\"", "10:7", "has no use for ca_file", "leave one of them out"),
        ("\"off\"", "\"off\"\nmail_timeout = \"soon\"", "11:16", "is no time", "300s"),
        ("[\"127.0.0.1:2525\"]", "[]", "12:10", "is empty", "127.0.0.1:2525"),
        ("[\"127.0.0.1:2525\"]", "\"127.0.0.1:2525\"", "12:10", "is a string", "a list"),
        ("[\"127.0.0.1:2525\"]", "[\"127.0.0.1:8080\"]", "12:11", "web.public listens", "another port"),
        ("upstream = \"relay\"", "upstream = \"rely\"", "13:12", "no upstream is called", "did you mean \"relay\"?"),
        (
            "upstream = \"relay\"",
            "upstream = \"relay\"\nprotocol = \"lmtp\"",
            "14:12",
            "later release",
            "write \"smtp\"",
        ),
        (
            "upstream = \"relay\"",
            "upstream = \"relay\"\nproxy_protocol = true",
            "14:18",
            "later release",
            "write false",
        ),
        (
            "upstream = \"relay\"",
            "upstream = \"relay\"\ntls = \"implicit\"",
            "14:7",
            "needs a certificate",
            "certificate_file",
        ),
        (
            "upstream = \"relay\"",
            "upstream = \"relay\"\nrequire_tls = true",
            "14:1",
            "no effect with tls = \"off\"",
            "starttls",
        ),
        ("upstream = \"relay\"", "upstream = \"relay\"\nmax_recipients = 99", "14:18", "99 is outside", "from 100"),
        ("upstream = \"relay\"", "upstream = \"relay\"\nmax_message_size = \"big\"", "14:20", "no size", "50MiB"),
        ("upstream = \"relay\"", "upstream = \"relay\"\nclients = []", "14:11", "nobody could connect", "127.0.0.0/8"),
        (
            "upstream = \"relay\"",
            "upstream = \"relay\"\nclients = [\"10.0.0.0/33\"]",
            "14:12",
            "no network",
            "192.0.2.0/24",
        ),
        (
            "[web.public]",
            "[credential.\"Shop@c.example\"]\n[credential.\"shop@C.example\"]\n[web.public]",
            "15:13",
            "\"Shop@c.example\" is the same user",
            "leave one of them",
        ),
        ("[web.public]", "[credential.\"\"]\n[web.public]", "14:13", "is nobody", "write the name"),
        ("upstream = \"relay\"", "upstream = \"relay\"\nmay_send = []", "14:12", "is empty", "[\"service\"]"),
        (
            "upstream = \"relay\"",
            "upstream = \"relay\"\nmay_send = [\"service\"]\nclass = \"promotional\"",
            "15:9",
            "may_send does not allow it",
            "add \"promotional\" to may_send",
        ),
        ("upstream = \"relay\"", "upstream = \"relay\"\ntopics = [\"offers\"]", "14:1", "without a class", "add class"),
        (
            "upstream = \"relay\"",
            "upstream = \"relay\"\nclass = \"promotional\"\ncontroller = \"d\"\ntopics = [\"offers\"]",
            "16:11",
            "offers is a topic of c",
            "write a topic of d",
        ),
        ("http://127.0.0.1:8080", "http://c.example", "16:12", "have to be https beyond loopback", "https://c.example"),
        (
            "[web.public]\nlisten = \"127.0.0.1:8080\"\nbase_url = \"http://127.0.0.1:8080\"\n",
            "",
            "11:11",
            "nothing would answer its unsubscribe links",
            "add [web.public]",
        ),
        (
            "[web.public]",
            "[web.public]\nmail_upstream = \"rely\"",
            "15:17",
            "no upstream is called",
            "did you mean \"relay\"?",
        ),
        ("[web.public]", "[web.public]\nmail_from = \"nobody\"", "15:13", "no address", "name@example.org"),
        (
            "[web.public]",
            "[dkim.\"c.example\"]\nselector = \"gate\"\n[web.public]",
            "14:1",
            "`key_file` is missing",
            "consentry dkim keygen",
        ),
        (
            "[web.public]",
            "[dkim.\"c.example\"]\nselector = \"gate\"\nkey_file = \"token.key\"\n[web.public]",
            "16:12",
            "no private key is in it",
            "consentry dkim keygen",
        ),
        (
            "[web.public]",
            "[dkim.\"c example\"]\nselector = \"g\"\nkey_file = \"dkim.pem\"\n[web.public]",
            "14:7",
            "is no domain",
            "exemple.fr",
        ),
        (
            "[web.public]",
            "[dkim.\"c.example\"]\nselector = \"a b\"\nkey_file = \"dkim.pem\"\n[web.public]",
            "15:12",
            "no selector",
            "like \"gate\"",
        ),
        (
            "[web.public]",
            "[dkim.\"c.example\"]\nselector = \"g\"\nkey_file = \"dkim.pem\"\nalso = [{ selector = \"G\", key_file = \"dkim.pem\" }]\n[web.public]",
            "14:1",
            "two keys have the selector",
            "names one key",
        ),
    ];
    for (before, after, place, wrong, cure) in table {
        let errors = Place::new(&with(SETTINGS, before, after), POLICY).errors();
        let error = errors.first().map_or("", String::as_str);
        assert!(error.starts_with(&format!("consentry.toml:{place}: ")), "{after:?} at {place}: {errors:#?}");
        assert!(
            error.contains(wrong) && error.contains(cure),
            "{after:?} should say {wrong:?} and {cure:?}: {errors:#?}"
        );
        assert_eq!(errors.len(), 1, "{after:?} is one fault: {errors:#?}");
    }
}

#[test]
fn wrong_policies_are_refused_with_the_place_and_the_cure() {
    let mode = "mode = \"enforce\"";
    let rule = "when.header.\"X-Campaign-Id\" = { present = true }";
    let table = [
        (mode, "retention_years = 5", "1:19", "retention_years: 5 is more than the 3 years allowed", "from 1 to 3"),
        (mode, "retention_years = 0", "1:19", "0 is outside", "from 1 to 3"),
        (mode, "mode = \"watch\"", "1:8", "not known here", "\"enforce\" or \"monitor\""),
        (mode, "mixed_recipients = \"group\"", "1:20", "later release", "\"deliver_permitted\""),
        (mode, "mixed_recipients = \"one_at_a_time\"", "1:20", "later release", "\"reject_all\""),
        (mode, "on_signed = \"anew\"", "1:13", "not known here", "\"leave\" or \"resign\" or \"reject\""),
        (mode, "body_optout = \"add\"", "1:15", "not known here", "\"require\" or \"append\" or \"warn\""),
        (mode, "b2b_mode = \"strict\"", "1:12", "not known here", "did you mean \"strict_consent\"?"),
        (mode, "generic_mode = false", "1:16", "is a boolean", "\"allow\" or \"attention_line\" or \"deny\""),
        (mode, "non_commercial = \"on\"", "1:18", "is a string", "true or false"),
        (mode, "endpoint_grace = 24", "1:18", "is an integer", "a stretch of time"),
        (mode, "evidence_retention = \"0 years\"", "1:22", "not above nothing", "5 years"),
        (mode, "suppression_retention = \"1 year\"", "1:25", "less than the 3 years", "\"unlimited\" or \"3 years\""),
        (mode, "suppression_retention = \"1095 days\"", "1:25", "less than the 3 years", "\"unlimited\""),
        (mode, "human_click = \"on\"", "1:15", "is a string", "true or false"),
        (mode, "include = [\"*/*.toml\"]", "1:12", "more than is understood", "mailers/*.toml"),
        (mode, "time_zone = \"Europe/Lutetia\"", "1:13", "no time zone", "Europe/Paris"),
        (mode, "doi_window = \"a week\"", "1:14", "no stretch of time", "7 days"),
        (mode, "journal_retention = \"never\"", "1:21", "no stretch of time", "5 years"),
        ("[\"d.example\"]", "[\"c.example\"]", "9:12", "c.example belongs to c already", "one controller"),
        ("contact = \"privacy@c.example\"\n", "", "2:1", "`contact` is missing", "questions about personal data"),
        ("privacy@c.example", "privacy", "6:11", "no address", "name@example.org"),
        ("controller = \"c\"", "controller = \"shop\"", "13:14", "no controller is called \"shop\"", "there are: c, d"),
        ("controller = \"c\"", "controller = \"c\"\nfrequency = \"2/year\"", "14:13", "no limit", "\"2/week\""),
        (mode, "frequency = 3", "1:13", "is an integer", "a limit like \"2/week\""),
        (
            "controller = \"c\"",
            "controller = \"c\"\naliases = [\"d/offers\"]",
            "14:12",
            "a topic of its own",
            "no topic has any more",
        ),
        ("[topic.offers]", "[topic.\"Nos offres\"]", "12:8", "List-Id", "say the rest in its label"),
        ("id = \"campaign\"\n", "", "16:1", "`id` is missing", "write a name"),
        (rule, "", "16:1", "it would match every message", "when.header"),
        (rule, "when = {}", "18:1", "match every message", "from_domain"),
        (rule, "when.header.\"X-Id\" = { matches = \"(\" }", "18:34", "no regular expression", "backslash"),
        (rule, "when.header.\"X-Id\" = { matches = \"(?:a{1000}){1000}\" }", "18:34", "1 MiB when compiled", "shorter"),
        (rule, "when.header.\"X-Id\" = {}", "18:13", "what to look for", "present = true"),
        (rule, "when.header.\"X Id:\" = { present = true }", "18:13", "no header field's name", "without a colon"),
        (rule, "when.client = \"10.0.0/8\"", "18:15", "no network", "192.0.2.0/24"),
        (rule, "when.from_domian = \"c.example\"", "18:6", "unknown key", "did you mean `from_domain`?"),
        ("class = \"promotional\"", "topics = [\"ofers\"]", "19:11", "no topic is called", "did you mean \"offers\"?"),
        ("class = \"promotional\"", "topics = [\"offers\", \"d/offers\"]", "19:21", "one controller", "speaks of c"),
        ("class = \"promotional\"", "kind = \"editoral\"", "19:8", "no kind of message", "did you mean \"editorial\"?"),
        ("class = \"promotional\"", "", "16:1", "says nothing", "add class"),
        ("class = \"promotional\"", "class = \"marketing\"", "19:9", "not known here", "\"promotional\""),
    ];
    for (before, after, place, wrong, cure) in table {
        let errors = Place::new(SETTINGS, &with(POLICY, before, after)).errors();
        let error = errors.first().map_or("", String::as_str);
        assert!(error.starts_with(&format!("policy.toml:{place}: ")), "{after:?} at {place}: {errors:#?}");
        assert!(
            error.contains(wrong) && error.contains(cure),
            "{after:?} should say {wrong:?} and {cure:?}: {errors:#?}"
        );
        assert_eq!(errors.len(), 1, "{after:?} is one fault: {errors:#?}");
    }
}

#[test]
fn all_errors_of_both_files_are_told_in_one_go() {
    let settings = with(&with(SETTINGS, "hostname", "hostnam"), "\"relay\"", "\"other\"");
    let policy = with(&with(POLICY, "enforce", "force"), "controller = \"c\"", "controler = \"c\"");
    let errors = Place::new(&settings, &policy).errors();
    let places: Vec<_> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        ["consentry.toml:2:1", "consentry.toml:13:12", "policy.toml:1:8", "policy.toml:12:1", "policy.toml:13:1"],
        "{errors:#?}"
    );
}

#[test]
fn a_secret_that_everybody_can_read_is_refused() {
    let place = Place::new(SETTINGS, POLICY);
    place.chmod("token.key", 0o644);
    let errors = place.errors();
    assert!(errors[0].starts_with("consentry.toml:6:18: ") && errors[0].contains("chmod o="), "{errors:#?}");
}

#[test]
fn an_error_never_tells_a_secret() {
    let place = Place::new(SETTINGS, POLICY);
    place.write("token.key", "hunter2hunter2\n");
    let errors = place.errors();
    assert!(errors[0].starts_with("consentry.toml:6:18: "), "{errors:#?}");
    assert!(!errors[0].contains("hunter2"), "{errors:#?}");
}

#[test]
fn packs_come_after_the_policy_in_the_order_of_their_names() {
    let policy = format!("include = [\"mailers/*.toml\"]\n{POLICY}");
    let place = Place::new(SETTINGS, &policy);
    let pack = |id: &str| format!("[[rule]]\nid = {id:?}\nwhen.from_domain = \"x.example\"\nclass = \"service\"\n");
    place.write("mailers/b.toml", &pack("second"));
    place.write("mailers/a.toml", &pack("first"));
    place.write("mailers/a.txt", "not a pack");
    let (_, policy) = load(&place.path("consentry.toml")).unwrap();
    let ids: Vec<_> = policy.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["campaign", "first", "second"]);
    assert!(policy.rules[2].source.ends_with("mailers/b.toml"));
}

#[test]
fn a_string_takes_variables_of_the_environment() {
    let place = Place::new(&with(SETTINGS, "\"gate.example\"", "\"${GATE_NAME}.example\""), POLICY);
    let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
    let output =
        command.arg("--config").arg(place.path("consentry.toml")).args(["check", "--json"]).env("GATE_NAME", "north");
    let told: serde_json::Value = serde_json::from_slice(&output.output().unwrap().stdout).unwrap();
    assert_eq!(told["hostname"], "north.example");
}

#[test]
fn a_secret_that_systemd_hands_over_goes_before_the_file_of_its_name() {
    let place = Place::new(SETTINGS, POLICY);
    place.write("credentials/token.key", &format!("Aw{}=\n", "A".repeat(41)));
    place.chmod("credentials/token.key", 0o400);
    let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
    command.arg("--config").arg(place.path("consentry.toml")).args(["keys", "list", "--json"]);
    let output = command.env("CREDENTIALS_DIRECTORY", place.path("credentials")).output().unwrap();
    let files: Vec<_> =
        stdout(&output).lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect();
    let path = |name: &str| place.path(name).display().to_string();
    assert_eq!([&files[0]["file"], &files[1]["file"]], [&path("credentials/token.key"), &path("ledger.key")]);
}

#[test]
fn numbers_sizes_and_times_are_read_as_people_write_them() {
    let limits = "upstream = \"relay\"\nmax_recipients = 1_000\nmax_message_size = \"2 MiB\"\ncommand_timeout = \"5 minutes\"\nupload_timeout = \"1h 30m\"";
    let place = Place::new(&with(SETTINGS, "upstream = \"relay\"", limits), POLICY);
    let (settings, _) = load(&place.path("consentry.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    let listener = &settings.listeners["submission"];
    assert_eq!((listener.max_recipients, listener.max_message_size), (1000, 2 << 20));
    assert_eq!((listener.command_timeout.as_secs(), listener.upload_timeout.as_secs()), (300, 5400));
}

proptest::proptest! {
    #[test]
    fn a_damaged_policy_is_read_or_refused_at_a_place_inside_it(start in 0usize..2000, length in 0usize..40, patch in ".{0,8}") {
        let text = include_str!("../config/policy.toml");
        let floor = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let damaged = format!("{}{patch}{}", &text[..floor(start)], &text[floor(start + length)..]);
        if let Err(errors) = parse_policy("policy.toml", &damaged, &[]) {
            for error in errors.0 {
                let line = damaged.split('\n').nth(error.line - 1);
                let width = line.map(|line| line.chars().count());
                proptest::prop_assert!(width.is_some_and(|width| error.column <= width + 1), "{error} in {damaged:?}");
            }
        }
    }
}

#[test]
fn a_pack_holds_rules_only_and_no_id_twice() {
    let place = Place::new(SETTINGS, &format!("include = [\"mailers/*.toml\"]\n{POLICY}"));
    let pack =
        "mode = \"monitor\"\n[[rule]]\nid = \"campaign\"\nwhen.subject = { contains = \"x\" }\nclass = \"service\"\n";
    place.write("mailers/a.toml", pack);
    let errors = place.errors();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(errors[0].starts_with("mailers/a.toml:1:1: mode: unknown key"), "{errors:#?}");
    assert!(errors[1].starts_with("mailers/a.toml:3:6: ") && errors[1].contains("id of a rule in"), "{errors:#?}");
}

#[test]
fn the_hash_is_of_the_texts_and_not_of_where_they_lie() {
    let hash = |policy: &str| load_policy(&Place::new(SETTINGS, policy).path("policy.toml")).unwrap().hash;
    assert_eq!(hash(POLICY), hash(POLICY));
    assert_ne!(hash(POLICY), hash(&format!("{POLICY}# one more line\n")));
    assert!(hash(POLICY).starts_with("sha256:") && hash(POLICY).len() == "sha256:".len() + 64);
}

#[test]
fn a_policy_can_be_read_again_from_what_was_kept_of_it() {
    let policy = load_policy(&Place::new(SETTINGS, POLICY).path("policy.toml")).unwrap();
    let again = consentry::config::parse_sources(&policy.sources).unwrap();
    assert_eq!((again.hash, again.rules.len()), (policy.hash, policy.rules.len()));
}

#[test]
fn the_shipped_settings_and_policy_pass() {
    let shipped = Path::new(REPOSITORY).join("config");
    let read = |name: &str| fs::read_to_string(shipped.join(name)).unwrap();
    let place = Place::new(&read("consentry.toml"), &read("policy.toml"));
    for pack in fs::read_dir(shipped.join("mailers")).into_iter().flatten().flatten() {
        fs::create_dir_all(place.path("mailers")).unwrap();
        fs::copy(pack.path(), place.path("mailers").join(pack.file_name())).unwrap();
    }
    let output = place.consentry(&["check"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    let (settings, policy) = load(&place.path("consentry.toml")).unwrap();
    assert_eq!(warnings(&settings, &policy), [""; 0]);
    let books = policy.topic("offers/books").unwrap();
    assert_eq!(policy.list_id_of(books), "books.offers.exemple.fr");
    assert_eq!(policy.label_of(books), "Nos offres de livres");
}

#[test]
fn every_line_of_the_shipped_files_that_is_commented_out_is_right() {
    let shipped = Path::new(REPOSITORY).join("config");
    let read = |name: &str| fs::read_to_string(shipped.join(name)).unwrap();
    let open = |text: &str| {
        let uncomment = |line: &str| match line.strip_prefix("# ") {
            Some(rest)
                if rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) =>
            {
                rest.to_owned()
            }
            _ => line.to_owned(),
        };
        text.lines().map(uncomment).collect::<Vec<_>>().join("\n")
    };
    let settings = open(&read("consentry.toml"));
    let settings = with(&settings, "\ntls = \"off\" ", "\ntls = \"starttls\" ");
    let place = Place::new(&settings, &open(&read("policy.toml")));
    for name in ["upstream-ca.pem", "proxy-ca.pem", "relay.password", "gate.pem", "gate.key"] {
        place.write(name, "something\n");
        place.chmod(name, 0o600);
    }
    for name in ["gate.exemple.fr.pem", "gate-ed.exemple.fr.pem"] {
        place.write(name, include_str!("keys/ed25519.pem"));
        place.chmod(name, 0o600);
    }
    if let Err(errors) = load(&place.path("consentry.toml")) {
        panic!("{errors}");
    }
}

#[test]
fn the_policy_of_the_decision_cases_passes_where_it_is_present() {
    let path = Path::new(REPOSITORY).join("../shared/cases/policy.toml");
    if path.exists()
        && let Err(errors) = load_policy(&path)
    {
        panic!("{errors}");
    }
}

#[test]
fn check_ends_with_2_and_the_errors_when_a_file_is_wrong() {
    let output = Place::new(SETTINGS, &format!("retention_years = 5\n{POLICY}")).consentry(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("policy.toml:1:19: retention_years: 5 is more than the 3 years allowed"));
    let output = consentry(&["check", "--config", "/nonexistent/consentry.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("/nonexistent/consentry.toml:1:1: cannot be read"));
}

#[test]
fn check_tells_programs_what_would_be_enforced() {
    let output = Place::new(SETTINGS, &with(POLICY, "enforce", "monitor")).consentry(&["check", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["mode"], "monitor");
    assert_eq!(told["listeners"][0]["may_send"], serde_json::json!(["service", "promotional"]));
    assert_eq!(told["topics"][1]["list_id"], "offers.c.example");
    assert!(told["warnings"][0].as_str().unwrap().contains("monitor"));
}

#[test]
fn init_writes_files_that_pass_and_overwrites_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("gate");
    let arguments =
        ["init", "--domain", "Exemple.fr", "--upstream", "smtp.example.net:465", "--dir", target.to_str().unwrap()];
    let output = consentry(&arguments);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    assert!(stdout(&output).contains("3. Point your mailer at"));
    for key in ["token.key", "ledger.key", "signing.key"] {
        assert_eq!(fs::metadata(target.join(key)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let (settings, policy) = load(&target.join("consentry.toml")).unwrap();
    assert_eq!(settings.upstreams["relay"].address, [("smtp.example.net".to_owned(), 465)]);
    assert_eq!(settings.upstreams["relay"].tls.as_str(), "implicit");
    assert_eq!(settings.control.as_deref(), Some(&*target.join("control.sock")), "reload works from the start");
    assert_eq!(policy.mode.as_str(), "monitor");
    assert!(policy.controller_of_domain("exemple.fr").is_some());
    assert!(policy.rules.iter().any(|rule| rule.source.ends_with("mailers/listmonk.toml")), "packs come along");

    let before = fs::read(target.join("token.key")).unwrap();
    fs::remove_file(target.join("policy.toml")).unwrap();
    let output = consentry(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("token.key") && !target.join("policy.toml").exists());
    assert_eq!(fs::read(target.join("token.key")).unwrap(), before);
}

#[test]
fn a_new_key_goes_first_and_the_older_ones_stay() {
    let place = Place::new(SETTINGS, POLICY);
    let before = fs::read_to_string(place.path("token.key")).unwrap();
    assert_eq!(place.consentry(&["keys", "rotate", "token"]).status.code(), Some(0));
    let after = fs::read_to_string(place.path("token.key")).unwrap();
    assert!(after.ends_with(&before) && after.lines().count() == before.lines().count() + 1);
    assert_eq!(fs::metadata(place.path("token.key")).unwrap().permissions().mode() & 0o777, 0o600);

    let output = place.consentry(&["keys", "list"]);
    assert_eq!(stdout(&output).matches("in use").count(), 2, "{}", stdout(&output));
    assert_eq!(stdout(&output).matches("still honoured").count(), 1);
    for secret in after.lines() {
        assert!(!stdout(&output).contains(secret));
    }
}
