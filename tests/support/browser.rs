//! A real browser: Debian's Chromium, driven over WebDriver, and axe-core to look at its pages.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::peers::{missing, program};

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// What the reader would like (RFC 5646).
    pub language: &'static str,
    /// CSS pixels.
    pub width: u32,
    pub scripts: bool,
    pub dark: bool,
}

/// Runs what the browsers are driven by; ends with the test.
pub struct Driver {
    child: Child,
    url: String,
    runtime: Runtime,
}

impl Driver {
    /// `None`: there is no Chromium on this machine, which under CI is a failure.
    pub fn start() -> Option<Driver> {
        program("chromium")?;
        let mut command = Command::new(program("chromedriver")?);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.into_iter().find_map(|line| {
            line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok()
        });
        let url = format!("http://127.0.0.1:{}", port.expect("chromedriver names its port"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Some(Driver { child, url, runtime })
    }

    /// A browser with nothing in it.
    pub fn open(&self, view: View) -> Browser<'_> {
        let profile = tempfile::tempdir().unwrap();
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(capabilities(&view, profile.path()));
        let client = self.runtime.block_on(builder.connect(&self.url)).expect("a browser session");
        Browser { runtime: &self.runtime, client, view, _profile: profile }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

fn capabilities(view: &View, profile: &Path) -> Capabilities {
    let mut arguments: Vec<String> = [
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "disable-dev-shm-usage",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "hide-scrollbars",
    ]
    .map(|name| format!("--{name}"))
    .to_vec();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    arguments.push(format!("--lang={0}", view.language));
    arguments.push(format!("--accept-lang={0}", view.language));
    if !view.scripts {
        arguments.push("--blink-settings=scriptEnabled=false".into());
    }
    if view.dark {
        arguments.push("--force-prefers-color-scheme=dark".into());
        arguments.push("--blink-settings=preferredColorScheme=0".into());
    }
    let options = json!({
        "args": arguments,
        "prefs": { "intl.accept_languages": view.language },
        // A window cannot be as narrow as a telephone; the page's idea of it can.
        "mobileEmulation": { "deviceMetrics": { "width": view.width, "height": 800, "pixelRatio": 1.0, "touch": false } },
    });
    Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)])
}

/// One window. Every question waits for the page to be there.
pub struct Browser<'d> {
    runtime: &'d Runtime,
    client: Client,
    pub view: View,
    _profile: TempDir,
}

impl Browser<'_> {
    pub fn visit(&self, url: &str) {
        self.runtime.block_on(self.client.goto(url)).unwrap();
    }

    pub fn text(&self) -> String {
        let text = async { self.client.find(Locator::Css("body")).await?.text().await };
        self.runtime.block_on(text).unwrap()
    }

    pub fn title(&self) -> String {
        self.runtime.block_on(self.client.title()).unwrap()
    }

    pub fn url(&self) -> String {
        self.runtime.block_on(self.client.current_url()).unwrap().into()
    }

    /// Writes into the field of this name.
    pub fn enter(&self, name: &str, text: &str) {
        let field = format!("[name='{name}']");
        let enter = async {
            let field = self.client.find(Locator::Css(&field)).await?;
            field.clear().await?;
            field.send_keys(text).await
        };
        self.runtime.block_on(enter).unwrap();
    }

    /// Clicks on what this selector finds first.
    pub fn click(&self, selector: &str) {
        let click = async { self.client.find(Locator::Css(selector)).await?.click().await };
        self.runtime.block_on(click).unwrap_or_else(|error| panic!("{selector}: {error}\n{}", self.text()));
    }

    /// Until the page has this: one that is left is still there for a moment.
    pub fn wait_for(&self, selector: &str) {
        let found = async { self.client.wait().for_element(Locator::Css(selector)).await.map(drop) };
        self.runtime.block_on(found).unwrap_or_else(|error| panic!("{selector}: {error}\n{}", self.text()));
    }

    /// Clicks the first button or link whose text has this in it.
    pub fn press(&self, label: &str) {
        let any = format!(
            "//*[self::button or self::a or self::label or self::summary][contains(normalize-space(.), \"{label}\")]"
        );
        let click = async { self.client.find(Locator::XPath(&any)).await?.click().await };
        self.runtime.block_on(click).unwrap_or_else(|error| panic!("{label}: {error}\n{}", self.text()));
    }

    /// What a keyboard does, wherever the focus is. `\u{e004}` is Tab, `\u{e007}` Enter, space is space.
    pub fn type_keys(&self, keys: &str) {
        let typed = async { self.client.active_element().await?.send_keys(keys).await };
        self.runtime.block_on(typed).unwrap();
    }

    /// What a script of ours finds on the page; the page itself has none.
    pub fn evaluate(&self, script: &str) -> Value {
        self.runtime.block_on(self.client.execute(script, Vec::new())).unwrap()
    }

    pub fn cookies(&self) -> usize {
        self.runtime.block_on(self.client.get_all_cookies()).unwrap().len()
    }

    /// Keeps what the page looks like, whole, below `target/pages`, for people to look at.
    pub fn keep_picture(&self, name: &str) {
        let View { language, width, scripts, dark } = self.view;
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pages");
        std::fs::create_dir_all(&directory).unwrap();
        let shades = [(!scripts).then_some("-no-scripts"), dark.then_some("-dark")].into_iter().flatten();
        let name = format!("{name}-{language}-{width}{}.png", shades.collect::<String>());
        let picture = self.runtime.block_on(self.client.screenshot()).unwrap();
        std::fs::write(directory.join(name), picture).unwrap();
    }

    /// What axe-core finds wrong with this page by WCAG 2.2 AA and its own best practices, one line each.
    pub fn violations(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(axe_file()).expect("axe-core; see scripts/setup-test-peers");
        let run = format!(
            "const done = arguments[arguments.length - 1]; {axe};\n\
             axe.run(document, {{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }})\
             .then(found => done(found.violations.map(one => one.id + ': ' + one.help + ' ' + \
             one.nodes.map(node => node.html + ' (' + node.failureSummary + ')').join('; '))),\
             error => done(['axe failed: ' + error]));"
        );
        let found = self.runtime.block_on(self.client.execute_async(&run, Vec::new())).unwrap();
        serde_json::from_value(found).unwrap()
    }

    /// Whether something on the page is wider than the window.
    pub fn scrolls_sideways(&self) -> bool {
        // A window that only emulates its width grows with the page.
        self.evaluate("return document.documentElement.scrollWidth;").as_u64().unwrap() > u64::from(self.view.width)
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.client.clone().close());
    }
}

fn axe_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/unpacked/axe-core/axe.min.js")
}

/// Whether axe-core was brought; under CI it has to be.
pub fn has_axe() -> bool {
    let has = axe_file().is_file();
    if !has {
        missing("axe-core is not unpacked");
    }
    has
}
