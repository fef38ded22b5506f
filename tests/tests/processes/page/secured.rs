//! The page of a coordinator with TLS: Chromium logs in with a token, follows the sweep, and gives commands.

use biosweep_tests::cluster::QUICK_SPEC;
use biosweep_tests::cluster::secured::Secured;
use serde_json::Value;

use crate::page::site::{browser, pictures};

/// The secret text in a connection file.
fn token_in(file: &std::path::Path) -> String {
    let file: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
    file["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_browser_logs_in_over_tls_follows_a_sweep_and_may_do_what_its_token_allows() {
    const STATE: &str = "document.querySelector('h1 .state').textContent";
    let Some(browser) = browser() else { return };
    let secured = Secured::default();
    let spec = secured.home().spec(QUICK_SPEC).to_string_lossy().into_owned();
    let sweep = secured.home().json(&["submit", &spec])["id"].as_str().expect("an id").to_owned();
    let [viewer, submitter] = ["viewer", "submitter"].map(|role| secured.token(role, &[]).0);
    let url = format!("{}/sweeps/{sweep}", secured.url());
    let log_in = |token: &str| {
        browser.write("input[name=token]", token);
        browser.click("main button");
    };

    browser.open(&url);
    assert_eq!(browser.text("location.pathname"), "/login");
    if let Some(folder) = pictures() {
        browser.picture(&folder.join("login.png"));
    }
    assert_eq!(browser.violations(), Vec::<String>::new());
    assert_eq!(browser.complaints(), Vec::<String>::new());
    log_in("bsj1.nothing");
    browser.until("it is refused", "document.querySelector('[role=alert]')");
    if let Some(folder) = pictures() {
        browser.picture(&folder.join("login-refused.png"));
    }
    // Chromium prints the answer 401 to a wrong token.
    let refused = browser.complaints();
    assert!(refused.iter().all(|line| line.contains("401 (Unauthorized)")), "{refused:?}");

    log_in(&token_in(&viewer));
    browser.until("the sweep is listed", "document.querySelector('#sweeps')?.textContent.includes('small')");
    assert_eq!(browser.text("document.cookie"), "", "scripts do not see the token");
    browser.open(&url);
    let _mark = browser.value("(document.body.dataset.mark = 'here')");
    browser.until("the stream is open", "performance.getEntriesByType('resource').length > 0");
    let _paused = secured.home().json(&["pause", "small"]);
    browser.until("the pause is shown", &format!("{STATE} === 'paused'"));
    assert_eq!(browser.text("document.body.dataset.mark"), "here", "without a reload");
    browser.click("#command-resume > summary");
    browser.click("#command-resume button");
    browser.until("a viewer is refused", "document.body.textContent.includes('submitter')");
    assert_eq!(secured.home().json(&["show", "small"])["state"], "paused");
    let refused = browser.complaints();
    assert!(refused.iter().all(|line| line.contains("403 (Forbidden)")), "{refused:?}");

    browser.open(&format!("{}/login", secured.url()));
    log_in(&token_in(&submitter));
    browser.until("the sweep is listed", "document.querySelector('#sweeps')?.textContent.includes('small')");
    browser.open(&url);
    browser.click("#command-resume > summary");
    browser.click("#command-resume button");
    browser.until("it runs", &format!("{STATE} === 'running'"));
    assert_eq!(secured.home().json(&["show", "small"])["state"], "running");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
