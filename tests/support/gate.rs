//! The built gate, in a directory of its own, on ports the system chose.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::{Client, DEADLINE};

/// One controller, two topics, one rule: `X-Kind: newsletter` is promotional, the rest service.
pub const POLICY: &str = r#"
mode = "enforce"
time_zone = "Europe/Paris"
unknown_class = "service"

[controller.shop]
name = "Librairie Exemple"
domains = ["exemple.fr"]
languages = ["fr", "en"]
privacy_url = "https://exemple.fr/confidentialite"
contact = "dpo@exemple.fr"
kind = "company"
optout_links = ["https://exemple.fr/desinscription/"]

[topic."offers/books"]
controller = "shop"
label = { fr = "Nos offres de livres", en = "Book offers" }

[topic."offers/music"]
controller = "shop"
label = { fr = "Nos offres de musique", en = "Music offers" }

[[rule]]
id = "newsletter"
when.header."X-Kind" = { equals = "newsletter" }
class = "promotional"
topics = ["offers/books"]
"#;

pub struct GateBuilder {
    directory: TempDir,
    upstream: SocketAddr,
    upstream_host: Option<String>,
    upstream_lines: Vec<String>,
    listener_lines: Vec<String>,
    more: String,
    policy: String,
    base_url: String,
}

impl GateBuilder {
    /// Where its files lie: a certificate can be put here before it starts.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A line of `[listener.submission]`.
    pub fn listener(mut self, line: &str) -> Self {
        self.listener_lines.push(line.to_owned());
        self
    }

    /// A line of `[upstream.relay]`.
    pub fn upstream(mut self, line: &str) -> Self {
        self.upstream_lines.push(line.to_owned());
        self
    }

    /// The upstream under another name than its address.
    pub fn upstream_host(mut self, host: &str) -> Self {
        self.upstream_host = Some(host.to_owned());
        self
    }

    /// Whole tables of the settings, other listeners too.
    pub fn settings(mut self, tables: &str) -> Self {
        self.more.push_str(tables);
        self
    }

    /// How the outside world is told to reach the pages.
    pub fn base_url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.base_url);
        self
    }

    pub fn policy(mut self, text: &str) -> Self {
        text.clone_into(&mut self.policy);
        self
    }

    /// One value of the policy's top level instead of the usual one.
    pub fn policy_value(mut self, name: &str, value: &str) -> Self {
        let others = self.policy.lines().filter(|line| !line.starts_with(&format!("{name} =")));
        self.policy = format!("{name} = {value}\n{}", others.collect::<Vec<_>>().join("\n"));
        self
    }

    fn write_files(&self) -> PathBuf {
        let directory = self.directory.path();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.join(name), text).unwrap();
            std::fs::set_permissions(directory.join(name), PermissionsExt::from_mode(0o600)).unwrap();
        };
        write("policy.toml", &self.policy);
        write("token.key", &format!("{}\n", STANDARD.encode([7; 32])));
        write("ledger.key", &format!("{}\n", STANDARD.encode([9; 32])));
        write("signing.key", &format!("{}\n", STANDARD.encode([11; 32])));
        let listener_tls =
            if self.listener_lines.iter().any(|line| line.starts_with("tls")) { "" } else { "tls = \"off\"\n" };
        let upstream_tls =
            if self.upstream_lines.iter().any(|line| line.starts_with("tls")) { "" } else { "tls = \"off\"\n" };
        let host = self.upstream_host.clone().unwrap_or_else(|| self.upstream.ip().to_string());
        let settings = format!(
            "policy = \"policy.toml\"\nhostname = \"gate.example.net\"\ncontrol = \"control.sock\"\n\
             [store]\nurl = \"sqlite:consentry.db\"\n\
             [keys]\ntoken_key_file = \"token.key\"\nledger_key_file = \"ledger.key\"\nsigning_key_file = \"signing.key\"\n\
             [upstream.relay]\naddress = [\"{host}:{port}\"]\n{upstream_tls}{upstream}\n\
             [listener.submission]\nlisten = [\"127.0.0.1:0\"]\nupstream = \"relay\"\n{listener_tls}{listener}\n\
             [web.public]\nlisten = \"127.0.0.1:0\"\nbase_url = \"{base_url}\"\n{more}",
            base_url = self.base_url,
            port = self.upstream.port(),
            upstream = self.upstream_lines.join("\n"),
            listener = self.listener_lines.join("\n"),
            more = self.more,
        );
        write("consentry.toml", &settings);
        directory.join("consentry.toml")
    }

    pub fn start(self) -> Gate {
        let settings = self.write_files();
        let sockets =
            std::fs::read_to_string(&settings).unwrap().lines().filter(|line| line.starts_with("listen =")).count();
        let mut gate = Gate {
            directory: self.directory,
            settings,
            child: None,
            listening: BTreeMap::new(),
            log: Arc::default(),
            sockets,
        };
        gate.run();
        gate
    }
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    changed: Condvar,
    ended: AtomicBool,
}

pub struct Gate {
    directory: TempDir,
    pub settings: PathBuf,
    child: Option<Child>,
    listening: BTreeMap<String, SocketAddr>,
    log: Arc<Log>,
    sockets: usize,
}

impl Gate {
    pub fn builder(upstream: SocketAddr) -> GateBuilder {
        GateBuilder {
            directory: tempfile::tempdir().unwrap(),
            upstream,
            upstream_host: None,
            upstream_lines: Vec::new(),
            listener_lines: Vec::new(),
            more: String::new(),
            policy: POLICY.to_owned(),
            base_url: "http://127.0.0.1:8080".to_owned(),
        }
    }

    /// One plain listener in front of this upstream, with the usual policy.
    pub fn in_front_of(upstream: SocketAddr) -> Gate {
        Gate::builder(upstream).start()
    }

    /// Starts the program (again) and waits until every socket is open.
    pub fn run(&mut self) {
        let mut child =
            self.command(&["serve"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (stderr, log) = (child.stderr.take().unwrap(), Arc::new(Log::default()));
        self.log = Arc::clone(&log);
        self.child = Some(child);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.lines.lock().unwrap().push(line);
                log.changed.notify_all();
            }
            let lines = log.lines.lock().unwrap();
            log.ended.store(true, Ordering::SeqCst);
            log.changed.notify_all();
            drop(lines);
        });
        let (expected, log) = (self.sockets, Arc::clone(&self.log));
        let started = |lines: &[String]| addresses(lines).len() >= expected || log.ended.load(Ordering::SeqCst);
        let lines = self.wait_for_log("every socket", started);
        assert!(!self.log.ended.load(Ordering::SeqCst), "the gate did not start:\n{}", lines.join("\n"));
        self.listening = addresses(&lines);
    }

    /// The listener every gate has.
    pub fn address(&self) -> SocketAddr {
        self.listener("submission")
    }

    pub fn listener(&self, name: &str) -> SocketAddr {
        *self.listening.get(name).unwrap_or_else(|| panic!("no listener {name}: {:?}", self.listening))
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn client(&self) -> Client {
        Client::ready(self.address())
    }

    pub fn process_id(&self) -> u32 {
        self.child.as_ref().expect("a running gate").id()
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().clone()
    }

    pub fn wait_for_log(&self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let lines = self.log.lines.lock().unwrap();
        let goes_on = |lines: &mut Vec<String>| !wanted(lines) && !self.log.ended.load(Ordering::SeqCst);
        let waited = self.log.changed.wait_timeout_while(lines, DEADLINE, goes_on);
        let lines = waited.unwrap().0.clone(); // and unlocked: who fails here still prints the log
        assert!(wanted(&lines), "the gate's log never told of {what}:\n{}", lines.join("\n"));
        lines
    }

    /// `consentry ARGUMENTS --config …` of this gate.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consentry"));
        command.args(arguments).arg("--config").arg(&self.settings).env("NO_COLOR", "1");
        command
    }

    /// The same, run to its end, which has to be a good one.
    #[track_caller]
    pub fn run_command(&self, arguments: &[&str]) -> String {
        let output: Output = self.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Consent events, one JSON object each, through `contact import`. What people were shown is there before them.
    #[track_caller]
    pub fn import(&self, events: &[&str]) {
        self.store_texts(events);
        let mut file = tempfile::Builder::new().suffix(".ndjson").tempfile().unwrap();
        file.write_all(events.join("\n").as_bytes()).unwrap();
        self.run_command(&["contact", "import", file.path().to_str().unwrap()]);
    }

    /// A wording for each version that the events name.
    #[track_caller]
    pub fn store_texts(&self, events: &[&str]) {
        let version = |event: &&str| {
            let event: serde_json::Value = serde_json::from_str(event).ok()?;
            Some(event.get("text_version")?.as_str()?.to_owned())
        };
        for version in events.iter().filter_map(version).collect::<BTreeSet<String>>() {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            writeln!(file, "Yes, write to me ({version}).").unwrap();
            let arguments = ["contact", "text", "add", &version, file.path().to_str().unwrap(), "--language", "en"];
            self.run_command(&arguments);
        }
    }

    /// The decisions, as `journal list --json` tells them.
    #[track_caller]
    pub fn journal(&self) -> Vec<serde_json::Value> {
        let listed = self.run_command(&["journal", "list", "--json"]);
        listed.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The largest resident size so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.process_id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// SIGTERM, and the end of the process.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_for_exit()
    }

    /// SIGKILL, nothing is finished.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running gate");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The end of its log is the end of the process.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let lines = self.log.lines.lock().unwrap();
        let waited = self.log.changed.wait_timeout_while(lines, DEADLINE, |_| !self.log.ended.load(Ordering::SeqCst));
        let (lines, result) = waited.unwrap();
        assert!(!result.timed_out(), "the gate does not end:\n{}", lines.join("\n"));
        drop(lines);
        self.child.take().expect("a running gate").wait().unwrap()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("--- log of the gate\n{}", self.log().join("\n"));
        }
    }
}

/// From lines like `… listening listener=submission address=127.0.0.1:40000`.
fn addresses(lines: &[String]) -> BTreeMap<String, SocketAddr> {
    let value = |line: &str, name: &str| {
        let rest = line.split(&format!("{name}=")).nth(1)?;
        Some(rest.trim_start_matches('"').split([' ', '"']).next()?.to_owned())
    };
    let listening = lines.iter().filter(|line| line.contains("listening"));
    listening.filter_map(|line| Some((value(line, "listener")?, value(line, "address")?.parse().ok()?))).collect()
}
