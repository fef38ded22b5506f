//! A real Chromium for a test, driven by chromedriver with the WebDriver protocol: JSON over HTTP.
//!
//! No crate for WebDriver is used: the one that is maintained turns on features of `serde_json` that change the order of keys in
//! the answers of the programs that are tested.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::readers::{in_path, skipped};
use crate::until;

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The flags of Chromium: no window, no sandbox (tests may run as root), and no request of its own.
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// Keys, as WebDriver names them.
pub mod keys {
    /// The tabulator.
    pub const TAB: &str = "\u{e004}";
    /// Enter.
    pub const ENTER: &str = "\u{e007}";
    /// Escape.
    pub const ESCAPE: &str = "\u{e00c}";
}

/// The programs that are needed, and the script of axe.
#[derive(Debug)]
pub struct Programs {
    chromium: PathBuf,
    driver: PathBuf,
    axe: PathBuf,
}

impl Programs {
    /// Finds the programs. Without them a test is skipped with a message; with `CI=true` it fails.
    ///
    /// # Panics
    /// If something is not installed and `CI` is `true`.
    #[must_use]
    pub fn find() -> Option<Self> {
        let test = std::env::current_exe().expect("a test is a file");
        let target = test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps");
        let axe = target.join("browser/axe.min.js");
        match (in_path("chromium"), in_path("chromedriver"), axe.is_file()) {
            (Some(chromium), Some(driver), true) => Some(Self { chromium, driver, axe }),
            _ => {
                skipped(
                    "Chromium, chromedriver or axe-core is not installed; `deploy/setup/tests/browser.sh` installs them",
                );
                None
            }
        }
    }
}

/// A browser with one window. It ends when it is dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    agent: Agent,
    /// The address of the session.
    session: String,
    /// The script of axe.
    axe: String,
    folder: TempDir,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(programs: &Programs) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(folder.path().join("driver.log")).expect("a file");
        let mut command = Command::new(&programs.driver);
        // The driver takes a free port and prints it.
        command.arg("--port=0").env("HOME", folder.path()).env("LC_ALL", "C.UTF-8").env_remove("LANGUAGE");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        // The browser's processes end with the driver's group.
        let driver = command.process_group(0).spawn().expect("chromedriver starts");
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        let axe = fs::read_to_string(&programs.axe).expect("axe is a text");
        let mut browser = Self { driver, agent: config.build().into(), session: String::new(), axe, folder };
        let port = until("chromedriver listens", || {
            let ended = browser.driver.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "chromedriver has ended: {}", browser.log());
            let log = browser.log();
            let port: u16 = log.split_once("successfully on port ")?.1.split('.').next()?.parse().ok()?;
            TcpStream::connect(("127.0.0.1", port)).ok().map(|_| port)
        });
        let profile = format!("--user-data-dir={}", browser.folder.path().join("profile").display());
        let flags: Vec<&str> = FLAGS.iter().copied().chain([profile.as_str()]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            // It opens only pages of tests, whose coordinators have authorities of their own.
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": programs.chromium, "args": flags },
        } } });
        browser.session = format!("http://127.0.0.1:{port}/session");
        let answer = browser.post("", &wanted);
        let id = answer["sessionId"].as_str().expect("a session has an id").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        browser.resize(1280, 1000);
        browser
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("driver.log")).unwrap_or_default()
    }

    fn try_post(&self, command: &str, body: &Value) -> Result<Value, String> {
        let request = self.agent.post(format!("{}{command}", self.session)).header("content-type", "application/json");
        let mut answer = request.send(body.to_string().as_bytes()).map_err(|error| error.to_string())?;
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_vec().expect("an answer");
        let mut value: Value = serde_json::from_slice(&text).expect("the driver answers in JSON");
        let value = value["value"].take();
        if answer.status() == 200 { Ok(value) } else { Err(value["message"].to_string()) }
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        self.try_post(command, body).unwrap_or_else(|error| panic!("{command} {body}: {error}"))
    }

    /// Opens an address.
    ///
    /// # Panics
    /// If it cannot be opened.
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Loads the page again.
    ///
    /// # Panics
    /// If it cannot be loaded.
    pub fn reload(&self) {
        self.post("/refresh", &json!({}));
    }

    /// Goes back in the history.
    ///
    /// # Panics
    /// If the browser does not answer.
    pub fn back(&self) {
        self.post("/back", &json!({}));
    }

    /// The value of an expression in JavaScript.
    ///
    /// # Panics
    /// If it throws an error.
    #[must_use]
    pub fn value(&self, expression: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": format!("return {expression};"), "args": [] }))
    }

    /// The same as a text; empty for `null`.
    #[must_use]
    pub fn text(&self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true. An error of the expression, for example because the page changes, is like `false`.
    ///
    /// # Panics
    /// After two minutes.
    pub fn until(&self, what: &str, expression: &str) {
        let script = json!({ "script": format!("return Boolean({expression});"), "args": [] });
        until(what, || (self.try_post("/execute/sync", &script) == Ok(Value::Bool(true))).then_some(()));
    }

    /// Waits until there is an element.
    ///
    /// # Panics
    /// After two minutes.
    fn element(&self, selector: &str) -> String {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = until(&format!("there is {selector}"), || self.try_post("/element", &wanted).ok());
        found[ELEMENT].as_str().expect("an element has an id").to_owned()
    }

    /// Clicks on an element. If the page was just replaced, it is looked for again.
    ///
    /// # Panics
    /// After two minutes without it, or if it is hidden.
    pub fn click(&self, selector: &str) {
        let clicked = until(&format!("{selector} is clicked"), || {
            let element = self.element(selector);
            let clicked = self.try_post(&format!("/element/{element}/click"), &json!({}));
            (!clicked.as_ref().is_err_and(|error| error.contains("stale"))).then_some(clicked)
        });
        clicked.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Writes a text into an element, in place of what it has.
    ///
    /// # Panics
    /// If it cannot be written into.
    pub fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses keys, one after the other, wherever the focus is.
    ///
    /// # Panics
    /// If the browser does not answer.
    pub fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }));
    }

    /// Calls a command of Chromium's developer tools.
    ///
    /// # Panics
    /// If it is refused.
    pub fn tool(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// Sets the size of the page, below 600 pixels as that of a phone.
    ///
    /// # Panics
    /// If the browser does not answer.
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.tool("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Prefers dark or light colours.
    ///
    /// # Panics
    /// If the browser does not answer.
    pub fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.tool("Emulation.setEmulatedMedia", &features);
    }

    /// Opens another tab, which hides the first one.
    ///
    /// # Panics
    /// If the browser does not answer.
    pub fn open_tab(&self) {
        let tab = self.post("/window/new", &json!({ "type": "tab" }));
        self.show(&tab["handle"]);
    }

    /// Closes the tab that was opened, which shows the first one again.
    ///
    /// # Panics
    /// If the browser does not answer.
    pub fn close_tab(&self) {
        let closed = self.agent.delete(format!("{}/window", self.session)).call().expect("the driver answers");
        assert_eq!(closed.status(), 200, "a tab is closed");
        let mut handles =
            self.agent.get(format!("{}/window/handles", self.session)).call().expect("the driver answers");
        let handles: Value =
            serde_json::from_slice(&handles.body_mut().read_to_vec().expect("an answer")).expect("an answer in JSON");
        self.show(&handles["value"][0]);
    }

    fn show(&self, tab: &Value) {
        self.post("/window", &json!({ "handle": tab }));
        self.tool("Page.bringToFront", &json!({}));
    }

    /// Errors and warnings in the console since the last call: of scripts, of loading, and of the content security policy.
    ///
    /// # Panics
    /// If the browser does not answer.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let lines = self.post("/se/log", &json!({ "type": "browser" }));
        let lines = lines.as_array().expect("a list of lines");
        let is_bad = |line: &&Value| ["SEVERE", "WARNING"].iter().any(|level| line["level"] == *level);
        lines.iter().filter(is_bad).map(|line| line["message"].to_string()).collect()
    }

    /// What axe finds wrong by WCAG 2.1 AA, as one text for each rule.
    ///
    /// # Panics
    /// If axe fails.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let wanted = "{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'], resultTypes: ['violations'] }";
        // Run in the world of the driver, which the page's content security policy does not hold.
        let script = format!(
            "{}; const done = arguments[arguments.length - 1]; \
             axe.run(document, {wanted}).then(\
               (found) => done(found.violations.map((one) => `${{one.id}}: ${{one.nodes.map((node) => node.html + ' ' + \
               node.failureSummary).join('; ')}}`)), \
               (error) => done([String(error)]));",
            self.axe
        );
        let found = self.post("/execute/async", &json!({ "script": script, "args": [] }));
        let found = found.as_array().expect("a list of violations");
        found.iter().map(|one| one.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Writes a picture of the whole page to a file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn picture(&self, path: &Path) {
        let wanted = json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true } });
        let picture = self.post("/goog/cdp/execute", &wanted);
        let data = picture["data"].as_str().expect("a picture in base64");
        fs::write(path, STANDARD.decode(data).expect("base64")).expect("a picture can be written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _is_ended = self.agent.delete(&self.session).call();
        if let Ok(pid) = i32::try_from(self.driver.id()) {
            let _is_gone = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _status = self.driver.wait();
    }
}
