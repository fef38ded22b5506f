//! The page in a browser that runs no scripts.

use biosweep_tests::browser::keys;
use serde_json::json;

use crate::page::site::{Site, browser};

#[test]
fn without_scripts_the_page_is_read_filtered_sorted_turned_and_commanded() {
    let Some(browser) = browser() else { return };
    let site = Site::start();
    browser.tool("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.open(&site.of_sweep(""));
    // With the script, Escape would close the choice.
    browser.click("#filter-status > summary");
    browser.press(keys::ESCAPE);
    assert_eq!(browser.value("document.querySelector('#filter-status').open"), true, "no script runs");
    assert_eq!(browser.text("document.querySelector('.note.shown').textContent"), "1–50 of 72 configurations");
    browser.click("[rel=next]");
    assert_eq!(browser.text("document.querySelector('.note.shown').textContent"), "51–72 of 72 configurations");
    browser.click("thead th:nth-child(6) > a");
    assert_eq!(browser.text("document.querySelector('thead th:nth-child(6)').ariaSort"), "descending");
    browser.write("#where", &format!("rule=fa{}", keys::ENTER));
    browser.until("it is filtered", "document.querySelector('.note.shown').textContent === '24 configurations'");
    browser.click("#filter-depth > summary");
    browser.click("#filter-depth li:nth-child(2) > a");
    assert_eq!(browser.text("document.querySelector('.note.shown').textContent"), "8 configurations");
    browser.click(".toggle");
    assert_eq!(browser.value("document.querySelectorAll('tr.replicates input').length"), 2);
    browser.click("#command-pause > summary");
    browser.click("#command-pause button");
    browser.until("it is paused", "document.querySelector('h1 .state').textContent === 'paused'");
    assert_eq!(site.cluster.json(&["show", "small"])["state"], "paused");
}
